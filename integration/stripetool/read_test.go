package stripetool

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

// ids are such as Stripe's of each resource.
func idOf(resource string) string {
	for r, id := range map[string]string{
		"balance_transactions": "txn_1", "charges": "ch_one", "checkout_sessions": "cs_test_1", "customers": "cus_1", "disputes": "dp_1", "events": "evt_1", "invoices": "in_1", "payment_intents": "pi_one", "payment_links": "plink_1",
		"payment_methods": "pm_1", "payouts": "po_1", "prices": "price_1", "promotion_codes": "promo_1", "quotes": "qt_1", "refunds": "re_1", "setup_intents": "seti_1", "subscriptions": "sub_1", "tax_rates": "txr_1",
	} {
		if r == resource {
			return id
		}
	}
	return "own-id"
}

// Each resource is read by requests that Stripe's description of its API allows.
func TestResources(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, options(b.URL))
	for _, r := range stripetool.ResourceNames() {
		s.ok("stripe_get", fmt.Sprintf(`{"resource":%q,"id":%q}`, r, idOf(r)), `"id":`)
		s.ok("stripe_list", fmt.Sprintf(`{"resource":%q,"limit":3}`, r), `"items":[`)
	}
	s.ok("stripe_list", `{"resource":"charges","filter":{"customer":"cus_1"},"created_from":"2026-01-01","created_to":"2026-01-31T12:00:00Z"}`)
	s.ok("stripe_list", `{"resource":"customers","filter":{"email":"ann+x@example.com"}}`)
	for _, r := range []string{"charges", "customers", "invoices", "payment_intents", "prices", "products", "subscriptions"} {
		s.ok("stripe_search", fmt.Sprintf(`{"resource":%q,"where":[{"field":"metadata.order","op":"eq","value":"6735"}]}`, r), `"items":[`)
	}
	s.ok("stripe_account", `{}`, `"live":false`, `"id":`)
	s.ok("stripe_balance", `{}`, `USD 0.00`)
	if b.posts != 0 {
		t.Errorf("tools that read have made %d requests that write", b.posts)
	}
}

// What is no resource, filter, id or cursor is refused, and Stripe is not asked.
func TestReadsRefuse(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	o := options(b.URL)
	o.Resources = []string{"charges", "products"}
	s := serve(t, o)
	for _, tc := range [][3]string{
		{"has not listed this resource", "stripe_get", `{"resource":"customers","id":"cus_1"}`},
		{"the tool's schema", "stripe_list", `{"resource":"../account"}`},
		{"no such filter", "stripe_list", `{"resource":"charges","filter":{"expand[]":"data.customer"}}`},
		{"a filter's value", "stripe_list", `{"resource":"charges","filter":{"customer":"cus_1&expand[]=x"}}`},
		{"no id of the resource", "stripe_list", `{"resource":"charges","after":"cus_1"}`},
		{"no id of the resource", "stripe_get", `{"resource":"charges","id":".."}`},
		{"limit must be", "stripe_list", `{"resource":"charges","limit":51}`},
		{"a date must be", "stripe_list", `{"resource":"charges","created_from":"yesterday"}`},
		{"no quotes", "stripe_search", `{"resource":"charges","where":[{"field":"status","op":"eq","value":"a\" OR amount>0"}]}`},
		{"cannot be searched by this field", "stripe_search", `{"resource":"charges","where":[{"field":"email","op":"eq","value":"a"}]}`},
	} {
		s.deny(tc[0], tc[1], tc[2])
	}
	if len(b.seen) != 0 {
		t.Errorf("Stripe was asked %q", b.seen)
	}
}

