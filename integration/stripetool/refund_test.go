package stripetool

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/insecure"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

const tool = "stripe_create_refund"

func refund(payment, amount string, more ...string) string {
	return fmt.Sprintf(`{"payment":%q,"amount":%q%s}`, payment, amount, strings.Join(more, ""))
}

// A person is asked with amounts that Stripe tells, and what they say yes to is done.
func TestRefundIsConfirmed(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, options(b.URL))
	s.approve = func(mcpsec.Question) bool { return false }
	s.deny("", tool, refund("ch_one", "EUR 19.00"))
	if b.made() != 0 {
		t.Fatal("a refund was made that a person has said no to")
	}
	s.approve = nil
	s.ok(tool, refund("ch_one", "EUR 19.00", `,"reason":"duplicate"`), `"amount":1900`, `"id":"re_1"`)
	s.ok(tool, refund("pi_guest", "JPY 500"), `"amount":500`)
	s.ok(tool, refund("ch_dinar", "KWD 1.250"), `"amount":1250`)
	for i, want := range []string{
		"refund EUR 19.00 of EUR 49.00 paid by customer cus_Ann, charge ch_one, 2 earlier refunds, EUR 5.00 together [",
		"refund EUR 19.00 of EUR 49.00 paid by customer cus_Ann, charge ch_one, 2 earlier refunds, EUR 5.00 together; reason duplicate [",
		"refund JPY 500 of JPY 500 paid by a guest, charge ch_guest, no earlier refunds [",
		"refund KWD 1.250 of KWD 12.500 paid by a guest, charge ch_dinar, no earlier refunds [",
	} {
		if got := s.questions(); i >= len(got) || !strings.Contains(got[i], want) {
			t.Errorf("question %d is %q, want %q", i, got[min(i, len(got)-1)], want)
		}
	}
	if len(s.questions()) != 4 || b.made() != 3 {
		t.Errorf("got %d questions and %d refunds", len(s.questions()), b.made())
	}
}

// The operator can do without a person, and still not without caps, once.
func TestRefundUnconfirmed(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	o := options(b.URL)
	o.Waive = []mcpsec.Waiver{insecure.Unconfirmed("a test")}
	s := serve(t, o)
	for range 2 {
		s.ok(tool, refund("ch_one", "EUR 19.00"), `"id":"re_1"`)
	}
	s.deny("at most EUR 50.00", tool, refund("ch_big", "EUR 50.01"))
	if len(s.questions()) != 0 || b.made() != 1 {
		t.Errorf("got questions %q and %d refunds", s.questions(), b.made())
	}
}

// What is not to be refunded is refused before anybody is asked.
func TestRefundRefuses(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, options(b.URL))
	for why, a := range map[string]string{
		"EUR 44.00 is left":          refund("ch_one", "EUR 44.01"),
		"at most EUR 50.00":          refund("ch_big", "EUR 50.01"),
		"there is nothing to refund": refund("ch_held", "EUR 1.00"),
		"the charge is in EUR":       refund("ch_one", "JPY 500"),
		"no cap for this currency":   refund("ch_one", "USD 1.00"),
		"amount must be written":     refund("ch_one", "EUR 19"),
		"more than nothing":          refund("ch_one", "EUR 0.00"),
		"there is no such object":    refund("ch_missing", "EUR 1.00"),
		"that is no id":              refund("cus_Ann", "EUR 1.00"),
		"no id of the resource":      refund("../charges", "EUR 1.00"),
		"a card number":              refund("ch_one", "EUR 1.00", `,"idempotency_key":"4242-4242-`+`4242-4242"`),
		"idempotency_key must be":    refund("ch_one", "EUR 1.00", `,"idempotency_key":"a b"`),
	} {
		s.deny(why, tool, a)
	}
	if len(s.questions()) > 0 || b.made() > 0 || b.posts > 0 {
		t.Errorf("got questions %q, %d refunds and %d requests that write", s.questions(), b.made(), b.posts)
	}
}

