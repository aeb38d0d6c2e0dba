package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// A Reason is why a request, or the reading of its answer, failed.
type Reason string

// The reasons of an [Error].
const (
	// Refused: the request, or the address that its host resolved to, is not
	// allowed. Nothing was sent.
	Refused Reason = "refused"
	// RedirectRefused: the server's answer was a redirect that is not followed.
	RedirectRefused Reason = "redirect refused"
	// BreakerOpen: the host has failed too often in a row. Nothing was sent;
	// [Error.RetryIn] says for how long that stays so.
	BreakerOpen Reason = "breaker open"
	// TooLarge: the answer is larger than Options.MaxBody.
	TooLarge Reason = "too large"
	// TimedOut: a deadline has passed, one of Options or the context's.
	TimedOut Reason = "timed out"
	// Canceled: the context was cancelled.
	Canceled Reason = "canceled"
	// Failed: the network, TLS or the server's HTTP failed.
	Failed Reason = "failed"
)

// An Error is every error of the client and of the bodies it returns; of the
// client, it is inside of a [net/url.Error], whose URL then holds scheme and host
// only. Take it with [errors.As].
//
// Its text is made here, of fixed words, and holds nothing of the
// URL's path or query, of headers or bodies, or of what the server said. Unwrap
// gives the cause, whose text may quote the server: it belongs into a redacted
// log and nowhere else.
type Error struct {
	Reason Reason
	// Host is host:port, or empty if the request had no valid one.
	Host string
	// Attempts is how often the request was sent, or tried to be.
	Attempts int
	// RetryIn is how long the breaker stays open, of a BreakerOpen.
	RetryIn time.Duration

	text string
	err  error
}

func (e *Error) Error() string {
	if e.Attempts > 1 {
		return fmt.Sprintf("%s (%d attempts)", e.text, e.Attempts)
	}
	return e.text
}

// Unwrap returns the cause, or nil.
func (e *Error) Unwrap() error { return e.err }

// Timeout reports whether a deadline has passed, for [net.Error] and
// [net/url.Error].
func (e *Error) Timeout() bool { return e.Reason == TimedOut }

// Causes with which contexts are cancelled here.
var (
	errTimeout = errors.New("timeout")
	errGap     = errors.New("gap")
)

// explain makes an Error of what ended an exchange, by its context first: an
// error of the network that follows a cancellation is not the network's.
func (t *transport) explain(ctx context.Context, err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	if ctx.Err() != nil {
		return t.ended(ctx)
	}
	reason, text := describe(err)
	return &Error{Reason: reason, text: text, err: err}
}

// ended explains the end of a context.
func (t *transport) ended(ctx context.Context) *Error {
	switch cause := context.Cause(ctx); {
	case cause == errTimeout:
		return &Error{Reason: TimedOut, text: "no complete answer within " + t.o.Timeout.String(), err: context.DeadlineExceeded}
	case cause == errGap:
		return &Error{Reason: TimedOut, text: "no byte of the body for " + t.o.BodyTimeout.String(), err: context.DeadlineExceeded}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &Error{Reason: TimedOut, text: "the context's deadline has passed", err: ctx.Err()}
	}
	return &Error{Reason: Canceled, text: "the context was cancelled", err: ctx.Err()}
}

// describe finds fixed words for an error of net/http. Its own can quote what
// the server sent.
func describe(err error) (Reason, string) {
	var (
		refused *refusedAddress
		dns     *net.DNSError
		alert   tls.AlertError
		record  tls.RecordHeaderError
		op      *net.OpError
		errno   syscall.Errno
	)
	switch {
	case errors.As(err, &refused):
		return Refused, refused.Error()
	case errors.Is(err, context.Canceled): // net/http can know of it before the context we ask
		return Canceled, "the context was cancelled"
	case isTimeout(err):
		return TimedOut, phase(err)
	case errors.As(err, &dns):
		return Failed, "the name was not resolved"
	case errors.As(err, &alert):
		return Failed, "the server refused the TLS handshake: " + alert.Error()
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return Failed, "the server does not speak TLS"
	case isCertificate(err):
		return Failed, "the server's certificate was refused: " + certificate(err)
	case errors.As(err, &op) && errors.As(err, &errno):
		return Failed, op.Op + ": " + errno.Error()
	case disconnected(err):
		return Failed, "the server closed the connection"
	}
	return Failed, "the exchange failed"
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// phase names what took too long.
func phase(err error) string {
	var op *net.OpError
	switch {
	case errors.As(err, &op) && op.Op == "dial":
		return "connecting took too long"
	case err.Error() == tlsTimeout:
		return "the TLS handshake took too long"
	case strings.HasSuffix(err.Error(), headerTimeout):
		return "the answer's header took too long"
	}
	return "the connection timed out"
}

// Texts of errors that net/http does not export; tests pin them.
const (
	tlsTimeout    = "net/http: TLS handshake timeout"
	headerTimeout = "timeout awaiting response headers" // "net/http: " or "http2: " before it
	closedIdle    = "http: server closed idle connection"
)

// disconnected reports whether the connection ended before an answer.
func disconnected(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || err.Error() == closedIdle
}

func isCertificate(err error) bool {
	var verification *tls.CertificateVerificationError
	return errors.As(err, &verification)
}

// certificate says what is wrong with one, without its words.
func certificate(err error) string {
	var (
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &authority):
		return "its authority is not trusted (see Options.RootCAs)"
	case errors.As(err, &hostname):
		return "it is for another host"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "it has expired, or is not valid yet"
	}
	return "it is not valid"
}
