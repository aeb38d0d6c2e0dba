package mcpsec

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/mcpsec/mcpsec-go/internal/wire"
)

// An Error is the only kind of error whose text reaches the model. Return one
// from a handler or a guard to say what is wrong and what to do instead; it is
// found inside a wrapping error too, whose text goes to the log. Every other
// error becomes "internal error (call ID)" and goes, redacted, to the log under
// that id.
//
// Message must not be built from another error's text, a secret, a path or an
// argument's value. It is freed of hidden characters, redacted and cut at 4 KiB
// like a result all the same.
type Error struct {
	Message string
	// Rule names in the audit record what refused the call, as in "statement".
	// Defaults to "guard" or "handler". A handler that refuses for a rule of
	// its own is recorded as a refusal, not as a failure. It is a label of
	// [Server.Metrics], too: a constant of up to 64 characters of ASCII. What is
	// none is recorded as "unnamed".
	Rule string
	Err  error // the cause, for the log; may be nil
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// rule is Rule as records and metrics show it, to which nothing is done there.
func (e *Error) rule() string {
	odd := func(r rune) bool { return r < ' ' || r > '~' }
	if len(e.Rule) > 64 || strings.ContainsFunc(e.Rule, odd) {
		return "unnamed"
	}
	return e.Rule
}

// The ways in which a call can end, as the audit record names them.
const (
	outcomeOK        = "ok"
	outcomeRefused   = "refused"   // by a rule, before the tool ran or by the tool
	outcomeAsked     = "asked"     // a person, before the tool runs, or by the tool, which runs again
	outcomeFailed    = "failed"    // the handler returned an error
	outcomePanicked  = "panicked"  // the handler or its result's marshaller
	outcomeTimeout   = "timeout"   // the deadline passed
	outcomeCancelled = "cancelled" // the client or the server's end cancelled it
)

// failure is an error on its way through the pipeline: what the audit record
// and the model are told of it.
type failure struct {
	outcome string
	rule    string // what refused it: arguments, guard, mode, busy, audit, ...
	text    string // for the model; empty means an internal error
	cause   error
	stack   []byte

	question *question // to ask instead
	by       string    // who said no

	wire int64           // the code, where the protocol wants an error of its own even for a tool
	data json.RawMessage // of that error
}

func refused(rule, text string) *failure {
	return &failure{outcome: outcomeRefused, rule: rule, text: text}
}

// message is the text for the model.
func (f *failure) message(id string) string {
	if f.text == "" {
		return "internal error (call " + id + ")"
	}
	return f.text
}

// code is what the failure is where it must be an error of the protocol, which it
// is of all but tools.
func (f *failure) code() int64 {
	switch {
	case f.wire != 0:
		return f.wire
	case f.text == "":
	case f.rule == "arguments" || f.rule == ruleNotFound:
		return jsonrpc.CodeInvalidParams
	case f.rule == "rate" || f.rule == "busy":
		return wire.CodeBusy
	case f.outcome == outcomeRefused && f.rule != "audit":
		return wire.CodeRefused
	}
	return jsonrpc.CodeInternalError
}

// fromGuard turns a guard's error into a refusal.
func fromGuard(err error) *failure {
	f := &failure{outcome: outcomeRefused, rule: "guard", cause: err}
	var e *Error
	if errors.As(err, &e) {
		f.text = "not allowed: " + e.Message
		if e == err && e.Err != nil {
			f.cause = e.Err // without a wrapping text
		}
		if e.Rule != "" {
			f.rule = e.rule()
		}
	} else {
		f.text = "not allowed"
	}
	return f
}

// fromHandler turns a handler's error into a failure. A handler that gave up
// because its context ended did not fail by itself.
func fromHandler(ctx context.Context, err error) *failure {
	f := &failure{outcome: outcomeFailed, rule: "handler", cause: err}
	var e *Error
	switch {
	case errors.As(err, &e):
		if f.text = e.Message; e == err {
			f.cause = e.Err // without a wrapping text
		}
		if e.Rule != "" {
			f.outcome, f.rule = outcomeRefused, e.rule()
		}
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil:
		f.outcome, f.rule = outcomeTimeout, "deadline"
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		f.outcome, f.rule = outcomeCancelled, "cancelled"
	}
	return f
}

// log writes the cause of a failure, which nobody else gets to see. The
// server's logger redacts it.
func (f *failure) log(ctx context.Context, l *slog.Logger, c *Call) {
	if f.cause == nil && f.stack == nil {
		return
	}
	attrs := []any{"call", c.ID, c.noun, c.Tool, "outcome", f.outcome}
	if f.cause != nil {
		attrs = append(attrs, "error", f.cause)
	}
	if f.stack != nil {
		attrs = append(attrs, "stack", string(f.stack))
	}
	l.ErrorContext(ctx, "call failed", attrs...)
}

// panicError is what a recovered panic becomes.
func panicError(value any, stack []byte) *failure {
	return &failure{outcome: outcomePanicked, rule: "panic", cause: fmt.Errorf("panic: %v", value), stack: stack}
}
