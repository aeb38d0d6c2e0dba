package stripetool

import (
	"strings"
	"testing"
)

func TestMoney(t *testing.T) {
	t.Parallel()
	allow := func(s string, amount int64, currency string) {
		t.Helper()
		m, err := ParseMoney(s)
		if err != nil || m != (Money{amount, currency}) {
			t.Errorf("%q: got %v and error %v", s, m, err)
		}
		if m.String() != s {
			t.Errorf("%q is written as %q", s, m)
		}
	}
	deny := func(s string) {
		t.Helper()
		if m, err := ParseMoney(s); err == nil {
			t.Errorf("%q: got %v, want an error", s, m)
		}
	}
	allow("EUR 19.00", 1900, "EUR")
	allow("EUR 0.01", 1, "EUR")
	allow("USD 0.00", 0, "USD")
	allow("EUR 90071992547409.92", 1<<53, "EUR")
	allow("JPY 500", 500, "JPY")
	allow("KRW 1", 1, "KRW")
	allow("KWD 1.250", 1250, "KWD")
	allow("BHD 0.010", 10, "BHD")
	allow("ISK 500.00", 50000, "ISK")
	allow("UGX 500.00", 50000, "UGX")
	allow("HUF 10.50", 1050, "HUF")
	allow("MGA 5", 5, "MGA")
	for _, s := range []string{
		"", "EUR", "EUR ", " EUR 1.00", "EUR 1.00 ", "EUR  1.00", "EUR\t1.00", "eur 19.00", "Eur 19.00", "ZZZ 1.00", "BTC 1.00", "19.00 EUR", "EUR19.00", "€19.00",
		"EUR 1900", "EUR 19", "EUR 19.0", "EUR 19.000", "EUR .19", "EUR 19.", "EUR 019.00", "EUR 00.00", "EUR -1.00", "EUR +1.00", "EUR 1,900.00", "EUR 19,00", "EUR 1e3.00", "EUR 0x1.00", "EUR 1_0.00", "EUR ١٩.٠٠",
		"JPY 500.00", "JPY 5.0", "JPY 500.", "KWD 1.25", "KWD 1.251", "ISK 500", "ISK 500.50", "UGX 0.01",
		"EUR 90071992547409.93", "EUR 99999999999999999999.00", "EUR NaN", "EUR 1.0\x00", "EUR 1.00\n",
	} {
		deny(s)
	}
}

// The exponents of Stripe's list, written a second time, from the other side.
func TestDecimals(t *testing.T) {
	t.Parallel()
	for digits, list := range map[int]string{
		0: "JPY KRW VND CLP PYG XAF XOF XPF BIF DJF GNF KMF MGA RWF VUV", 3: "BHD JOD KWD OMR TND",
		2: "EUR USD GBP CHF ISK UGX HUF TWD CZK SEK PLN BRL INR MXN AED SGD",
	} {
		for _, c := range strings.Fields(list) {
			if got, ok := decimals[c]; !ok || got != digits {
				t.Errorf("%s has %d decimals (%t), want %d", c, got, ok, digits)
			}
		}
	}
	counts := map[int]int{}
	for c, n := range decimals {
		counts[n]++
		if len(c) != 3 || strings.ToUpper(c) != c {
			t.Errorf("%q is no currency", c)
		}
	}
	if counts[0] != 15 || counts[3] != 5 {
		t.Errorf("got %v currencies by decimals", counts)
	}
}

// iso4217 is table A.1 of ISO 4217, by minor units, with codes that it has withdrawn and
// Stripe still takes.
var iso4217 = map[int]string{
	0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
	2: "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK " +
		"DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL " +
		"MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP " +
		"SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG ANG BGN STD",
	3: "BHD IQD JOD KWD LYD OMR TND",
	4: "CLF UYW",
}

// All currencies have the decimals of ISO 4217, but for those that Stripe writes otherwise.
func TestDecimalsAreISO4217(t *testing.T) {
	t.Parallel()
	iso := map[string]int{}
	for digits, list := range iso4217 {
		for _, c := range strings.Fields(list) {
			iso[c] = digits
		}
	}
	stripes := map[string]int{"ISK": 2, "UGX": 2, "MGA": 0} // docs.stripe.com/currencies
	for c, got := range decimals {
		want, known := iso[c]
		if s, ok := stripes[c]; ok {
			want = s
		}
		if !known || got != want {
			t.Errorf("%s has %d decimals, want %d (known %t)", c, got, want, known)
		}
	}
}

func TestMoneyString(t *testing.T) {
	t.Parallel()
	for want, m := range map[string]Money{
		"no amount": {}, "EUR 0.05": {5, "EUR"}, "KWD 0.005": {5, "KWD"}, "JPY 0": {0, "JPY"},
	} {
		if got := m.String(); got != want {
			t.Errorf("%#v: got %q, want %q", m, got, want)
		}
	}
	for _, m := range []Money{{-1, "EUR"}, {1, "eur"}} {
		if got := m.String(); got != "no amount" {
			t.Errorf("%#v: got %q", m, got)
		}
	}
	if _, err := stripeMoney(1<<53+1, "eur"); err == nil {
		t.Error("an amount that is not exact is taken from an answer")
	}
}

func FuzzParseMoney(f *testing.F) {
	for _, s := range []string{"EUR 19.00", "JPY 500", "KWD 1.250", "EUR 1900", "eur 1.00", "EUR 0.00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if m, err := ParseMoney(s); err == nil && (m.String() != s || m.check() != nil) {
			t.Errorf("%q is read as %#v, which is written as %q", s, m, m)
		}
	})
}
