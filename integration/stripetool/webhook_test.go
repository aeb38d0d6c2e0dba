package stripetool

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"
	stripewebhook "github.com/stripe/stripe-go/v76/webhook"
	"github.com/stripe/stripe-mock/embedded"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

var endpointSecret = "whsec_" + strings.Repeat("integration", 3)

func receiver(t *testing.T, handlers ...stripetool.WebhookHandler) *stripetool.Webhook {
	t.Helper()
	w, err := stripetool.NewWebhook(stripetool.WebhookOptions{
		Secrets: []mcpsec.Secret{redact.NewSecret(endpointSecret)}, Handlers: handlers, Receiver: webhook.Options{Log: slog.New(slog.DiscardHandler)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func deliver(w http.Handler, payload []byte, signature string) int {
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(payload))
	r.Header = http.Header{"Content-Type": {"application/json; charset=utf-8"}, "Stripe-Signature": {signature}}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	return rec.Code
}

// byStripe signs as stripe-go does.
func byStripe(payload []byte, at time.Time) string {
	return stripewebhook.GenerateTestSignedPayload(&stripewebhook.UnsignedPayload{Payload: payload, Secret: endpointSecret, Timestamp: at}).Header
}

func eventOf(id, eventType string, object json.RawMessage) []byte {
	return fmt.Appendf(nil, `{"id":%q,"object":"event","api_version":%q,"created":1700000000,"livemode":false,"pending_webhooks":1,"request":{"id":null,"idempotency_key":null},"type":%q,"data":{"object":%s}}`,
		id, stripe.APIVersion, eventType, object)
}

// fixtures are the objects that stripe-mock answers with, by their kinds.
func fixtures(t *testing.T) map[string]json.RawMessage {
	t.Helper()
	var all struct{ Resources map[string]json.RawMessage }
	if err := json.Unmarshal(embedded.OpenAPIFixtures, &all); err != nil {
		t.Fatal(err)
	}
	return all.Resources
}

// decoded is what stripe-go's own type, and ours, make of an object.
func decoded[T any](ids *[]string, id func(T) string) func(context.Context, stripetool.WebhookEvent, T) error {
	return func(_ context.Context, ev stripetool.WebhookEvent, v T) error {
		if got := id(v); got != ev.Object || got == "" {
			return fmt.Errorf("got %q, want %q", got, ev.Object)
		}
		*ids = append(*ids, ev.ID)
		return nil
	}
}

// Events that stripe-go signs are handled, with stripe-go's types and with one's own,
// and stripe-go's own verifier reads them alike.
func TestStripeSignsEvents(t *testing.T) {
	t.Parallel()
	var ids []string
	w := receiver(t,
		stripetool.On("invoice.paid", decoded(&ids, func(v stripe.Invoice) string { return v.ID })),
		stripetool.On("charge.refunded", decoded(&ids, func(v *stripe.Charge) string { return v.ID })),
		stripetool.On("customer.subscription.updated", decoded(&ids, func(v stripe.Subscription) string { return v.ID })),
		stripetool.On("customer.created", decoded(&ids, func(v struct {
			ID string `json:"id"`
		}) string {
			return v.ID
		})),
		stripetool.On("payment_intent.succeeded", decoded(&ids, func(v map[string]any) string { return fmt.Sprint(v["id"]) })),
	)
	all := fixtures(t)
	want := 0
	for eventType, kind := range map[string]string{
		"invoice.paid": "invoice", "charge.refunded": "charge", "customer.subscription.updated": "subscription", "customer.created": "customer", "payment_intent.succeeded": "payment_intent",
	} {
		payload := eventOf("evt_"+kind, eventType, all[kind])
		for range 2 {
			header := byStripe(payload, time.Now())
			if status := deliver(w, payload, header); status != http.StatusOK {
				t.Errorf("%s: status %d", eventType, status)
			}
			if ev, err := stripewebhook.ConstructEvent(payload, header, endpointSecret); err != nil || ev.ID != "evt_"+kind {
				t.Errorf("%s: stripe-go: %v", eventType, err)
			}
		}
		want++
	}
	if len(ids) != want {
		t.Errorf("handled %v", ids)
	}
}

// What stripe-go v76 lets through does not run a handler.
func TestStripeLetsThrough(t *testing.T) {
	t.Parallel()
	var ids []string
	w := receiver(t, stripetool.On("invoice.paid", decoded(&ids, func(v stripe.Invoice) string { return v.ID })))
	object := fixtures(t)["invoice"]
	good := eventOf("evt_1", "invoice.paid", object)
	for name, tc := range map[string]struct {
		payload []byte
		at      time.Time
	}{
		"ten years ahead": {good, time.Now().AddDate(10, 0, 0)},
		"no data":         {[]byte(strings.Replace(string(eventOf("evt_1", "invoice.paid", nil)), `,"data":{"object":}`, "", 1)), time.Now()},
		"another kind":    {eventOf("evt_1", "invoice.paid", json.RawMessage(`{"id":"ch_1","object":"charge"}`)), time.Now()},
		"live":            {[]byte(strings.Replace(string(good), `"livemode":false`, `"livemode":true`, 1)), time.Now()},
		"LiveMode":        {[]byte(strings.Replace(string(good), `"livemode":false`, `"livemode":false,"LiveMode":true`, 1)), time.Now()},
		"an account":      {[]byte(strings.Replace(string(good), `"livemode"`, `"account":"acct_1","livemode"`, 1)), time.Now()},
		"livemode twice":  {[]byte(strings.Replace(string(good), `"livemode":false`, `"livemode":true,"livemode":false`, 1)), time.Now()},
	} {
		header := byStripe(tc.payload, tc.at)
		if _, err := stripewebhook.ConstructEvent(tc.payload, header, endpointSecret); err != nil {
			t.Errorf("%s: stripe-go refuses it by now: %v", name, err)
		}
		if status := deliver(w, tc.payload, header); status < 400 || status > 499 {
			t.Errorf("%s: status %d", name, status)
		}
	}
	if len(ids) != 0 {
		t.Errorf("handled %v", ids)
	}
	if status := deliver(w, good, byStripe(good, time.Now())); status != http.StatusOK || len(ids) != 1 {
		t.Errorf("genuine: status %d", status)
	}
}

// openssl signs as Stripe does, too.
func TestOpenSSLSignsEvents(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("openssl is not installed, and CI must have it")
		}
		t.Skip("openssl is not installed")
	}
	var ids []string
	w := receiver(t, stripetool.On("invoice.paid", decoded(&ids, func(v stripe.Invoice) string { return v.ID })))
	payload := eventOf("evt_1", "invoice.paid", fixtures(t)["invoice"])
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	cmd := exec.CommandContext(t.Context(), path, "dgst", "-sha256", "-mac", "HMAC", "-macopt", "hexkey:"+fmt.Sprintf("%x", endpointSecret), "-r")
	cmd.Stdin = strings.NewReader(stamp + "." + string(payload))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	sig, _, _ := strings.Cut(string(out), " ")
	if status := deliver(w, payload, "t="+stamp+",v1="+sig); status != http.StatusOK || len(ids) != 1 {
		t.Errorf("status %d", status)
	}
}

// The types of events are Stripe's, and so are the kinds of objects that they are about.
func TestEventTypesAreStripes(t *testing.T) {
	t.Parallel()
	var spec struct {
		Components struct {
			Schemas map[string]struct {
				Event struct{ Type string } `json:"x-stripeEvent"`
				shape
			}
		}
	}
	if err := json.Unmarshal(embedded.BetaOpenAPISpec, &spec); err != nil {
		t.Fatal(err)
	}
	kindsOf := func(ref string) []any {
		s := spec.Components.Schemas[strings.TrimPrefix(ref, "#/components/schemas/")]
		if all := s.Properties["object"].Enum; len(all) > 0 {
			return all
		}
		var all []any
		for _, r := range s.AnyOf {
			all = append(all, spec.Components.Schemas[strings.TrimPrefix(r.Ref, "#/components/schemas/")].Properties["object"].Enum...)
		}
		return all
	}
	known := 0
	for _, s := range spec.Components.Schemas {
		if s.Event.Type == "" {
			continue
		}
		n := 0
		w, err := stripetool.NewWebhook(stripetool.WebhookOptions{
			Secrets: []mcpsec.Secret{redact.NewSecret(endpointSecret)}, Receiver: webhook.Options{Log: slog.New(slog.DiscardHandler)},
			Handlers: []stripetool.WebhookHandler{stripetool.On(s.Event.Type, func(context.Context, stripetool.WebhookEvent, json.RawMessage) error { n++; return nil })},
		})
		if err != nil {
			continue // of the beta, which has more
		}
		known++
		object := s.Properties["object"]
		var kinds []any
		for _, r := range append(object.AnyOf, reference{object.Ref}) {
			kinds = append(kinds, kindsOf(r.Ref)...)
		}
		for i, kind := range kinds {
			payload := eventOf(fmt.Sprint("evt_", i), s.Event.Type, fmt.Appendf(nil, `{"id":"x_1","object":%q}`, kind))
			if status := deliver(w, payload, byStripe(payload, time.Now())); status != http.StatusOK {
				t.Errorf("%s about %s: status %d", s.Event.Type, kind, status)
			}
		}
		payload := eventOf("evt_x", s.Event.Type, json.RawMessage(`{"id":"x_1","object":"event"}`))
		if status := deliver(w, payload, byStripe(payload, time.Now())); status != http.StatusBadRequest || n != len(kinds) || n == 0 {
			t.Errorf("%s: status %d after %d of %v", s.Event.Type, status, n, kinds)
		}
	}
	if known != 226 {
		t.Errorf("%d types of the specification are known", known)
	}
}

type reference struct {
	Ref string `json:"$ref"`
}

type shape struct {
	Properties map[string]struct {
		reference
		Enum  []any
		AnyOf []reference
	}
	AnyOf []reference
}
