package stripetool

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	stripe "github.com/stripe/stripe-go/v76"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/outbound"
)

var errAnswer = errors.New("an answer of Stripe's is not what it should be")

// An Error is one that Stripe has answered with: what [Client.Fetch] returns and the
// log is told of a tool's call is one, for errors.As. It holds words of Stripe's lists
// and the request's id, and no message, which may quote values, nor the object that the
// error is about, with its client_secret (docs.stripe.com/api/errors).
type Error struct {
	Status      int    // of HTTP: 402 is a decline
	Type        string // such as card_error
	Code        string // such as card_declined; "" of none
	DeclineCode string // such as lost_card; "" of none
	RequestID   string // req_…, for Stripe's support; "" of none
}

// Error returns all of it in one line.
func (e *Error) Error() string {
	s := fmt.Sprintf("status %d", e.Status)
	for _, part := range [][2]string{{"type", e.Type}, {"code", e.Code}, {"decline code", e.DeclineCode}, {"request", e.RequestID}} {
		if part[1] != "" {
			s += ", " + part[0] + " " + part[1]
		}
	}
	return s
}

// definite reports whether Stripe has answered that nothing was done. A 429 says it
// of the last attempt only, and a 409 of a key that another request has under way.
func (e *Error) definite() bool {
	switch e.Status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusForbidden, http.StatusNotFound:
		return true
	}
	return false
}

// clean takes from an error of the library's what may be shown. Any other error of
// its may hold 500 bytes of an answer, or all of it.
func clean(err error) error {
	var said *stripe.Error
	var out *outbound.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &said):
		word := func(s string) string {
			if errorWord().MatchString(s) {
				return s
			}
			return ""
		}
		e := &Error{Status: said.HTTPStatusCode, Type: word(string(said.Type)), Code: word(string(said.Code)), DeclineCode: word(string(said.DeclineCode))}
		if requestID().MatchString(said.RequestID) {
			e.RequestID = said.RequestID
		}
		return e
	case errors.As(err, &out):
		return out
	}
	return errAnswer
}

// unknown reports whether an effect may have been had in spite of an error.
func unknown(err error) bool {
	var out *outbound.Error
	if e := refusalOf(err); e != nil {
		return !e.definite()
	}
	if errors.As(err, &out) {
		return out.Reason != outbound.Refused && out.Reason != outbound.BreakerOpen
	}
	return err != nil
}

func refusalOf(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// modelError is what a model may read of an error of clean's.
func modelError(ctx context.Context, err error, write bool) error {
	say := func(rule, text string) error { return &mcpsec.Error{Message: text, Rule: rule, Err: err} }
	var out *outbound.Error
	e := refusalOf(err)
	switch {
	case err == nil:
		return nil
	case write && unknown(err):
		return say("unavailable", "it is not known whether Stripe has done it"+inBrackets(e)+": call again with the same arguments, and it is done once in all")
	case e != nil && e.Status == http.StatusNotFound:
		return say("stripe", "there is no such object, or the key may not read it"+inBrackets(e))
	case e != nil && e.Status == http.StatusTooManyRequests:
		return say("stripe", "Stripe has had too many requests: wait before the next"+inBrackets(e))
	case e != nil && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden):
		return say("stripe", "the operator's key may not do this"+inBrackets(e))
	case e != nil && write && e.Status == http.StatusPaymentRequired: // which is what it says to the same key again
		return say("stripe", "Stripe refuses it"+inBrackets(e)+": to try it anew, give another idempotency_key")
	case e != nil:
		return say("stripe", "Stripe refuses it"+inBrackets(e))
	case errors.As(err, &out) && out.Reason == outbound.TooLarge:
		return say("size", "Stripe's answer is too large: lower limit")
	case out != nil && ctx.Err() == nil:
		return say("unavailable", "Stripe does not answer: try again later")
	}
	return err
}

func inBrackets(e *Error) string {
	if e == nil {
		return ""
	}
	return " (" + e.Error() + ")"
}