// Pages follow each other by ids of what was shown; what does not fit is on the next.
func TestPages(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	var after []string
	b.fault = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		q := r.URL.Query()
		after = append(after, q.Get("starting_after")+"/"+q.Get("limit"))
		_, _ = io.WriteString(w, `{"object":"list","has_more":true,"data":[{"id":"cus_1","description":"`+strings.Repeat("x", 700)+`"},{"id":"cus_2","description":"`+strings.Repeat("y", 700)+`"}],"next_page":"abc"}`)
		return true
	}
	o := options(b.URL)
	o.MaxBytes = 1 << 10
	s := serve(t, o)
	got := s.ok("stripe_list", `{"resource":"customers","limit":2}`, `"more":true`, `"next":"cus_1"`)
	if strings.Contains(got, "cus_2") {
		t.Error("more was returned than fits")
	}
	s.deny("lower limit", "stripe_search", `{"resource":"customers","limit":2,"where":[{"field":"name","op":"eq","value":"x"}]}`)
	s.ok("stripe_list", `{"resource":"customers","limit":2,"after":"cus_1"}`)
	s.deny("", "stripe_list", `{"resource":"customers","limit":1}`) // two where one was asked for
	if want := []string{"/2", "/2", "cus_1/2", "/1"}; !slices.Equal(after, want) {
		t.Errorf("got requests %q, want %q", after, want)
	}
}

// hostile are texts that mean something to a path, a query, JSON, HTTP or a reader.
var hostile = []string{
	"", " ", "..", "../account", "..%2faccount", "%2e%2e", "a/b", "/v1/refunds", "?expand[]=customer", "ch_1?expand[]=customer", "ch_1#x", "ch_1&limit=100", "expand[]", "expand", "*", "%00", "\x00", "ch_1\r\nStripe-Account: acct_1", "ch_1\n",
	"ch_one", "ch_missing", "cus_1", "acct_1", "re_1", "pi_one", "sk_" + "test_x", "search", "own-id", `" OR amount>0 OR status:"`, `\`, `'`, "x' OR amount>0", "-status", "metadata.client_secret", `metadata.a"]:null OR metadata["b`, "payment_method_details.card.fingerprint",
	"EUR 1.00", "EUR -1.00", "EUR 1e3", "eur 1.00", "USD 1.00", "JPY 500.00", "EUR 99999999999999999999.00", "NaN", "-1", "null", "[]", "{}", "\u202eegnahc", "\u200b", "<script>", "file:///etc/passwd", "https://evil.example", strings.Repeat("x", 600),
}

// What may be asked of Stripe by any tool: fixed routes, and ids of their form.
var ours = regexp.MustCompile(`^GET /v1/(account|balance|[a-z_]+|checkout/sessions)(/[A-Za-z0-9_-]+)?$` +
	`|^POST /v1/(refunds|customers|products|prices|payment_intents|setup_intents|coupons|promotion_codes)$|^POST /v1/(customers|products|disputes)/[A-Za-z0-9_-]+$|^DELETE /v1/customers/[A-Za-z0-9_-]+$` +
	`|^POST /v1/payment_intents/[A-Za-z0-9_-]+/(confirm|capture|cancel)$|^POST /v1/payment_methods/[A-Za-z0-9_-]+/(attach|detach)$|^POST /v1/disputes/[A-Za-z0-9_-]+/close$`)

