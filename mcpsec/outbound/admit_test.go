package outbound

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestAllowEntries(t *testing.T) {
	t.Parallel()
	for entry, want := range map[string]string{
		"api.example.com":       "api.example.com:443",
		"API.Example.COM.":      "api.example.com:443",
		"api.example.com:8443":  "api.example.com:8443",
		"localhost":             "localhost:443",
		"xn--bcher-kva.example": "xn--bcher-kva.example:443",
		"under_score.example":   "under_score.example:443",
		"192.0.2.1":             "192.0.2.1:443",
		"[2001:db8::1]":         "[2001:db8::1]:443",
		"[2001:DB8:0::1]:8443":  "[2001:db8::1]:8443",
		"2001:db8::1":           "[2001:db8::1]:443",
	} {
		if got := parseAllowed(entry); got != want {
			t.Errorf("%q: got %q, want %q", entry, got, want)
		}
	}
	for _, entry := range []string{"", ".", "*", "*.example.com", "https://api.example.com", "api.example.com/", "user@api.example.com",
		"bücher.example", "a b", "a..b", "-a.example", "a-.example", "api.example.com:0", "api.example.com:65536", "api.example.com:0443", "api.example.com:+443",
		"api.example.com:https", "0x7f.1", "127.1", "2130706433", "0177.0.0.1", "127.0.0.256", "[fe80::1%eth0]", "[::1", "::1]", "[127.0.0.1]", "a%2eb", "a\x00b",
		strings.Repeat("a", 64) + ".example", strings.Repeat("a.", 127) + "example"} {
		if got := parseAllowed(entry); got != "" {
			t.Errorf("%q is allowed, as %q", entry, got)
		}
	}
}

func FuzzAllowEntries(f *testing.F) {
	f.Add("api.example.com:443")
	f.Add("[::1]:1")
	f.Add("0x7f.1")
	f.Fuzz(func(t *testing.T, s string) {
		key := parseAllowed(s)
		if key == "" {
			return
		}
		if again := parseAllowed(key); again != key {
			t.Errorf("%q is read as %q, and that as %q", s, key, again)
		}
		if u, err := url.Parse("https://" + key + "/"); err != nil || u.Host != key {
			t.Errorf("%q is read as %q, which URLs read otherwise: %v", s, key, err)
		}
	})
}

// A request that is not allowed reaches nobody.
func TestRequestsAreRefused(t *testing.T) {
	t.Parallel()
	srv, n := serve(t, func(http.ResponseWriter, *http.Request) {})
	c := client(t, srv, Options{})
	addr := srv.Listener.Addr().String()
	port := addr[strings.LastIndex(addr, ":"):]
	deny := func(why string, change func(*http.Request)) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/?key="+secret, strings.NewReader(secret))
		if err != nil {
			t.Fatal(err)
		}
		change(req)
		_, err = c.Do(req)
		if err == nil {
			t.Fatalf("%s: got no error", why)
		}
		if e := fails(t, err, Refused); !strings.Contains(e.Error(), why) {
			t.Errorf("got error %v, want %q in it", err, why)
		}
	}
	parse := func(s string) func(*http.Request) {
		return func(r *http.Request) {
			u, err := url.Parse(s)
			if err != nil {
				t.Fatal(err)
			}
			r.URL, r.Host = u, u.Host
		}
	}
	const list = "not in Options.Allow"
	deny(list, parse("https://localhost"+port+"/?key="+secret))
	deny(list, parse("https://127.0.0.1/?key="+secret))
	deny(list, parse("https://127.0.0.2"+port))
	deny(list, parse("https://127.1"+port))
	deny(list, parse("https://0x7f000001"+port))
	deny(list, parse("https://[::ffff:127.0.0.1]"+port))
	deny(list, parse("https://[::1%25lo]"+port))
	deny(list, parse("https://127.0.0.1.evil.example"+port))
	deny(list, parse("https:///"))
	deny(list, func(r *http.Request) { r.URL.Host = "127.0.0.1" + port + "\r\nX: " + secret })
	deny("only https", parse("http://"+addr+"/?key="+secret))
	deny("only https", parse("ftp://"+addr+"/?key="+secret))
	deny("only https", func(r *http.Request) { r.URL.Scheme = "HTTPS" })
	deny("credentials", func(r *http.Request) { r.URL.User = url.UserPassword("user", secret) })
	deny("credentials", func(r *http.Request) { r.URL.User = url.User(secret) })
	deny("opaque", func(r *http.Request) { r.URL.Opaque = "//evil.example/" + secret })
	deny("another host", func(r *http.Request) { r.Host = "evil.example" })
	deny("another host", func(r *http.Request) { r.Host = "127.0.0.1" })
	deny("method", func(r *http.Request) { r.Method = http.MethodConnect })
	deny("method", func(r *http.Request) { r.Method = http.MethodTrace })
	deny("Upgrade", func(r *http.Request) { r.Header.Set("Upgrade", "websocket") })
	count(t, n, 0)
	if _, _, err := get(t, c, srv.URL); err != nil {
		t.Error(err)
	}
	count(t, n, 1)
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	parse := func(s string) *url.URL {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	allow := []string{"api.example.com"}
	for name, o := range map[string]Options{
		"nothing":             {},
		"a URL":               {Allow: []string{"user:" + secret + "@api.example.com"}},
		"a wildcard":          {Allow: []string{"*.example.com"}},
		"everything":          {Allow: allow, Networks: prefixes("0.0.0.0/0")},
		"negative timeout":    {Allow: allow, Timeout: -1},
		"endless timeout":     {Allow: allow, BodyTimeout: 2 * maxTimeout},
		"negative MaxBody":    {Allow: allow, MaxBody: -1},
		"huge MaxBody":        {Allow: allow, MaxBody: 1 << 40},
		"many retries":        {Allow: allow, Retries: 11},
		"SOCKS":               {Allow: allow, Proxy: parse("socks5://proxy.example:1080")},
		"proxy without host":  {Allow: allow, Proxy: parse("https:///")},
		"proxy with path":     {Allow: allow, Proxy: parse("https://proxy.example/x")},
		"plaintext passwords": {Allow: allow, Proxy: parse("http://user:" + secret + "@proxy.example")},
	} {
		if _, err := New(o); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
	if _, err := New(Options{Allow: allow, Proxy: parse("https://user:" + secret + "@proxy.example:3128")}); err != nil {
		t.Error(err)
	}
}
