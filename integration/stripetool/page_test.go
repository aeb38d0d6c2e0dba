package stripetool

import (
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/stripetool"
)

// A page is made of prices that Stripe tells, and leads where the operator allows. Its
// address is what comes back.
func TestCreateCheckoutSession(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	o := billingOptions(b.URL)
	s := serve(t, o)
	const tool = "stripe_create_checkout_session"
	s.one(b, tool, `{"mode":"payment","items":[{"price":"price_Desk","quantity":2},{"price":"price_Lamp"}],"success_url":"HTTPS://Shop.example.com:443/pay/ok?s={CHECKOUT_SESSION_ID}","cancel_url":"https://shop.example.com/pay","customer":"cus_Pat","client_reference_id":"user-7","allow_promotion_codes":true}`,
		"make a page where customer cus_Pat can pay 2 × EUR 19.00 (price_Desk), 1 × EUR 2.50 (price_Lamp), EUR 40.50 in all, less what promotion codes take off; it leads to https://shop.example.com/pay/ok?s={CHECKOUT_SESSION_ID} or https://shop.example.com/pay [",
		"/v1/checkout/sessions allow_promotion_codes=true&cancel_url=https%3A%2F%2Fshop.example.com%2Fpay&client_reference_id=user-7&customer=cus_Pat&line_items%5B0%5D%5Bprice%5D=price_Desk&line_items%5B0%5D%5Bquantity%5D=2&line_items%5B1%5D%5Bprice%5D=price_Lamp&line_items%5B1%5D%5Bquantity%5D=1&mode=payment&success_url=https%3A%2F%2Fshop.example.com%2Fpay%2Fok%3Fs%3D%7BCHECKOUT_SESSION_ID%7D",
		`"id":"cs_test_q1"`, `"url":"https://checkout.stripe.com/c/pay/cs_test_q1#`+secretPage)
	s.one(b, tool, `{"mode":"subscription","items":[{"price":"price_Pro"},{"price":"price_Calls"}],"success_url":"https://shop.example.com/pay"}`,
		"whoever has its address can pay 1 × EUR 30.00 every month (price_Pro), 0.5 of the smallest unit of EUR for each unit used every month (price_Calls); it leads to https://shop.example.com/pay [",
		"/v1/checkout/sessions allow_promotion_codes=false&line_items%5B0%5D%5Bprice%5D=price_Pro&line_items%5B0%5D%5Bquantity%5D=1&line_items%5B1%5D%5Bprice%5D=price_Calls&mode=subscription&success_url=https%3A%2F%2Fshop.example.com%2Fpay")
	for why, args := range map[string]string{
		"below one that the operator has listed": `"mode":"payment","items":[{"price":"price_Desk"}],"success_url":"https://evil.example/pay"`,
		"written plainly":                        `"mode":"payment","items":[{"price":"price_Desk"}],"success_url":"https://shop.example.com/pay","cancel_url":"https://shop.example.com/pay?s={CHECKOUT_SESSION_ID}"`,
		"needs mode subscription":                `"mode":"payment","items":[{"price":"price_Pro"}],"success_url":"https://shop.example.com/pay"`,
		"mode must be payment":                   `"mode":"subscription","items":[{"price":"price_Desk"}],"success_url":"https://shop.example.com/pay"`,
		"several currencies":                     `"mode":"payment","items":[{"price":"price_Desk"},{"price":"price_Dollar"}],"success_url":"https://shop.example.com/pay"`,
		"stands twice":                           `"mode":"payment","items":[{"price":"price_Desk"},{"price":"price_Desk"}],"success_url":"https://shop.example.com/pay"`,
		"not active":                             `"mode":"payment","items":[{"price":"price_Old"}],"success_url":"https://shop.example.com/pay"`,
		"there is no such object":                `"mode":"payment","items":[{"price":"price_missing"}],"success_url":"https://shop.example.com/pay"`,
		"no id of the resource":                  `"mode":"payment","items":[{"price":"../charges"}],"success_url":"https://shop.example.com/pay"`,
		"has no quantity":                        `"mode":"subscription","items":[{"price":"price_Calls","quantity":3}],"success_url":"https://shop.example.com/pay"`,
		"quantity":                               `"mode":"payment","items":[{"price":"price_Desk","quantity":10001}],"success_url":"https://shop.example.com/pay"`,
		"items":                                  `"mode":"payment","items":[],"success_url":"https://shop.example.com/pay"`,
		"mode":                                   `"mode":"setup","items":[{"price":"price_Desk"}],"success_url":"https://shop.example.com/pay"`,
		"customer was deleted":                   `"mode":"payment","items":[{"price":"price_Desk"}],"success_url":"https://shop.example.com/pay","customer":"cus_Away"`,
		"client_reference_id must":               `"mode":"payment","items":[{"price":"price_Desk"}],"success_url":"https://shop.example.com/pay","client_reference_id":"a b"`,
	} {
		s.none(b, why, tool, "{"+args+"}")
	}
	o.Unasked = map[string][]string{"checkout_sessions": {"create"}}
	quiet := serve(t, o)
	quiet.approve = never
	quiet.ok(tool, `{"mode":"payment","items":[{"price":"price_Desk"}],"success_url":"https://shop.example.com/pay"}`, `"url":`)
	quiet.deny("", tool, `{"mode":"payment","items":[{"price":"price_Desk"}],"success_url":"https://shop.example.com/pay","customer":"cus_Pat"}`)
	if n := len(quiet.questions()); n != 1 { // of the page that shows a customer's address
		t.Errorf("%d questions", n)
	}
}

