package stripetool

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// mangled are what stands in place of a member of an answer.
var mangled = []any{nil, "", "x\u202e\nEUR 1.00", `" EUR 1.00`, -1, 1.5, 9e18, 1e300, true, []any{}, object{}, []any{object{"id": "x"}}, strings.Repeat("é", 3000), "cus_Other", "EUR", "0x10", "draft"}

// mangle puts something else in the place of one member, counted from the outside.
func mangle(v any, n *int, with any) any {
	if *n--; *n == 0 {
		return with
	}
	switch v := v.(type) {
	case object:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			v[k] = mangle(v[k], n, with)
		}
	case []any:
		for i := range v {
			v[i] = mangle(v[i], n, with)
		}
	}
	return v
}

// spoil mangles some answers of the bank, and is where a request that writes ends.
func (b *bank) spoil(r *rand.Rand) func(http.ResponseWriter, *http.Request, int) bool {
	return func(w http.ResponseWriter, rq *http.Request, _ int) bool {
		text, status := b.read(rq)
		if status == 0 {
			status, text = b.check(rq, nil)
		}
		var v any
		if rq.Method != http.MethodGet || json.Unmarshal([]byte(text), &v) != nil {
			b.t.Errorf("%s %s is asked, and nobody has said yes", rq.Method, rq.URL)
			return true
		}
		n := 1 + r.IntN(25)
		raw, err := json.Marshal(mangle(v, &n, mangled[r.IntN(len(mangled))]))
		if err != nil {
			b.t.Error(err)
		}
		w.WriteHeader(status)
		_, _ = w.Write(raw)
		return true
	}
}

var (
	inQuotes  = regexp.MustCompile(`"([^"\\]|\\.)*"`)
	nameless  = regexp.MustCompile(`item (of|cus_)|(customer|invoice|subscription) ([,;]|of|does|from|to) `)
	plainText = regexp.MustCompile(`^[ -~×éåä…]*$`)
)

// Whatever stands in the answers that a person is to be asked with: no tool panics,
// nothing of it is read as the server's own words, and nothing is named that is none.
func TestMangledAnswers(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	o := billingOptions(b.URL)
	maps.Copy(o.Permissions, permissions)
	s := serve(t, o)
	s.approve = func(mcpsec.Question) bool { return false }
	b.fault = b.spoil(rand.New(rand.NewPCG(3, 2)))
	calls := maps.Clone(usual)
	maps.Copy(calls, billingCalls)
	for range 60 {
		for _, name := range slices.Sorted(maps.Keys(calls)) {
			if a := s.call(name, calls[name]); !a.refused && name != "stripe_preview_invoice" {
				t.Errorf("%s: got %s", name, a.text)
			}
		}
	}
	for _, q := range s.questions() {
		_, text, _ := strings.Cut(q, "\n• ")
		if own := inQuotes.ReplaceAllString(text, `""`); strings.Contains(own, "EUR 1.00 ") || nameless.MatchString(own) || !plainText.MatchString(text) {
			t.Errorf("was asked %q", text)
		}
	}
	if len(s.questions()) < 300 || strings.Contains(s.log.String(), "panicked") {
		t.Errorf("%d questions; the log says %s", len(s.questions()), s.log.String())
	}
}
