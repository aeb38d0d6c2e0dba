package webhook_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

// The endpoint's signing secret; programs take it from redact.SecretFromEnv.
var endpointSecret = redact.NewSecret("whsec_" + strings.Repeat("example", 4))

// sendStripe delivers a body as Stripe does.
func sendStripe(h http.Handler, body string, signed time.Time) int {
	event := mcpsectest.Sender{Secret: endpointSecret, At: signed}.Stripe(body)
	req := httptest.NewRequest(http.MethodPost, "/webhooks/stripe", bytes.NewReader(event.Body))
	req.Header = event.Header
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, req)
	return answer.Code
}

// An event is handled once, however often it is delivered.
func ExampleHandler() {
	verifier, err := webhook.Stripe(endpointSecret)
	if err != nil {
		log.Fatal(err)
	}
	h := webhook.Handler(verifier, nil, func(_ context.Context, ev webhook.Event) error {
		fmt.Println("handling", ev.ID, ev.Type)
		return nil
	})
	const paid = `{"id":"evt_1","type":"invoice.paid"}`
	fmt.Println(sendStripe(h, paid, time.Now()))
	fmt.Println(sendStripe(h, paid, time.Now()))
	// Output:
	// handling evt_1 invoice.paid
	// 200
	// 200
}

// A receiver with options tells how its deliveries ended.
func ExampleNewReceiver() {
	verifier, err := webhook.Stripe(endpointSecret)
	if err != nil {
		log.Fatal(err)
	}
	var once state.Memory // replicas need a shared one
	rc := webhook.NewReceiver(verifier, &once, func(context.Context, webhook.Event) error { return nil }, webhook.Options{
		Name: "stripe-billing",
		Log:  slog.New(slog.DiscardHandler),
	})
	const paid = `{"id":"evt_1","type":"invoice.paid"}`
	sendStripe(rc, paid, time.Now())
	sendStripe(rc, paid, time.Now().Add(-10*time.Minute)) // captured
	sendStripe(rc, paid, time.Now().Add(10*365*24*time.Hour))
	stats := rc.Stats()
	fmt.Println("handled", stats["handled"], "refused for its time", stats["timestamp"])
	// Output:
	// handled 1 refused for its time 2
}

// A sender that has no function of its own: what it signs follows from the headers.
func ExampleHMAC() {
	secret := redact.NewSecret(strings.Repeat("shared-", 4))
	shop := webhook.HMACOptions{
		Secrets:         []redact.Secret{secret},
		SignatureHeader: "X-Shop-Signature",
		Prefix:          "sha256=",
		TimestampHeader: "X-Shop-Time", // signed is the time, a dot and the body
	}
	verifier, err := webhook.HMAC(shop)
	if err != nil {
		log.Fatal(err)
	}
	order := mcpsectest.Sender{Secret: secret}.HMAC(shop, "", `{"order":17}`)
	_, err = verifier.Verify(context.Background(), order.Header, order.Body)
	fmt.Println(err)
	_, err = verifier.Verify(context.Background(), order.Header, []byte(`{"order":18}`))
	fmt.Println(err)
	// Output:
	// <nil>
	// webhook refused: signature: the signature does not fit
}
