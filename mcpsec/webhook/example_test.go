package webhook_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

// The endpoint's signing secret; programs take it from redact.SecretFromEnv.
var endpointSecret = redact.NewSecret("whsec_" + strings.Repeat("example", 4))

// sendStripe delivers a body as Stripe does.
func sendStripe(h http.Handler, body string, signed time.Time) int {
	t := strconv.FormatInt(signed.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(endpointSecret.Reveal()))
	mac.Write([]byte(t + "." + body))
	req := httptest.NewRequest(http.MethodPost, "/webhooks/stripe", bytes.NewBufferString(body))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Stripe-Signature", "t="+t+",v1="+hex.EncodeToString(mac.Sum(nil)))
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
	verifier, err := webhook.HMAC(webhook.HMACOptions{
		Secrets:         []redact.Secret{secret},
		SignatureHeader: "X-Shop-Signature",
		Prefix:          "sha256=",
		TimestampHeader: "X-Shop-Time", // signed is the time, a dot and the body
	})
	if err != nil {
		log.Fatal(err)
	}
	now := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write([]byte(now + `.{"order":17}`))
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set("X-Shop-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	header.Set("X-Shop-Time", now)

	_, err = verifier.Verify(context.Background(), header, []byte(`{"order":17}`))
	fmt.Println(err)
	_, err = verifier.Verify(context.Background(), header, []byte(`{"order":18}`))
	fmt.Println(err)
	// Output:
	// <nil>
	// webhook refused: signature: the signature does not fit
}
