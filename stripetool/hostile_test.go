package stripetool

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// telling is a client of a Stripe that answers each path with an object.
func telling(t *testing.T, objects map[string]string) *Client {
	t.Helper()
	return newFake(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, objects[strings.TrimPrefix(r.URL.Path, "/v1/")])
	}).client(t, nil)
}

// An answer about another object than was asked for, or about one without a name, is none.
func TestAnswersOfOthers(t *testing.T) {
	t.Parallel()
	c := telling(t, map[string]string{
		"customers/cus_1": `{"id":"cus_2","name":"Bob"}`, "customers/cus_3": `{"id":"cus_4","deleted":true}`, "customers/cus_5": `{"id":"cus_5","deleted":true}`,
		"charges/ch_1":        `{"id":"ch_2","amount_captured":100,"currency":"eur","paid":true,"captured":true}`,
		"subscriptions/sub_1": `{"id":"sub_1","status":"active","customer":"cus_1","currency":"eur","items":{"data":[{"id":"si_1"},{"id":"cus_1"}]}}`,
		"subscriptions/sub_2": `{"id":"sub_2","status":"active","customer":"cus_1","currency":"eur","items":{"data":[{"price":{}}]}}`,
		"invoices/in_1":       `{"id":"in_1","status":"draft","currency":"eur","amount_due":100}`,
	})
	for _, id := range []string{"sub_1", "sub_2"} {
		if s, err := c.subscriptionOf(t.Context(), id); err != errAnswer {
			t.Errorf("got %+v and error %v", s, err)
		}
	}
	if inv, err := c.invoiceOf(t.Context(), "in_1", "", "draft"); err != errAnswer {
		t.Errorf("got %+v and error %v", inv, err)
	}
	for _, id := range []string{"cus_1", "cus_3"} {
		if who, err := c.payer(t.Context(), id); err != errAnswer {
			t.Errorf("%s: got %s and error %v", id, who, err)
		}
	}
	if who, err := c.payer(t.Context(), "cus_5"); err != nil || who != "the deleted customer cus_5" {
		t.Errorf("got %s and error %v", who, err)
	}
	if ch, err := c.chargeOf(t.Context(), "ch_1"); err != errAnswer {
		t.Errorf("got %+v and error %v", ch, err)
	}
}

// What usage costs counts in the currency that it is billed in: a price has an amount for
// each of several, and shows one.
func TestUsageInAnotherCurrency(t *testing.T) {
	t.Parallel()
	const item = `{"id":"si_1","subscription":"sub_1","price":{"id":"price_1","currency":"%s","unit_amount":1,"recurring":{"interval":"month","usage_type":"metered"}}}`
	for currency, want := range map[string]string{"eur": "", "EUR": "", "jpy": "in another currency"} {
		c := telling(t, map[string]string{
			"subscription_items/si_1": fmt.Sprintf(item, currency),
			"subscriptions/sub_1":     `{"id":"sub_1","status":"active","customer":"cus_1","currency":"eur","items":{"data":[{"id":"si_1"}]}}`,
		})
		c.o.Caps = append(c.o.Caps, Cap{PerCall: Money{1_000_000, "JPY"}, PerDay: Money{1_000_000, "JPY"}})
		_, err := c.planUsage(t.Context(), usageIn{Item: "si_1", Quantity: 100})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v", currency, err)
		}
	}
}

// What is billed at once is a share of a period: where the period's price cannot be told,
// a change that shows no more than the share is refused.
func TestTiersAreNotHidden(t *testing.T) {
	t.Parallel()
	const monthly = `"active":true,"currency":"eur","recurring":{"interval":"month","interval_count":1,"usage_type":"licensed"}`
	c := telling(t, map[string]string{
		"subscriptions/sub_1": `{"id":"sub_1","status":"trialing","customer":"cus_1","currency":"eur","items":{"data":[{"id":"si_1","quantity":1,"price":{"id":"price_1","unit_amount":100,` + monthly + `}}]}}`,
		"prices/price_tiers":  `{"id":"price_tiers","billing_scheme":"tiered",` + monthly + `}`,
		"prices/price_flat":   `{"id":"price_flat","unit_amount":200,` + monthly + `}`,
		"invoices/upcoming":   `{"currency":"eur","amount_due":0}`,
	})
	for in, want := range map[updateIn]string{
		{Price: "price_tiers", Proration: "always_invoice"}: "cannot be told with always_invoice",
		{Price: "price_tiers"}:                              "",
		{Price: "price_flat", Proration: "always_invoice"}:  "",
	} {
		in.Subscription = "sub_1"
		p, err := c.planUpdate(context.WithoutCancel(t.Context()), in)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s %s: got %s and error %v", in.Price, in.Proration, p.Text, err)
		}
	}
}
