package webhook

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// A Verifier checks that a delivery is a sender's own and fresh, and reads the
// event in it. The functions of this package make one for each sender. It is
// safe for concurrent use; the zero Verifier refuses everything.
type Verifier struct {
	scheme    string
	types     []string // content types, besides application/json
	challenge string   // for WWW-Authenticate
	past      time.Duration
	future    time.Duration
	check     func(context.Context, delivery) (Event, error)
}

// A delivery is what is to be verified.
type delivery struct {
	header       http.Header
	body         []byte
	now          time.Time
	past, future time.Duration
}

const (
	defaultTolerance = 5 * time.Minute
	maxTolerance     = 3 * 24 * time.Hour
)

// Verify checks a delivery, whose body must be the exact bytes that came, and
// returns its event. It does not look for repetitions: that is what a [Receiver]
// is for. An error is an [*Error]. The context bounds what [SNS] fetches; nothing
// else waits.
func (v *Verifier) Verify(ctx context.Context, header http.Header, body []byte) (Event, error) {
	return v.verify(ctx, header, body, time.Now())
}

func (v *Verifier) verify(ctx context.Context, header http.Header, body []byte, now time.Time) (Event, error) {
	if v == nil || v.check == nil {
		return Event{}, refuse(reasonSignature, "there is no verifier")
	}
	if err := v.checkType(header); err != nil {
		return Event{}, err
	}
	ev, err := v.check(ctx, delivery{header, body, now, v.past, v.future})
	if err != nil {
		return Event{}, err
	}
	if !isID(ev.ID) || ev.Type != "" && !isID(ev.Type) {
		return Event{}, refuse(reasonEvent, "its id or type is too long or not printable")
	}
	if ev.Body == nil {
		ev.Body = body
	}
	ev.Scheme = v.scheme
	return ev, nil
}

// WithTolerance returns a verifier that takes deliveries that were signed at most
// that long ago, or that far in the future: one second to three days. The
// functions that make verifiers name their defaults. Let [Options.Keep] be
// longer than twice the tolerance. It panics when the scheme signs no time.
func (v *Verifier) WithTolerance(d time.Duration) *Verifier {
	if v.past == 0 {
		panic(fmt.Sprintf("webhook: %s signs no time, so there is no tolerance to set", v.scheme))
	}
	if d < time.Second || d > maxTolerance {
		panic("webhook: the tolerance must be one second to three days")
	}
	w := *v
	w.past, w.future = d, d
	return &w
}

// fresh refuses what was signed outside of the tolerance.
func (d delivery) fresh(signed time.Time) error {
	switch age := d.now.Sub(signed); {
	case age > d.past:
		return refuse(reasonTimestamp, "signed too long ago; is this machine's clock right?")
	case age < -d.future:
		return refuse(reasonTimestamp, "signed in the future; is this machine's clock right?")
	}
	return nil
}

// isID reports whether an id can be part of a key of the Once.
func isID(id string) bool {
	if id == "" || len(id) > 200 {
		return false
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return true
}
