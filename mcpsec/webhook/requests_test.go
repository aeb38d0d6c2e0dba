package webhook_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

// What is no delivery is refused, before it is read where that is possible, and no
// handler sees it.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	s := stripeSender()
	o := quiet()
	o.MaxBody = len(s.body)
	rc := webhook.NewReceiver(s.verifier(t), nil, func(context.Context, webhook.Event) error { return nil }, o)
	url := serve(t, rc)
	h, body := s.deliver(time.Now())
	with := func(name, value string) http.Header {
		c := h.Clone()
		c.Set(name, value)
		return c
	}
	unread := unreadable{t}
	for _, tc := range []struct {
		name, method string
		header       http.Header
		body         io.Reader
		status       int
		reason       string
	}{
		{"GET", "GET", h, nil, 405, "method"},
		{"HEAD", "HEAD", h, nil, 405, "method"},
		{"PUT", "PUT", h, bytes.NewReader(body), 405, "method"},
		{"OPTIONS", "OPTIONS", h, nil, 405, "method"},
		{"a form", "POST", with("Content-Type", "application/x-www-form-urlencoded"), bytes.NewReader(body), 415, "content_type"},
		{"gzip", "POST", with("Content-Encoding", "gzip"), bytes.NewReader(body), 415, "content_type"},
		{"too long, and says so", "POST", h, bytes.NewReader(append(body, ' ')), 413, "too_large"},
		{"too long, in chunks", "POST", h, io.MultiReader(bytes.NewReader(body), strings.NewReader(" ")), 413, "too_large"},
		{"endless", "POST", h, io.MultiReader(bytes.NewReader(body), endless{}), 413, "too_large"},
		{"changed", "POST", h, bytes.NewReader(bytes.Replace(body, []byte("paid"), []byte("void"), 1)), 401, "signature"},
		{"no signature", "POST", with("Stripe-Signature", ""), bytes.NewReader(body), 401, "header"},
		{"empty", "POST", h, http.NoBody, 401, "signature"},
		{"good, in chunks", "POST", h, io.MultiReader(bytes.NewReader(body)), 200, "handled"},
	} {
		before := rc.Stats()[tc.reason]
		req, err := http.NewRequestWithContext(t.Context(), tc.method, url, tc.body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = tc.header.Clone()
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		res.Body.Close()
		if res.StatusCode != tc.status || rc.Stats()[tc.reason] != before+1 {
			t.Errorf("%s: got %d, want %d; counted %v", tc.name, res.StatusCode, tc.status, rc.Stats())
		}
		if tc.status == 405 && res.Header.Get("Allow") != "POST" || tc.status == 401 && res.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: got %v", tc.name, res.Header)
		}
	}
	if n := rc.Stats()["handled"]; n != 1 {
		t.Errorf("handled %d", n)
	}
	// What its headers rule out is not read.
	for _, change := range []func(*http.Request){
		func(r *http.Request) { r.Method = "GET" },
		func(r *http.Request) { r.Header.Set("Content-Type", "text/html") },
		func(r *http.Request) { r.ContentLength = int64(len(body)) + 1 },
	} {
		req := httptest.NewRequest(http.MethodPost, "/", unread)
		req.Header = h.Clone()
		change(req)
		rc.ServeHTTP(httptest.NewRecorder(), req)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type unreadable struct{ t *testing.T }

func (u unreadable) Read([]byte) (int, error) { u.t.Error("the body was read"); return 0, io.EOF }

// A body that does not come ends the request.
func TestSlowBodyIsGivenUp(t *testing.T) {
	t.Parallel()
	s := stripeSender()
	o := quiet()
	o.Timeout = 50 * time.Millisecond
	rc := webhook.NewReceiver(s.verifier(t), nil, func(context.Context, webhook.Event) error { return nil }, o)
	conn, err := net.Dial("tcp", strings.TrimPrefix(serve(t, rc), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 408 ")) {
		t.Errorf("got %q, %v", answer, err)
	}
	counted(t, rc, map[string]uint64{"read": 1})
}

// A forger is told nothing of what was wrong.
func TestAnswersAreAlike(t *testing.T) {
	t.Parallel()
	s := stripeSender()
	url := serve(t, webhook.NewReceiver(s.verifier(t), nil, func(context.Context, webhook.Event) error { return nil }, quiet()))
	answers := map[string]bool{}
	for _, change := range []func(p []string){
		func(p []string) { p[1] = "" },
		func(p []string) { p[1] = strings.Repeat("0", 64) },
		func(p []string) { p[0] = "x" },
		func(p []string) { p[0] = "1" },
		func(p []string) { p[2] = "{}" },
	} {
		parts := s.parts(s.body, time.Now())
		change(parts)
		h, body := s.join(parts)
		status, header, text := post(t, url, h, body)
		header.Del("Date")
		answers[http.StatusText(status)+text+header.Get("WWW-Authenticate")] = true
		if status != http.StatusUnauthorized || text != "Unauthorized\n" {
			t.Errorf("got %d %q", status, text)
		}
	}
	if len(answers) != 1 {
		t.Errorf("answers differ: %v", answers)
	}
	// Postmark's credentials are asked for as RFC 7617 says.
	p := postmarkSender()
	url = serve(t, webhook.NewReceiver(p.verifier(t), nil, func(context.Context, webhook.Event) error { return nil }, quiet()))
	if status, header, _ := post(t, url, jsonHeader(), []byte(p.body)); status != 401 || !strings.HasPrefix(header.Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("got %d, %v", status, header)
	}
}

// A certificate that cannot be had is no verdict: the sender may come again.
func TestMissingCertificateIsNoVerdict(t *testing.T) {
	t.Parallel()
	w := newSNS(t)
	w.serve(certURL, nil)
	rc := webhook.NewReceiver(w.verifier(t), nil, func(context.Context, webhook.Event) error { return nil }, quiet())
	url := serve(t, rc)
	if status := deliver(t, url, w.sender()); status != http.StatusServiceUnavailable {
		t.Errorf("got %d", status)
	}
	w.serve(certURL, pemOf(amazon().leaf(nil)))
	if status := deliver(t, url, w.sender()); status != http.StatusOK {
		t.Errorf("got %d", status)
	}
}
