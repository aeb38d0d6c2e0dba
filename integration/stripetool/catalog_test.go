package stripetool

import (
	"strings"
	"testing"
)

func TestStripeCreateProduct(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, options(b.URL))
	s.ok("stripe_create_product", `{"name":"Tea","description":"green","statement_descriptor":"SHOP TEA","metadata":{"a":"b"}}`, `"name":"Tea"`, `"id":"prod_1"`)
	s.wasAsked(`create a product: name "Tea", description "green", statement_descriptor "SHOP TEA", metadata[a] "b" [`)
	s.ok("stripe_create_product", `{"name":"Cup","description":"`+strings.Repeat("x", 990)+`visit evil"}`)
	s.wasAsked(strings.Repeat("x", 990) + `visit evil" [`) // no part of what customers read is hidden from who confirms it
	s.deny("", "stripe_create_product", `{}`)
	s.deny("", "stripe_create_product", `{"name":"x","statement_descriptor":"12345678901234567890123"}`)
	b.had("POST products", "POST products")
}

func TestStripeUpdateProduct(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, options(b.URL))
	s.ok("stripe_update_product", `{"id":"prod_tea","name":"Teas","active":false,"default_price":"price_tea","description":"d","metadata":{"a":"b"}}`, `"active":false`, `"default_price":"price_tea"`)
	s.wasAsked(`update product prod_tea "Tea": name "Teas" in place of "Tea", description "d" in place of "", default_price "price_tea" in place of "", active "false" in place of "true", metadata[a] "b" in place of "" [`)
	s.ok("stripe_update_product", `{"id":"prod_tea","active":true}`, `"active":true`)
	s.ok("stripe_update_product", `{"id":"prod_tea","active":false}`, `"active":false`)
	s.ok("stripe_update_product", `{"id":"prod_tea","active":true}`, `"active":true`)
	s.wasAsked(`active "true" in place of "false"`)
	s.deny("another product's", "stripe_update_product", `{"id":"prod_tea","default_price":"price_cup"}`)
	s.deny("there is nothing to change", "stripe_update_product", `{"id":"prod_tea"}`)
	s.deny("there is no such object", "stripe_update_product", `{"id":"prod_missing","active":true}`)
	s.deny("", "stripe_update_product", `{"id":"prod_tea","name":""}`)
	if got := len(b.did()); got != 4 {
		t.Errorf("got %d effects", got)
	}
}

func TestStripeCreatePrice(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, options(b.URL))
	for _, tc := range [][3]string{
		{`{"product":"prod_tea","amount":"EUR 4.00"}`, `"unit_amount":400`, `create a price of EUR 4.00, once, for product prod_tea "Tea" [`},
		{`{"product":"prod_tea","amount":"JPY 500","interval":"month","interval_count":3,"usage_type":"metered"}`, `"unit_amount":500`, `a price of JPY 500, every 3 months, for product prod_tea "Tea": recurring[usage_type] "metered" [`},
		{`{"product":"prod_tea","amount":"KWD 1.250","interval":"year","lookup_key":"tea:year","nickname":"Tea","tax_behavior":"inclusive","metadata":{"a":"b"}}`, `"unit_amount":1250`,
			`a price of KWD 1.250, every year, for product prod_tea "Tea": tax_behavior "inclusive", lookup_key "tea:year", nickname "Tea", metadata[a] "b" [`},
		{`{"product":"prod_tea","amount":"USD 0.00"}`, `"id":`, `a price of USD 0.00, once, which is for nothing, for`},
	} {
		s.ok("stripe_create_price", tc[0], tc[1])
		s.wasAsked(tc[2])
	}
	for _, tc := range [][2]string{
		{"amount: an amount must be", `{"product":"prod_tea","amount":"EUR 4"}`},
		{"need an interval", `{"product":"prod_tea","amount":"EUR 4.00","interval_count":2}`},
		{"lookup_key must be", `{"product":"prod_tea","amount":"EUR 4.00","lookup_key":"a b"}`},
		{"there is no such object", `{"product":"prod_missing","amount":"EUR 4.00"}`},
		{"no id of the resource", `{"product":"../prices","amount":"EUR 4.00"}`},
	} {
		s.deny(tc[0], "stripe_create_price", tc[1])
	}
	if got := len(b.did()); got != 4 {
		t.Errorf("got %d effects", got)
	}
}
