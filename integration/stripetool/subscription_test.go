package stripetool

import (
	"regexp"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

// A person reads what is paid, how often, and what is due at first, of which Stripe's
// preview tells.
func TestCreateSubscription(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	o := billingOptions(b.URL)
	o.Caps = []stripetool.Cap{{PerCall: cents(6_000), PerDay: cents(16_500)}}
	s := serve(t, o)
	const tool = "stripe_create_subscription"
	const always = "&items%5B0%5D%5Bprice%5D=price_Pro&items%5B0%5D%5Bquantity%5D=2&off_session=true"
	s.one(b, tool, `{"customer":"cus_Pat","items":[{"price":"price_Pro","quantity":2}]}`, "subscribe customer cus_Pat to 2 × EUR 30.00 every month (price_Pro); EUR 60.00 due now, charged automatically [",
		"/v1/subscriptions collection_method=charge_automatically&customer=cus_Pat"+always+"&payment_behavior=error_if_incomplete&trial_from_plan=false", `"id":"sub_q1"`)
	s.one(b, tool, `{"customer":"cus_Quin","items":[{"price":"price_Pro","quantity":2}],"trial_days":14,"coupon":"HALF","collection_method":"send_invoice","days_until_due":7}`,
		"subscribe customer cus_Quin to 2 × EUR 30.00 every month (price_Pro), less coupon HALF; EUR 0.00 due now, and EUR 30.00 after a trial of 14 days, by invoices that are to be paid within 7 days [",
		"/v1/subscriptions collection_method=send_invoice&coupon=HALF&customer=cus_Quin&days_until_due=7"+always+"&trial_from_plan=false&trial_period_days=14")
	s.one(b, tool, `{"customer":"cus_Cid","items":[{"price":"price_Pro"}],"promotion_code":"promo_Half","payment_behavior":"default_incomplete"}`,
		"1 × EUR 30.00 every month (price_Pro), less promotion code promo_Half; EUR 15.00 due now, which the customer has to pay before it begins [",
		"/v1/subscriptions collection_method=charge_automatically&customer=cus_Cid&items%5B0%5D%5Bprice%5D=price_Pro&items%5B0%5D%5Bquantity%5D=1&off_session=true&payment_behavior=default_incomplete&promotion_code=promo_Half&trial_from_plan=false")
	s.deny("has less left", tool, `{"customer":"cus_Dan","items":[{"price":"price_Basic","quantity":2}]}`) // 60 + 60 + 30 of 165, with or without a coupon for now: 15 are left
	s.one(b, tool, `{"customer":"cus_Dan","items":[{"price":"price_Basic"},{"price":"price_Calls"}]}`, "EUR 10.00 due now", "/v1/subscriptions collection_method=charge_automatically&customer=cus_Dan&items%5B0%5D%5Bprice%5D=price_Basic&items%5B0%5D%5Bquantity%5D=1&items%5B1%5D%5Bprice%5D=price_Calls&off_session=true&payment_behavior=error_if_incomplete&trial_from_plan=false")
	for why, args := range map[string]string{
		"at most EUR 60.00":             `"customer":"cus_Pat","items":[{"price":"price_Dear"}],"trial_days":90`, // a trial is no way around a cap
		"trial_days":                    `"customer":"cus_Pat","items":[{"price":"price_Pro"}],"trial_days":91`,
		"paid once":                     `"customer":"cus_Pat","items":[{"price":"price_Desk"}]`,
		"no cap for this currency":      `"customer":"cus_Pat","items":[{"price":"price_Yen"}]`,
		"a coupon or a promotion code":  `"customer":"cus_Pat","items":[{"price":"price_Pro"}],"coupon":"HALF","promotion_code":"promo_Half"`,
		"no id of the resource":         `"customer":"cus_Pat","items":[{"price":"price_Pro"}],"promotion_code":"HALF"`,
		"that is no id of the resource": `"customer":"cus_Pat","items":[{"price":"price_Pro"}],"coupon":"a b"`,
		"customer was deleted":          `"customer":"cus_Away","items":[{"price":"price_Pro"}]`,
		"has no days_until_due":         `"customer":"cus_Pat","items":[{"price":"price_Pro"}],"days_until_due":3`,
		"payment_behavior":              `"customer":"cus_Pat","items":[{"price":"price_Pro"}],"payment_behavior":"x"`,
	} {
		s.none(b, why, tool, "{"+args+"}")
	}
	s.approve = never
	made := len(b.billed())
	s.deny("", tool, `{"customer":"cus_Eva","items":[{"price":"price_Basic"}],"coupon":"HALF"}`)
	if len(b.billed()) != made {
		t.Error("a subscription was made that a person has said no to")
	}
}

var prorated = regexp.MustCompile(`proration_date=\d{7}(\d{3})`)

func TestUpdateSubscription(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, billingOptions(b.URL))
	const tool = "stripe_update_subscription"
	s.ok(tool, `{"subscription":"sub_One","price":"price_Pro"}`, `"price":{"id":"price_Pro"}`)
	q, made := s.questions()[0], b.billed()[0]
	if !strings.Contains(q, "change item si_Basic of subscription sub_One of customer cus_Pat from 1 × EUR 10.00 every month (price_Basic) to 1 × EUR 30.00 every month (price_Pro); the next invoice comes to EUR 30.00, with this period's share counted from 20") || !strings.Contains(q, ":00 UTC") {
		t.Errorf("was asked %q", q)
	}
	if !strings.HasPrefix(made, "/v1/subscriptions/sub_One items%5B0%5D%5Bid%5D=si_Basic&items%5B0%5D%5Bprice%5D=price_Pro&items%5B0%5D%5Bquantity%5D=1&proration_behavior=create_prorations&proration_date=") || !prorated.MatchString(made) {
		t.Errorf("did %q", made)
	}
	s.one(b, tool, `{"subscription":"sub_Two","item":"si_A","quantity":4,"proration":"none"}`, "from 1 × EUR 10.00 every month (price_Basic) to 4 × EUR 10.00 every month (price_Basic); the next invoice comes to EUR 40.00, and what is left of this period is free [",
		"/v1/subscriptions/sub_Two items%5B0%5D%5Bid%5D=si_A&items%5B0%5D%5Bprice%5D=price_Basic&items%5B0%5D%5Bquantity%5D=4&proration_behavior=none")
	s.ok(tool, `{"subscription":"sub_Paused","quantity":2,"proration":"always_invoice"}`)
	if made := b.billed()[2]; !strings.Contains(made, "off_session=true&payment_behavior=error_if_incomplete&proration_behavior=always_invoice") {
		t.Errorf("did %q", made)
	}
	s.one(b, tool, `{"subscription":"sub_Ends","renew":true}`, "let subscription sub_Ends of customer cus_Pat go on after 2026-02-01 00:00 UTC, when it would have ended: 2 × EUR 30.00 every month (price_Pro) [", "/v1/subscriptions/sub_Ends cancel_at_period_end=false")
	s.one(b, tool, `{"subscription":"sub_One","pause":"void"}`, "collect no payments of subscription sub_One of customer cus_Pat, until that is ended; its invoices: void; ", "/v1/subscriptions/sub_One pause_collection%5Bbehavior%5D=void")
	s.one(b, tool, `{"subscription":"sub_Paused","pause":"end"}`, "collect payments of subscription sub_Paused of customer cus_Pat again: ", "/v1/subscriptions/sub_Paused pause_collection=")
	for why, args := range map[string]string{
		"do one of these":         `"subscription":"sub_Two"`,
		"one of these":            `"subscription":"sub_Two","renew":true,"pause":"void"`,
		"of these":                `"subscription":"sub_Two","renew":true,"item":"si_A"`,
		"renews already":          `"subscription":"sub_Two","renew":true`,
		"is not paused":           `"subscription":"sub_Two","pause":"end"`,
		"several items":           `"subscription":"sub_Two","quantity":2`,
		"no such item":            `"subscription":"sub_Two","item":"si_Basic","quantity":2`,
		"that is no id":           `"subscription":"sub_Two","item":"sub_Two","quantity":2`,
		"has no quantity":         `"subscription":"sub_Two","item":"si_Calls","quantity":2`,
		"already":                 `"subscription":"sub_Two","item":"si_A","quantity":4`,
		"paid once":               `"subscription":"sub_One","price":"price_Desk"`,
		"is in EUR":               `"subscription":"sub_One","price":"price_Yen"`,
		"at most EUR 50.00":       `"subscription":"sub_One","price":"price_Dear"`,
		"at most EUR":             `"subscription":"sub_One","quantity":2`, // of price_Pro by now: 60.00
		"has ended":               `"subscription":"sub_Gone","renew":true`,
		"there is no such object": `"subscription":"sub_missing","renew":true`,
		"quantity":                `"subscription":"sub_One","quantity":0`,
	} {
		s.none(b, why, tool, "{"+args+"}")
	}
}

