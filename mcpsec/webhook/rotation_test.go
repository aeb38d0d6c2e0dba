package webhook_test

import (
	"crypto/sha256"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

// What was delivered before its secret was rolled is the same event afterwards,
// as long as the old secret is the last of the list.
func TestRotationMakesNoNewEvent(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(...redact.Secret) (*webhook.Verifier, error){
		"github": webhook.GitHub,
		"hmac": func(s ...redact.Secret) (*webhook.Verifier, error) {
			return webhook.HMAC(webhook.HMACOptions{Secrets: s, SignatureHeader: "X-Hub-Signature-256", Prefix: "sha256="})
		},
	} {
		id := func(signedBy, body string, secrets ...redact.Secret) string {
			v, err := make(secrets...)
			h := jsonHeader("X-Github-Event", "push", "X-Hub-Signature-256", "sha256="+hexOf(sum(sha256.New, signedBy, body)))
			ev, verifyErr := must(t, v, err).Verify(t.Context(), h, []byte(body))
			if verifyErr != nil {
				t.Fatalf("%s: %v", name, verifyErr)
			}
			return ev.ID
		}
		older, newer := secret(oldText), secret(newText)
		before := id(oldText, `{"a":1}`, older)
		if again := id(oldText, `{"a":1}`, newer, older); again != before {
			t.Errorf("%s: captured before: got %s, want %s", name, again, before)
		}
		if again := id(newText, `{"a":1}`, newer, older); again != before {
			t.Errorf("%s: delivered again: got %s, want %s", name, again, before)
		}
		if other := id(oldText, `{"a":2}`, newer, older); other == before {
			t.Errorf("%s: two bodies have one id", name)
		}
	}
}
