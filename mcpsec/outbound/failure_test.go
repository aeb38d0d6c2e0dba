package outbound

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Of each kind of failure, the error names the host and nothing more of the URL.
func TestErrorsShowNoURL(t *testing.T) {
	t.Parallel()
	srv, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("Do") {
		case "reset":
			hangUp(w)
		case "redirect":
			http.Redirect(w, r, "https://elsewhere.example/?key="+secret, http.StatusFound)
		case "big":
			w.Header().Set("Content-Length", "7000")
			_, _ = io.WriteString(w, strings.Repeat(secret, 1000))
		case "garbage":
			conn, _, _ := http.NewResponseController(w).Hijack()
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nSet-Cookie "+secret+"\r\n\r\n")
			_ = conn.Close()
		case "nonsense":
			conn, _, _ := http.NewResponseController(w).Hijack()
			_, _ = io.WriteString(conn, secret+"\r\n\r\n")
			_ = conn.Close()
		case "endless header":
			w.Header().Set("X", strings.Repeat(secret, 20_000))
		}
	})
	for do, want := range map[string]Reason{
		"reset": Failed, "redirect": RedirectRefused, "big": TooLarge, "garbage": Failed, "nonsense": Failed, "endless header": Failed,
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodHead, http.MethodPut} {
			if method == http.MethodHead && want == TooLarge {
				continue
			}
			c := client(t, srv, Options{MaxBody: 1000, Retries: -1})
			var body io.Reader
			if method == http.MethodPost || method == http.MethodPut {
				body = strings.NewReader(secret)
			}
			resp, err := ask(t, c, method, srv.URL, body, "Do: "+do)
			if resp != nil || err == nil {
				t.Fatalf("%s %s: got response %v and error %v", method, do, resp, err)
			}
			e := fails(t, err, want)
			var u *url.Error
			if !errors.As(err, &u) || u.URL != srv.URL || u.Op != method[:1]+strings.ToLower(method[1:]) {
				t.Errorf("%s %s: got %#v, want a url.Error about %s", method, do, u, srv.URL)
			}
			if e.Host != srv.Listener.Addr().String() {
				t.Errorf("%s %s: got host %q", method, do, e.Host)
			}
		}
	}
}

// The request's body is closed and sent once, and GetBody not asked for more.
func TestFailureSendsNothing(t *testing.T) {
	t.Parallel()
	srv, n := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		hangUp(w)
	})
	c := client(t, srv, Options{})
	body := &closing{Reader: strings.NewReader(secret)}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/?key="+secret, body)
	if err != nil {
		t.Fatal(err)
	}
	var bodies atomic.Int32
	req.GetBody = func() (io.ReadCloser, error) { bodies.Add(1); return io.NopCloser(strings.NewReader(secret)), nil }
	_, err = c.Do(req)
	fails(t, err, Failed)
	count(t, n, 1)
	count(t, &bodies, 0)
	if body.closed.Load() == 0 {
		t.Error("the body was not closed")
	}
	for _, refused := range []func(*http.Request){
		func(r *http.Request) { r.URL.Scheme = "http" },
		func(r *http.Request) { r.Response = &http.Response{} },
	} {
		body = &closing{Reader: strings.NewReader(secret)}
		req := req.Clone(t.Context())
		req.Body = body
		refused(req)
		if _, err = c.Do(req); err == nil || body.closed.Load() == 0 {
			t.Errorf("got error %v, and the body closed %d times", err, body.closed.Load())
		}
	}
	count(t, n, 1)
}

type closing struct {
	io.Reader
	closed atomic.Int32
}

func (c *closing) Close() error { c.closed.Add(1); return nil }

// Whoever puts the transport into a client of their own never takes a failure
// for an answer, nor sends anything because of it.
func TestOtherClientsSeeFailures(t *testing.T) {
	t.Parallel()
	srv, n := serve(t, func(w http.ResponseWriter, r *http.Request) { hangUp(w) })
	inner := func() http.RoundTripper { return client(t, srv, Options{Retries: -1}).Transport }
	for name, c := range map[string]*http.Client{
		"plain":          {Transport: inner()},
		"with Timeout":   {Transport: inner(), Timeout: time.Minute},
		"with a check":   {Transport: inner(), CheckRedirect: func(*http.Request, []*http.Request) error { return nil }},
		"with a wrapper": {Transport: cloning(inner())},
		"with a body of its own": {Transport: around(inner(), func(resp *http.Response) {
			resp.Body = io.NopCloser(resp.Body)
		})},
		"that loses the request": {Transport: around(inner(), func(resp *http.Response) { resp.Request = nil })},
	} {
		n.Store(0)
		resp, err := ask(t, c, http.MethodPost, srv.URL, nil)
		if resp != nil || err == nil {
			t.Fatalf("%s: got response %v and error %v", name, resp, err)
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error shows the secret: %v", name, err)
		}
		if name != "that loses the request" {
			fails(t, err, Failed)
		}
		count(t, n, 1)
	}
	c := &http.Client{Transport: inner(), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := ask(t, c, http.MethodGet, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode < 300 {
		t.Errorf("got status %d", resp.StatusCode)
	}
	_, err = io.ReadAll(resp.Body)
	fails(t, err, Failed)
}

type wrapper func(*http.Request) (*http.Response, error)

func (f wrapper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func cloning(rt http.RoundTripper) http.RoundTripper {
	return wrapper(func(r *http.Request) (*http.Response, error) { return rt.RoundTrip(r.Clone(r.Context())) })
}

func around(rt http.RoundTripper, change func(*http.Response)) http.RoundTripper {
	return wrapper(func(r *http.Request) (*http.Response, error) {
		resp, err := rt.RoundTrip(r)
		if err == nil {
			change(resp)
		}
		return resp, err
	})
}

// The context's end comes through as what it is.
func TestContextEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	srv, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	c := client(t, srv, Options{})
	do := func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+"/?key="+secret, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Do(req)
		return err
	}
	err := do(ctx)
	fails(t, err, Canceled)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want context.Canceled in it", err)
	}
	past, stop := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer stop()
	err = do(past)
	fails(t, err, TimedOut)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v, want context.DeadlineExceeded in it", err)
	}
	// Neither is the server's fault.
	if h := hostOf(c, srv); h.failures != 0 || h.tokens != maxTokens {
		t.Errorf("got %d failures and %v tokens", h.failures, h.tokens)
	}
}

func hostOf(c *http.Client, srv *httptest.Server) *host {
	return c.Transport.(*transport).hosts[srv.Listener.Addr().String()]
}

// net/http may have heard of a cancellation before the context that is asked.
func TestCancelledInPassing(t *testing.T) {
	t.Parallel()
	tr := &transport{}
	if err := tr.explain(t.Context(), &url.Error{Op: "Get", Err: context.Canceled}); err.Reason != Canceled || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v: %v", err.Reason, err)
	}
}

// What comes after the caller has given up is no answer: giving up makes a
// server's handler end, and so can make an empty 200.
func TestAnswerAfterTheEndIsNone(t *testing.T) {
	t.Parallel()
	srv, _ := serve(t, func(http.ResponseWriter, *http.Request) {})
	c := client(t, srv, Options{})
	for range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotFirstResponseByte: cancel})
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Do(req)
		fails(t, err, Canceled)
	}
}
