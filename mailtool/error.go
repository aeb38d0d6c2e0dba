package mailtool

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// wrong is a refusal of what the caller gave.
func wrong(rule, format string, args ...any) error {
	return &mcpsec.Error{Message: fmt.Sprintf(format, args...), Rule: rule}
}

// A refusal is an answer of the server's with which nothing was sent. It holds no
// text of the server's, which may quote addresses and more.
type refusal struct {
	step     string // what was asked
	code     int
	enhanced string // RFC 3463, or ""
}

func (e *refusal) Error() string {
	s := fmt.Sprintf("%s: %d", e.step, e.code)
	if e.enhanced != "" {
		s += " " + e.enhanced
	}
	return s
}

// A fault is a connection that failed, with which nothing was sent.
type fault struct {
	step  string
	cause error
}

func (e *fault) Error() string { return e.step + ": " + e.cause.Error() }
func (e *fault) Unwrap() error { return e.cause }

// An unmet is a server without what is required, or another one than it says.
type unmet struct{ what string }

func (e *unmet) Error() string { return e.what }

// A heldBack is a message that was not sent, because it could not be noted that it
// would be, or another has it.
type heldBack struct{ cause error }

func (e *heldBack) Error() string { return "held back: " + e.cause.Error() }
func (e *heldBack) Unwrap() error { return e.cause }

var (
	errClosed    = errors.New("the client is closed")
	enhancedCode = lazy.Regexp(`^[245]\.\d{1,3}\.\d{1,3}\b`)
)

// failed makes of an error of the protocol's library what may be shown.
func failed(step string, err error) error {
	var said *textproto.Error
	var envelope *envelopeError
	var held *heldBack
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var host x509.HostnameError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &envelope):
		return envelope
	case errors.As(err, &held):
		return held
	case errors.As(err, &said):
		return &refusal{step, said.Code, enhancedCode().FindString(said.Msg)}
	case errors.As(err, &cert), errors.As(err, &host):
		return &unmet{"its certificate is not of Options.Host, or of nobody who is trusted"}
	case errors.As(err, &record):
		return &unmet{"it does not speak TLS"}
	}
	return &fault{step, cause(err)}
}

// cause is why a connection failed, without what the server said: the library quotes it.
func cause(err error) error {
	var network net.Error
	var talks *talkative
	switch {
	case errors.As(err, &network), errors.As(err, &talks), errors.Is(err, context.Canceled), strings.HasPrefix(err.Error(), "tls: "):
		return err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return io.ErrUnexpectedEOF
	}
	return errors.New("what came is no answer")
}

// talkative is a server that does not stop.
type talkative struct{}

func (*talkative) Error() string { return "the server says more than there is to say" }

// passing reports whether a later attempt may succeed, after one in which nothing was
// sent.
func passing(err error) bool {
	var said *refusal
	var down *fault
	return errors.As(err, &said) && said.code/100 == 4 || errors.As(err, &down)
}

// modelError is what a model may read of an error.
func modelError(ctx context.Context, err error) error {
	var said *refusal
	var off *unmet
	var known *mcpsec.Error
	say := func(rule, text string) error { return &mcpsec.Error{Message: text, Rule: rule, Err: err} }
	switch {
	case err == nil, errors.As(err, &known), ctx.Err() != nil:
		return err
	case errors.As(err, &said):
		return say("server", "the mail server refuses it, nothing was sent ("+said.Error()+")")
	case errors.As(err, &off):
		return say("server", "the mail server is not as it must be, nothing was sent: "+off.what)
	case errors.Is(err, errClosed):
		return say("unavailable", "no more mail is sent: the server ends")
	}
	return say("unavailable", "the mail server does not answer, nothing was sent: try again later")
}
