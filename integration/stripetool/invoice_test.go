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

// A draft waits, whatever it is asked for: nothing in it lets Stripe bill by itself.
func TestCreateInvoice(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, billingOptions(b.URL))
	const tool = "stripe_create_invoice"
	s.one(b, tool, `{"customer":"cus_Pat"}`, "make a draft of an invoice for customer cus_Pat, to be paid within 30 days after it is finalized [",
		"/v1/invoices auto_advance=false&collection_method=send_invoice&customer=cus_Pat&days_until_due=30&pending_invoice_items_behavior=exclude", `"status":"draft"`, `"auto_advance":false`)
	s.one(b, tool, `{"customer":"cus_Pat","collection_method":"charge_automatically","currency":"EUR","description":"Q7 oak, \"fine\""}`, `for customer cus_Pat, to be charged automatically, in EUR; customers read "Q7 oak, \"fine\"" [`,
		"/v1/invoices auto_advance=false&collection_method=charge_automatically&currency=eur&customer=cus_Pat&description=Q7+oak%2C+%22fine%22&pending_invoice_items_behavior=exclude")
	if strings.Contains(s.log.String(), "Q7 oak") {
		t.Error("the log has what customers read")
	}
	s.none(b, "customer was deleted", tool, `{"customer":"cus_Away"}`)
	s.none(b, "has no days_until_due", tool, `{"customer":"cus_Pat","collection_method":"charge_automatically","days_until_due":3}`)
	s.none(b, "days_until_due", tool, `{"customer":"cus_Pat","days_until_due":366}`)
	s.none(b, "one that Stripe takes", tool, `{"customer":"cus_Pat","currency":"eur"}`)
	s.none(b, "one line of visible characters", tool, `{"customer":"cus_Pat","description":"oak\u202ekao"}`)
	s.none(b, "one line of visible characters", tool, `{"customer":"cus_Pat","description":"oak\nBcc: x"}`)
	s.none(b, "description", tool, `{"customer":"cus_Pat","description":"`+strings.Repeat("x", 501)+`"}`)
}

func TestAddInvoiceItem(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, billingOptions(b.URL))
	const tool = "stripe_add_invoice_item"
	s.one(b, tool, `{"invoice":"in_Draft","price":"price_Desk","quantity":2}`, "add 2 × EUR 19.00 (price_Desk) to draft invoice in_Draft of customer cus_Pat, of which EUR 49.00 are due so far [",
		"/v1/invoiceitems customer=cus_Pat&invoice=in_Draft&price=price_Desk&quantity=2", `"amount":3800`)
	s.one(b, tool, `{"invoice":"in_Draft","amount":"EUR 5.00","description":"carriage"}`, `add EUR 5.00 to draft invoice in_Draft of customer cus_Pat, of which EUR 87.00 are due so far; customers read "carriage" [`,
		"/v1/invoiceitems amount=500&currency=eur&customer=cus_Pat&description=carriage&invoice=in_Draft")
	for why, args := range map[string]string{
		"a draft":                         `"invoice":"in_Open","price":"price_Desk"`,
		"finalizes this draft by itself":  `"invoice":"in_Self","price":"price_Desk"`,
		"the invoice is in EUR":           `"invoice":"in_Draft","amount":"USD 5.00","description":"x"`,
		"the invoice is in USD":           `"invoice":"in_Dollar","price":"price_Desk"`,
		"is for subscriptions":            `"invoice":"in_Draft","price":"price_Pro"`,
		"more than nothing":               `"invoice":"in_Draft","amount":"EUR 0.00","description":"x"`,
		"amount must be written":          `"invoice":"in_Draft","amount":"EUR -5.00","description":"x"`,
		"give a price, with a quantity":   `"invoice":"in_Draft","amount":"EUR 5.00"`,
		"or an amount with a description": `"invoice":"in_Draft","amount":"EUR 5.00","description":"x","price":"price_Desk"`,
		"there is no such object":         `"invoice":"in_missing","price":"price_Desk"`,
		"no id of the resource":           `"invoice":"ii_1","price":"price_Desk"`,
	} {
		s.none(b, why, tool, "{"+args+"}")
	}
}