// Each tool is called with hostile texts in each of its arguments, and each resource
// with ordinary ones. No secret leaves, in answers, questions, logs and records, and
// no request is made but those that tools make.
func TestCanaries(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, options(b.URL))
	secrets := []string{secretMail, secretWord, keyBody, "_secret_", "client_secret"}
	pan := strings.Repeat("4242", 4)
	answered, cases := 0, 0
	tools, _ := s.Tools()
	for _, tl := range tools {
		texts := append([]string{pan, "cvc: 123"}, hostile...)
		if usual[tl.Name] == "" {
			texts = append(texts, stripetool.ResourceNames()...)
		}
		for property, ways := range places(tl) {
			for i, text := range texts {
				if usual[tl.Name] != "" && i > 1 && (i+len(property))%2 == 0 {
					continue // there are many properties: each has half of the texts
				}
				raw, err := json.Marshal(text)
				if err != nil {
					t.Fatal(err)
				}
				for _, way := range ways {
					args := ordinary(tl, text)
					args[property] = json.RawMessage(fmt.Sprintf(way, raw))
					all, err := json.Marshal(args)
					if err != nil {
						t.Fatal(err)
					}
					cases++
					a := s.call(tl.Name, string(all))
					if !a.refused {
						answered++
					}
					if (text == pan || text == "cvc: 123") && (!a.refused || !strings.Contains(a.text, "card number") && !strings.Contains(a.text, "arguments")) {
						t.Errorf("%s %s: card data is answered with %s", tl.Name, all, a.text)
					}
				}
			}
		}
	}
	b.mu.Lock()
	b.fault = func(w http.ResponseWriter, _ *http.Request, n int) bool { // now everything goes wrong, in all ways
		w.Header().Set("Request-Id", secretMail)
		w.WriteHeader([]int{400, 401, 402, 403, 404, 500, 418, 200}[n%8])
		_, _ = io.WriteString(w, []string{wrong(secretMail, secretMail, secretMail), secretMail + secretWord, `{"x":"` + secretWord + `"}`}[n%3])
		return true
	}
	b.mu.Unlock()
	tools, _ = s.Tools()
	for _, tl := range tools {
		for range 24 {
			all, err := json.Marshal(ordinary(tl, ""))
			if err != nil {
				t.Fatal(err)
			}
			s.call(tl.Name, string(all))
		}
	}
	for where, text := range map[string]string{"answers and questions": s.said.String(), "the log": s.log.String()} {
		for _, secret := range append(secrets, pan) {
			if at := strings.Index(text, secret); at >= 0 && !(where == "answers and questions" && secret == "client_secret") {
				t.Errorf("%s has %s: …%s…", where, secret, text[max(0, at-200):min(len(text), at+100)])
			}
		}
	}
	for _, r := range b.seen {
		if !ours.MatchString(r) {
			t.Errorf("made the request %q", r)
		}
	}
	if answered < 50 || cases < 500 {
		t.Errorf("%d of %d calls were answered", answered, cases)
	}
	t.Logf("%d calls, %d answered", cases, answered)
}

// places are the ways to put a text into each property.
func places(tl *mcp.Tool) map[string][]string {
	var schema struct {
		Properties map[string]struct{ Type string }
	}
	raw, err := json.Marshal(tl.InputSchema)
	if err != nil || json.Unmarshal(raw, &schema) != nil {
		return nil
	}
	out := map[string][]string{}
	for name, p := range schema.Properties {
		switch {
		case name == "where":
			out[name] = []string{`[{"field":%s,"op":"eq","value":"x"}]`, `[{"field":"status","op":"eq","value":%s}]`, `[{"field":"metadata.a","op":"contains","value":%s}]`}
		case name == "filter":
			out[name] = []string{`{%s:"x"}`, `{"customer":%s}`, `{"email":%s}`}
		case name == "metadata":
			out[name] = []string{`{%s:"x"}`, `{"order":%s}`}
		case name == "evidence":
			out[name] = []string{`{%s:"x"}`, `{"uncategorized_text":%s}`}
		case p.Type == "" || p.Type == "string":
			out[name] = []string{`%s`}
		}
	}
	return out
}

// ordinary are the arguments of a call that a tool answers, for a resource if the text
// is one.
func ordinary(tl *mcp.Tool, text string) map[string]json.RawMessage {
	r := "charges"
	if slices.Contains(stripetool.ResourceNames(), text) {
		r = text
	}
	all := map[string]string{"resource": `"` + r + `"`, "id": `"` + idOf(r) + `"`, "where": `[{"field":"metadata.a","op":"eq","value":"x"}]`, "payment": `"ch_big"`, "amount": `"EUR 0.01"`}
	out := map[string]json.RawMessage{}
	if json.Unmarshal([]byte(usual[tl.Name]), &out) == nil {
		return out
	}
	var schema struct{ Required []string }
	raw, err := json.Marshal(tl.InputSchema)
	if err != nil || json.Unmarshal(raw, &schema) != nil {
		return nil
	}
	for name, v := range all {
		if slices.Contains(schema.Required, name) {
			out[name] = json.RawMessage(v)
		}
	}
	return out
}

// No tool has an effect beyond its set's.
func TestEffects(t *testing.T) {
	t.Parallel()
	c, err := stripetool.New(options("http://127.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tl := range stripetool.ReadTools(c) {
		if tl.Effect() != mcpsec.Read {
			t.Errorf("%s is %s", tl.Name(), tl.Effect())
		}
	}
	for _, tl := range stripetool.WriteTools(c) {
		if tl.Effect() == mcpsec.Read {
			t.Errorf("%s is %s", tl.Name(), tl.Effect())
		}
	}
}
