package mailtool

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
)

func TestParseSPF(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"v=spf1", "v=spf1 -all", "V=SPF1 -ALL", "v=spf1  a  mx  ", "v=spf1 a/24 mx//64 a:x.example/24//64 mx:x.example -all", "v=spf1 ip4:192.0.2.1 ip4:192.0.2.0/24 ip6:2001:db8::/32 ip6:::ffff:192.0.2.1 ~all", "v=spf1 include:_spf.x.example ?all", "v=spf1 exists:%{i}._spf.%{d2} -all", "v=spf1 redirect=_spf.x.example", "v=spf1 exp=x.example -all", "v=spf1 moo=%{d} -all", "v=spf1 ptr ptr:x.example -all", "v=spf1 include:%{ir}.%{v}._spf.%{d} -all", "v=spf1 include:x.example. -all",
	} {
		if _, err := parseSPF(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{
		"", "v=spf2", "v=spf10", "v=spf1;", "v=spf1\t-all", "v=spf1 -all\x00", "v=spf1 all:x", "v=spf1 ip4", "v=spf1 ip4:", "v=spf1 ip4:x", "v=spf1 ip4:1.2.3", "v=spf1 ip4:01.2.3.4", "v=spf1 ip4:192.0.2.0/33", "v=spf1 ip4:192.0.2.0/024", "v=spf1 ip4:192.0.2.0/-1", "v=spf1 ip4:192.0.2.0/", "v=spf1 ip4:2001:db8::1", "v=spf1 ip6:192.0.2.1", "v=spf1 ip6:fe80::1%eth0", "v=spf1 ip6:2001:db8::/129",
		"v=spf1 include", "v=spf1 include:", "v=spf1 include:x", "v=spf1 include:x..example", "v=spf1 include:x.example/24", "v=spf1 include:x.1", "v=spf1 a:", "v=spf1 a/33", "v=spf1 a//129", "v=spf1 a/024", "v=spf1 a:x.example/", "v=spf1 mx:x_.", "v=spf1 foo", "v=spf1 foo:bar", "v=spf1 --all", "v=spf1 -", "v=spf1 exists", "v=spf1 exists:%{x", "v=spf1 exists:%{q}.x.example", "v=spf1 exists:%.x.example", "v=spf1 redirect=", "v=spf1 redirect=a.example redirect=b.example", "v=spf1 exp=a.example exp=a.example", "v=spf1 ptr/24", "v=spf1 ümlaut.example", "v=spf1 include:bücher.example", "v=spf1 include:" + strings.Repeat("a", 64) + ".example", "v=spf1 -all,", "v=spf1 =x", "v=spf1 include=x.example:",
	}[:] {
		if terms, err := parseSPF(s); err == nil && s != "v=spf1 include=x.example:" { // an unknown modifier may be anything
			t.Errorf("%q: %v; want an error", s, terms)
		}
	}
}

// spfZone is a domain whose record is s, and names that it may use.
func spfZone(s string) zone {
	z := goodZone().with("shop.example", "TXT "+s, "MX 10 mx1.shop.example.", "A 192.0.2.9")
	z["open.example"] = []string{"TXT v=spf1 +all"}
	z["deny.example"] = []string{"TXT v=spf1 -all"}
	z["loop.example"] = []string{"TXT v=spf1 include:pool.example -all"}
	z["pool.example"] = []string{"TXT v=spf1 include:loop.example -all"}
	z["self.example"] = []string{"TXT v=spf1 redirect=self.example"}
	z["two.example"] = []string{"TXT v=spf1 -all", "TXT v=spf1 mx -all"}
	z["none.example"] = []string{"A 192.0.2.1"}
	z["host.example"] = []string{"A 192.0.2.1"}
	z["bad.example"] = []string{"TXT v=spf1 foo -all"}
	z["down.example"] = []string{"SERVFAIL"}
	for i := range 11 {
		z["many.example"] = append(z["many.example"], fmt.Sprintf("MX %d mx1.shop.example.", i))
		z[fmt.Sprintf("n%d.example", i)] = []string{"TXT v=spf1 ip4:192.0.2.1 -all"}
		z[fmt.Sprintf("tree%d.example", i)] = []string{fmt.Sprintf("TXT v=spf1 include:tree%d.example include:tree%d.example -all", i+1, i+1)}
	}
	return z
}

func includes(n int) string {
	s := "v=spf1"
	for i := range n {
		s += fmt.Sprintf(" include:n%d.example", i)
	}
	return s + " -all"
}

func TestSPF(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ record, verdict, says string }{
		{"v=spf1 mx -all", "pass", "1 of 10"}, {"v=spf1 a mx include:deny.example ~all", "pass", "3 of 10"}, {"v=spf1 redirect=deny.example", "pass", "1 of 10"}, {"v=spf1 redirect=n1.example ip4:192.0.2.1", "pass", ""}, {"v=spf1 -all redirect=down.example", "pass", "0 of 10"}, {"v=spf1 exists:%{i}.x.example -all", "pass", "1 of 10"}, {"v=spf1 ip4:10.0.0.0/8 -all", "pass", ""}, {includes(10), "pass", "10 of 10"},
		{"v=spf1 +all", "wrong", "everybody"}, {"v=spf1 all", "wrong", "everybody"}, {"v=spf1 ip4:0.0.0.0/0 -all", "wrong", "nearly everybody"}, {"v=spf1 ip4:0.0.0.0/1 ip4:128.0.0.0/1 -all", "wrong", "nearly everybody"}, {"v=spf1 a/0 -all", "wrong", "nearly everybody"}, {"v=spf1 mx//8 -all", "wrong", "nearly everybody"}, {"v=spf1 ip6:::/0 -all", "wrong", "nearly everybody"}, {"v=spf1 include:open.example -all", "wrong", "lets everybody"}, {"v=spf1 redirect=open.example", "wrong", "everybody"},
		{"v=spf1 ?all", "weak", "?all"}, {"v=spf1 mx", "weak", "nothing of all others"}, {"v=spf1", "weak", ""}, {"v=spf1 ptr -all", "weak", "ptr"}, {"v=spf1 -all mx", "weak", "no effect"}, {"v=spf1 -all ip4:192.0.2.1", "weak", "no effect"}, {"v=spf1 -ip4:0.0.0.0/0 -all", "pass", ""},
		{includes(11), "wrong", "more than 10 lookups"}, {"v=spf1 include:tree0.example -all", "wrong", "more than 10 lookups"}, {"v=spf1 include:loop.example -all", "wrong", "itself"}, {"v=spf1 include:shop.example -all", "wrong", "itself"}, {"v=spf1 redirect=self.example", "wrong", "itself"}, {"v=spf1 redirect=shop.example", "wrong", "itself"},
		{"v=spf1 a:x1.example a:x2.example -all", "pass", ""}, {"v=spf1 a:x1.example a:x2.example mx:x3.example -all", "wrong", "find nothing"}, {"v=spf1 mx:many.example -all", "wrong", "more than 10 MX"}, {"v=spf1 include:none.example -all", "wrong", "no SPF record"}, {"v=spf1 include:gone.example -all", "wrong", "no SPF record"}, {"v=spf1 include:two.example -all", "wrong", "2 records"}, {"v=spf1 include:bad.example -all", "wrong", "no SPF: there is no mechanism"}, {"v=spf1 foo -all", "wrong", "no SPF"},
		{"v=spf1 include:down.example -all", "unknown", "no answer"}, {"v=spf1 a:down.example -all", "unknown", "no answer"}, {"v=spf1 -all\nTXT v=spf1 -all", "wrong", "2 records"}, {"v=spf10 -all", "missing", ""}, {"v=spf1 " + strings.Repeat("ip4:192.0.2.1 ", 400) + "-all", "wrong", "4096 bytes"}, {"v=spf1 " + strings.Repeat("ip4:0.0.0.0/0 ", 200) + "-all", "wrong", "nearly everybody"},
	} {
		z := spfZone(tc.record)
		if a, b, ok := strings.Cut(tc.record, "\nTXT "); ok {
			z["shop.example"] = []string{"TXT " + a, "TXT " + b}
		}
		if f := checked(t, z, nil)["spf"]; f.Verdict != tc.verdict || !strings.Contains(f.Text, tc.says) {
			t.Errorf("%.100q: %s, %q; want %s, %q", tc.record, f.Verdict, f.Text, tc.verdict, tc.says)
		}
	}
	for s, want := range map[string]string{"v=spf1 mx ?all": "v=spf1 mx -all", "v=spf1 mx": "v=spf1 mx -all", "v=spf1 +ALL": "v=spf1 -all", "v=spf1 redirect=open.example": "v=spf1 -all"} {
		if f := checked(t, spfZone(s), nil)["spf"]; f.Publish != record("shop.example", "TXT", want) {
			t.Errorf("%q: publish %s", s, f.Publish)
		}
	}
}

