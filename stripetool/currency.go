package stripetool

import "strings"

// decimals are how many decimals Stripe's amounts have, by currency: those of
// ISO 4217, but for MGA, whose fifths Stripe does not count, and for ISK and UGX,
// which have none and are written with two (docs.stripe.com/currencies).
var decimals = func() map[string]int {
	m := map[string]int{}
	for n, list := range []string{
		0: "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF",
		2: "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BWP BYN BZD CAD CDF CHF CNY COP CRC CVE CZK " +
			"DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR ISK JMD KES KGS KHR KYD KZT " +
			"LAK LBP LKR LRD LSL MAD MDL MKD MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN " +
			"QAR RON RSD RUB SAR SBD SCR SEK SGD SHP SLE SOS SRD STD SZL THB TJS TOP TRY TTD TWD TZS UAH UGX USD UYU UZS WST XCD YER ZAR ZMW",
		3: "BHD JOD KWD OMR TND",
	} {
		for _, c := range strings.Fields(list) {
			m[c] = n
		}
	}
	return m
}()
