package stripetool

import (
	"context"
	"encoding/json"
	"strings"
	"unicode"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

var errCard = &mcpsec.Error{Message: "a card number or its security code must not be in arguments: cards are entered on Stripe's own pages, by whom they belong to", Rule: "card"}

// noCards is a guard of every tool: no card data anywhere in the arguments, in
// names of members and numbers neither.
func noCards(_ context.Context, c *mcpsec.Call) error {
	raw, err := json.Marshal(c.Args)
	if err != nil {
		return err
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	for name := ""; ; {
		t, err := d.Token()
		if err != nil {
			return nil // the end: what Marshal has written is JSON
		}
		switch t := t.(type) {
		case string:
			if holdsCard(t) || codeValue().MatchString(name+": "+t) {
				return errCard
			}
			name = t
		case json.Number:
			if holdsCard(t.String()) || codeValue().MatchString(name+": "+t.String()) {
				return errCard
			}
		}
	}
}

// codeValue is a security code that is called one.
var codeValue = lazy.Regexp(`(?i)(\b|_)(cvc2?|cvv2?|cvn2?|cid|csc|security[ _-]*code|card[ _-]*verification([ _-]*(code|value|number))?)\W{0,5}(is|code|number)?\W{0,5}\d{3,4}(\D|$)`)

// maxBetween is how many characters may stand between two digits of a number.
const maxBetween = 3

// holdsCard reports whether a text holds a card number, whatever its digits are
// written in and whatever stands between them.
func holdsCard(s string) bool {
	if codeValue().MatchString(s) {
		return true
	}
	var run []byte
	gap := 0
	for _, r := range s {
		d, ok := digit(r)
		switch {
		case ok:
			run, gap = append(run, d), 0
		case gap < maxBetween && separates(r):
			gap++
		default:
			if cardIn(run) {
				return true
			}
			run, gap = run[:0], 0
		}
	}
	return cardIn(run)
}

// separates reports whether people, or those who hide a number, write r between
// digits.
func separates(r rune) bool {
	return unicode.IsSpace(r) || unicode.In(r, unicode.Pd, unicode.Cf, unicode.Zs, unicode.Mn) || strings.ContainsRune("._,'·*|", r)
}

// digit is the value of a decimal digit of any script.
func digit(r rune) (byte, bool) {
	if r < unicode.MaxLatin1 {
		return byte(r - '0'), r >= '0' && r <= '9'
	}
	for _, t := range unicode.Nd.R16 {
		if r >= rune(t.Lo) && r <= rune(t.Hi) {
			return byte((r - rune(t.Lo)) % 10), true
		}
	}
	for _, t := range unicode.Nd.R32 {
		if r >= rune(t.Lo) && r <= rune(t.Hi) {
			return byte((r - rune(t.Lo)) % 10), true
		}
	}
	return 0, false
}

// cardIn reports whether digits hold a number that a card can have.
func cardIn(digits []byte) bool {
	for i := range digits {
		for _, n := range lengths(digits[i:]) {
			if i+n <= len(digits) && luhn(digits[i:i+n]) {
				return true
			}
		}
	}
	return false
}

// lengths are those of a card number that begins so (ISO/IEC 7812), or none.
func lengths(d []byte) []int {
	if len(d) < 14 {
		return nil
	}
	switch n := int(d[0])*1000 + int(d[1])*100 + int(d[2])*10 + int(d[3]); {
	case d[0] == 4: // Visa
		return []int{16, 19}
	case n/100 >= 51 && n/100 <= 55, n >= 2221 && n <= 2720: // Mastercard
		return []int{16}
	case n/100 == 34, n/100 == 37: // American Express
		return []int{15}
	case n/10 >= 300 && n/10 <= 305, n/100 == 36, n/100 == 38, n/100 == 39: // Diners Club
		return []int{14, 16}
	case n >= 3528 && n <= 3589: // JCB
		return []int{16}
	case n == 6011, n/100 == 62, n/100 == 64, n/100 == 65, n/100 == 60, n/100 == 81, n/100 == 82, n/100 == 50, n/100 >= 56 && n/100 <= 58, n/100 == 63, n/100 == 67, n/100 == 68: // Discover, UnionPay, RuPay, Maestro
		return []int{16, 17, 18, 19}
	}
	return nil
}

// luhn is the check of ISO/IEC 7812-1, annex B.
func luhn(d []byte) bool {
	sum, double := 0, false
	for i := len(d) - 1; i >= 0; i-- {
		n := int(d[i])
		if double {
			if n *= 2; n > 9 {
				n -= 9
			}
		}
		sum, double = sum+n, !double
	}
	return sum%10 == 0
}
