package stripetool

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

// billingCalls are arguments that each tool answers, if only once.
var billingCalls = map[string]string{
	"stripe_create_checkout_session":       `{"mode":"payment","items":[{"price":"price_Desk"}],"success_url":"https://shop.example.com/pay","cancel_url":"https://shop.example.com/pay","customer":"cus_Pat","client_reference_id":"u"}`,
	"stripe_create_payment_link":           `{"items":[{"price":"price_Desk"}],"after_completion_url":"https://shop.example.com/pay"}`,
	"stripe_update_payment_link":           `{"id":"plink_On","active":true}`,
	"stripe_create_billing_portal_session": `{"customer":"cus_Pat","return_url":"https://shop.example.com/pay"}`,
	"stripe_create_invoice":                `{"customer":"cus_Pat","currency":"EUR","description":"x"}`,
	"stripe_add_invoice_item":              `{"invoice":"in_Mailed","amount":"EUR 0.01","description":"x"}`,
	"stripe_finalize_invoice":              `{"invoice":"in_Draft"}`,
	"stripe_send_invoice":                  `{"invoice":"in_Open"}`,
	"stripe_void_invoice":                  `{"invoice":"in_Bad"}`,
	"stripe_preview_invoice":               `{"subscription":"sub_One"}`,
	"stripe_create_subscription":           `{"customer":"cus_Pat","items":[{"price":"price_Basic"}],"coupon":"HALF"}`,
	"stripe_update_subscription":           `{"subscription":"sub_One","quantity":2}`,
	"stripe_cancel_subscription":           `{"subscription":"sub_Two","when":"period_end"}`,
	"stripe_create_usage_record":           `{"item":"si_Calls","quantity":1}`,
}

// What billing's tools may ask of Stripe.
var billingRoutes = regexp.MustCompile(`^GET /v1/(account|balance|invoices/upcoming|(checkout/sessions|[a-z_]+)(/[A-Za-z0-9_-]+)?)$` +
	`|^POST /v1/(checkout/sessions|payment_links(/plink_\w+)?|billing_portal/sessions|invoiceitems|invoices(/in_\w+/(finalize|send|void))?|subscriptions(/sub_\w+)?|subscription_items/si_\w+/usage_records)$|^DELETE /v1/subscriptions/sub_\w+$`)

