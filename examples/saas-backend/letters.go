package main

import (
	"context"
	"errors"

	"github.com/mcpsec/mcpsec-go/mailtool"
)

// write sends a letter of fixed words: nothing that a caller or a user wrote gets into
// one but the address. An error other than mailtool.ErrUnknown means that nothing was
// sent, and the letter waits.
func (b *backend) write(ctx context.Context, to, subject, text string) error {
	_, err := b.mail.Send(ctx, mailtool.Message{To: []string{to}, Subject: subject, Text: text})
	if err != nil && !errors.Is(err, mailtool.ErrUnknown) {
		return errors.Join(errNotDone, err)
	}
	return err
}
