package mcpsec_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// from serves a request that has come to a local address over a network or not.
func from(h http.Handler, local net.Addr, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	if local != nil {
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
	}
	h.ServeHTTP(w, r)
	return w
}

func post(host, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader(body))
	r.Host = host
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	r.Header.Set("Authorization", "Bearer alice-token")
	return r
}

var (
	loopback = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}
	outside  = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 80}
	socket   = &net.UnixAddr{Net: "unix", Name: "@"}
)

// A name that is not ours is refused with every method and over every address.
// (P25, P26)
func TestHTTPHosts(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil, echo())
	h, err := f.HTTP(mcpsec.HTTPOptions{Verifier: verify, BehindProxy: true, Hosts: []string{"mcp.example.com", "2001:db8::1"}})
	if err != nil {
		t.Fatal(err)
	}
	check := func(local net.Addr, host string, allowed bool) {
		t.Helper()
		for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete, http.MethodOptions, http.MethodHead, "BREW"} {
			r := post(host, pingBody)
			r.Method = method
			w := from(h, local, r)
			if refused := w.Code == http.StatusForbidden && (method == http.MethodHead || strings.Contains(w.Body.String(), "another name")); refused == allowed {
				t.Errorf("%s %q over %v: got %d %s", method, host, local, w.Code, w.Body)
			}
		}
	}
	allow := func(local net.Addr, host string) { t.Helper(); check(local, host, true) }
	unknown := &net.IPAddr{IP: net.IPv4(127, 0, 0, 1)}
	deny := func(local net.Addr, host string) { t.Helper(); check(local, host, false) }
	for _, a := range []net.Addr{loopback, outside, socket, nil} {
		allow(a, "mcp.example.com")
		allow(a, "MCP.Example.com:8443")
		allow(a, "[2001:db8:0::1]:443")
		allow(a, "[2001:db8::1]")
		for _, host := range []string{
			"evil.example", "evil.example:80", "mcp.example.com.evil.example", "evil.mcp.example.com", "mcp.example.com.",
			"mcp.example.com:", "mcp.example.com:80:80", "mcp.example.com:x", "user@mcp.example.com", "mcp.example.com/", "",
			" mcp.example.com", "mcp.example.com\x00", "[mcp.example.com]:x", "localhost.evil.example", "127.0.0.1.nip.io",
			"0.0.0.0", "2130706433", "0x7f.1", "[::ffff:10.0.0.1]", "[::1%25eth0]", "192.0.2.7", strings.Repeat("a", 300), "mcp.exämple.com",
		} {
			deny(a, host)
		}
	}
	for _, host := range []string{"localhost", "LOCALHOST:80", "127.0.0.1:8080", "[::1]:9", "127.9.9.9"} {
		allow(loopback, host)
		allow(socket, host)
		deny(outside, host)
		deny(nil, host)
		deny(unknown, host)
	}
}

// A page calls only from an origin that is listed. (P27, HTTP-01)
func TestHTTPOrigins(t *testing.T) {
	t.Parallel()
	const page = "https://chat.example.com"
	f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify, Origins: []string{page, "http://localhost:5173"}}, nil, echo())
	self := f.URL // a page of this very server needs no permission, but may not be had by another scheme or port
	check := func(header http.Header, allowed bool) {
		t.Helper()
		for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete, http.MethodOptions, "BREW"} {
			for _, path := range []string{"/mcp", "/healthz", "/readyz", "/nothing", "/.well-known/oauth-protected-resource"} {
				res, body := f.do(t, pingBody, func(r *http.Request) {
					r.Method, r.URL.Path = method, path
					for k, v := range header {
						r.Header[k] = v
					}
				})
				if refused := res.StatusCode == http.StatusForbidden && strings.Contains(body, "this page may not"); refused == allowed {
					t.Errorf("%s %s with %v: got %d %s", method, path, header, res.StatusCode, body)
				}
				acao := res.Header.Get("Access-Control-Allow-Origin")
				if want := strings.TrimPrefix(header.Get("Origin"), self); allowed && acao != want || !allowed && acao != "" || res.Header.Get("Access-Control-Allow-Credentials") != "" {
					t.Errorf("%s with %v: allows %q", method, header, acao)
				}
			}
		}
	}
	for _, o := range []string{page, "http://localhost:5173", self} {
		check(http.Header{"Origin": {o}}, true)
	}
	for _, site := range []string{"none", "same-origin"} {
		check(http.Header{"Sec-Fetch-Site": {site}}, true)
	}
	for _, o := range []string{
		"https://evil.example", "null", "", "https://chat.example.com.evil.example", "https://chat.example.com:444", "http://chat.example.com",
		"https://CHAT.example.com", strings.Replace(self, "http:", "https:", 1), self + "0", strings.Replace(self, "127.0.0.1", "localhost", 1),
		"https://chat.example.com/", "https://evil.example https://chat.example.com", "http://127.0.0.1", "*",
	} {
		check(http.Header{"Origin": {o}}, false)
	}
	check(http.Header{"Origin": {page, "https://evil.example"}}, false)
	check(http.Header{"Origin": {page, page}}, false)
	for _, site := range []string{"cross-site", "same-site", "x"} {
		check(http.Header{"Sec-Fetch-Site": {site}}, false)
	}
	check(http.Header{"Origin": {page}, "Sec-Fetch-Site": {"cross-site"}}, true)
}

