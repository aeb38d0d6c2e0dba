package auth

import (
	"strconv"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A refusal says why a token is not good. Its text is a constant.
type refusal struct{ why string }

func (e *refusal) Error() string { return mcpsec.ErrInvalidToken.Error() + ": " + e.why }
func (e *refusal) Unwrap() error { return mcpsec.ErrInvalidToken }

func invalid(why string) error { return &refusal{why} }

// An unavailable says that a token could not be checked, and why. Both texts are
// constants.
type unavailable struct {
	what string
	why  error
}

func (e *unavailable) Error() string { return "auth: " + e.what + ": " + e.why.Error() }
func (e *unavailable) Unwrap() error { return e.why }

// A statusError is an answer that is not 200. A redirect is one.
type statusError int

func (e statusError) Error() string { return "it answered with status " + strconv.Itoa(int(e)) }
