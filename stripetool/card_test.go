package stripetool

import (
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// Numbers of cards are put together here, so that no scanner finds any.
func pan(parts ...string) string { return strings.Join(parts, "") }

var pans = []string{
	pan("4242", "4242", "4242", "4242"), pan("5555", "5555", "5555", "4444"), pan("2223", "0031", "2200", "3222"), pan("3782", "822463", "10005"),
	pan("6011", "1111", "1111", "1117"), pan("3056", "9309", "0259", "04"), pan("3566", "0020", "2036", "0505"), pan("6200", "0000", "0000", "0005"), pan("4000", "0566", "5566", "5556"),
}

func spread(s, between string) string { return strings.Join(strings.Split(s, ""), between) }

func TestCardNumbersAreRefused(t *testing.T) {
	t.Parallel()
	deny := func(s string) {
		t.Helper()
		if !holdsCard(s) {
			t.Errorf("%q is not seen", s)
		}
	}
	for _, p := range pans {
		deny(p)
		deny("pay with " + p + " please")
		deny("x" + p + "y")
		deny(p[:4] + " " + p[4:8] + " " + p[8:12] + " " + p[12:])
		deny(p[:4] + "-" + p[4:8] + "–" + p[8:12] + ". " + p[12:])
		deny(spread(p, "\u200b"))
		deny(spread(p, " "))
		deny(spread(p, "\u00a0"))
		deny("99" + p)                                                   // behind other digits
		deny(p + "123")                                                  // with its code
		deny(strings.Map(func(r rune) rune { return '０' + r - '0' }, p)) // full width
		deny(strings.Map(func(r rune) rune { return '٠' + r - '0' }, p)) // Arabic-Indic
		deny(strings.Map(func(r rune) rune { return '𝟎' + r - '0' }, p)) // mathematical
	}
	for _, s := range []string{"cvc: 123", "CVC 123", "cvv=1234", "card_cvc:123", "the security code is 123", "security-code 123", "CVV2: 123", "card verification value 1234", `{"cvc":"123"}`} {
		deny(s)
	}
}

func TestOtherNumbersAreNone(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "1700000000", "1700000000000", "2026-01-31T12:00:00Z", "EUR 90071992547409.92", "ch_3N1abcDEF4242kLm", "cus_P24242424242ab", "9007199254740993", "+49 30 901820", "DE89370400440532013000",
		pan("4242", "4242", "4242", "4241"), "4242", "cvc", "cvc passed", "order 123", "incident 123", "4111 1111", "100 200 300 400", "0000000000000000", "1111111111111117",
	} {
		if holdsCard(s) {
			t.Errorf("%q is taken for card data", s)
		}
	}
}

// The guard looks at all that a call brings: names and numbers, too.
func TestCardsInAnyArgument(t *testing.T) {
	t.Parallel()
	type in struct {
		Text   string
		List   []string
		Filter map[string]string
		Number int64
		Deep   []condition
	}
	p := pans[0]
	for name, v := range map[string]in{
		"text": {Text: p}, "list": {List: []string{"a", p}}, "name": {Filter: map[string]string{p: "x"}}, "value": {Filter: map[string]string{"x": p}},
		"number": {Number: 4242_4242_4242_4242}, "deep": {Deep: []condition{{Value: "a " + p}}}, "code by its name": {Filter: map[string]string{"cvc": "123"}},
	} {
		if err := noCards(t.Context(), &mcpsec.Call{Args: v}); err != errCard {
			t.Errorf("%s: got error %v", name, err)
		}
	}
	if err := noCards(t.Context(), &mcpsec.Call{Args: in{Text: "cus_123", Number: 1900, Filter: map[string]string{"customer": "cus_1"}}}); err != nil {
		t.Errorf("got error %v", err)
	}
}

func FuzzHoldsCard(f *testing.F) {
	f.Add("4242 4242", "-")
	f.Fuzz(func(t *testing.T, before, after string) {
		_ = holdsCard(before + after)
		letter := "x"
		if !holdsCard(before + letter + pans[0] + letter + after) {
			t.Errorf("the number between %q and %q is not seen", before, after)
		}
	})
}