// Each tool of billing is called with hostile texts in each of its arguments, then with
// all going wrong. No secret leaves; the address of a page leaves only by what makes it;
// no request is made but those that the tools make.
func TestBillingCanaries(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, billingOptions(b.URL))
	pages := map[string]bool{"stripe_create_checkout_session": true, "stripe_create_payment_link": true, "stripe_update_payment_link": true, "stripe_create_billing_portal_session": true}
	cases, answered, n := 0, map[string]int{}, 0
	try := func(tool string, args map[string]json.RawMessage) answer {
		n++
		if tool != "stripe_preview_invoice" && args["idempotency_key"] == nil {
			args["idempotency_key"] = json.RawMessage(fmt.Sprintf(`"k%d"`, n))
		}
		a := s.call(tool, marshal(args))
		if cases++; !a.refused {
			answered[tool]++
		}
		for _, secret := range []string{secretMail, secretWord, keyBody, "_secret_", secretPage} {
			if strings.Contains(a.text, secret) && !(secret == secretPage && pages[tool] && !a.refused) {
				t.Errorf("%s %s: the answer has %s: %s", tool, marshal(args), secret, a.text)
			}
		}
		return a
	}
	pan := strings.Repeat("4242", 4)
	tools, _ := s.Tools()
	for _, tl := range tools {
		if billingCalls[tl.Name] == "" {
			continue
		}
		try(tl.Name, billingArgs(t, tl.Name))
		for property := range members(t, tl.InputSchema) {
			for i, text := range append([]string{pan, "cvc: 123"}, hostile...) {
				if i > 1 && (i+len(property))%3 != 0 { // other texts for another argument
					continue
				}
				args := billingArgs(t, tl.Name)
				args[property] = json.RawMessage(marshal(text))
				if property == "items" {
					args[property] = json.RawMessage(`[{"price":` + marshal(text) + `}]`)
				}
				if a := try(tl.Name, args); (text == pan || text == "cvc: 123") && !a.refused {
					t.Errorf("%s: card data in %s is answered with %s", tl.Name, property, a.text)
				}
			}
		}
	}
	b.mu.Lock()
	b.fault = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if r.Method == http.MethodGet && n%2 == 0 {
			return false
		}
		w.Header().Set("Request-Id", secretMail)
		w.WriteHeader([]int{400, 401, 402, 403, 404, 500, 418, 200}[n%8])
		_, _ = io.WriteString(w, []string{wrong(secretMail, secretMail, secretMail), secretMail + secretWord, `{"x":"` + secretWord + `"}`}[n%3])
		return true
	}
	b.mu.Unlock()
	for tool := range billingCalls {
		for range 6 {
			try(tool, billingArgs(t, tool))
		}
	}
	for _, secret := range []string{secretMail, secretWord, keyBody, "_secret_", secretPage, pan} {
		if strings.Contains(s.log.String()+strings.Join(s.questions(), "\n"), secret) {
			t.Errorf("the log or a question has %s", secret)
		}
	}
	for _, r := range b.seen {
		if !billingRoutes.MatchString(r) {
			t.Errorf("made the request %q", r)
		}
	}
	for tool := range billingCalls {
		if answered[tool] == 0 {
			t.Errorf("%s was never answered", tool)
		}
	}
	t.Logf("%d calls, answered: %v", cases, answered)
}

func billingArgs(t *testing.T, tool string) map[string]json.RawMessage {
	t.Helper()
	var args map[string]json.RawMessage
	if err := json.Unmarshal([]byte(billingCalls[tool]), &args); err != nil {
		t.Fatal(err)
	}
	return args
}

func members(t *testing.T, schema any) map[string]any {
	t.Helper()
	var s struct{ Properties map[string]any }
	if err := json.Unmarshal([]byte(marshal(schema)), &s); err != nil {
		t.Fatal(err)
	}
	return s.Properties
}

// Addresses of pages are not read: who may list links, invoices and sessions is not
// their customer.
func TestPagesAreNotRead(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, billingOptions(b.URL))
	for _, args := range []string{`{"resource":"payment_links","id":"plink_On"}`, `{"resource":"invoices","id":"in_Open"}`, `{"resource":"subscriptions","id":"sub_One"}`} {
		if got := s.ok("stripe_get", args); strings.Contains(got, secretPage) || strings.Contains(got, "https:") {
			t.Errorf("%s: got %s", args, got)
		}
	}
}

// What can be undone and reaches nobody can be done without a person, and nothing else.
func TestBillingUnasked(t *testing.T) {
	t.Parallel()
	quiet := map[string]bool{"checkout_sessions create": true, "payment_links create": true, "payment_links update": true, "invoices create": true, "invoices add_item": true}
	for resource, actions := range billingOptions("http://127.0.0.1:1").Permissions {
		for _, action := range actions {
			o := billingOptions("http://127.0.0.1:1")
			o.Unasked = map[string][]string{resource: {action}}
			if _, err := stripetool.New(o); (err == nil) != quiet[resource+" "+action] {
				t.Errorf("%s %s unasked: got error %v", resource, action, err)
			}
		}
	}
	o := billingOptions("http://127.0.0.1:1")
	c, err := stripetool.New(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, tl := range stripetool.WriteTools(c) {
		if (tl.Effect() == mcpsec.Read) != (tl.Name() == "stripe_preview_invoice") {
			t.Errorf("%s is %s", tl.Name(), tl.Effect())
		}
	}
}