// A record that leads to ever more others costs a name server no more than a good one.
func TestSPFQueries(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"v=spf1 include:tree0.example -all", "v=spf1 include:loop.example -all", "v=spf1 " + strings.Repeat("a:x1.example ", 200) + "-all", "v=spf1 " + strings.Repeat("mx:many.example ", 200) + "-all", includes(11)} {
		var asked atomic.Int32
		d := DomainCheck{Domain: "shop.example", Resolver: spfZone(s).resolver(&asked), Client: serves(200, "text/plain", goodPolicy)}
		if _, err := d.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := asked.Load(); n > 60 {
			t.Errorf("%.60q: %d questions", s, n)
		}
	}
}

func FuzzSPF(f *testing.F) {
	f.Add("v=spf1 include:_spf.x.example a/24//64 ip6:2001:db8::/32 exists:%{ir}.x.example ~all")
	f.Fuzz(func(t *testing.T, s string) {
		terms, err := parseSPF(s)
		if err != nil {
			return
		}
		for _, x := range terms {
			if x.domain != "" && (!spfDomain().MatchString(x.domain) || len(x.domain) > 253) {
				t.Fatalf("%q: %+v", s, x)
			}
		}
		if _, err := parseSPF(ended(s)); err != nil {
			t.Fatalf("%q ends as %q: %v", s, ended(s), err)
		}
	})
}

func FuzzTags(f *testing.F) {
	f.Add("v=DMARC1; p=reject; rua=mailto:a@b.example")
	f.Fuzz(func(t *testing.T, s string) {
		own := Finding{}
		own.dmarcPolicy(s, false)
		own.dkimKey(s, nil)
		own.stsPolicy(s, []string{"mx1.shop.example"})
		for _, text := range append([]string{own.Text}, shown(s)) {
			if len(text) > 2500 || strings.ContainsAny(text, "\r\n\x00\u2028") || !clean(text) {
				t.Fatalf("%q tells %q", s, text)
			}
		}
	})
}
