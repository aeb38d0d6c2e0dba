package mailtool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"testing"

	"github.com/wneessen/go-mail/smtp"
)

// The library quotes a server that does not speak SMTP, and a server quotes anything.
func TestServersWordsAreNotKept(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		textproto.ProtocolError("short response: q7canary"), fmt.Errorf("%w, q7canary", textproto.ProtocolError("invalid")), fmt.Errorf("%w: q7canary", smtp.ErrUnexpectedServerResponse), errors.New("q7canary"),
		fmt.Errorf("q7canary: %w", io.EOF),
	} {
		var down *fault
		if got := failed("AUTH", err); strings.Contains(got.Error(), "q7canary") || !errors.As(got, &down) {
			t.Errorf("got %v", got)
		}
	}
	for _, err := range []error{context.Canceled, context.DeadlineExceeded, &net.OpError{Op: "read", Err: errors.New("reset")}, errors.New("tls: no version in common"), &talkative{}} {
		if got := failed("TLS", err); !errors.Is(got, err) {
			t.Errorf("%v became %v", err, got)
		}
	}
	if got := failed("MAIL", &textproto.Error{Code: 550, Msg: "5.1.1 q7canary"}); got.Error() != "MAIL: 550 5.1.1" {
		t.Errorf("got %v", got)
	}
}

func TestVerifyOfClosed(t *testing.T) {
	t.Parallel()
	c := testClient(t)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.verify(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("got %v", err)
	}
}
