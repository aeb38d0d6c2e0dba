package stripetool

import "testing"

func TestStripeCreateCoupon(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, options(b.URL))
	for _, tc := range [][3]string{
		{`{"percent_off":12.5,"duration":"once","max_redemptions":10,"name":"Spring","metadata":{"a":"b"}}`, `"id":`, `create a coupon of 12.5 % off, once, used at most 10 times: name "Spring", metadata[a] "b" [`},
		{`{"percent_off":100,"duration":"forever","max_redemptions":1}`, `"percent_off":100`, `create a coupon of 100 % off, for ever: it makes what it is used for free, and nothing is paid, used at most 1 times [`},
		{`{"amount_off":"EUR 5.00","duration":"repeating","duration_in_months":3,"max_redemptions":10}`, `"amount_off":500`, `create a coupon of EUR 5.00 off, for 3 months, used at most 10 times [`},
		{`{"amount_off":"JPY 500","duration":"once","max_redemptions":10}`, `"amount_off":500`, `JPY 500 off`},
	} {
		s.ok("stripe_create_coupon", tc[0], tc[1])
		s.wasAsked(tc[2])
	}
	for _, tc := range [][2]string{
		{"one of percent_off and amount_off", `{"duration":"once","max_redemptions":1}`},
		{"one of percent_off and amount_off", `{"percent_off":5,"amount_off":"EUR 1.00","duration":"once","max_redemptions":1}`},
		{"", `{"percent_off":100.01,"duration":"once","max_redemptions":1}`},
		{"", `{"percent_off":-5,"duration":"once","max_redemptions":1}`},
		{"two decimals", `{"percent_off":5.125,"duration":"once","max_redemptions":1}`},
		{"two decimals", `{"percent_off":1e-9,"duration":"once","max_redemptions":1}`},
		{"at most EUR 50.00", `{"amount_off":"EUR 50.01","duration":"once","max_redemptions":1}`},
		{"no cap for this currency", `{"amount_off":"USD 1.00","duration":"once","max_redemptions":1}`},
		{"duration_in_months", `{"percent_off":5,"duration":"repeating","max_redemptions":1}`},
		{"duration_in_months", `{"percent_off":5,"duration":"once","duration_in_months":2,"max_redemptions":1}`},
		{"", `{"percent_off":5,"duration":"once"}`},
		{"", `{"percent_off":5,"duration":"once","max_redemptions":0}`},
	} {
		s.deny(tc[0], "stripe_create_coupon", tc[1])
	}
	if got := len(b.did()); got != 4 {
		t.Errorf("got %d effects", got)
	}
}

func TestStripeCreatePromotionCode(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, options(b.URL))
	for _, tc := range [][2]string{
		{`{"coupon":"half","code":"SPRING","max_redemptions":10}`, `create a promotion code, used at most 10 times, by which whoever knows it gets 50 % off, once, coupon half "half": code "SPRING" [`},
		{`{"coupon":"free","customer":"cus_Ann","max_redemptions":1,"metadata":{"a":"b"}}`, `by which customer cus_Ann "Ann" gets 100 % off, for ever: it makes what it is used for free, and nothing is paid, coupon free`},
		{`{"coupon":"fiver","max_redemptions":1}`, `gets EUR 5.00 off, for 3 months`},
	} {
		s.ok("stripe_create_promotion_code", tc[0], `"id":`)
		s.wasAsked(tc[1])
	}
	for _, tc := range [][2]string{
		{"at most EUR 50.00", `{"coupon":"huge","max_redemptions":1}`},
		{"cannot be used any more", `{"coupon":"spent","max_redemptions":1}`},
		{"there is no such object", `{"coupon":"missing","max_redemptions":1}`},
		{"no id of the resource", `{"coupon":"../customers","max_redemptions":1}`},
		{"code must be", `{"coupon":"half","code":"a b","max_redemptions":1}`},
		{"", `{"coupon":"half"}`},
	} {
		s.deny(tc[0], "stripe_create_promotion_code", tc[1])
	}
	b.had("POST promotion_codes", "POST promotion_codes", "POST promotion_codes")
}