// What is billed takes of the caps, and a person reads how much, of whom, and what
// Stripe does then.
func TestFinalizeInvoice(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, billingOptions(b.URL))
	const tool = "stripe_finalize_invoice"
	s.one(b, tool, `{"invoice":"in_Draft","auto_advance":true}`, "finalize invoice in_Draft of customer cus_Pat: 3 lines, EUR 49.00 due; Stripe charges the customer, and e-mails as the account's settings say [",
		"/v1/invoices/in_Draft/finalize auto_advance=true", `"status":"paid"`)
	s.one(b, tool, `{"invoice":"in_Self"}`, "1 line, EUR 1.00 due; nothing is charged or e-mailed by itself [", "/v1/invoices/in_Self/finalize auto_advance=false", `"status":"open"`)
	s.one(b, tool, `{"invoice":"in_Mailed","auto_advance":true}`, "Stripe e-mails the customer, as the account's settings say, and reminds [", "/v1/invoices/in_Mailed/finalize auto_advance=true")
	s.none(b, "the invoice is open: only a draft", tool, `{"invoice":"in_Open"}`)
	s.none(b, "the invoice is void: only a draft", tool, `{"invoice":"in_Void","auto_advance":true}`)
	s.none(b, "no lines", tool, `{"invoice":"in_Empty"}`)
	s.none(b, "at most EUR 50.00", tool, `{"invoice":"in_Big"}`)
	s.none(b, "no cap for this currency", tool, `{"invoice":"in_Dollar"}`)
	s.deny("decline code lost_card", tool, `{"invoice":"in_Decline"}`)
	s.approve = never
	b.mu.Lock()
	b.billing.invoices["in_Draft"].Status = "draft"
	b.mu.Unlock()
	s.deny("", tool, `{"invoice":"in_Draft"}`)
	if len(b.billed()) != 3 {
		t.Errorf("did %q", b.billed())
	}
}

// What a person has said yes to is what is billed: an invoice that grows meanwhile is
// asked about anew.
func TestInvoiceGrows(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, billingOptions(b.URL))
	n := 0
	s.approve = func(mcpsec.Question) bool {
		if n++; n == 1 {
			b.mu.Lock()
			b.billing.invoices["in_Mailed"].Due++
			b.mu.Unlock()
		}
		return true
	}
	s.ok("stripe_finalize_invoice", `{"invoice":"in_Mailed"}`)
	if q := s.questions(); len(q) != 2 || !strings.Contains(q[0], "EUR 49.00 due") || !strings.Contains(q[1], "EUR 49.01 due") {
		t.Errorf("was asked %q", q)
	}
}

// Between a person's yes and the request an invoice cannot grow by a call of the same
// caller, which nobody was asked about.
func TestInvoiceGrowsAfterYes(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, billingOptions(b.URL))
	looks := 0
	b.fault = func(_ http.ResponseWriter, r *http.Request, _ int) bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		if r.URL.Path == "/v1/invoices/in_Mailed" {
			if looks++; looks == 3 { // asked, seen again after the yes, and now
				b.billing.invoices["in_Mailed"].Due++
			}
		}
		return false
	}
	s.deny("has changed meanwhile: call again", "stripe_finalize_invoice", `{"invoice":"in_Mailed"}`)
	if n := b.writes(); n != 0 {
		t.Errorf("got %d requests that write", n)
	}
	s.one(b, "stripe_finalize_invoice", `{"invoice":"in_Mailed"}`, "EUR 49.01 due", "/v1/invoices/in_Mailed/finalize auto_advance=false")
	if looks != 6 {
		t.Errorf("looked %d times", looks)
	}
}

