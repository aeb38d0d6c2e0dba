package mailtool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// maxTries is how often a message is handed over, while each time nothing was sent.
const maxTries = 3

// deliver sends a message once, and notes what became of it.
func (c *Client) deliver(ctx context.Context, b *built) (Receipt, error) {
	r, err := c.transmit(ctx, b)
	c.noteSend(ctx, b, err)
	return r, err
}

// transmit sends a message once: after the caps have let it, and with an end that is
// known, or said to be unknown. Then its caps stay taken.
func (c *Client) transmit(ctx context.Context, b *built) (Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	r := b.receipt()
	if err := c.suppressed(ctx, b); err != nil {
		return r, err
	}
	var err error
	if b.signature, err = c.sign(append(b.stamp[:len(b.stamp):len(b.stamp)], b.rest...)); err != nil {
		return r, err
	}
	taken, err := c.take(ctx, b)
	if err != nil {
		return r, err
	}
	log := c.log(ctx).With("message_id", r.MessageID, "recipients", r.Recipients, "recipients_hash", r.RecipientsHash, "digest", r.Digest)
	log.InfoContext(ctx, "mail: sending", "bytes", len(b.rest))
	switch err := c.hand(ctx, b); {
	case err == nil:
		r.Status = "sent"
		log.InfoContext(ctx, "mail: sent")
		return r, nil
	case errors.Is(err, ErrUnknown):
		r.Status = "unknown"
		log.ErrorContext(ctx, "mail: not known whether it was sent", "error", err)
		return r, unknownError(r, err)
	default:
		log.WarnContext(ctx, "mail: not sent", "error", err)
		return r, errors.Join(modelError(ctx, err), c.giveBack(ctx, taken))
	}
}

func unknownError(r Receipt, cause error) error {
	return &mcpsec.Error{Message: "unknown: the message was handed over and no answer came, it may have been sent. It is not sent again: check the log of the mail server for " + r.MessageID, Rule: "unknown", Err: cause}
}

// log is the call's, or for Go code that sends outside of one, the client's.
func (c *Client) log(ctx context.Context) *slog.Logger {
	if mcpsec.CallID(ctx) != "" {
		return mcpsec.Logger(ctx)
	}
	return c.o.Log
}

// attempts hands a message over until that succeeds, fails for good, or has an end
// that nobody knows.
func (c *Client) attempts(ctx context.Context, b *built) error {
	if err := c.pool.enter(ctx); err != nil {
		return err
	}
	defer c.pool.leave()
	for try := 1; ; try++ {
		err := c.attempt(ctx, b)
		if err == nil || try == maxTries || errors.Is(err, ErrUnknown) || !passing(err) {
			return err
		}
		pause := c.pause << (try - 1)
		if !sleep(ctx, pause/2+rand.N(pause)) {
			return err
		}
	}
}

func (c *Client) attempt(ctx context.Context, b *built) error {
	s, err := c.session(ctx)
	if err != nil {
		return err
	}
	unbind := s.bind(ctx)
	err = s.send(b)
	unknown := s.unknown(err)
	good := err == nil || !unknown && s.recovers(err)
	if unbind() && good {
		c.pool.put(s)
	} else {
		s.raw.Close()
	}
	if unknown {
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	return err
}

// recovers reports whether a session can be used again after a refusal.
func (s *session) recovers(err error) bool {
	var said *refusal
	return errors.As(err, &said) && said.code != 421 && s.c.Reset() == nil
}

// sleep waits, and reports whether that was to the end.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
