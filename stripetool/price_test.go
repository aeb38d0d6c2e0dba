package stripetool

import (
	"encoding/json"
	"testing"
)

func priceFrom(t *testing.T, text string) price {
	t.Helper()
	var p price
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// What several of a price cost is exact, is never less than what is billed, and is not
// told where it cannot be.
func TestPriceTimes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		price string
		n     int64
		want  string
	}{
		{`{"currency":"eur","unit_amount":1900,"unit_amount_decimal":"1900","billing_scheme":"per_unit"}`, 3, "EUR 57.00"},
		{`{"currency":"jpy","unit_amount":500}`, 2, "JPY 1000"},
		{`{"currency":"eur","unit_amount":null,"unit_amount_decimal":"0.05"}`, 1, "EUR 0.01"},
		{`{"currency":"eur","unit_amount":null,"unit_amount_decimal":"0.05"}`, 1000, "EUR 0.50"},
		{`{"currency":"eur","unit_amount":null,"unit_amount_decimal":"0.000000000001"}`, 1_000_000_000, "EUR 0.01"},
		{`{"currency":"eur","unit_amount":0}`, 9, "EUR 0.00"},
		{`{"currency":"eur","unit_amount":1900}`, -1, ""},
		{`{"currency":"eur","unit_amount":-1}`, 1, ""},
		{`{"currency":"eur","unit_amount":9007199254740992}`, 10_000, ""},
		{`{"currency":"eur","unit_amount":null,"unit_amount_decimal":"9999999999999999"}`, 1_000_000_000, ""},
		{`{"currency":"eur","unit_amount":null}`, 1, ""},
		{`{"currency":"eur","unit_amount_decimal":"1e9"}`, 1, ""},
		{`{"currency":"eur","unit_amount_decimal":"1/3"}`, 1, ""},
		{`{"currency":"eur","unit_amount_decimal":"-5"}`, 1, ""},
		{`{"currency":"eur","unit_amount":10,"billing_scheme":"tiered"}`, 1, ""},
		{`{"currency":"eur","unit_amount":10,"transform_quantity":{"divide_by":10}}`, 1, ""},
		{`{"currency":"xxx","unit_amount":10}`, 1, ""},
	} {
		m, ok := priceFrom(t, tc.price).times(tc.n)
		if ok != (tc.want != "") || ok && m.String() != tc.want {
			t.Errorf("%d of %s: got %s, %t, want %q", tc.n, tc.price, m, ok, tc.want)
		}
	}
}

func TestPriceText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"id":"price_1","currency":"eur","unit_amount":1900}`:                                                                       "2 × EUR 19.00 (price_1)",
		`{"id":"price_1","currency":"eur","unit_amount":1900,"recurring":{"interval":"month","interval_count":1}}`:                   "2 × EUR 19.00 every month (price_1)",
		`{"id":"price_1","currency":"eur","unit_amount":1900,"recurring":{"interval":"month","interval_count":3}}`:                   "2 × EUR 19.00 every 3 months (price_1)",
		`{"id":"price_1","currency":"eur","unit_amount":1900,"recurring":{"interval":"\u202emonth"}}`:                                "2 × EUR 19.00 again and again (price_1)",
		`{"id":"price_1","currency":"eur","billing_scheme":"tiered","recurring":{"interval":"year","interval_count":1}}`:             "2 of a price that is not one amount every year (price_1)",
		`{"id":"price_1","currency":"eur","unit_amount":5,"recurring":{"interval":"day","interval_count":1,"usage_type":"metered"}}`: "EUR 0.05 for each unit used every day (price_1)",
		`{"id":"price_1","currency":"eur","unit_amount_decimal":"0.5","recurring":{"interval":"day","usage_type":"metered"}}`:        "0.5 of the smallest unit of EUR for each unit used every day (price_1)",
		`{"id":"gold (EUR 0.01)\n","currency":"eur","unit_amount":1900}`:                                                             `2 × EUR 19.00 ("gold (EUR 0.01)\n")`,
	} {
		if got := priceFrom(t, text).text(2); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

// What customers read is one line of characters that are seen.
func TestCustomersRead(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "Desk, oak", "Größe 2 × 3 – “fein”", "日本語"} {
		if err := customersRead("description", s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"a\nb", "a\rb", "a\tb", "a\x00b", "a\x1bb", "a\u202eb", "a\u2066b", "a\u200bb", "a\u2028b", "a\ufeffb", "a\xffb", "a\U000e0041b"} {
		if customersRead("description", s) == nil {
			t.Errorf("%q is taken", s)
		}
	}
}

// An answer that nothing is masked of has a plain address and plain words.
func TestOnlyPage(t *testing.T) {
	t.Parallel()
	ok := `{"id":"bps_1","object":"x","url":"https://billing.stripe.com/p/session/test_YWNj?x=1\u0026y=2#a"}`
	if err := onlyPage(json.RawMessage(ok)); err != nil {
		t.Error(err)
	}
	for _, s := range []string{`{}`, `[]`, `{"url":null}`, `{"url":""}`, `{"url":"http://billing.stripe.com/x"}`, `{"url":"javascript:alert(1)"}`, `{"url":"https://a@billing.stripe.com/x"}`, `{"url":"https://billing.stripe.com/x y"}`, `{"url":"https://billing.stripe.com/\u202e"}`, `{"url":"https://billing.stripe.com/x","id":"\u200b"}`} {
		if onlyPage(json.RawMessage(s)) == nil {
			t.Errorf("%s is taken", s)
		}
	}
}
