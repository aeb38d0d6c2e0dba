package stripetool

import (
	"net/http"
	"strings"
	"testing"
)

func TestStripeCreateCustomer(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, options(b.URL))
	first := s.ok("stripe_create_customer", `{"name":"Zoë \"Z\" <b>","email":"zoe@shop.example","phone":"+49 1","description":"d","metadata":{"order":"6"}}`, `"id":"cus_1"`)
	s.wasAsked(`create a customer: name "Zoë \"Z\" <b>", email "zoe@shop.example", phone "+49 1", description "d", metadata[order] "6" [`)
	if again := s.ok("stripe_create_customer", `{"name":"Zoë \"Z\" <b>","email":"zoe@shop.example","phone":"+49 1","description":"d","metadata":{"order":"6"}}`); again != first {
		t.Errorf("got %s, want %s", again, first)
	}
	s.ok("stripe_create_customer", `{"idempotency_key":"2"}`, `"id":"cus_2"`)
	for _, bad := range []string{"x", "a@b, c@d", "Ann <a@b>", "a@b\\nBcc: c@d", "a b@c"} {
		s.deny("email must be", "stripe_create_customer", `{"email":"`+bad+`"}`)
	}
	b.had("POST customers", "POST customers")
	for _, word := range []string{"zoe@", "Zoë", "order"} {
		if strings.Contains(s.log.String(), word) {
			t.Errorf("the log has %s", word)
		}
	}
}

func TestStripeUpdateCustomer(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, options(b.URL))
	s.ok("stripe_update_customer", `{"id":"cus_Ann","name":"Anna","phone":"","email":"cus_ann@shop.example","default_payment_method":"pm_ann","metadata":{"order":"6"}}`, `"name":"Anna"`, `"default_payment_method":"pm_ann"`, `"order":"6"`)
	s.wasAsked(`update customer cus_Ann "Ann": name "Anna" in place of "Ann", email "cus_ann@shop.example" as it is, phone "" as it is, ` +
		`invoice_settings[default_payment_method] "pm_ann" in place of "", metadata[order] "6" in place of "" [`)
	s.ok("stripe_update_customer", `{"id":"cus_Ann","name":"","default_payment_method":"","metadata":{"order":""}}`)
	if got := b.of("customers/cus_Ann", "name"); got != "<nil>" {
		t.Errorf("the name is %s", got)
	}
	for _, tc := range [][2]string{
		{"there is nothing to change", `{"id":"cus_Ann"}`},
		{"no id of the resource", `{"id":"ch_one","name":"x"}`},
		{"there is no such object", `{"id":"cus_missing","name":"x"}`},
		{"not the customer's", `{"id":"cus_Ann","default_payment_method":"pm_bob"}`},
		{"no id of the resource", `{"id":"cus_Ann","default_payment_method":"cus_Ann"}`},
		{"email must be", `{"id":"cus_Ann","email":"a@b,c@d"}`},
	} {
		s.deny(tc[0], "stripe_update_customer", tc[1])
	}
	b.had("POST customers/cus_Ann", "POST customers/cus_Ann")
}

func TestStripeDeleteCustomer(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, options(b.URL))
	first := s.ok("stripe_delete_customer", `{"id":"cus_Ann"}`, `"deleted":true`)
	s.wasAsked(`delete customer cus_Ann "Ann" for good: 2 subscriptions are canceled, a credit of EUR 5.00 is lost, and their payment methods go [`)
	if again := s.ok("stripe_delete_customer", `{"id":"cus_Ann"}`); again != first {
		t.Errorf("got %s, want %s", again, first)
	}
	b.mu.Lock()
	b.account.objects["customers/cus_Bob"]["balance"] = 1234
	b.account.objects["customers/cus_Gone"]["balance"] = 0
	b.account.objects["customers/cus_pi"]["currency"] = nil
	b.mu.Unlock()
	s.ok("stripe_delete_customer", `{"id":"cus_Bob"}`)
	s.wasAsked("EUR 12.34 that they owe is lost")
	s.ok("stripe_delete_customer", `{"id":"cus_Gone"}`)
	s.wasAsked("no balance")
	s.ok("stripe_delete_customer", `{"id":"cus_pi"}`)
	s.wasAsked("a balance of -500, whose currency Stripe does not tell, is lost")
	s.deny("the customer was deleted", "stripe_delete_customer", `{"id":"cus_Ann","idempotency_key":"2"}`)
	s.deny("the customer was deleted", "stripe_update_customer", `{"id":"cus_Ann","name":"x"}`)
	b.had("DELETE customers/cus_Ann", "DELETE customers/cus_Bob", "DELETE customers/cus_Gone", "DELETE customers/cus_pi")
}

// Stripe has no keys for what is deleted: an attempt that finds it gone, after one whose
// answer was lost, has not failed.
func TestResetAfterDelete(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	n := newNetwork(t, b)
	s := serve(t, options(n.url()))
	b.effect = func() { n.toxic("reset_peer", `"timeout": 0`) }
	b.fault = func(_ http.ResponseWriter, r *http.Request, _ int) bool {
		if len(b.did()) == 1 && r.Method == http.MethodDelete {
			n.calm()
		}
		return false
	}
	s.ok("stripe_delete_customer", `{"id":"cus_Ann"}`, `"deleted":true`, `"id":"cus_Ann"`)
	b.had("DELETE customers/cus_Ann")
	if b.posts < 2 {
		t.Errorf("got %d requests that write", b.posts)
	}
}
