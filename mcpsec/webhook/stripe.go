package webhook

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// Stripe returns a verifier of Stripe's events (docs.stripe.com/webhooks, scheme
// v1), by the signing secrets of an endpoint: one, or several while they are
// rolled. Secrets of another kind, such as API keys, are refused.
//
// Signed is the time, by default at most five minutes away, and the whole body.
// The ID is the event's own; deliveries of one event differ in other members.
func Stripe(secrets ...redact.Secret) (*Verifier, error) {
	keys, err := newRing("stripe", sha256.New, secrets, stripeSecret)
	if err != nil {
		return nil, err
	}
	return &Verifier{
		scheme: "stripe", past: defaultTolerance, future: defaultTolerance,
		check: func(_ context.Context, d delivery) (Event, error) { return verifyStripe(keys, d) },
	}, nil
}

func stripeSecret(s string) ([]byte, error) {
	for _, prefix := range []string{"sk_", "rk_", "pk_"} {
		if strings.HasPrefix(s, prefix) {
			return nil, errors.New("is an API key: the endpoint's signing secret is needed, which begins with whsec_")
		}
	}
	return asIs(s)
}

func verifyStripe(keys ring, d delivery) (Event, error) {
	header, err := one(d.header, "Stripe-Signature")
	if err != nil {
		return Event{}, err
	}
	sig, ok := parseStripe(header)
	if !ok {
		return Event{}, refuse(reasonHeader, "Stripe-Signature is malformed")
	}
	if err := d.fresh(sig.time); err != nil {
		return Event{}, err
	}
	if !keys.match(sig.v1[:sig.n*sha256.Size], d.body, sig.stamp, ".") {
		return Event{}, refuse(reasonSignature, "no signature fits")
	}
	values, ok := members(d.body, "id", "type")
	if !ok || values[0] == "" || values[1] == "" {
		return Event{}, refuse(reasonEvent, "the body is not an object with one id and one type")
	}
	return Event{ID: values[0], Type: values[1], Time: sig.time}, nil
}

// maxSignatures bounds the comparisons that a delivery can ask for. Stripe sends
// one, and two while a secret is rolled.
const maxSignatures = 8

type stripeSignature struct {
	stamp string
	time  time.Time
	v1    [maxSignatures * sha256.Size]byte // n of them
	n     int
}

// parseStripe reads t=…,v1=…,v1=…; other schemes are skipped, such as v0, which
// is not authentic.
func parseStripe(header string) (sig stripeSignature, ok bool) {
	for more := true; more; {
		var pair string
		pair, header, more = strings.Cut(header, ",")
		name, value, found := strings.Cut(pair, "=")
		switch {
		case !found || name == "" || value == "" || strings.Contains(value, "="):
			return sig, false
		case name == "t":
			t, ok := unix(value)
			if !ok || sig.stamp != "" {
				return sig, false
			}
			sig.stamp, sig.time = value, t
		case name == "v1":
			if sig.n == maxSignatures || !unhex(sig.v1[sig.n*sha256.Size:][:sha256.Size], value) {
				return sig, false
			}
			sig.n++
		}
	}
	return sig, sig.stamp != "" && sig.n > 0
}
