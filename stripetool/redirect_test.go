package stripetool

import (
	"net/url"
	"strings"
	"testing"
)

func redirecting(t *testing.T, list ...string) *Client {
	t.Helper()
	c, err := New(Options{Key: restricted(), Redirects: list})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A page leads to what the operator has listed and to nothing that somebody could read
// as it.
func TestRedirects(t *testing.T) {
	t.Parallel()
	c := redirecting(t, "https://shop.example.com/pay", "https://app.example.com", "https://xn--bcher-kva.example/", "https://alt.example.com:8443/done/")
	for s, want := range map[string]string{ // what is sent
		"https://shop.example.com/pay":                                    "",
		"https://shop.example.com/pay/":                                   "",
		"https://shop.example.com/pay/done.html":                          "",
		"https://shop.example.com/pay?order=6735&ok=1":                    "",
		"https://shop.example.com/pay?session_id={CHECKOUT_SESSION_ID}":   "",
		"https://shop.example.com/pay/ok?s={CHECKOUT_SESSION_ID}&lang=de": "",
		"HTTPS://Shop.Example.COM/pay":                                    "https://shop.example.com/pay",
		"https://shop.example.com:443/pay":                                "https://shop.example.com/pay",
		"https://app.example.com":                                         "https://app.example.com/",
		"https://app.example.com?x=1":                                     "https://app.example.com/?x=1",
		"https://app.example.com/any/where":                               "",
		"https://xn--bcher-kva.example/danke":                             "",
		"https://alt.example.com:8443/done/":                              "",
		"https://alt.example.com:8443/done/x":                             "",
	} {
		if want == "" {
			want = s
		}
		if got, err := c.redirectTo(s, true); err != nil || got != want {
			t.Errorf("allow %s: got %s and error %v", s, got, err)
		}
	}
	for _, s := range []string{
		"", "https://", "https:///pay", "https://evil.example/pay", "http://shop.example.com/pay", "//shop.example.com/pay", "/pay", "shop.example.com/pay", "javascript:alert(1)//https://shop.example.com/pay",
		"https:shop.example.com/pay", "https:/shop.example.com/pay", `https:\\shop.example.com/pay`, " https://shop.example.com/pay", "https://shop.example.com/pay ", "\thttps://shop.example.com/pay", "https://shop.example.com/pay\n", "https://shop.example.com/pay\x00",
		"https://shop.example.com@evil.example/pay", "https://ann@shop.example.com/pay", "https://ann:x@shop.example.com/pay", "https://@shop.example.com/pay", `https://evil.example\@shop.example.com/pay`, `https://shop.example.com\@evil.example/pay`, `https://shop.example.com\.evil.example/pay`,
		"https://shop.example.com.evil.example/pay", "https://evil-shop.example.com/pay", "https://shop.example.com./pay", "https://shop.example.com:8443/pay", "https://shop.example.com:/pay", "https://shop.example.com:0443/pay", "https://shop.example.com:443:443/pay", "https://shop.example.com:443@evil.example/pay",
		"https://shop.example.com%2eevil.example/pay", "https://shop%2eexample.com/pay", "https://shop.example.com%00.evil.example/pay", "https://shop.exаmple.com/pay", "https://ѕhop.example.com/pay", "https://shop。example.com/pay", "https://ｓhop.example.com/pay", "https://bücher.example/danke", "https://xn--bcher-kva.evil.example/",
		"https://shop.example.com/payments", "https://shop.example.com/", "https://shop.example.com", "https://shop.example.com/PAY", "https://shop.example.com//pay", "https://shop.example.com/pay//x", "https://shop.example.com/pay/../admin", "https://shop.example.com/pay/..", "https://shop.example.com/pay/.", "https://shop.example.com/./pay", "https://shop.example.com/pay/..;/admin", "https://shop.example.com/pay;/../admin", "https://shop.example.com/pay/.../x",
		"https://shop.example.com/pay/%2e%2e/admin", "https://shop.example.com/pay/%2E%2E/admin", "https://shop.example.com/pay%2f..%2fadmin", "https://shop.example.com/pay/%252e%252e/admin", "https://shop.example.com/pay%5c..%5cadmin", `https://shop.example.com/pay\..\admin`, `https://shop.example.com/pay/..\admin`, "https://shop.example.com/%70ay",
		"https://shop.example.com/pay#x", "https://shop.example.com/pay#@evil.example", "https://shop.example.com/pay?next=https://evil.example", "https://shop.example.com/pay?next=%2F%2Fevil.example", "https://shop.example.com/pay?next=//evil.example", "https://shop.example.com/pay?a=b#c", "https://shop.example.com/pay?a?b", "https://shop.example.com?@evil.example/", "https://shop.example.com/pay?<script>", "https://shop.example.com/pay?x=\r\nLocation: https://evil.example",
		"https://shop.example.com/pay/{CHECKOUT_SESSION_ID}", "https://{CHECKOUT_SESSION_ID}.evil.example/", "https://shop.example.com/pay?a={CHECKOUT_SESSION_ID}&b={CHECKOUT_SESSION_ID}", "https://shop.example.com/pay?a={checkout_session_id}", "https://shop.example.com/pay?{CUSTOMER_EMAIL}",
		"https://alt.example.com/done/", "https://alt.example.com:8443/done", "https://alt.example.com:8443/donex", "https://[::1]/pay", "https://127.0.0.1/pay", "https://localhost/pay", "https://app.example.com\u202e/", "https://app.example.com/\u200b", "https://ap\u212a.example.com/", "https://app.example.com/" + strings.Repeat("a", 1000),
	} {
		if got, err := c.redirectTo(s, true); err == nil {
			t.Errorf("deny %q: is taken for %s", s, got)
		}
	}
	if _, err := c.redirectTo("https://shop.example.com/pay?s="+sessionPlace, false); err == nil {
		t.Error("a page without a session leads to its id")
	}
	if _, err := redirecting(t).redirectTo("https://shop.example.com/pay", true); err == nil {
		t.Error("without a list there is an address")
	}
}

// What is listed must be plain, too, and an error does not say what it was.
func TestRedirectsAreChecked(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "*", "https://*.example.com", "http://shop.example.com", "https://shop.example.com/q7canary?x", "https://ann:q7canary@shop.example.com", "https://shop.example.com/#", "https://shop.example.com/%70ay", "https://localhost", "shop.example.com"} {
		if _, err := New(Options{Key: restricted(), Redirects: []string{"https://a.example.com", s}}); err == nil || strings.Contains(err.Error(), "q7canary") {
			t.Errorf("%q: got error %v", s, err)
		}
	}
}

// Whatever is allowed, the standard library reads the same origin and a path below,
// and what is sent is allowed again, as it is.
func FuzzRedirect(f *testing.F) {
	for _, s := range []string{"https://shop.example.com/pay", "https://shop.example.com:443/pay/x?y=" + sessionPlace, `https://shop.example.com\@evil.example`, "https://shop.example.com/pay/%2e%2e", "HTTPS://SHOP.example.com/pay/../x"} {
		f.Add(s)
	}
	c, err := New(Options{Key: restricted(), Redirects: []string{"https://shop.example.com/pay"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		sent, err := c.redirectTo(s, true)
		if err != nil {
			return
		}
		u, err := url.Parse(sent)
		if err != nil || u.Scheme != "https" || u.Host != "shop.example.com" || u.User != nil || u.Fragment != "" || u.JoinPath().Path != u.Path || u.Path != "/pay" && !strings.HasPrefix(u.Path, "/pay/") || strings.ContainsAny(sent, "\\@%#\r\n\t ") {
			t.Errorf("%q is sent as %q", s, sent)
		}
		if again, err := c.redirectTo(sent, true); err != nil || again != sent {
			t.Errorf("%q is sent as %q, and that as %q, error %v", s, sent, again, err)
		}
	})
}
