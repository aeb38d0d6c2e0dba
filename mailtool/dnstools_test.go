package mailtool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

func TestCheckAddress(t *testing.T) {
	t.Parallel()
	z := zone{
		"example.com": {"MX 10 mx.example.com."}, "null.example": {"MX 0 ."}, "host.example": {"A 192.0.2.1"}, "down.example": {"SERVFAIL"}, "xn--mnchen-3ya.example": {"MX 10 mx.example.com."},
		"xn--80ak6aa92e.com": {"MX 10 mx.example.com."}, "xn--pple-43d.com": {"MX 10 mx.example.com."}, "temp.example": {"MX 10 mx.example.com."}, "text.example": {"TXT x"},
	}
	c := testClient(t, func(o *Options) {
		o.Recipients.Allow = []string{"example.com"}
		o.Suppressed = func(_ context.Context, a string) (bool, error) { return a == "gone@example.com", nil }
	})
	disposable, err := parseRules([]string{"temp.example", "*.temp.example"}, "a disposable domain")
	if err != nil {
		t.Fatal(err)
	}
	for s, want := range map[string]addressOut{
		"Ann@Example.com":                     {Valid: true, Address: "ann@example.com", Domain: "example.com", Allowed: true, Mail: "mx"},
		"gone@example.com":                    {Valid: true, Address: "gone@example.com", Domain: "example.com", Allowed: true, Mail: "mx", Suppressed: true},
		"a@null.example":                      {Address: "a@null.example", Domain: "null.example", Mail: "null"},
		"a@host.example":                      {Valid: true, Address: "a@host.example", Domain: "host.example", Mail: "address"},
		"a@none.example":                      {Address: "a@none.example", Domain: "none.example", Mail: "none"},
		"a@text.example":                      {Address: "a@text.example", Domain: "text.example", Mail: "none"},
		"a@down.example":                      {Address: "a@down.example", Domain: "down.example", Mail: "unknown"},
		"a@münchen.example":                   {Valid: true, Address: "a@xn--mnchen-3ya.example", Domain: "münchen.example", Mail: "mx", Warnings: []string{"written"}},
		"a@xn--pple-43d.com":                  {Valid: true, Address: "a@xn--pple-43d.com", Domain: "аpple.com", Mail: "mx", Warnings: []string{"mixes scripts", "written"}},
		"a@temp.example":                      {Valid: true, Address: "a@temp.example", Domain: "temp.example", Mail: "mx", Disposable: true},
		"a@examp1e.com":                       {Address: "a@examp1e.com", Domain: "examp1e.com", Mail: "none", Warnings: []string{"looks like example.com"}},
		"a b@example.com":                     {Mail: "unknown", Warnings: []string{"an address must be"}},
		"a@b@example.com":                     {Mail: "unknown", Warnings: []string{"a domain must be"}},
		"a@example.com\r\nBcc: x@example.com": {Mail: "unknown", Warnings: []string{"a domain must be"}},
		"a@[192.0.2.1]":                       {Mail: "unknown", Warnings: []string{"a domain must be"}},
	} {
		got, err := c.checkAddress(t.Context(), &lookups{resolver: z.resolver(nil), left: 10}, disposable, s)
		if err != nil {
			t.Errorf("%q: %v", s, err)
		}
		same := slices.EqualFunc(got.Warnings, want.Warnings, strings.Contains)
		if got.Warnings, want.Warnings = nil, nil; !same || got.Valid != want.Valid || got.Address != want.Address || got.Domain != want.Domain || got.Allowed != want.Allowed || got.Mail != want.Mail || got.Suppressed != want.Suppressed || got.Disposable != want.Disposable {
			t.Errorf("%q: %+v, want %+v", s, got, want)
		}
	}
	c = testClient(t, func(o *Options) {
		o.Suppressed = func(context.Context, string) (bool, error) { return false, errors.New("away") }
	})
	if out, err := c.checkAddress(t.Context(), &lookups{resolver: z.resolver(nil), left: 10}, nil, "ann@example.com"); err == nil {
		t.Error("a store that is away suppresses nobody", out)
	}
}

func TestMixesScripts(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{"example.com": false, "münchen.example": false, "пример.com": false, "例え.jp": false, "東京タワー.jp": false, "tokyo東京.jp": false, "한국a.kr": false, "аpple.com": true, "gооgle.com": true, "αb.com": true, "ひらгана.jp": true, "пример.ελ": false, "a1-2.com": false} {
		if got := mixesScripts(s); got != want {
			t.Errorf("%s: %v, want %v", s, got, want)
		}
	}
}

// Of an address that may not be written to the server is told nothing.
func TestDiagnoseRefuses(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	c := testClient(t, func(o *Options) {
		o.Host, o.Port, o.Timeout = "127.0.0.1", 1, 50*time.Millisecond // nobody is there
		o.Recipients.Allow = []string{"example.com"}
		o.Suppressed = func(context.Context, string) (bool, error) { asked.Add(1); return true, nil }
	})
	d, err := c.ownDomain(DomainCheck{Resolver: goodZone().resolver(&asked), Client: serves(200, "text/plain", goodPolicy)})
	if err != nil || d.Domain != "example.com" {
		t.Fatal(d.Domain, err)
	}
	for _, s := range []string{"ann@other.example", "a b@example.com", "ann@example.com\r\nRCPT TO:<x@example.com>", ""} {
		if out, err := c.diagnose(t.Context(), d, s); ruleOf(err) != "recipients" || asked.Load() != 0 {
			t.Errorf("%q: %+v, %v, %d asked", s, out, err, asked.Load())
		}
	}
	out, err := c.diagnose(t.Context(), d, "ann@example.com")
	if err != nil || !out.Suppressed || len(out.Domain) != 6 || len(out.Server) != 1 || out.Server[0].OK || out.Server[0].Problem != "the server does not answer" {
		t.Error(out, err)
	}
}

func TestCheckTools(t *testing.T) {
	t.Parallel()
	c := testClient(t)
	for _, tool := range CheckTools(c, DomainCheck{}, "temp.example") {
		if tool.Effect() != mcpsec.Read {
			t.Error(tool.Name())
		}
	}
	for want, f := range map[string]func(){
		"mailtool: CheckTools: DomainCheck.Domain":    func() { CheckTools(c, DomainCheck{Domain: "x"}) },
		"mailtool: CheckTools: a disposable domain: ": func() { CheckTools(c, DomainCheck{}, "https://x") },
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.HasPrefix(got, want) {
					t.Errorf("got panic %q, want %q", got, want)
				}
			}()
			f()
		}()
	}
}
