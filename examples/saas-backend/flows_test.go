package main

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/examples/internal/bank"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// subscribed is a world in which Ann has subscribed to a plan, and paid as far as Stripe
// has told.
func subscribed(t *testing.T, told bool) (w *world, user string) {
	t.Helper()
	w = newWorld(t)
	user = w.must("support", "user_register", ann).User
	w.must("support", "subscription_start", map[string]any{"user": user, "plan": "pro"})
	if told {
		w.tell(http.StatusOK, w.bank.Events()[0], w.s.Webhooks)
	}
	return w, user
}

func (w *world) tell(status int, e bank.Event, secret mcpsec.Secret) {
	w.t.Helper()
	if got := w.receive(e, secret); got != status {
		w.t.Errorf("%s %s: the answer is %d, want %d", e.Type, e.ID, got, status)
	}
}

func (w *world) status(of string) string {
	w.t.Helper()
	return w.must("support", "user_find", map[string]any{"email": of}).Status
}

// A person is asked with what it bills; the same call does no more, and another plan is
// refused while there is one.
func TestSubscribe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	user := w.must("support", "user_register", ann).User
	pro := map[string]any{"user": user, "plan": "pro"}
	w.no = true
	if text, failed, asked := w.call("billing", "subscription_start", pro); !failed || !strings.Contains(asked, "bills ann@example.com EUR 49.00 a month") {
		t.Errorf("they say no: %s, asked %q", text, asked)
	}
	w.want("they say no", whole)
	w.no = false
	first := w.must("billing", "subscription_start", pro)
	again := w.must("support", "subscription_start", pro)
	if first.Subscription == "" || again.Subscription != first.Subscription {
		t.Errorf("got %+v, and then %+v", first, again)
	}
	if text, failed, _ := w.call("support", "subscription_start", map[string]any{"user": user, "plan": "basic"}); !failed || !strings.Contains(text, "other values") {
		t.Errorf("another plan: %s", text)
	}
	w.want("subscribed", sums{Users: 1, Customers: 1, Subscriptions: 1, Letters: 1, Events: 2})
	if s := w.status("ann@example.com"); s != "starting" {
		t.Errorf("the user is %s", s)
	}
}

// What fails while subscribing is made whole by the same call; a declined card leaves the
// user as before.
func TestSubscribeFaults(t *testing.T) {
	t.Parallel()
	one := sums{Users: 1, Customers: 1, Subscriptions: 1, Letters: 1, Events: 2}
	stripe := func(f bank.Fault) func(*world) func() { return spoilStripe("/v1/subscriptions", f) }
	for _, tc := range []struct {
		name   string
		spoil  func(*world) func()
		answer string
		then   sums
	}{
		{"the user cannot be reserved", spoilRecords("users", false, errors.New("the disk is full")), "stopped at: reserve", sums{Users: 1, Customers: 1, Letters: 1, Events: 1, Half: "subscribe running, reserve"}},
		{"Stripe is down", stripe(bank.Down), "stopped at: subscription", sums{Users: 1, Customers: 1, Letters: 1, Events: 1, Half: "subscribe running, subscription trying"}},
		{"Stripe's answer is lost", stripe(bank.Lost), "stopped at: subscription", sums{Users: 1, Customers: 1, Subscriptions: 1, Letters: 1, Events: 1, Half: "subscribe running, subscription trying"}},
		{"the card is declined", stripe(bank.Refused), "declined", whole},
		{"nothing can be counted", spoilPostgres, "", sums{Users: 1, Customers: 1, Subscriptions: 1, Letters: 1, Events: 1, Half: "subscribe waiting, analytics trying"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			pro := map[string]any{"user": w.must("support", "user_register", ann).User, "plan": "pro"}
			repair := tc.spoil(w)
			if text, failed, _ := w.call("support", "subscription_start", pro); failed != (tc.answer != "") || !strings.Contains(text, tc.answer) {
				t.Errorf("answered %s", text)
			}
			w.want("with the fault", tc.then)
			repair()
			w.must("support", "subscription_start", pro)
			w.want("repaired", one)
		})
	}
}

// However often, and under however many ids, Stripe tells of a payment, there is one
// payment and one receipt. What Stripe has not signed, or long ago, changes nothing.
func TestReceipt(t *testing.T) {
	t.Parallel()
	w, _ := subscribed(t, false)
	before := sums{Users: 1, Customers: 1, Subscriptions: 1, Letters: 1, Events: 2}
	paid := w.bank.Events()[0]
	dear := paid
	dear.ID, dear.Object = "evt_forged", map[string]any{"id": "in_forged", "object": "invoice", "customer": "cus_1", "charge": "ch_1", "amount_paid": 1_000_000_00, "currency": "eur"}
	w.tell(http.StatusUnauthorized, dear, redact.NewSecret("whsec_"+"forged"))
	stranger := paid
	stranger.ID, stranger.Object = "evt_other", map[string]any{"id": "in_other", "object": "invoice", "customer": "cus_other", "amount_paid": 1, "currency": "eur"}
	w.tell(http.StatusInternalServerError, stranger, w.s.Webhooks) // so that Stripe tells again, when the user may be there
	w.want("forged", sums{Users: 1, Customers: 1, Subscriptions: 1, Letters: 1, Events: 2, Half: "receipt running, payment"})
	if s := w.status("ann@example.com"); s != "starting" {
		t.Errorf("not paid: the user is %s", s)
	}

	after := before
	after.Payments, after.Letters, after.Events, after.Half = 1, 2, 3, "receipt running, payment"
	w.tell(http.StatusOK, paid, w.s.Webhooks)
	w.want("paid", after)
	w.tell(http.StatusOK, paid, w.s.Webhooks)
	other := paid
	other.ID = "evt_again"
	w.tell(http.StatusOK, other, w.s.Webhooks)
	w.want("told three times", after)
	if s := w.status("ann@example.com"); s != "active" {
		t.Errorf("the user is %s", s)
	}
	m, err := w.box.Letters()[1].Read()
	if err != nil || m.Subject != "Your receipt" || !strings.Contains(m.Text, "EUR 49.00") {
		t.Errorf("%v: the receipt is %+v", err, m)
	}
}

