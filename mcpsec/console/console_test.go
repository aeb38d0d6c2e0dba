package console

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// a token that nobody guesses, of this run.
var token = redact.NewSecret(strings.ToLower(rand32()))

type site struct {
	*httptest.Server
	client *http.Client
	path   string
	audit  *mcpsec.AuditLog
}

// newSite serves a console of a log that mcpsec writes.
func newSite(t *testing.T, change func(*Options)) *site {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	audit, err := mcpsec.OpenAuditLog(path, mcpsec.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { audit.Close() })
	o := Options{Log: path, Token: token, Errors: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{Server: httptest.NewServer(c), path: path, audit: audit}
	t.Cleanup(s.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	s.client = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return s
}

func (s *site) record(t *testing.T, msg string, members ...any) {
	t.Helper()
	r := slog.NewRecord(time.Now(), slog.LevelInfo, msg, 0)
	r.Add(members...)
	if err := s.audit.Handle(context.Background(), r); err != nil {
		t.Fatal(err)
	}
}

func (s *site) do(t *testing.T, method, path, form string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	res, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func (s *site) login(t *testing.T) {
	t.Helper()
	if res, _ := s.do(t, "POST", "/login", url.Values{"token": {token.Reveal()}}.Encode()); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/" {
		t.Fatalf("logging in: %s", res.Status)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]Options{
		"Options.Log is required":      {Token: token},
		"Options.Token is guessable":   {Log: "x", Token: redact.NewSecret("console2026")},
		"Options.Token":                {Log: "x"},
		"without scheme and port":      {Log: "x", Token: token, Hosts: []string{"console.example.com:443"}},
		`Options.Hosts has "https://c`: {Log: "x", Token: token, Hosts: []string{"https://c.example"}},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// Nothing is shown to whoever has not logged in, and nothing can be changed.
func TestAccess(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *Options) { o.Hosts = []string{"console.example.com"} })
	s.record(t, "decision", "call", "1", "tool", "order_lookup", "principal", "ada", "decision", "refused", "rule", "rate")
	deny := func(what string, want int, res *http.Response, body string) {
		t.Helper()
		if res.StatusCode != want || strings.Contains(body, "order_lookup") {
			t.Errorf("%s: got %d", what, res.StatusCode)
		}
	}
	for what, tc := range map[string]struct {
		method, path, form string
		header             []string
		want               int
	}{
		"without a cookie":      {"GET", "/", "", nil, 303},
		"a made-up cookie":      {"GET", "/", "", []string{"Cookie", cookieName + "=AAAA"}, 303},
		"an empty cookie":       {"GET", "/", "", []string{"Cookie", cookieName + "="}, 303},
		"the token as a cookie": {"GET", "/", "", []string{"Cookie", cookieName + "=" + token.Reveal()}, 303},
		"live":                  {"GET", "/", "", []string{"X-Console-Live", "1"}, 401},
		"another name":          {"GET", "/", "", []string{"Host", "evil.example"}, 421},
		"a look-alike name":     {"GET", "/login", "", []string{"Host", "console.example.com.evil.example"}, 421},
		"another page's form":   {"POST", "/login", "token=" + token.Reveal(), []string{"Origin", "https://evil.example"}, 403},
		"another site's form":   {"POST", "/login", "token=" + token.Reveal(), []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"no token":              {"POST", "/login", "token=", nil, 403},
		"a part of the token":   {"POST", "/login", "token=" + token.Reveal()[:20], nil, 403},
		"the token in the URL":  {"POST", "/login?token=" + token.Reveal(), "x=1", nil, 403},
		"a large form":          {"POST", "/login", "token=" + strings.Repeat("x", 10_000), nil, 403},
		"a large form around":   {"POST", "/login", "token=" + token.Reveal() + "&x=" + strings.Repeat("x", 10_000), nil, 403},
		"another method":        {"DELETE", "/", "", nil, 405},
		"a file":                {"GET", "/page.html", "", nil, 404},
		"out of the directory":  {"GET", "/../console.go", "", nil, 307},
	} {
		res, body := s.do(t, tc.method, tc.path, tc.form, tc.header...)
		deny(what, tc.want, res, body)
	}
	s.login(t)
	for what, path := range map[string]string{"all": "/", "filtered": "/?tool=order_lookup&range=15m"} {
		if res, body := s.do(t, "GET", path, ""); res.StatusCode != 200 || !strings.Contains(body, "order_lookup") {
			t.Errorf("%s: got %s", what, res.Status)
		}
	}
	if res, _ := s.do(t, "GET", "/login", "", "Host", "Console.Example.com:8443"); res.StatusCode != 200 {
		t.Errorf("by its name: got %s", res.Status)
	}
	if res, _ := s.do(t, "POST", "/logout", "x=1", "Origin", "https://evil.example"); res.StatusCode != 403 {
		t.Errorf("logging out from another page: got %s", res.Status)
	}
	cookie := s.client.Jar.Cookies(mustURL(s.URL))[0]
	s.do(t, "POST", "/logout", "x=1")
	res, body := s.do(t, "GET", "/", "", "Cookie", cookie.String())
	deny("after logging out, with the old cookie", 303, res, body)
}

func mustURL(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}

func TestGuessesAreBounded(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	for i := range guesses.Limit {
		if res, _ := s.do(t, "POST", "/login", fmt.Sprint("token=", i)); res.StatusCode != 403 {
			t.Fatalf("guess %d: %s", i, res.Status)
		}
	}
	if res, _ := s.do(t, "POST", "/login", "token="+token.Reveal()); res.StatusCode != 429 {
		t.Errorf("one more: %s", res.Status)
	}
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	var s sessions
	now := time.Now()
	request := func(cookie string) *http.Request {
		r := httptest.NewRequest("GET", "/", nil)
		r.AddCookie(&http.Cookie{Name: cookieName, Value: cookie})
		return r
	}
	first := s.open(now)
	if !s.known(request(first), now.Add(sessionTime-1)) || s.known(request(first), now.Add(sessionTime)) {
		t.Error("a session lasts for another time")
	}
	for i := range maxSessions {
		s.open(now.Add(time.Duration(i+1) * time.Second))
	}
	if len(s.until) != maxSessions || s.known(request(first), now) {
		t.Errorf("%d sessions are kept, or not the last ones", len(s.until))
	}
}

// What keeps a browser from running or sending what is not the console's, on each answer.
func TestHeaders(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.login(t)
	for _, path := range []string{"/", "/login", "/console.js", "/console.css", "/nothing", "/?range=2h"} {
		res, body := s.do(t, "GET", path, "")
		for name, want := range map[string]string{"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"} {
			if got := res.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		for _, inline := range []string{"<style", "style=", "onclick", "javascript:", "http://", "https://"} {
			if strings.Contains(strings.ReplaceAll(body, "http-equiv", ""), inline) {
				t.Errorf("%s holds %s", path, inline)
			}
		}
	}
	cookie := s.do2(t).Header.Get("Set-Cookie")
	for _, want := range []string{"HttpOnly", "SameSite=Strict", "Path=/"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("the cookie is %s", cookie)
		}
	}
	if strings.Contains(cookie, "Secure") {
		t.Error("a cookie of this machine's plain HTTP would not come back")
	}
}

// do2 logs in once more.
func (s *site) do2(t *testing.T) *http.Response {
	res, _ := s.do(t, "POST", "/login", "token="+token.Reveal())
	return res
}

func TestCookieIsSecureOverTheNetwork(t *testing.T) {
	t.Parallel()
	c := &Console{}
	for host, want := range map[string]bool{"localhost:80": false, "127.0.0.1:80": false, "[::1]:80": false, "console.example.com": true} {
		r := httptest.NewRequest("GET", "http://"+host+"/", nil)
		if got := c.cookie(r, "x", 1).Secure; got != want {
			t.Errorf("%s: Secure is %t", host, got)
		}
	}
}

// Arguments, results, questions, reasons and notes are neither shown nor kept.
func TestNothingOfCallsIsShown(t *testing.T) {
	t.Parallel()
	const canary = "canary-4711"
	s := newSite(t, nil)
	for _, msg := range []string{"decision", "outcome", "webhook failed", canary} {
		for _, decision := range []string{"refused", "allowed", "asked"} {
			s.record(t, msg, "call", "c1", "tool", "order_lookup", "principal", "ada", "decision", decision, "outcome", "failed",
				"args", canary, "reason", canary, "note", canary, "by", canary, "asked", canary, "error", canary, "waived_sql", canary, "text", map[string]any{"tool": canary})
		}
	}
	s.login(t)
	for _, path := range []string{"/", "/?range=24h", "/?tool=order_lookup"} {
		if _, body := s.do(t, "GET", path, ""); strings.Contains(body, canary) || !strings.Contains(body, "order_lookup") {
			t.Errorf("%s shows it, or nothing", path)
		}
	}
	c := s.Config.Handler.(*Console)
	if strings.Contains(fmt.Sprintf("%+v", &c.book), canary) {
		t.Error("it is kept")
	}
}

// Names that an attacker has chosen are text.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	for _, name := range []string{"<script>alert(1)</script>", `"><img src=x>`, "a\u202eb", strings.Repeat("n", 1000), "\x1b[2J"} {
		s.record(t, "decision", "call", "c", "tool", name, "principal", name, "decision", "refused", "rule", name)
	}
	s.login(t)
	_, body := s.do(t, "GET", "/", "")
	for _, bad := range []string{"<script>alert", "<img", "\u202e", "\x1b", strings.Repeat("n", 100)} {
		if strings.Contains(body, bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	if !strings.Contains(body, "&lt;script&gt;alert(1)&lt;/script&gt;") {
		t.Error("the name is not shown")
	}
}

// The page tells what has happened to the log itself.
func TestLogIsWatched(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.login(t)
	if _, body := s.do(t, "GET", "/", ""); !strings.Contains(body, "Nothing was recorded") || strings.Contains(body, "alarm") {
		t.Error("an empty log is not told")
	}
	for i := range 5 {
		s.record(t, "decision", "call", fmt.Sprint(i), "tool", "t", "decision", "refused", "rule", "rate")
	}
	if _, body := s.do(t, "GET", "/", ""); strings.Contains(body, "alarm") || !strings.Contains(body, "number 5") {
		t.Error("a whole log is not shown as one")
	}
	text, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	write := func(text string) {
		if err := os.WriteFile(s.path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(strings.Join(lines[:3], ""))
	if _, body := s.do(t, "GET", "/", ""); !strings.Contains(body, "become shorter") {
		t.Error("a log that was cut is not told")
	}
	other := newSite(t, nil)
	other.login(t)
	if err := os.WriteFile(other.path, []byte(lines[0]+lines[1]+lines[3]), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, body := other.do(t, "GET", "/", ""); !strings.Contains(body, "Between records 2 and 4") {
		t.Error("a missing record is not told")
	}
}
