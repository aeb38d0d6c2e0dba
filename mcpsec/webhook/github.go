package webhook

import (
	"context"
	"crypto/sha256"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// GitHub returns a verifier of GitHub's deliveries by X-Hub-Signature-256; the
// older SHA-1 header is not looked at. The hook's content type must be
// application/json.
//
// Signed is the body, and nothing else: no time, and neither X-GitHub-Delivery
// nor X-GitHub-Event. So whoever captured a delivery could send it for ever, under
// new ids. The ID is therefore a digest of the body, by the last of the secrets, and
// how long a repetition is found is [Options.Keep]: put a new secret first, and
// leave the old one that long. Type is X-GitHub-Event: check that the body is of that
// kind before acting on it.
func GitHub(secrets ...redact.Secret) (*Verifier, error) {
	keys, err := newRing("github", sha256.New, secrets, asIs)
	if err != nil {
		return nil, err
	}
	return &Verifier{
		scheme: "github",
		check:  func(_ context.Context, d delivery) (Event, error) { return verifyGitHub(keys, d) },
	}, nil
}

func verifyGitHub(keys ring, d delivery) (Event, error) {
	header, err := one(d.header, "X-Hub-Signature-256")
	if err != nil {
		return Event{}, err
	}
	var sig [sha256.Size]byte
	text, ok := strings.CutPrefix(header, "sha256=")
	if !ok || !unhex(sig[:], text) {
		return Event{}, refuse(reasonHeader, "X-Hub-Signature-256 is malformed")
	}
	kind, err := one(d.header, "X-Github-Event")
	if err != nil {
		return Event{}, err
	}
	id, ok := keys.identify(sig[:], d.body)
	if !ok {
		return Event{}, refuse(reasonSignature, "the signature does not fit")
	}
	return Event{ID: id, Type: kind}, nil
}