func TestCreatePaymentLink(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, billingOptions(b.URL))
	const tool = "stripe_create_payment_link"
	s.one(b, tool, `{"items":[{"price":"price_Desk","quantity":3}],"after_completion_url":"https://shop.example.com/pay/thanks"}`,
		"make an address where anybody can pay, any number of times, 3 × EUR 19.00 (price_Desk); it leads to https://shop.example.com/pay/thanks [",
		"/v1/payment_links after_completion%5Bredirect%5D%5Burl%5D=https%3A%2F%2Fshop.example.com%2Fpay%2Fthanks&after_completion%5Btype%5D=redirect&allow_promotion_codes=false&line_items%5B0%5D%5Bprice%5D=price_Desk&line_items%5B0%5D%5Bquantity%5D=3",
		`"url":"https://buy.stripe.com/test_`+secretPage)
	s.none(b, "below one that the operator has listed", tool, `{"items":[{"price":"price_Desk"}],"after_completion_url":"https://shop.example.com@evil.example/pay"}`)
	s.none(b, "not active", tool, `{"items":[{"price":"price_Old"}]}`)
	s.approve = never
	made := len(b.billed())
	s.deny("", tool, `{"items":[{"price":"price_Lamp"}]}`)
	if len(b.billed()) != made {
		t.Error("a link was made that a person has said no to")
	}
}

func TestUpdatePaymentLink(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, billingOptions(b.URL))
	const tool = "stripe_update_payment_link"
	s.one(b, tool, `{"id":"plink_On","active":false}`, "let nobody pay at payment link plink_On any more [", "/v1/payment_links/plink_On active=false", `"active":false`)
	s.one(b, tool, `{"id":"plink_Off","active":true}`, "let everybody pay at payment link plink_Off again [", "/v1/payment_links/plink_Off active=true", `"active":true`)
	s.none(b, "no id of the resource", tool, `{"id":"price_Desk","active":true}`)
	s.none(b, "there is no such object", tool, `{"id":"plink_missing","active":true}`)
	s.none(b, "active", tool, `{"id":"plink_On"}`)
}

// Whoever has the portal's address is the customer there: a person is asked in every
// case, and nothing of the address is masked, or kept out of what it is for.
func TestCreateBillingPortalSession(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	o := billingOptions(b.URL)
	s := serve(t, o)
	const tool = "stripe_create_billing_portal_session"
	args := `{"customer":"cus_Pat","return_url":"https://shop.example.com/pay"}`
	s.one(b, tool, args, "make an address that logs whoever has it in as customer cus_Pat, to see invoices, change how is paid, and cancel; the caller reads it; it leads to https://shop.example.com/pay [",
		"/v1/billing_portal/sessions customer=cus_Pat&return_url=https%3A%2F%2Fshop.example.com%2Fpay", `"url":"`+portalAddress+`"`)
	if log := s.log.String(); strings.Contains(log, secretPage) || !strings.Contains(log, "raw-output") || !strings.Contains(s.said.String(), `"egress"`) {
		t.Errorf("the record has the address, or does not say that nothing is masked: %s", log)
	}
	s.none(b, "customer was deleted", tool, `{"customer":"cus_Away","return_url":"https://shop.example.com/pay"}`)
	s.none(b, "no id of the resource", tool, `{"customer":"sub_One","return_url":"https://shop.example.com/pay"}`)
	s.none(b, "below one that the operator has listed", tool, `{"customer":"cus_Pat","return_url":"https://evil.example"}`)
	s.approve = never
	s.deny("", tool, `{"customer":"cus_Quin","return_url":"https://shop.example.com/pay"}`)
	if len(b.billed()) != 1 {
		t.Errorf("did %q", b.billed())
	}
	o.Unasked = map[string][]string{"billing_portal_sessions": {"create"}}
	if _, err := stripetool.New(o); err == nil {
		t.Error("a portal's address can be had without a person")
	}
}

// An answer with another address than a page's is none.
func TestPagesArePlain(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, billingOptions(b.URL))
	for i, address := range []string{"http://billing.stripe.com/x", "https://billing.stripe.com@evil.example/x", `https://billing.stripe.com/\u202e`, "javascript:x", ""} {
		b.mu.Lock()
		b.fault = answers(`{"id":"bps_1","object":"x","url":"` + address + `"}`)
		b.mu.Unlock()
		s.deny("", "stripe_create_billing_portal_session", `{"customer":"cus_Pat","return_url":"https://shop.example.com/pay","idempotency_key":"`+string(rune('a'+i))+`"}`)
	}
}
