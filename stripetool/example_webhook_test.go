package stripetool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

var endpointSecret = redact.NewSecret("whsec_" + strings.Repeat("example", 4)) // redact.SecretFromEnv("STRIPE_WEBHOOK_SECRET")

// sendEvent delivers an event as Stripe does.
func sendEvent(h http.Handler, id, eventType, object string) {
	body := fmt.Sprintf(`{"id":%q,"object":"event","api_version":"2023-10-16","created":1700000000,"livemode":false,"type":%q,"data":{"object":%s}}`, id, eventType, object)
	event := mcpsectest.Sender{Secret: endpointSecret}.Stripe(body)
	r := httptest.NewRequest(http.MethodPost, "/webhooks/stripe", bytes.NewReader(event.Body))
	r.Header = event.Header
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, r)
	fmt.Println(id, answer.Code)
}

// A handler of one type of events, with a struct that has what it needs.
func ExampleNewWebhook() {
	type invoice struct {
		ID         string `json:"id"`
		AmountPaid int64  `json:"amount_paid"`
		Currency   string `json:"currency"`
	}
	w, err := stripetool.NewWebhook(stripetool.WebhookOptions{
		Secrets: []mcpsec.Secret{endpointSecret},
		Handlers: []stripetool.WebhookHandler{
			stripetool.On("invoice.paid", func(_ context.Context, ev stripetool.WebhookEvent, in invoice) error {
				fmt.Println("shipping for", in.ID, in.AmountPaid, in.Currency)
				return nil
			}),
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	const paid = `{"id":"in_1","object":"invoice","amount_paid":1900,"currency":"eur","later":"members are left out"}`
	sendEvent(w, "evt_1", "invoice.paid", paid)
	sendEvent(w, "evt_1", "invoice.paid", paid) // Stripe may send it twice
	sendEvent(w, "evt_2", "invoice.sent", paid) // nobody handles it
	// Output:
	// shipping for in_1 1900 eur
	// evt_1 200
	// evt_1 200
	// evt_2 200
}

// An event that fails is kept, and handled when the cause is gone.
func ExampleWebhook_Replay() {
	down := true
	var letters []stripetool.DeadLetter
	w, err := stripetool.NewWebhook(stripetool.WebhookOptions{
		Secrets: []mcpsec.Secret{endpointSecret},
		Handlers: []stripetool.WebhookHandler{
			stripetool.On("invoice.paid", func(context.Context, stripetool.WebhookEvent, struct{}) error {
				if down {
					return errors.New("the warehouse does not answer")
				}
				fmt.Println("shipped")
				return nil
			}),
		},
		DeadLetter: func(_ context.Context, l stripetool.DeadLetter) error {
			letters = append(letters, l) // into a table of yours
			return nil
		},
		MaxFailures: 2,
		KeepBody:    true,
		Receiver:    webhook.Options{Log: slog.New(slog.DiscardHandler)},
	})
	if err != nil {
		log.Fatal(err)
	}
	sendEvent(w, "evt_1", "invoice.paid", `{"id":"in_1","object":"invoice"}`)
	sendEvent(w, "evt_1", "invoice.paid", `{"id":"in_1","object":"invoice"}`)
	fmt.Println(letters[0].ID, letters[0].Failures, letters[0].Error, letters[0].Body)
	down = false
	fmt.Println(w.Replay(context.Background(), []byte(letters[0].Body.Reveal())))
	// Output:
	// evt_1 500
	// evt_1 200
	// evt_1 2 the warehouse does not answer [redacted]
	// shipped
	// <nil>
}
