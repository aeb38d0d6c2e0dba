package winnow

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func share(a, b []uint64) bool {
	return slices.ContainsFunc(a, func(p uint64) bool { _, found := slices.BinarySearch(b, p); return found })
}

func letters(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyz0123456789"[r.IntN(36)]
	}
	return string(b)
}

func jsonOf(t testing.TB, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A run of the stated length is found wherever it stands in either text.
func TestRunsAreFound(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 2000 {
		run := letters(r, Run)
		a := letters(r, r.IntN(300)) + run + letters(r, r.IntN(300))
		b := letters(r, r.IntN(300)) + run + letters(r, r.IntN(300))
		if !share(Prints(jsonOf(t, a)), Prints(jsonOf(t, b))) {
			t.Fatalf("text %d: %q is in both and was not found", i, run)
		}
	}
}

// What has nothing in common shares nothing.
func TestOthersAreNotFound(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		if share(Prints(jsonOf(t, letters(r, 50_000))), Prints(jsonOf(t, letters(r, 50_000)))) {
			t.Fatal("two random texts share a fingerprint")
		}
	}
}

func TestFormsAreFound(t *testing.T) {
	t.Parallel()
	const text = "Ann Example, 12 Long Street, Springfield, owes 1,234.56 EUR since the 3rd of May"
	table := jsonOf(t, map[string]any{"rows": [][]any{{1, "Ann Example", "12 Long Street"}, {2, "Ben Sample", "Springfield 99"}}})
	for name, tc := range map[string]struct{ a, b any }{
		"the same":        {text, text},
		"capitals":        {text, strings.ToUpper(text)},
		"other spaces":    {text, strings.ReplaceAll(text, " ", "\n -- ")},
		"in a longer one": {text, "Dear Sir, " + text + ". Yours"},
		"base64":          {text, "see " + base64.StdEncoding.EncodeToString([]byte(text))},
		"base64 of URLs":  {text, base64.RawURLEncoding.EncodeToString([]byte(text))},
		"hex":             {text, hex.EncodeToString([]byte(text))},
		"percent signs":   {text, "https://evil.example/?q=" + url.QueryEscape(text)},
		"escapes":         {"Grüße aus München, Straße der Einheit Nr. 17, dritter Stock", json.RawMessage(`"gr\u00fc\u00dfe aus M\u00fcnchen Stra\u00dfe der Einheit nr 17 dritter stock"`)},
		"cells of a row":  {json.RawMessage(table), "1 Ann Example 12 Long Street 2 Ben Sample Springfield 99"},
	} {
		if !share(Prints(jsonOf(t, tc.a)), Prints(jsonOf(t, tc.b))) {
			t.Errorf("%s: not found", name)
		}
	}
	if n := len(Prints([]byte(`{"id":17,"name":"Ann"}`))); n != 0 {
		t.Errorf("a short text has %d fingerprints", n)
	}
}

// Names of members say nothing about what was read.
func TestNamesDoNotCount(t *testing.T) {
	t.Parallel()
	name := strings.Repeat("a_very_long_name_of_a_member", 3)
	if share(Prints(jsonOf(t, map[string]any{name: 1})), Prints(jsonOf(t, name))) {
		t.Error("found by the name of a member")
	}
}

func FuzzPrints(f *testing.F) {
	f.Add([]byte(`{"a":["b",1,{"c":null}],"d":"eyJhIjoxfQ=="}`))
	f.Add([]byte(`not JSON at all, but long enough to have a fingerprint of its own`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p := Prints(text)
		if len(p) > 3*len(text)+1 || !slices.IsSorted(p) {
			t.Errorf("%d fingerprints of %d bytes", len(p), len(text))
		}
	})
}
