package webhook

import (
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"
	stripewebhook "github.com/stripe/stripe-go/v76/webhook"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

var endpointSecret = "whsec_" + strings.Repeat("integration", 3)

func verifier(t *testing.T) *webhook.Verifier {
	t.Helper()
	v, err := webhook.Stripe(redact.NewSecret(endpointSecret))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func verify(t *testing.T, payload []byte, header string) (webhook.Event, error) {
	t.Helper()
	return verifier(t).Verify(t.Context(), http.Header{"Content-Type": {"application/json"}, "Stripe-Signature": {header}}, payload)
}

// signed is what stripe-go's signer makes of a payload.
func signed(payload string, at time.Time) *stripewebhook.SignedPayload {
	return stripewebhook.GenerateTestSignedPayload(&stripewebhook.UnsignedPayload{Payload: []byte(payload), Secret: endpointSecret, Timestamp: at})
}

func event(data string) string {
	return `{"id":"evt_1","object":"event","type":"invoice.paid","api_version":"` + stripe.APIVersion + `","created":1700000000` + data + `}`
}

const data = `,"data":{"object":{"id":"in_1","object":"invoice"}}`

// What stripe-go signs is accepted here and there, and read alike.
func TestAcceptsWhatStripeSigns(t *testing.T) {
	t.Parallel()
	for name, payload := range map[string]string{
		"plain":    event(data),
		"indented": strings.ReplaceAll(event(data), ",", ",\n  "),
		"UTF-8":    event(data + `,"note":"Zürich \"ü\" 😀 \u00e9"`),
		"large":    event(data + `,"note":"` + strings.Repeat("x", 500_000) + `"`),
		"a body":   event(data) + "\n",
	} {
		for _, at := range []time.Time{time.Now(), time.Now().Add(-4 * time.Minute)} {
			s := signed(payload, at)
			got, err := verify(t, s.Payload, s.Header)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			want, err := stripewebhook.ConstructEvent(s.Payload, s.Header, endpointSecret)
			if err != nil {
				t.Errorf("%s: stripe-go: %v", name, err)
			}
			if got.ID != want.ID || got.Type != string(want.Type) || got.Time.Unix() != at.Unix() || string(got.Body) != payload {
				t.Errorf("%s: got %s of %s at %v", name, got.Type, got.ID, got.Time)
			}
		}
	}
}

// Whatever is accepted here, stripe-go accepts, also in headers of other forms.
func TestAcceptsNothingMore(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := signed(event(data), now)
	sig, stamp := hex.EncodeToString(s.Signature), strconv.FormatInt(now.Unix(), 10)
	for _, header := range []string{
		s.Header, "v1=" + sig + ",t=" + stamp, "t=" + stamp + ",v0=" + sig + ",v1=" + sig, "t=" + stamp + ",v1=" + strings.Repeat("0", 64) + ",v1=" + sig,
		"t=" + stamp + ",v1=" + strings.ToUpper(sig), "t=" + stamp + ",v1=" + sig + "00", "t=" + stamp + ",v0=" + sig, "t=" + stamp + ", v1=" + sig,
		"t=" + stamp + ",v1=" + sig + ",", "t=" + stamp + ",t=" + stamp + ",v1=" + sig, "", "v1=" + sig, "t=" + stamp, "t=+" + stamp + ",v1=" + sig,
		"t=0" + stamp + ",v1=" + sig, "t=" + stamp + ",v1=" + sig[:63] + "g", "t=" + stamp + ",v1=" + sig + ",v1=x", "t=" + stamp + ",v2=a=b,v1=" + sig,
	} {
		_, ours := verify(t, s.Payload, header)
		_, theirs := stripewebhook.ConstructEvent(s.Payload, header, endpointSecret)
		if ours == nil && theirs != nil {
			t.Errorf("%q: accepted, and stripe-go says %v", header, theirs)
		}
	}
}

// What stripe-go v76 lets through, as measured, and we do not.
func TestStripeGoTraps(t *testing.T) {
	t.Parallel()
	refused := func(name string, err error, reason string) {
		t.Helper()
		var e *webhook.Error
		if !errors.As(err, &e) || e.Reason != reason {
			t.Errorf("%s: got %v, want it refused for %s", name, err, reason)
		}
	}
	accepted := func(name string, s *stripewebhook.SignedPayload, secret string) {
		t.Helper()
		if _, err := stripewebhook.ConstructEvent(s.Payload, s.Header, secret); err != nil {
			t.Errorf("%s: stripe-go refuses it by now: %v", name, err)
		}
	}
	future := signed(event(data), time.Now().AddDate(10, 0, 0))
	accepted("ten years ahead", future, endpointSecret)
	_, err := verify(t, future.Payload, future.Header)
	refused("ten years ahead", err, "timestamp")

	empty := stripewebhook.GenerateTestSignedPayload(&stripewebhook.UnsignedPayload{Payload: []byte(event(data)), Timestamp: time.Now()})
	accepted("an empty secret", empty, "")
	if v, err := webhook.Stripe(redact.NewSecret("")); err == nil || v != nil {
		t.Error("an empty secret is accepted")
	}

	twice := signed(strings.Replace(event(data), "{", `{"id":"evt_0",`, 1), time.Now())
	accepted("two ids", twice, endpointSecret)
	_, err = verify(t, twice.Payload, twice.Header)
	refused("two ids", err, "event")

	noID := signed(strings.Replace(event(data), `"id":"evt_1",`, "", 1), time.Now())
	accepted("no id", noID, endpointSecret)
	_, err = verify(t, noID.Payload, noID.Header)
	refused("no id", err, "event")
}
