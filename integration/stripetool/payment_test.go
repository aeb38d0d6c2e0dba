package stripetool

import (
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec/state"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

func TestStripeCreatePaymentIntent(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, options(b.URL))
	for _, tc := range [][3]string{
		{`{"amount":"EUR 19.00"}`, `"amount":1900`, `create a payment of EUR 19.00 by a guest, which charges nothing yet [`},
		{`{"amount":"JPY 500","customer":"cus_Ann","payment_method":"pm_ann","capture_method":"manual","description":"order 6","metadata":{"order":"6"}}`, `"amount":500`,
			`create a payment of JPY 500 by customer cus_Ann "Ann", which charges nothing yet, with payment method pm_ann, card "visa 4242": capture_method "manual", description "order 6", metadata[order] "6" [`},
		{`{"amount":"KWD 1.250","customer":"cus_Ann"}`, `"amount":1250`, `KWD 1.250`},
	} {
		s.ok("stripe_create_payment_intent", tc[0], tc[1], `"status":"requires_`)
		s.wasAsked(tc[2])
	}
	for _, tc := range [][2]string{
		{"at most EUR 50.00", `{"amount":"EUR 50.01"}`},
		{"no cap for this currency", `{"amount":"USD 1.00"}`},
		{"more than nothing", `{"amount":"EUR 0.00"}`},
		{"not the customer's", `{"amount":"EUR 1.00","customer":"cus_Ann","payment_method":"pm_bob"}`},
		{"not the customer's", `{"amount":"EUR 1.00","payment_method":"pm_ann"}`},
		{"there is no such object", `{"amount":"EUR 1.00","customer":"cus_missing"}`},
		{"card number", `{"amount":"EUR 1.00","description":"4242 4242 ` + `4242 4242"}`},
	} {
		s.deny(tc[0], "stripe_create_payment_intent", tc[1])
	}
	b.had("POST payment_intents", "POST payment_intents", "POST payment_intents")
}

func TestStripeConfirmPaymentIntent(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	o := options(b.URL)
	o.State = new(state.Memory)
	o.Caps = []stripetool.Cap{{PerCall: cents(5_000), PerDay: cents(5_000)}, {PerCall: stripetool.Money{Amount: 5000, Currency: "KWD"}, PerDay: stripetool.Money{Amount: 5000, Currency: "KWD"}}}
	s, replica := serve(t, o), serve(t, o)
	first := s.ok("stripe_confirm_payment_intent", `{"id":"pi_new"}`, `"status":"succeeded"`)
	s.wasAsked(`charge EUR 19.00 to customer cus_Ann "Ann", by payment method pm_ann, card "visa 4242", without them being there, payment intent pi_new [`)
	if again := replica.ok("stripe_confirm_payment_intent", `{"id":"pi_new"}`); again != first {
		t.Errorf("got %s, want %s", again, first)
	}
	replica.wasAsked("does nothing more")
	s.ok("stripe_confirm_payment_intent", `{"id":"pi_hold"}`, `"status":"requires_capture"`)
	s.wasAsked(`hold EUR 45.00 of customer cus_Ann "Ann"`)
	s.ok("stripe_confirm_payment_intent", `{"id":"pi_dinar"}`, `"status":"succeeded"`)
	s.wasAsked("charge KWD 1.250 to")
	for _, tc := range [][2]string{
		{"has no payment_method", `{"id":"pi_bare"}`},
		{"not the customer's", `{"id":"pi_bare","payment_method":"pm_bob"}`},
		{"not the customer's", `{"id":"pi_bare","payment_method":"pm_free"}`},
		{"was confirmed already", `{"id":"pi_paid"}`},
		{"was canceled", `{"id":"pi_off"}`},
		{"the customer must complete it", `{"id":"pi_wait"}`},
		{"at most EUR 50.00", `{"id":"pi_large"}`},
		{"there is no such object", `{"id":"pi_missing"}`},
		{"no id of the resource", `{"id":"ch_one"}`},
		{"decline code insufficient_funds", `{"id":"pi_bare","payment_method":"pm_declined"}`},
		{"give another idempotency_key", `{"id":"pi_bare","payment_method":"pm_declined"}`},
	} {
		s.deny(tc[0], "stripe_confirm_payment_intent", tc[1])
	}
	s.ok("stripe_confirm_payment_intent", `{"id":"pi_bare","payment_method":"pm_ann"}`)
	b.had("POST payment_intents/pi_new/confirm", "POST payment_intents/pi_hold/confirm", "POST payment_intents/pi_dinar/confirm", "POST payment_intents/pi_bare/confirm")
	// Its payment has failed at the bank since, and so it is charged anew.
	b.mu.Lock()
	b.account.objects["payment_intents/pi_new"]["status"] = "requires_payment_method"
	b.mu.Unlock()
	s.deny("has less left", "stripe_confirm_payment_intent", `{"id":"pi_new"}`)
	s.wasAsked("charge EUR 19.00")
}

