package stripetool

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/stripetool"
)

// emit sends the event of an effect to the hook, as Stripe does: signed, more than
// once, and with one of the same object that is older behind it.
func (b *bank) emit(method, path, body string) {
	b.mu.Lock()
	hook := b.hook
	b.mu.Unlock()
	eventType, object := "", body
	switch {
	case hook == "":
		return
	case path == "refunds":
		var refund struct{ Charge string }
		if err := json.Unmarshal([]byte(body), &refund); err != nil {
			b.t.Error(err)
		}
		eventType = "charge.refunded"
		object, _ = b.read(httptest.NewRequest(http.MethodGet, "/v1/charges/"+refund.Charge, nil))
	case strings.HasSuffix(path, "/finalize"):
		eventType = "invoice.finalized"
	case method == http.MethodDelete && strings.HasPrefix(path, "subscriptions/"):
		eventType = "customer.subscription.deleted"
	default:
		return
	}
	payload := eventOf("evt_"+strings.ReplaceAll(eventType, ".", ""), eventType, json.RawMessage(object))
	older := eventOf("evt_older"+strings.ReplaceAll(eventType, ".", ""), eventType, json.RawMessage(object))
	older = bytes.Replace(older, []byte(`"created":1700000000`), []byte(`"created":1600000000`), 1)
	for _, p := range [][]byte{payload, payload, older, payload} {
		req, err := http.NewRequest(http.MethodPost, hook, bytes.NewReader(p))
		if err != nil {
			b.t.Error(err)
			return
		}
		req.Header = http.Header{"Content-Type": {"application/json; charset=utf-8"}, "Stripe-Signature": {byStripe(p, time.Now())}}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			b.t.Error(err)
			return
		}
		if resp.Body.Close(); resp.StatusCode != http.StatusOK {
			b.t.Errorf("%s: status %d", eventType, resp.StatusCode)
		}
	}
}

// What a tool does with a person's yes comes back as an event, whose handler runs once
// with the object, however often and in whatever order Stripe delivers.
func TestEffectsComeBackAsEvents(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []string
	type object struct {
		ID             string `json:"id"`
		Status         string `json:"status"`
		AmountRefunded int64  `json:"amount_refunded"`
	}
	on := func(eventType string) stripetool.WebhookHandler {
		return stripetool.On(eventType, func(_ context.Context, ev stripetool.WebhookEvent, o object) error {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, fmt.Sprintf("%s %s %s %d", ev.ID, o.ID, o.Status, o.AmountRefunded))
			return nil
		}).InOrder()
	}
	w := receiver(t, on("charge.refunded"), on("invoice.finalized"), on("customer.subscription.deleted"))
	endpoint := httptest.NewServer(w)
	t.Cleanup(endpoint.Close)
	b := newBank(t)
	b.hook = endpoint.URL
	o := billingOptions(b.URL)
	o.Permissions["refunds"] = []string{"create"}
	s := serve(t, o)
	s.ok("stripe_create_refund", refund("ch_one", "EUR 19.00"))
	s.ok("stripe_finalize_invoice", `{"invoice":"in_Mailed"}`)
	s.ok("stripe_cancel_subscription", `{"subscription":"sub_One","when":"now"}`)
	want := []string{"evt_chargerefunded ch_one  2400", "evt_invoicefinalized in_Mailed open 0", "evt_customersubscriptiondeleted sub_One canceled 0"}
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(got, want) {
		t.Errorf("handled %q, want %q", got, want)
	}
	if n := w.Stats()["stale"]; n != 3 || len(s.questions()) != 3 {
		t.Errorf("%d events were late, %d questions", n, len(s.questions()))
	}
}
