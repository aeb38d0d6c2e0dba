package stripetool

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/stripetool"
)

// optIn are the resources that ResourceNames does not have.
var optIn = map[string]struct{ id, filter, path, shows string }{
	"accounts":                           {"acct_1", ``, "accounts", `"charges_enabled":`},
	"climate_orders":                     {"climorder_1", ``, "climate/orders", `"metric_tons":"10"`},
	"climate_products":                   {"climsku_1", ``, "climate/products", `"delivery_year":2027`},
	"climate_suppliers":                  {"climsup_1", ``, "climate/suppliers", `"removal_pathway":`},
	"financial_connections_accounts":     {"fca_1", `"account_holder[customer]":"cus_1"`, "financial_connections/accounts", `"institution_name":`},
	"financial_connections_transactions": {"fctxn_1", `"account":"fca_1"`, "financial_connections/transactions", `"amount":300`},
	"issuing_authorizations":             {"iauth_1", `"card":"ic_1"`, "issuing/authorizations", `"approved":true`},
	"issuing_cardholders":                {"ich_1", `"status":"active"`, "issuing/cardholders", `"name":"Jenny Rosen"`},
	"issuing_cards":                      {"ic_1", `"cardholder":"ich_1"`, "issuing/cards", `"last4":"4242"`},
	"issuing_disputes":                   {"idp_1", `"transaction":"ipi_1"`, "issuing/disputes", `"reason":"fraudulent"`},
	"issuing_transactions":               {"ipi_1", `"card":"ic_1"`, "issuing/transactions", `"merchant_data":{`},
	"terminal_locations":                 {"tml_1", ``, "terminal/locations", `"display_name":`},
	"terminal_readers":                   {"tmr_1", `"location":"tml_1"`, "terminal/readers", `"serial_number":`},
	"treasury_financial_accounts":        {"fa_1", ``, "treasury/financial_accounts", `"cash":{"usd":0}`},
	"treasury_transactions":              {"trxn_1", `"financial_account":"fa_1"`, "treasury/transactions", `"flow_type":`},
}

// named are options for some of these resources, and for no change.
func named(url string, names ...string) stripetool.Options {
	o := options(url)
	o.Resources, o.Permissions = names, nil
	return o
}

// Each is read by requests that Stripe's description of its API allows, and is trimmed:
// whatever else stands in any object, at any depth, does not leave.
func TestOptInResources(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	var names []string
	for name := range optIn {
		names = append(names, name)
	}
	b.fault = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		status, text := b.check(r, nil)
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Error(err)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(marshal(spiked(v))))
		return true
	}
	s := serve(t, named(b.URL, names...))
	for name, is := range optIn {
		s.ok("stripe_get", fmt.Sprintf(`{"resource":%q,"id":%q}`, name, is.id), `"id":`, is.shows)
		s.ok("stripe_list", fmt.Sprintf(`{"resource":%q,"limit":3,"filter":{%s}}`, name, is.filter), `"id":`, is.shows)
		for _, want := range []string{"GET /v1/" + is.path, "GET /v1/" + is.path + "/" + is.id} {
			if !slices.Contains(b.seen, want) {
				t.Errorf("%s: there is no request %s", name, want)
			}
		}
		s.deny("no id of the resource", "stripe_get", fmt.Sprintf(`{"resource":%q,"id":"ch_1"}`, name))
		s.deny("no such filter", "stripe_list", fmt.Sprintf(`{"resource":%q,"filter":{"expand[]":"data.number"}}`, name))
	}
	for _, name := range []string{"treasury_transactions", "financial_connections_transactions"} {
		s.deny("is listed with the filter", "stripe_list", fmt.Sprintf(`{"resource":%q}`, name))
	}
	s.deny("by date", "stripe_list", `{"resource":"terminal_readers","created_from":"2026-01-01"}`)
	s.ok("stripe_list", `{"resource":"issuing_cards","created_from":"2026-01-01"}`)
	for where, text := range map[string]string{"what left": s.said.String(), "the log": s.log.String()} {
		for _, secret := range []string{secretMail, secretWord, keyBody, "client_secret", "jenny@example.com", "+18008675309", "123 Fake St", "192.168.2.2", "0000000001"} {
			if at := strings.Index(text, secret); at >= 0 {
				t.Errorf("%s has %s: …%s…", where, secret, text[max(0, at-200):min(len(text), at+100)])
			}
		}
	}
	if b.posts != 0 {
		t.Errorf("made %d requests that write", b.posts)
	}
}

// spiked puts what must not leave into all objects, but for those whose members are
// currencies, and names that the account chose.
func spiked(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = spiked(v[i])
		}
	case map[string]any:
		for name, sub := range v {
			if !slices.Contains(strings.Fields("metadata capabilities cash inbound_pending outbound_pending current_prices_per_metric_ton"), name) {
				v[name] = spiked(sub)
			}
		}
		secret := map[string]any{"number": secretWord, "account_number": secretWord, "first_name": secretWord, "dob": map[string]any{"day": secretWord}, "ssn_last_4": secretWord, "id_number": secretWord}
		for _, name := range strings.Fields("number cvc client_secret registration_code account_number routing_number url hosted_url fingerprint ssn_last_4") {
			v[name] = secretWord
		}
		for _, name := range strings.Fields("email phone_number ip_address") {
			v[name] = secretMail
		}
		for _, name := range strings.Fields("individual billing company person persons external_accounts financial_addresses owners verification flow_details") {
			v[name] = map[string]any{"data": []any{secret}, "address": secret, "aba": secret, "id": secretWord}
		}
		v["metadata"] = map[string]any{"order": "6735", "client_secret": secretWord}
	}
	return v
}

// Who has not named them does not read them, and no model is told of them.
func TestOptInIsOff(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	for _, names := range [][]string{stripetool.ResourceNames(), {"issuing_cards"}} {
		s := serve(t, named(b.URL, names...))
		for name, is := range optIn {
			if slices.Equal(names, []string{name}) {
				continue
			}
			s.deny("has not listed this resource", "stripe_get", fmt.Sprintf(`{"resource":%q,"id":%q}`, name, is.id))
			s.deny("", "stripe_list", fmt.Sprintf(`{"resource":%q,"filter":{%s}}`, name, is.filter))
			if tools, _ := s.Tools(); strings.Contains(marshal(tools), `"`+name+`"`) {
				t.Errorf("%s is shown to a model", name)
			}
		}
	}
	if len(b.seen) != 0 {
		t.Errorf("Stripe was asked %q", b.seen)
	}
}