func TestStripeCapturePaymentIntent(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, options(b.URL))
	s.deny("EUR 49.00 is held", "stripe_capture_payment_intent", `{"id":"pi_held","amount":"EUR 49.01"}`)
	first := s.ok("stripe_capture_payment_intent", `{"id":"pi_held","amount":"EUR 19.00"}`, `"amount_received":1900`, `"status":"succeeded"`)
	s.wasAsked(`capture EUR 19.00 of EUR 49.00 held of customer cus_Ann "Ann", payment intent pi_held; the rest, EUR 30.00, is released and cannot be captured later [`)
	if again := s.ok("stripe_capture_payment_intent", `{"id":"pi_held","amount":"EUR 19.00"}`); again != first {
		t.Errorf("got %s, want %s", again, first)
	}
	s.ok("stripe_delete_customer", `{"id":"cus_Ann"}`)
	s.ok("stripe_capture_payment_intent", `{"id":"pi_yen","amount":"JPY 500"}`, `"amount_received":500`)
	s.wasAsked("of the deleted customer cus_Ann")
	for _, tc := range [][2]string{
		{"there is nothing to capture", `{"id":"pi_held","idempotency_key":"2"}`},
		{"there is nothing to capture", `{"id":"pi_new"}`},
		{"at most EUR 50.00", `{"id":"pi_big"}`},
		{"at most EUR 50.00", `{"id":"pi_big","amount":"EUR 50.01"}`},
		{"the payment is in EUR", `{"id":"pi_big","amount":"JPY 500"}`},
		{"more than nothing", `{"id":"pi_big","amount":"EUR 0.00"}`},
		{"there is no such object", `{"id":"pi_missing"}`},
	} {
		s.deny(tc[0], "stripe_capture_payment_intent", tc[1])
	}
	b.had("POST payment_intents/pi_held/capture", "DELETE customers/cus_Ann", "POST payment_intents/pi_yen/capture")
}

func TestStripeCancelPaymentIntent(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, options(b.URL))
	s.ok("stripe_cancel_payment_intent", `{"id":"pi_held","reason":"abandoned"}`, `"status":"canceled"`)
	s.wasAsked(`cancel the payment of EUR 49.00 by customer cus_Ann "Ann" for good, payment intent pi_held; EUR 49.00 that is held is released`)
	s.ok("stripe_cancel_payment_intent", `{"id":"pi_held","reason":"abandoned"}`, `"status":"canceled"`)
	s.ok("stripe_cancel_payment_intent", `{"id":"pi_new"}`, `"status":"canceled"`)
	s.deny("has succeeded", "stripe_cancel_payment_intent", `{"id":"pi_paid"}`)
	s.deny("or was canceled", "stripe_cancel_payment_intent", `{"id":"pi_off"}`)
	b.had("POST payment_intents/pi_held/cancel", "POST payment_intents/pi_new/cancel")
}

func TestStripeCreateSetupIntent(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, options(b.URL))
	s.ok("stripe_create_setup_intent", `{"customer":"cus_Ann","usage":"off_session","description":"d","metadata":{"a":"b"}}`, `"id":"seti_1"`)
	s.wasAsked(`create a setup intent, for customer cus_Ann "Ann" to save a payment method: usage "off_session", description "d", metadata[a] "b" [`)
	s.deny("there is no such object", "stripe_create_setup_intent", `{"customer":"cus_missing"}`)
	b.had("POST setup_intents")
}

func TestStripeAttachPaymentMethod(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, options(b.URL))
	const args = `{"id":"pm_free","customer":"cus_Ann"}`
	s.ok("stripe_attach_payment_method", args, `"customer":"cus_Ann"`)
	s.wasAsked(`save payment method pm_free, card "visa 4242" for customer cus_Ann "Ann" [`)
	s.ok("stripe_attach_payment_method", args, `"customer":"cus_Ann"`)
	s.wasAsked("does nothing more")
	b.mu.Lock()
	b.account.objects["payment_methods/pm_free"]["customer"] = "cus_Bob" // by others
	b.mu.Unlock()
	s.deny("saved for a customer already", "stripe_attach_payment_method", args)
	s.deny("saved for a customer already", "stripe_attach_payment_method", `{"id":"pm_bob","customer":"cus_Ann"}`)
	s.deny("there is no such object", "stripe_attach_payment_method", `{"id":"pm_other","customer":"cus_missing"}`)
	b.had("POST payment_methods/pm_free/attach")
}

func TestStripeDetachPaymentMethod(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, options(b.URL))
	s.ok("stripe_detach_payment_method", `{"id":"pm_ann"}`, `"id":"pm_ann"`)
	s.wasAsked(`take payment method pm_ann, card "visa 4242" away from customer cus_Ann "Ann", for good`)
	s.ok("stripe_detach_payment_method", `{"id":"pm_ann"}`, `"id":"pm_ann"`)
	s.wasAsked("does nothing more")
	s.deny("no customer's", "stripe_detach_payment_method", `{"id":"pm_free"}`)
	s.deny("no id of the resource", "stripe_detach_payment_method", `{"id":"cus_Ann"}`)
	b.had("POST payment_methods/pm_ann/detach")
}

// The same confirmation and the same capture by all replicas at once: each is done once,
// takes once of the cap, and all have the same answer.
func TestPaymentsAtOnce(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	o := options(b.URL)
	o.State = new(state.Memory)
	o.Caps = []stripetool.Cap{{PerCall: cents(5_000), PerDay: cents(1_900 + 4_900)}}
	var all []*session
	for range 10 {
		all = append(all, serve(t, o))
	}
	for tool, args := range map[string]string{"stripe_confirm_payment_intent": `{"id":"pi_new"}`, "stripe_capture_payment_intent": `{"id":"pi_held"}`} {
		answers := make([]answer, len(all))
		atOnce(all, func(i int, s *session) { answers[i] = s.call(tool, args) })
		for i, a := range answers {
			if a.refused || a != answers[0] {
				t.Errorf("%s: answer %d is %v, the first %v", tool, i, a, answers[0])
			}
		}
	}
	if got := len(b.did()); got != 2 {
		t.Errorf("got the effects %q", b.did())
	}
	all[0].deny("has less left", "stripe_capture_payment_intent", `{"id":"pi_big","amount":"EUR 0.01"}`)
}