// A receipt that cannot be sent waits; the payment is on record.
func TestReceiptWaits(t *testing.T) {
	t.Parallel()
	w, _ := subscribed(t, false)
	w.box.Refuse(true)
	w.tell(http.StatusOK, w.bank.Events()[0], w.s.Webhooks)
	w.want("no mail is taken", sums{Users: 1, Customers: 1, Subscriptions: 1, Payments: 1, Letters: 1, Events: 3, Half: "receipt waiting, receipt mail"})
	w.box.Refuse(false)
	w.b.sweep(t.Context(), true)
	w.want("swept", sums{Users: 1, Customers: 1, Subscriptions: 1, Payments: 1, Letters: 2, Events: 3})
}

// The payment is told after the end: it is on record, with a receipt, and starts nothing
// again. An event that says less than what is true now does not undo the end.
func TestOutOfOrder(t *testing.T) {
	t.Parallel()
	w, user := subscribed(t, false)
	w.must("support", "subscription_cancel", map[string]any{"user": user})
	events := w.bank.Events()
	updated := events[1] // an update from before the end
	updated.ID, updated.Type, updated.Created = "evt_update", "customer.subscription.updated", updated.Created.Add(-time.Hour)
	updated.Object = map[string]any{"id": updated.Object["id"], "object": "subscription", "customer": "cus_1", "status": "active"}
	w.tell(http.StatusOK, events[1], w.s.Webhooks) // the end
	w.tell(http.StatusOK, events[0], w.s.Webhooks) // the payment
	w.tell(http.StatusOK, updated, w.s.Webhooks)
	if s := w.status("ann@example.com"); s != "ended" {
		t.Errorf("the user is %s", s)
	}
	w.want("told backwards", sums{Users: 1, Customers: 1, Payments: 1, Letters: 3, Events: 4})
	w.must("support", "subscription_start", map[string]any{"user": user, "plan": "basic"}) // one may come again
	w.want("subscribed again", sums{Users: 1, Customers: 1, Subscriptions: 1, Payments: 1, Letters: 3, Events: 5})
}

// Somebody ends the subscription at Stripe: an event tells so.
func TestEndedAtStripe(t *testing.T) {
	t.Parallel()
	w, user := subscribed(t, true)
	update := w.bank.Events()[0]
	update.ID, update.Type, update.Object = "evt_update", "customer.subscription.updated", map[string]any{"id": "sub_1", "object": "subscription", "customer": "cus_1", "status": "canceled"}
	w.tell(http.StatusOK, update, w.s.Webhooks) // which is not so
	if s := w.status("ann@example.com"); s != "active" {
		t.Errorf("the user is %s", s)
	}
	if err := w.b.stripe.cancel(t.Context(), "sub_1"); err != nil {
		t.Fatal(err)
	}
	w.tell(http.StatusOK, w.bank.Events()[1], w.s.Webhooks)
	if s := w.status("ann@example.com"); s != "ended" {
		t.Errorf("the user is %s", s)
	}
	w.must("support", "subscription_cancel", map[string]any{"user": user}) // too late, and no harm
	w.want("ended", sums{Users: 1, Customers: 1, Payments: 1, Letters: 3, Events: 4})
}

// A subscription ends once, after a person's yes, with one letter; what fails meanwhile is
// made whole by the same call.
func TestCancel(t *testing.T) {
	t.Parallel()
	ended := sums{Users: 1, Customers: 1, Payments: 1, Letters: 3, Events: 4}
	running := sums{Users: 1, Customers: 1, Subscriptions: 1, Payments: 1, Letters: 2, Events: 3}
	with := func(s sums, f func(*sums)) sums { f(&s); return s }
	for _, tc := range []struct {
		name   string
		spoil  func(*world) func()
		answer string
		then   sums
	}{
		{"nothing fails", func(*world) func() { return func() {} }, "", ended},
		{"they say no", func(w *world) func() { w.no = true; return func() { w.no = false } }, "said no", running},
		{"Stripe is down", spoilStripe("/v1/subscriptions", bank.Down), "stopped at: subscription", with(running, func(s *sums) { s.Half = "cancel running, subscription trying" })},
		{"Stripe's answer is lost", spoilStripe("/v1/subscriptions", bank.Lost), "stopped at: subscription",
			with(running, func(s *sums) { s.Subscriptions, s.Half = 0, "cancel running, subscription trying" })},
		{"the end cannot be recorded", spoilRecords("users", false, errors.New("the disk is full")), "stopped at: record", with(running, func(s *sums) { s.Subscriptions, s.Half = 0, "cancel running, record" })},
		{"no mail is taken", spoilMail, "", with(ended, func(s *sums) { s.Letters, s.Half = 2, "cancel waiting, goodbye mail" })},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w, user := subscribed(t, true)
			repair := tc.spoil(w)
			text, failed, asked := w.call("support", "subscription_cancel", map[string]any{"user": user})
			if failed != (tc.answer != "") || !strings.Contains(text, tc.answer) || !strings.Contains(asked, "ends subscription sub_1 of ann@example.com") {
				t.Errorf("answered %s, asked %q", text, asked)
			}
			w.want("with the fault", tc.then)
			repair()
			w.must("support", "subscription_cancel", map[string]any{"user": user})
			w.want("repaired, and the same call again", ended)
		})
	}
}
