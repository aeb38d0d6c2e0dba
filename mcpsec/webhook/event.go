package webhook

import "time"

// An Event is what one delivery says, after it was verified.
type Event struct {
	// Scheme is the name of the verifier: stripe, standard, github, sendgrid,
	// postmark, mailgun, sns or hmac.
	Scheme string
	// ID names the event for good: two deliveries with one ID are the same
	// event. It is made of signed content only: where the sender signs no id,
	// it is a digest of what is signed. The functions that make verifiers say
	// which. At most 200 bytes of printable ASCII, without spaces.
	ID string
	// Type is what happened, in the sender's words: printable ASCII without
	// spaces, at most 200 bytes. It may be empty.
	Type string
	// Time is when the sender signed; zero if that is not signed.
	Time time.Time
	// Body is the exact bytes that came, except for [SNS]. The handler owns it.
	// It is as genuine as the sender's scheme makes it, and not checked any
	// further: decode it strictly.
	Body []byte
}

// An Error says why a delivery was refused. It holds no piece of the delivery
// and is safe to log, but tell the sender nothing of it: it would help to forge.
//
// A handler whose error wraps one with the Reason refused, busy or state has the
// delivery counted and answered as that, and not as a failure of its own: an event
// that is none for it, that comes at a bad time, of which nothing is known. The
// sender may deliver it again in each case.
type Error struct {
	// Reason is one of the keys of [Receiver.Stats].
	Reason string
	detail string
}

func (e *Error) Error() string {
	if e.detail == "" {
		return "webhook refused: " + e.Reason
	}
	return "webhook refused: " + e.Reason + ": " + e.detail
}

// The reasons for which a delivery is refused or fails, and the other ways in
// which it ends. They are the keys of Receiver.Stats.
const (
	reasonMethod      = "method"       // not POST
	reasonContentType = "content_type" // not what the sender sends, or encoded
	reasonTooLarge    = "too_large"    // body over the cap
	reasonRead        = "read"         // body ended early
	reasonHeader      = "header"       // a header is missing, doubled or malformed
	reasonSignature   = "signature"    // no signature fits
	reasonTimestamp   = "timestamp"    // signed too long ago, or in the future
	reasonEvent       = "event"        // genuine, and not an event
	reasonKey         = "key"          // the sender's certificate is not to be had
	reasonBusy        = "busy"         // another delivery of the event is being handled
	reasonState       = "state"        // the Once failed
	reasonHandler     = "handler"      // the handler failed or panicked
	reasonRefused     = "refused"      // the handler says that the event is none for it
	reasonUnrecorded  = "unrecorded"   // handled, but that could not be recorded

	outcomeHandled  = "handled"  // handled now
	outcomeRepeated = "repeated" // handled before
)

func refuse(reason, detail string) error { return &Error{Reason: reason, detail: detail} }
