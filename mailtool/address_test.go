package mailtool

import (
	"net/mail"
	"strings"
	"testing"
)

// The whole table of mailboxes is in integration/mailtool: here are the edges.
func TestParseAddress(t *testing.T) {
	t.Parallel()
	allow := func(s, want string) {
		t.Helper()
		if a, err := parseAddress(s); err != nil || a.String() != want {
			t.Errorf("%q: got %v, %v, want %s", s, a, err, want)
		}
	}
	deny := func(list ...string) {
		t.Helper()
		for _, s := range list {
			if a, err := parseAddress(s); err == nil {
				t.Errorf("%q: got %v", s, a)
			}
		}
	}
	allow("Ann.Lee+news@Example.COM", "ann.lee+news@example.com")
	allow("x@straße.example", "x@xn--strae-oqa.example")
	allow(strings.Repeat("a", 64)+"@example.com", strings.Repeat("a", 64)+"@example.com")
	deny("", "@", "a@", "@b.example", "a@b", "a@b.example,c@d.example", "a@b.example\r\n", "a b@example.com", `"a"@example.com`, "a@[1.2.3.4]", "a@1.2.3.4", "a@b.1", "a%b@example.com", "a!b@example.com",
		"<a@example.com>", "a@example.com.", "a@exam\u200bple.com", "a@ｅxample.com", "ä@example.com", strings.Repeat("a", 65)+"@example.com", "a@"+strings.Repeat("b", 64)+".example",
		strings.Repeat("a", 64)+"@"+strings.Repeat("b.", 100)+"example", "a@b..example", "a@-b.example", "a@xn--.example", "a@b.c", "x@نامه\u200cای.example", "x@bu\u0308cher.example")
}

func TestBase(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{"bob+tag@example.com": "bob@example.com", "bob@example.com": "bob@example.com", "+tag@example.com": "+tag@example.com", "bob+a+b@example.com": "bob@example.com"} {
		if a, err := parseAddress(s); err != nil || a.base().String() != want {
			t.Errorf("%s: got %v, %v, want %s", s, a.base(), err, want)
		}
	}
}

// What is an address has one reading, which is the standard library's, too, and goes
// into a command and a header as it is.
func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"bob@example.com", "x@BÜCHER.example", "a@b, c@d", `"a b"@example.com`, "a@[::1]", "a(c)@example.com", "=?utf-8?q?a?=@example.com", "a@xn--80ak6aa92e.com"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := parseAddress(s)
		if err != nil {
			return
		}
		out := a.String()
		again, err := parseAddress(out)
		if err != nil || again != a {
			t.Errorf("%q is %q, which is %v, %v", s, out, again, err)
		}
		if read, err := mail.ParseAddress(out); err != nil || read.Address != out || read.Name != "" {
			t.Errorf("%q is read as %v, %v", out, read, err)
		}
		if strings.ContainsAny(out, "<>()[]\\\",;: \r\n\t\x00%!") || strings.Count(out, "@") != 1 || len(out) > maxAddress || !rcptTo().MatchString("RCPT TO:<"+out+">") {
			t.Errorf("%q becomes %q", s, out)
		}
	})
}

// Local parts that some server reads as something else than a name.
func TestAmbiguousLocalParts(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"=?x?q?eve=40evil.example=3e=00?=bob@example.com", "=?utf-7?q?&AGU-?=@example.com", "-oQ/tmp@example.com", "|id@example.com", "/etc/x@example.com"} {
		if a, err := parseAddress(s); err == nil {
			t.Errorf("%s is %v", s, a)
		}
	}
	for _, s := range []string{"srs0=a=b@example.com", "what?@example.com", "a-b/c@example.com"} {
		if _, err := parseAddress(s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
}