// A page of the server's own name must have come the way the server is reached.
func TestHTTPOwnOrigin(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil, echo())
	h, err := f.HTTP(mcpsec.HTTPOptions{Verifier: verify, BehindProxy: true, Hosts: []string{"mcp.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	for origin, want := range map[string]int{"https://mcp.example.com": 200, "http://mcp.example.com": 403, "https://mcp.example.com:8443": 403} {
		r := post("mcp.example.com", pingBody)
		r.Header.Set("Origin", origin)
		if w := from(h, outside, r); w.Code != want {
			t.Errorf("%s: got %d", origin, w.Code)
		}
	}
}

func TestHTTPPreflight(t *testing.T) {
	t.Parallel()
	f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify, Origins: []string{"https://chat.example.com"}}, nil, echo())
	res, body := f.do(t, "", func(r *http.Request) {
		r.Method = http.MethodOptions
		r.Header.Del("Authorization") // browsers send none
		r.Header.Set("Origin", "https://chat.example.com")
		r.Header.Set("Access-Control-Request-Method", http.MethodPost)
	})
	if res.StatusCode != http.StatusNoContent || body != "" || !strings.Contains(res.Header.Get("Access-Control-Allow-Headers"), "Authorization") || res.Header.Get("Vary") != "Origin" {
		t.Errorf("got %d %v %s", res.StatusCode, res.Header, body)
	}
	res, _ = f.do(t, pingBody, func(r *http.Request) {
		r.Header.Set("Origin", "https://chat.example.com")
		r.Header.Del("Authorization")
	})
	if res.StatusCode != http.StatusUnauthorized || !strings.Contains(res.Header.Get("Access-Control-Expose-Headers"), "WWW-Authenticate") {
		t.Errorf("got %d %v", res.StatusCode, res.Header)
	}
}

// A handler that the network reaches serves nothing in plain text and nobody
// without a token, whatever server it was put into. (HTTP-03)
func TestHTTPRefusesUnsafeWays(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil, echo())
	ways := func(o mcpsec.HTTPOptions) func(local net.Addr, change func(*http.Request)) bool {
		o.Hosts = []string{"mcp.example.com"}
		h, err := f.HTTP(o)
		if err != nil {
			t.Fatal(err)
		}
		return func(local net.Addr, change func(*http.Request)) bool {
			r := post("mcp.example.com", pingBody)
			if change != nil {
				change(r)
			}
			w := from(h, local, r)
			return !strings.Contains(w.Body.String(), "come this way")
		}
	}
	encrypted := func(r *http.Request) { r.TLS = &tls.ConnectionState{} }
	open, verified, proxied := ways(mcpsec.HTTPOptions{}), ways(mcpsec.HTTPOptions{Verifier: verify}), ways(mcpsec.HTTPOptions{Verifier: verify, BehindProxy: true})
	for name, tc := range map[string]struct{ got, want bool }{
		"nobody verified, this machine":       {open(loopback, nil), true},
		"nobody verified, socket":             {open(socket, nil), true},
		"nobody verified, network":            {open(outside, nil), false},
		"nobody verified, network, encrypted": {open(outside, encrypted), false},
		"nobody verified, unknown":            {open(nil, nil), false},
		"verified, this machine":              {verified(loopback, nil), true},
		"verified, network":                   {verified(outside, nil), false},
		"verified, unknown":                   {verified(nil, nil), false},
		"verified, network, encrypted":        {verified(outside, encrypted), true},
		"verified, proxied":                   {proxied(outside, nil), true},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: taken: %t", name, tc.got)
		}
	}
	for _, forwarded := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via"} {
		through := func(r *http.Request) { r.Header.Set(forwarded, "") }
		if open(loopback, through) || !verified(loopback, through) {
			t.Errorf("%s makes no difference", forwarded)
		}
	}
	if !strings.Contains(f.log.String(), "refusing requests in plain text over a network") {
		t.Errorf("the operator is told %s", f.log.String())
	}
}

func parseURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// Only the paths there are answer, and probes get no detail.
func TestHTTPPaths(t *testing.T) {
	t.Parallel()
	f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify}, nil, echo())
	for _, tc := range []struct {
		method, path string
		status       int
		want         string
	}{
		{"GET", "/healthz", 200, `"ok"`},
		{"HEAD", "/healthz", 200, ``},
		{"GET", "/readyz", 200, `"ok"`},
		{"POST", "/healthz", 405, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600`},
		{"GET", "/mcp", 405, `only POST`},
		{"DELETE", "/mcp", 405, `only POST`},
		{"PUT", "/mcp", 405, `only POST`},
		{"OPTIONS", "/mcp", 405, `only POST`},
		{"POST", "/", 404, `nothing here`},
		{"POST", "/mcp/", 404, `nothing here`},
		{"POST", "//mcp", 404, `nothing here`},
		{"POST", "/MCP", 404, `nothing here`},
		{"POST", "/x/../mcp", 404, `nothing here`},
		{"POST", "/%6dcp", 404, `nothing here`},
		{"GET", "/%68ealthz", 404, `nothing here`},
		{"GET", "/sse", 404, `nothing here`},
		{"GET", "/debug/pprof/", 404, `nothing here`},
		{"GET", "/.well-known/oauth-protected-resource", 404, `nothing here`},
	} {
		res, body := f.do(t, "", func(r *http.Request) { r.Method, r.URL = tc.method, parseURL(t, f.URL+tc.path) })
		if res.StatusCode != tc.status || !strings.Contains(body, tc.want) || strings.Contains(body, "hunter2") {
			t.Errorf("%s %s: got %d %s", tc.method, tc.path, res.StatusCode, body)
		}
		if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: got %v", tc.method, tc.path, res.Header)
		}
		if res.StatusCode == 405 && res.Header.Get("Allow") == "" {
			t.Errorf("%s %s: 405 without Allow", tc.method, tc.path)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.URL+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "10.1.2.3" // as a probe of Kubernetes has it
	res, err := f.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, _ := io.ReadAll(res.Body); res.StatusCode != 200 || string(b) != `"ok"` {
		t.Errorf("a probe by address: got %d %s", res.StatusCode, b)
	}
}

func TestHTTPOptionsAreChecked(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil, echo())
	const resource, issuer = "https://mcp.example.com/mcp", "https://login.example.com"
	for name, o := range map[string]mcpsec.HTTPOptions{
		"proxy for anyone":         {BehindProxy: true},
		"resource without issuer":  {Verifier: verify, Resource: resource},
		"issuer without resource":  {Verifier: verify, AuthorizationServers: []string{issuer}},
		"resource without tokens":  {Resource: resource, AuthorizationServers: []string{issuer}},
		"plain resource":           {Verifier: verify, Resource: "http://mcp.example.com", AuthorizationServers: []string{issuer}},
		"resource with fragment":   {Verifier: verify, Resource: resource + "#x", AuthorizationServers: []string{issuer}},
		"resource with query":      {Verifier: verify, Resource: resource + "?x", AuthorizationServers: []string{issuer}},
		"resource with user":       {Verifier: verify, Resource: "https://u@mcp.example.com/", AuthorizationServers: []string{issuer}},
		"resource of quotes":       {Verifier: verify, Resource: `https://mcp.example.com/"`, AuthorizationServers: []string{issuer}},
		"relative resource":        {Verifier: verify, Resource: "/mcp", AuthorizationServers: []string{issuer}},
		"plain issuer":             {Verifier: verify, Resource: resource, AuthorizationServers: []string{"http://login.example.com"}},
		"scope with space":         {Verifier: verify, Scopes: []string{"a b"}},
		"scope with quote":         {Verifier: verify, Scopes: []string{`a"`}},
		"wildcard":                 {Verifier: verify, Scopes: []string{"orders.*"}},
		"offline access":           {Verifier: verify, Scopes: []string{"offline_access"}},
		"scope twice":              {Verifier: verify, Scopes: []string{"a", "a"}},
		"host with port":           {Hosts: []string{"mcp.example.com:443"}},
		"host as URL":              {Hosts: []string{"https://mcp.example.com"}},
		"wildcard host":            {Hosts: []string{"*"}},
		"wildcard origin":          {Origins: []string{"*"}},
		"origin with path":         {Origins: []string{"https://chat.example.com/"}},
		"null origin":              {Origins: []string{"null"}},
		"upper-case origin":        {Origins: []string{"https://Chat.example.com"}},
		"relative path":            {Path: "mcp"},
		"path with query":          {Path: "/mcp?x"},
		"path with escapes":        {Path: "/%6dcp"},
		"path with a space":        {Path: "/m cp"},
		"path of a probe":          {Path: "/healthz"},
		"path of the metadata":     {Path: "/.well-known/oauth-protected-resource"},
		"one path for both probes": {ReadyPath: "/healthz"},
		"negative limit":           {MaxConnections: -1},
		"negative timeout":         {Timeout: -1},
	} {
		if _, err := f.HTTP(o); err == nil {
			t.Errorf("%s: accepted", name)
		} else if !strings.HasPrefix(err.Error(), "mcpsec: HTTPOptions: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, o := range []mcpsec.HTTPOptions{
		{}, {Verifier: verify, BehindProxy: true, Resource: resource, AuthorizationServers: []string{issuer}, Scopes: []string{"orders:read"}},
		{Verifier: verify, Resource: "http://localhost:8080", AuthorizationServers: []string{"http://localhost:9090/"}},
		{Hosts: []string{"[2001:db8::1]", "2001:db8::2", "192.0.2.1", "a_b.example"}, Origins: []string{"http://localhost:3000"}},
	} {
		if _, err := f.HTTP(o); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
