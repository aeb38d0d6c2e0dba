package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// benchEvent is an event of 2 KB, indented as Stripe sends it.
var benchEvent = []byte(`{
  "id": "evt_1MqqbKLt4dXK03v5qaIbiNCC",
  "object": "event",
  "api_version": "2023-10-16",
  "created": 1680064028,
  "data": {
    "object": {
      "id": "ch_3MmlLrLkdIwHu7ix0snN0B15",
      "object": "charge",
      "amount": 1099,
      "amount_captured": 1099,
      "amount_refunded": 0,
      "application": null,
      "balance_transaction": "txn_3MmlLrLkdIwHu7ix0uke3Ezy",
      "billing_details": {
        "address": {
          "city": null,
          "country": null,
          "line1": null,
          "postal_code": null,
          "state": null
        },
        "email": null,
        "name": null,
        "phone": null
      },
      "calculated_statement_descriptor": "Stripe",
      "captured": true,
      "created": 1679090539,
      "currency": "usd",
      "customer": null,
      "description": "` + strings.Repeat("One more thing. ", 12) + `\"as ordered\"",
      "disputed": false,
      "fraud_details": {},
      "invoice": null,
      "livemode": false,
      "metadata": {},
      "outcome": {
        "network_status": "approved_by_network",
        "reason": null,
        "risk_level": "normal",
        "risk_score": 32,
        "seller_message": "Payment complete.",
        "type": "authorized"
      },
      "paid": true,
      "payment_method": "card_1MmlLrLkdIwHu7ixIJwEWSNR",
      "payment_method_details": {
        "card": {
          "brand": "visa",
          "country": "US",
          "exp_month": 3,
          "exp_year": 2024,
          "fingerprint": "mToisGZ01V71BCos",
          "funding": "credit",
          "last4": "4242",
          "network": "visa"
        },
        "type": "card"
      },
      "receipt_url": "https://pay.stripe.com/receipts/payment/CAcaFwoVYWNjdF8xTTJKVGtMa2RJd0h1N2l4KOvG06AGMgZfBXyr1aw6LBa9vaaSRWU96d8qBwz9z2J_CObiV_H2",
      "refunded": false,
      "status": "succeeded"
    }
  },
  "livemode": false,
  "pending_webhooks": 2,
  "request": {
    "id": null,
    "idempotency_key": null
  },
  "type": "charge.succeeded"
}`)

var benchKey = "whsec_" + strings.Repeat("k", 32)

func benchHeader(at time.Time) http.Header {
	stamp := strconv.FormatInt(at.Unix(), 10)
	m := hmac.New(sha256.New, []byte(benchKey))
	fmt.Fprintf(m, "%s.%s", stamp, benchEvent)
	return http.Header{"Content-Type": {"application/json; charset=utf-8"}, "Stripe-Signature": {"t=" + stamp + ",v1=" + hex.EncodeToString(m.Sum(nil))}}
}

// BenchmarkBareHMAC is what nobody can do without.
func BenchmarkBareHMAC(b *testing.B) {
	key := []byte(benchKey)
	b.SetBytes(int64(len(benchEvent)))
	b.ReportAllocs()
	for b.Loop() {
		m := hmac.New(sha256.New, key)
		m.Write(benchEvent)
		m.Sum(nil)
	}
}

// BenchmarkStripe is all of a verification, the event's id and type included.
func BenchmarkStripe(b *testing.B) {
	v, err := Stripe(redact.NewSecret(benchKey))
	if err != nil {
		b.Fatal(err)
	}
	h, ctx := benchHeader(time.Now()), context.Background()
	b.SetBytes(int64(len(benchEvent)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(ctx, h, benchEvent); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGitHub is a sender that signs the body alone.
func BenchmarkGitHub(b *testing.B) {
	v, err := GitHub(redact.NewSecret(benchKey))
	if err != nil {
		b.Fatal(err)
	}
	m := hmac.New(sha256.New, []byte(benchKey))
	m.Write(benchEvent)
	h := http.Header{"Content-Type": {"application/json"}, "X-Github-Event": {"push"}, "X-Hub-Signature-256": {"sha256=" + hex.EncodeToString(m.Sum(nil))}}
	ctx := context.Background()
	b.SetBytes(int64(len(benchEvent)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(ctx, h, benchEvent); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStandard is a sender by the Standard Webhooks specification.
func BenchmarkStandard(b *testing.B) {
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))
	v, err := Standard(redact.NewSecret(secret))
	if err != nil {
		b.Fatal(err)
	}
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	m := hmac.New(sha256.New, []byte(strings.Repeat("k", 32)))
	fmt.Fprintf(m, "msg_1.%s.%s", stamp, benchEvent)
	h := http.Header{
		"Content-Type": {"application/json"}, "Webhook-Id": {"msg_1"}, "Webhook-Timestamp": {stamp},
		"Webhook-Signature": {"v1," + base64.StdEncoding.EncodeToString(m.Sum(nil))},
	}
	ctx := context.Background()
	b.SetBytes(int64(len(benchEvent)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(ctx, h, benchEvent); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSignature is the part of it that is about the signature.
func BenchmarkSignature(b *testing.B) {
	keys, err := newRing("stripe", sha256.New, []redact.Secret{redact.NewSecret(benchKey)}, asIs)
	if err != nil {
		b.Fatal(err)
	}
	h := benchHeader(time.Now())
	b.SetBytes(int64(len(benchEvent)))
	b.ReportAllocs()
	for b.Loop() {
		sig, ok := parseStripe(h["Stripe-Signature"][0])
		if !ok || !keys.match(sig.v1[:sig.n*sha256.Size], benchEvent, sig.stamp, ".") {
			b.Fatal("refused")
		}
	}
}

// BenchmarkEvent is the part that reads the event.
func BenchmarkEvent(b *testing.B) {
	b.SetBytes(int64(len(benchEvent)))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := members(benchEvent, "id", "type"); !ok {
			b.Fatal("refused")
		}
	}
}

// BenchmarkReceiver is a delivery of an event that was handled before.
func BenchmarkReceiver(b *testing.B) {
	v, err := Stripe(redact.NewSecret(benchKey))
	if err != nil {
		b.Fatal(err)
	}
	rc := NewReceiver(v, nil, func(context.Context, Event) error { return nil }, Options{Log: slog.New(slog.DiscardHandler)})
	h := benchHeader(time.Now())
	b.ReportAllocs()
	for b.Loop() {
		req := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(benchEvent)))
		req.Header = h
		w := httptest.NewRecorder()
		if rc.ServeHTTP(w, req); w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}