// A person reads what the customer loses, and until when it is paid.
func TestCancelSubscription(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, billingOptions(b.URL))
	const tool = "stripe_cancel_subscription"
	s.one(b, tool, `{"subscription":"sub_One","when":"period_end"}`, "let subscription sub_One of customer cus_Pat end on 2026-02-01 00:00 UTC, until when it is paid: 1 × EUR 10.00 every month (price_Basic) [",
		"/v1/subscriptions/sub_One cancel_at_period_end=true", `"cancel_at_period_end":true`)
	s.one(b, tool, `{"subscription":"sub_Two","when":"now"}`, "cancel subscription sub_Two of customer cus_Pat, which is trialing, at once: the customer loses 1 × EUR 10.00 every month (price_Basic), 0.5 of the smallest unit of EUR for each unit used every month (price_Calls), the period of which ends on 2026-02-01 00:00 UTC; nothing is refunded; usage that was not billed is not billed any more [",
		"DELETE /v1/subscriptions/sub_Two invoice_now=false&prorate=false", `"status":"canceled"`)
	s.none(b, "ends on 2026-02-01 00:00 UTC already", tool, `{"subscription":"sub_Ends","when":"period_end"}`)
	s.none(b, "has ended", tool, `{"subscription":"sub_Gone","when":"now"}`)
	s.none(b, "when", tool, `{"subscription":"sub_Ends"}`)
	s.approve = func(mcpsec.Question) bool { return false }
	s.deny("", tool, `{"subscription":"sub_Ends","when":"now"}`)
	if len(b.billed()) != 2 {
		t.Errorf("did %q", b.billed())
	}
}

