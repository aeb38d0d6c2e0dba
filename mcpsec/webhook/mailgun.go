package webhook

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// Mailgun returns a verifier of Mailgun's webhooks by the account's webhook signing
// keys: one, or several while they are rotated.
//
// Signed are the time and a random token, and NOT THE EVENT: whoever gets hold of
// one delivery before it was handled can put any event into it. That a token is
// good once, which makes it the ID, and for a limited time, is what bounds that:
// by default eight hours, for which Mailgun goes on to deliver, and five minutes
// in the future. So do nothing on an event's word that you could not take back,
// or ask Mailgun's API for it first. Type is the event's name.
func Mailgun(signingKeys ...redact.Secret) (*Verifier, error) {
	keys, err := newRing("mailgun", sha256.New, signingKeys, asIs)
	if err != nil {
		return nil, err
	}
	return &Verifier{
		scheme: "mailgun", past: 8 * time.Hour, future: defaultTolerance,
		check: func(_ context.Context, d delivery) (Event, error) { return verifyMailgun(keys, d) },
	}, nil
}

type mailgunBody struct {
	Signature struct {
		Timestamp string `json:"timestamp"`
		Token     string `json:"token"`
		Signature string `json:"signature"`
	} `json:"signature"`
	Event struct {
		Name string `json:"event"`
	} `json:"event-data"`
}

func verifyMailgun(keys ring, d delivery) (Event, error) {
	var b mailgunBody
	if err := json.Unmarshal(d.body, &b); err != nil {
		return Event{}, refuse(reasonHeader, "the body is not JSON with signature and event-data")
	}
	var sig [sha256.Size]byte
	signed, ok := unix(b.Signature.Timestamp)
	// Nothing stands between time and token. A token of fixed length cannot be
	// read as more, or fewer, digits of the time.
	if !ok || !unhex(sig[:], b.Signature.Signature) || !isToken(b.Signature.Token) {
		return Event{}, refuse(reasonHeader, "the member signature is malformed")
	}
	if err := d.fresh(signed); err != nil {
		return Event{}, err
	}
	if !keys.match(sig[:], nil, b.Signature.Timestamp, b.Signature.Token) {
		return Event{}, refuse(reasonSignature, "the signature does not fit")
	}
	if b.Event.Name == "" {
		return Event{}, refuse(reasonEvent, "event-data names no event")
	}
	return Event{ID: b.Signature.Token, Type: b.Event.Name, Time: signed}, nil
}

// isToken reports whether s is a token as Mailgun documents it: 50 characters.
func isToken(s string) bool {
	if len(s) != 50 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
