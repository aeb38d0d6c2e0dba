package stripetool

import "testing"

// What was changed back since is changed again by an equal call, and a call that repeats
// one does nothing more.
func TestBillingIsSetAnew(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, billingOptions(b.URL))
	const link, update, cancel = "stripe_update_payment_link", "stripe_update_subscription", "stripe_cancel_subscription"
	for range 3 {
		made := len(b.billed())
		for _, c := range [][2]string{
			{link, `{"id":"plink_On","active":false}`}, {link, `{"id":"plink_On","active":false}`}, {link, `{"id":"plink_On","active":true}`},
			{cancel, `{"subscription":"sub_One","when":"period_end"}`}, {cancel, `{"subscription":"sub_One","when":"period_end"}`}, {update, `{"subscription":"sub_One","renew":true}`},
			{update, `{"subscription":"sub_One","pause":"void"}`}, {update, `{"subscription":"sub_One","pause":"end"}`},
			{update, `{"subscription":"sub_One","quantity":2}`}, {update, `{"subscription":"sub_One","quantity":1}`},
		} {
			s.ok(c[0], c[1])
		}
		if got := len(b.billed()) - made; got != 8 {
			t.Errorf("did %q", b.billed()[made:])
		}
	}
	for range 2 {
		s.ok(cancel, `{"subscription":"sub_One","when":"now"}`, `"status":"canceled"`)
	}
}