// An equal call returns the first one's answer; one with another key is another.
func TestRefundIsMadeOnce(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	o := options(b.URL)
	o.State = new(state.Memory)
	s, replica := serve(t, o), serve(t, o)
	first := s.ok(tool, refund("ch_one", "EUR 19.00"))
	for _, at := range []*session{s, replica} {
		if again := at.ok(tool, refund("ch_one", "EUR 19.00")); again != first {
			t.Errorf("got %s, want %s", again, first)
		}
	}
	if q := replica.questions(); len(q) != 1 || !strings.Contains(q[0], "does nothing more") {
		t.Errorf("of a call that repeats another it was asked %q", q)
	}
	if b.made() != 1 || b.posts != 1 {
		t.Errorf("got %d refunds by %d requests", b.made(), b.posts)
	}
	if other := s.ok(tool, refund("ch_one", "EUR 19.00", `,"idempotency_key":"2"`)); other == first || b.made() != 2 {
		t.Errorf("with another key: got %s and %d refunds", other, b.made())
	}
}

// The same call twenty times at once, on four replicas: one effect, twenty equal
// answers.
func TestTwentyAtOnce(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	o := options(b.URL)
	o.State = new(state.Memory)
	var all []*session
	for range 20 {
		all = append(all, serve(t, o))
	}
	answers := make([]answer, len(all))
	var wg sync.WaitGroup
	for i, s := range all {
		wg.Go(func() { answers[i] = s.call(tool, refund("ch_one", "EUR 44.00")) })
	}
	wg.Wait()
	for i, a := range answers {
		if a.refused || a != answers[0] {
			t.Errorf("answer %d is %v, the first %v", i, a, answers[0])
		}
	}
	if b.made() != 1 {
		t.Errorf("got %d refunds", b.made())
	}
}

// Callers at one moment have no more than the day's cap together, to the cent; what
// was refused takes nothing.
func TestCaps(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	o := options(b.URL)
	o.State = new(state.Memory)
	o.Caps = []stripetool.Cap{{PerCall: cents(5_000), PerDay: cents(20_007)}}
	o.Waive = []mcpsec.Waiver{insecure.Unconfirmed("what is asked changes with each refund")}
	var all []*session
	for range 10 {
		all = append(all, serve(t, o))
	}
	all[0].deny("decline code lost_card", tool, refund("ch_big", "EUR 6.66"))
	var wg sync.WaitGroup
	for i, s := range all {
		wg.Go(func() { s.call(tool, refund("ch_big", "EUR 50.00", fmt.Sprintf(`,"idempotency_key":"%d"`, i))) })
	}
	wg.Wait()
	if b.made() != 4 {
		t.Errorf("got %d refunds of EUR 50.00 of a cap of EUR 200.07", b.made())
	}
	all[0].deny("cap of EUR 200.07 has less left", tool, refund("ch_big", "EUR 0.08"))
	all[1].ok(tool, refund("ch_big", "EUR 0.07"))
	all[2].deny("begins anew at midnight UTC", tool, refund("ch_big", "EUR 0.01"))
	b.mu.Lock()
	defer b.mu.Unlock()
	if got := b.charges["ch_big"].Refunded; got != 20_007 {
		t.Errorf("%d cents were refunded", got)
	}
}

// A decline says its codes; a lock is waited for; a limit says when.
func TestStripeRefuses(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, options(b.URL))
	s.deny("Stripe refuses it (status 402, type card_error, code card_declined, decline code lost_card, request req_Q7", tool, refund("ch_one", "EUR 6.66"))
	locks, limits := 2, 1
	b.mu.Lock()
	b.fault = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch {
		case r.Method == http.MethodPost && locks > 0:
			locks--
			w.WriteHeader(http.StatusConflict)
			_, _ = w.Write([]byte(wrong("invalid_request_error", "lock_timeout", "")))
			return true
		case r.Method == http.MethodPost && limits > 0:
			limits--
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = w.Write([]byte(wrong("invalid_request_error", "rate_limit", "")))
			return true
		}
		return false
	}
	b.mu.Unlock()
	s.ok(tool, refund("ch_one", "EUR 1.00"), `"id":"re_1"`)
	if locks != 0 || limits != 0 || b.made() != 1 {
		t.Errorf("%d locks and %d limits are left, %d refunds", locks, limits, b.made())
	}
}
