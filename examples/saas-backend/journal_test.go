package main

import (
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/examples/internal/bank"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// A request to Stripe whose answer was lost is not sent again when Stripe may have
// forgotten its key: a person looks first.
func TestForgottenKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	repair := spoilStripe("/v1/customers", bank.Lost)(w)
	w.call("admin", "user_register", ann)
	repair()
	id := w.flowOf("register", running)
	f, err := w.b.load(id)
	if err != nil {
		t.Fatal(err)
	}
	f.Steps[1].Since = time.Now().Add(-stripeKeys - time.Second)
	if err := w.b.journal.save(f); err != nil {
		t.Fatal(err)
	}
	sent := 0
	w.bank.Fail(func(string, string) bank.Fault { sent++; return bank.None })
	w.b.sweep(t.Context(), true)
	if text, failed, asked := w.call("admin", "flow_resume", map[string]any{"id": id}); !failed || asked != "" || !strings.Contains(text, "stopped at: customer") || sent != 0 {
		t.Errorf("%d requests: %s, asked %q", sent, text, asked)
	}
	w.want("a day later", sums{Users: 1, Customers: 1, Half: "register running, customer unknown"})
	w.must("admin", "flow_resume", map[string]any{"id": id, "again": true})
	w.want("a person has looked", whole)
}

// A flow that fails is tried again less and less often.
func TestPause(t *testing.T) {
	t.Parallel()
	for tries, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute, time.Hour, time.Hour} {
		f := &flow{Steps: []entry{{State: done, Tries: 9}, {State: trying, Tries: tries}}}
		if got := f.pause(); got != want {
			t.Errorf("after %d tries it is left alone for %v, want %v", tries, got, want)
		}
	}
	w := newWorld(t)
	w.box.Refuse(true)
	w.must("support", "user_register", ann)
	w.box.Refuse(false)
	w.b.sweep(t.Context(), false)
	w.want("a moment later", sums{Users: 1, Customers: 1, Events: 1, Half: "register waiting, welcome mail"})
}

// What takes real money needs more than to be put into StripeKey.
func TestLiveKey(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"test", "live"} {
		_, err := newStripe(services{StripeURL: "https://api.stripe.com", StripeKey: redact.NewSecret("rk_" + mode + "_" + strings.Repeat("x", 24))})
		if (err == nil) != (mode == "test") {
			t.Errorf("a key of %s mode: %v", mode, err)
		}
	}
}
