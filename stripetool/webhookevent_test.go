package stripetool

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

// What readEvent accepts, encoding/json reads in the same way, and it has all that a
// handler counts on.
func FuzzReadEvent(f *testing.F) {
	for _, g := range genuines() {
		f.Add(g.body())
	}
	for _, forged := range missigned(paid().body()) {
		var b bytes.Buffer
		if _, err := b.ReadFrom(forged.r.Body); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		given := bytes.Clone(body)
		e, err := readEvent(body)
		if !bytes.Equal(given, body) {
			t.Fatal("the body is changed")
		}
		var refused *refusedEvent
		if err != nil {
			if !errors.As(err, &refused) || refused.reason != "malformed" && refused.reason != "thin" {
				t.Fatalf("got %v", err)
			}
			return
		}
		var other struct {
			ID, Object, Type string
			Created          int64
			Livemode         bool
			Version          *string `json:"api_version"`
			Data             struct {
				Object   json.RawMessage
				Previous json.RawMessage `json:"previous_attributes"`
			}
		}
		if err := json.Unmarshal(body, &other); err != nil {
			t.Fatalf("another reader: %v", err)
		}
		version := ""
		if other.Version != nil {
			version = *other.Version
		}
		if other.ID != e.ID || other.Object != "event" || other.Type != e.Type || other.Livemode != e.Live || !time.Unix(other.Created, 0).Equal(e.Created) || version != e.Version || !bytes.Equal(other.Data.Object, e.object) {
			t.Errorf("another reader has %+v, and this one %+v", other, e)
		}
		var object struct {
			ID     *string
			Object string
		}
		if err := json.Unmarshal(e.object, &object); err != nil || object.Object != e.Kind || object.ID != nil && *object.ID != e.Object {
			t.Errorf("another reader has the object %+v, %v, and this one %s %s", object, err, e.Kind, e.Object)
		}
		if e.Kind == "" || e.Created.Unix() <= 0 || !strings.HasPrefix(e.ID, "evt_") {
			t.Errorf("accepted %+v", e.WebhookEvent)
		}
	})
}

// Objects without an id are read: invoice.upcoming has one.
func TestEventsWithoutObjectID(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		strings.Replace(string(paid().body()), `"id": "in_1",`, "", 1), strings.Replace(string(paid().body()), `"in_1"`, "null", 1),
	} {
		if e, err := readEvent([]byte(body)); err != nil || e.Object != "" || e.Kind != "invoice" {
			t.Errorf("got %+v, %v", e, err)
		}
	}
}

// A type is known with the kind of its object, or not at all.
func TestKindsOf(t *testing.T) {
	t.Parallel()
	for eventType, want := range map[string]string{
		"invoice.paid": "invoice", "charge.refunded": "charge", "charge.refund.updated": "refund", "charge.dispute.created": "dispute", "customer.created": "customer",
		"customer.subscription.deleted": "subscription", "customer.source.created": "bank_account card source", "checkout.session.completed": "checkout.session",
		"account.updated": "account", "account.application.deauthorized": "application", "issuing_authorization.request": "issuing.authorization",
		"treasury.outbound_payment.expected_arrival_date_updated": "treasury.outbound_payment", "invoiceitem.updated": "invoiceitem", "source.chargeable": "source",
		"source.transaction.created": "source_transaction", "source.mandate_notification": "source_mandate_notification",
		"": "", "invoice": "", "invoice.": "", ".paid": "", "invoice.payed": "", "Invoice.paid": "", "invoice.paid.": "", "invoice.paid sent": "", "invoice.created deleted": "", "charge.dispute": "", "\n.x": "",
	} {
		if got := strings.Join(kindsOf(eventType), " "); got != want {
			t.Errorf("%s: got %q, want %q", eventType, got, want)
		}
	}
	n := 0
	for line := range strings.Lines(strings.TrimSpace(knownTypes)) {
		name, all, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			t.Errorf("%q", line)
		}
		for _, what := range strings.Fields(all) {
			n++
			if s := name + "." + what; !eventType().MatchString(s) || len(kindsOf(s)) == 0 {
				t.Errorf("%s.%s has no form", name, what)
			}
		}
	}
	if n < 220 {
		t.Errorf("%d types", n)
	}
}
