package webhook

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// Postmark returns a verifier of Postmark's webhooks by HTTP basic authentication,
// which is all that Postmark offers. A login is user:password, as in the webhook's
// URL without percent-encoding, with a password of 16 bytes or more; several are
// for rotation.
//
// Nothing is signed: whoever learns the login can send anything, so the URL must
// be https. The ID is a digest of the body; Type is its RecordType, empty for
// inbound mail. For a relay that signs what it passes on, see [HMAC].
func Postmark(logins ...redact.Secret) (*Verifier, error) {
	keys, err := readSecrets("postmark", logins, postmarkLogin)
	if err != nil {
		return nil, err
	}
	sums := make([][sha256.Size]byte, len(keys))
	for i, key := range keys {
		sums[i] = sha256.Sum256(key)
	}
	return &Verifier{
		scheme: "postmark", challenge: `Basic realm="webhook", charset="UTF-8"`,
		check: func(_ context.Context, d delivery) (Event, error) { return verifyPostmark(sums, d) },
	}, nil
}

func postmarkLogin(s string) ([]byte, error) {
	user, password, ok := strings.Cut(s, ":")
	switch {
	case !ok || user == "":
		return nil, errors.New("is not user:password")
	case len(password) < minSecret:
		return nil, errors.New("has a password of less than 16 bytes")
	}
	return []byte(s), nil
}

func verifyPostmark(logins [][sha256.Size]byte, d delivery) (Event, error) {
	header, err := one(d.header, "Authorization")
	if err != nil {
		return Event{}, err
	}
	scheme, text, _ := strings.Cut(header, " ")
	login, ok := unbase64(text)
	if !ok || !strings.EqualFold(scheme, "Basic") {
		return Event{}, refuse(reasonHeader, "Authorization is malformed")
	}
	// Hashed first, so that not even a length shows, and all are compared.
	sum, same := sha256.Sum256(login), 0
	for _, l := range logins {
		same |= subtle.ConstantTimeCompare(l[:], sum[:])
	}
	if same != 1 {
		return Event{}, refuse(reasonSignature, "the login does not fit")
	}
	return Event{ID: digest(d.body), Type: kind(d.body, "RecordType")}, nil
}