// Usage is money: it takes of the caps what it will cost.
func TestCreateUsageRecord(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	o := billingOptions(b.URL)
	o.Caps = []stripetool.Cap{{PerCall: cents(5_000), PerDay: cents(5_100)}}
	s := serve(t, o)
	const tool = "stripe_create_usage_record"
	s.one(b, tool, `{"item":"si_Calls","quantity":101}`, "101 units, EUR 0.51, are added to what was used of item si_Calls of subscription sub_Two: 0.5 of the smallest unit of EUR for each unit used every month (price_Calls) [",
		"/v1/subscription_items/si_Calls/usage_records action=increment&quantity=101", `"quantity":101`)
	s.one(b, tool, `{"item":"si_Calls","quantity":10000,"action":"set"}`, "10000 units, EUR 50.00, are put in place of what was used", "/v1/subscription_items/si_Calls/usage_records action=set&quantity=10000")
	s.none(b, "at most EUR 50.00", tool, `{"item":"si_Calls","quantity":10001}`)
	s.deny("has less left", tool, `{"item":"si_Calls","quantity":100}`) // 0.51 + 50.00 of 51.00
	s.none(b, "is not metered", tool, `{"item":"si_Basic","quantity":1}`)
	s.none(b, "cannot be told", tool, `{"item":"si_Steps","quantity":1}`)
	s.none(b, "has ended", tool, `{"item":"si_Gone","quantity":1}`)
	s.none(b, "no id of the resource", tool, `{"item":"sub_Two","quantity":1}`)
	s.none(b, "there is no such object", tool, `{"item":"si_missing","quantity":1}`)
	s.none(b, "quantity", tool, `{"item":"si_Calls","quantity":-1}`)
}