// Ten replicas finalize at once: what is billed stays within the day's cap, to the
// cent, and an invoice is billed once.
func TestFinalizeCaps(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	for i := range 10 {
		b.billing.invoices[fmt.Sprintf("in_N%d", i)] = &bill{Status: "draft", Customer: "cus_Pat", Currency: "eur", Collection: "send_invoice", Due: 4000, Lines: 1}
	}
	o := billingOptions(b.URL)
	o.State = new(state.Memory)
	o.Caps = []stripetool.Cap{{PerCall: cents(5_000), PerDay: cents(12_066)}}
	o.Waive = []mcpsec.Waiver{insecure.Unconfirmed("a test of caps")}
	var all []*session
	for range 10 {
		all = append(all, serve(t, o))
	}
	all[0].deny("decline code lost_card", "stripe_finalize_invoice", `{"invoice":"in_Decline"}`)
	var wg sync.WaitGroup
	for i, s := range all {
		wg.Go(func() { s.call("stripe_finalize_invoice", fmt.Sprintf(`{"invoice":"in_N%d"}`, i)) })
	}
	wg.Wait()
	b.mu.Lock()
	billed := b.billing.billed
	b.mu.Unlock()
	if billed != 12_000 {
		t.Errorf("%d cents were billed of a cap of 12066", billed)
	}
	all[0].deny("has less left", "stripe_finalize_invoice", `{"invoice":"in_Self"}`)
	for _, s := range all[:3] { // what was done is answered again, by any replica
		s.call("stripe_finalize_invoice", `{"invoice":"in_N0"}`)
	}
	if n := len(b.billed()); n != 3 {
		t.Errorf("%d invoices were billed", n)
	}
}

func TestSendInvoice(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, billingOptions(b.URL))
	const tool = "stripe_send_invoice"
	s.one(b, tool, `{"invoice":"in_Open"}`, "e-mail invoice in_Open, of which EUR 49.00 are left to pay, to customer cus_Pat [", "/v1/invoices/in_Open/send ", `"status":"open"`)
	s.ok(tool, `{"invoice":"in_Open"}`)
	if len(b.billed()) != 1 {
		t.Error("a repeated call has sent it again")
	}
	s.none(b, "the invoice is draft", tool, `{"invoice":"in_Draft"}`) // Stripe would finalize it
	s.none(b, "the invoice is paid", tool, `{"invoice":"in_Paid"}`)
	s.none(b, "no e-mail address", tool, `{"invoice":"in_NoMail"}`)
}

func TestVoidInvoice(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, billingOptions(b.URL))
	const tool = "stripe_void_invoice"
	s.one(b, tool, `{"invoice":"in_Open"}`, "void invoice in_Open, so that customer cus_Pat does not owe the EUR 49.00 of it that are left to pay [", "/v1/invoices/in_Open/void ", `"status":"void"`)
	s.one(b, tool, `{"invoice":"in_Bad"}`, "void invoice in_Bad", "/v1/invoices/in_Bad/void ")
	for _, id := range []string{"in_Draft", "in_Paid", "in_Void"} {
		s.none(b, "only an open or uncollectible one", tool, `{"invoice":"`+id+`"}`)
	}
}

// A preview reads, if that is permitted: it makes no request that writes, and tells no
// address of a customer's.
func TestPreviewInvoice(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	o := billingOptions(b.URL)
	s := serve(t, o)
	const tool = "stripe_preview_invoice"
	if got := s.ok(tool, `{"subscription":"sub_One"}`, `"amount_due":1000`, `"description":"a line"`); strings.Contains(got, secretMail) || strings.Contains(got, secretWord) {
		t.Errorf("got %s", got)
	}
	s.ok(tool, `{"customer":"cus_Pat","items":[{"price":"price_Pro","quantity":2}]}`, `"amount_due":6000`)
	s.none(b, "give a subscription, or", tool, `{}`)
	s.none(b, "give a subscription, or", tool, `{"subscription":"sub_One","customer":"cus_Pat"}`)
	s.none(b, "no id of the resource", tool, `{"subscription":"cus_Pat"}`)
	s.none(b, "no id of the resource", tool, `{"customer":"sub_One","items":[{"price":"price_Pro"}]}`)
	if len(s.questions()) != 0 || b.writes() != 0 {
		t.Errorf("was asked %q, %d requests that write", s.questions(), b.writes())
	}
	o.Permissions = map[string][]string{"invoices": {"create"}}
	c, err := stripetool.New(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, tl := range append(stripetool.ReadTools(c), stripetool.WriteTools(c)...) {
		if tl.Name() == tool {
			t.Error("there is a preview that is not permitted")
		}
	}
}
