package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/examples/internal/bank"
)

var (
	paidUp   = sums{Users: 1, Customers: 1, Subscriptions: 1, Payments: 1, Letters: 2, Events: 3}
	refunded = sums{Users: 1, Customers: 1, Subscriptions: 1, Payments: 1, Refunds: 1, Letters: 3, Events: 4}
)

// payment is Ann's.
func (w *world) payment(user string) payment {
	w.t.Helper()
	list := w.must("billing", "payment_list", map[string]any{"user": user}).Payments
	if len(list) != 1 {
		w.t.Fatalf("payments: %+v", list)
	}
	return list[0]
}

// Money goes back after a person's yes to what was computed, within what was paid and what
// the operator allows, once for each support case.
func TestRefundIsAsked(t *testing.T) {
	t.Parallel()
	w, user := subscribed(t, true)
	id := w.payment(user).ID
	refund := func(amount, support string) (text string, failed bool, asked string) {
		return w.call("billing", "payment_refund", map[string]any{"payment": id, "amount": amount, "case": support})
	}
	w.no = true
	if text, failed, asked := refund("EUR 30.00", "C1"); !failed || asked == "" {
		t.Errorf("they say no: %s, asked %q", text, asked)
	}
	w.no = false
	for _, tc := range []struct{ amount, answer string }{
		{"EUR 30.01", "one call refunds EUR 30.00 at most"}, {"JPY 100", "as in EUR 5.00"}, {"30", "as in EUR 5.00"}, {"EUR 0.00", "as in EUR 5.00"}, {"EUR -1.00", "as in EUR 5.00"},
	} {
		if text, failed, asked := refund(tc.amount, "C1"); !failed || asked != "" || !strings.Contains(text, tc.answer) {
			t.Errorf("%s: %s, asked %q", tc.amount, text, asked)
		}
	}
	w.want("nothing went back", paidUp)

	text, failed, asked := refund("EUR 30.00", "C1")
	if failed || !strings.Contains(asked, "refunds EUR 30.00 to ann@example.com, who paid EUR 49.00, of which EUR 0.00 went back before") {
		t.Errorf("%s, asked %q", text, asked)
	}
	w.want("refunded", refunded)
	if again, failed, _ := refund("EUR 30.00", "C1"); failed || again != text {
		t.Errorf("again: %s, and first %s", again, text)
	}
	if text, failed, _ := refund("EUR 20.00", "C1"); !failed || !strings.Contains(text, "other values") {
		t.Errorf("the same case with another amount: %s", text)
	}
	w.want("refunded again", refunded)
	if text, failed, _ := refund("EUR 19.01", "C2"); !failed || !strings.Contains(text, "more than is left") {
		t.Errorf("more than is left: %s", text)
	}
	w.want("more than is left", refunded)
	if p := w.payment(user); p.Refunded != 30_00 {
		t.Errorf("%d cents are refunded", p.Refunded)
	}
}

// The day's refunds are capped for all together.
func TestRefundsOfADay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 4 {
		email := fmt.Sprintf("user%d@example.com", i)
		user := w.must("support", "user_register", map[string]any{"email": email, "name": "N"}).User
		w.must("support", "subscription_start", map[string]any{"user": user, "plan": "pro"})
		w.tell(200, w.bank.Events()[i], w.s.Webhooks)
		text, failed, _ := w.call("billing", "payment_refund", map[string]any{"payment": w.payment(user).ID, "amount": "EUR 30.00", "case": "C1"})
		if failed != (i == 3) || failed && !strings.Contains(text, "more than may be refunded today") {
			t.Errorf("refund %d: %s", i, text)
		}
		if p := w.payment(user); i == 3 && p.Refunded != 0 {
			t.Errorf("%d cents stay reserved", p.Refunded)
		}
	}
	if n := w.bank.Count("refund"); n != 3 {
		t.Errorf("%d refunds", n)
	}
}

// What fails while refunding is made whole by the same call, and what Stripe refuses leaves
// the payment as it was.
func TestRefundFaults(t *testing.T) {
	t.Parallel()
	with := func(s sums, f func(*sums)) sums { f(&s); return s }
	stripe := func(f bank.Fault) func(*world) func() { return spoilStripe("/v1/refunds", f) }
	for _, tc := range []struct {
		name     string
		spoil    func(*world) func()
		answer   string
		then     sums
		reserved int64
	}{
		{"it cannot be reserved", spoilRecords("payments", false, errors.New("the disk is full")), "stopped at: reserve", with(paidUp, func(s *sums) { s.Half = "refund running, reserve" }), 0},
		{"the caps cannot be asked", spoilCaps, "stopped at: cap", with(paidUp, func(s *sums) { s.Half = "refund running, cap trying" }), 30_00},
		{"Stripe is down", stripe(bank.Down), "stopped at: refund", with(paidUp, func(s *sums) { s.Half = "refund running, refund trying" }), 30_00},
		{"Stripe's answer is lost", stripe(bank.Lost), "stopped at: refund", with(paidUp, func(s *sums) { s.Refunds, s.Half = 1, "refund running, refund trying" }), 30_00},
		{"Stripe refuses", stripe(bank.Refused), "declined", paidUp, 0},
		{"no mail is taken", spoilMail, "", with(refunded, func(s *sums) { s.Letters, s.Half = 2, "refund waiting, refund mail" }), 30_00},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w, user := subscribed(t, true)
			args := map[string]any{"payment": w.payment(user).ID, "amount": "EUR 30.00", "case": "C1"}
			repair := tc.spoil(w)
			if text, failed, _ := w.call("billing", "payment_refund", args); failed != (tc.answer != "") || !strings.Contains(text, tc.answer) {
				t.Errorf("answered %s", text)
			}
			w.want("with the fault", tc.then)
			if p := w.payment(user); p.Refunded != tc.reserved {
				t.Errorf("%d cents are reserved", p.Refunded)
			}
			repair()
			w.must("billing", "payment_refund", args)
			w.want("repaired", refunded)
		})
	}
}

// spoilCaps has the database fail for the key of the refunds' cap, and no other.
func spoilCaps(w *world) func() {
	if _, err := w.db.Exec(w.t.Context(), "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.most = 10000 THEN RAISE 'no'; END IF; RETURN NEW; END $$; CREATE TRIGGER no BEFORE INSERT OR UPDATE ON mcpsec.allowances FOR EACH ROW EXECUTE FUNCTION no()"); err != nil {
		w.t.Fatal(err)
	}
	return func() {
		if _, err := w.db.Exec(w.t.Context(), "DROP TRIGGER no ON mcpsec.allowances"); err != nil {
			w.t.Fatal(err)
		}
	}
}
