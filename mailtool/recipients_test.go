package mailtool

import (
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/waive"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

func TestPolicy(t *testing.T) {
	t.Parallel()
	p, err := newPolicy(Options{Recipients: Recipients{
		Allow: []string{"Example.com", "*.Partner.example", "ann@customer.example", "team-*@corp.example", "bob+*@corp.example", "bücher.example"},
		Deny:  []string{"boss@example.com", "secret.partner.example", "ceo-*@example.com"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	check := func(want bool, list ...string) {
		t.Helper()
		for _, s := range list {
			a, err := parseAddress(s)
			if err != nil {
				t.Errorf("%s: %v", s, err)
				continue
			}
			if got := p.allows(a) == nil; got != want {
				t.Errorf("%s: allowed is %t", s, got)
			}
		}
	}
	check(true, "x@example.com", "X+y@EXAMPLE.com", "x@a.partner.example", "x@a.b.partner.example", "ann@customer.example", "team-a@corp.example", "team-@corp.example", "team-a.b_c@corp.example", "bob+x@corp.example", "x@xn--bcher-kva.example")
	check(false, "x@sub.example.com", "x@notexample.com", "x@example.com.evil.example", "x@partner.example", "x@evilpartner.example", "ann+x@customer.example", "anna@customer.example", "team-a+b@corp.example", "team@corp.example",
		"bob@corp.example", "boss@example.com", "boss+x@example.com", "x@secret.partner.example", "ceo-1@example.com", "ceo-1+x@example.com", "x@elsewhere.example")
}

func TestPolicyIsRefused(t *testing.T) {
	t.Parallel()
	ok := Recipients{Allow: []string{"example.com"}}
	for name, change := range map[string]func(*Recipients){
		"no list":       func(r *Recipients) { r.Allow = nil },
		"everything":    func(r *Recipients) { r.Allow = []string{"*"} },
		"a whole TLD":   func(r *Recipients) { r.Allow = []string{"*.com"} },
		"two stars":     func(r *Recipients) { r.Allow = []string{"*a*@example.com"} },
		"a star inside": func(r *Recipients) { r.Allow = []string{"ex*mple.com"} },
		"a quoted one":  func(r *Recipients) { r.Deny = []string{`"a"@example.com`} },
		"look-alike":    func(r *Recipients) { r.Internal = []string{"ｅxample.com"} },
		"empty entry":   func(r *Recipients) { r.Allow = []string{""} },
		"hour":          func(r *Recipients) { r.PerHour = 5 },
		"day":           func(r *Recipients) { r.PerDay = 50 },
		"negative":      func(r *Recipients) { r.PerRecipient = -1 },
		"too many":      func(r *Recipients) { r.MaxPerMessage = 51 },
	} {
		r := ok
		change(&r)
		if _, err := newPolicy(Options{Recipients: r}); err == nil || !strings.Contains(err.Error(), "Options.Recipients") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	p, err := newPolicy(Options{Waive: []mcpsec.Waiver{{Kind: waive.AnyRecipient, Reason: "a test"}}})
	if err != nil || !p.any {
		t.Errorf("got %v", err)
	}
	p, err = newPolicy(Options{Recipients: ok, Waive: []mcpsec.Waiver{{Kind: waive.AnyRecipient, Reason: "a test"}}})
	if err != nil || p.any {
		t.Error("a list is no list because of a waiver")
	}
}

func FuzzParseRule(f *testing.F) {
	for _, s := range []string{"example.com", "*.example.com", "a*@example.com", "@example.com", "*@*.example.com"} {
		f.Add(s, "bob@example.com")
	}
	f.Fuzz(func(t *testing.T, entry, s string) {
		r, err := parseRule(entry)
		if err != nil {
			return
		}
		again, err := parseRule(r.String())
		if err != nil || again != r {
			t.Errorf("%q is %q, which is %v, %v", entry, r, again, err)
		}
		a, err := parseAddress(s)
		if err == nil && r.matches(a) && a.domain != r.domain && !strings.HasSuffix(a.domain, "."+r.domain) {
			t.Errorf("%q matches %v", entry, a)
		}
	})
}
