package outbound

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"
)

const again = "Idempotency-Key: 8e03978e-40d5-43e8-bc93-6894a57f9324"

// flaky fails the first requests in a way, and answers then.
func flaky(fail int32, how func(http.ResponseWriter)) (http.HandlerFunc, *sync.Map) {
	var n atomic.Int32
	var seen sync.Map // what the attempts were like
	return func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		seen.Store(r.Method+" "+r.Header.Get("Idempotency-Key")+" "+r.Header.Get("Authorization")+" "+string(data), true)
		if n.Add(1) <= fail {
			how(w)
			return
		}
		_, _ = io.WriteString(w, "done")
	}, &seen
}

func status(code int) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { http.Error(w, "busy", code) }
}

func TestRetries(t *testing.T) {
	t.Parallel()
	try := func(method string, body io.Reader, headers ...string) func(string, func(http.ResponseWriter), int32) {
		return func(name string, how func(http.ResponseWriter), attempts int32) {
			t.Helper()
			handler, seen := flaky(2, how)
			srv, n := serve(t, handler)
			c := client(t, srv, Options{})
			waits := pauses(c)
			if s, ok := body.(io.Seeker); ok {
				_, _ = s.Seek(0, io.SeekStart)
			}
			resp, err := ask(t, c, method, srv.URL, body, headers...)
			switch {
			case attempts == 3 && (err != nil || resp.StatusCode != 200):
				t.Errorf("%s after %s: got response %v and error %v", method, name, resp, err)
			case attempts == 1 && name == "reset":
				if e := fails(t, err, Failed); e.Attempts != 1 {
					t.Errorf("got %d attempts", e.Attempts)
				}
			case attempts == 1 && err != nil:
				t.Errorf("%s after %s: got error %v", method, name, err)
			}
			count(t, n, attempts)
			if len(*waits) != int(attempts)-1 {
				t.Errorf("%s after %s: got pauses %v", method, name, *waits)
			}
			kinds := 0
			seen.Range(func(k, _ any) bool { kinds++; return true })
			if kinds != 1 {
				t.Errorf("%s after %s: the attempts differ", method, name)
			}
			if resp != nil {
				_ = resp.Body.Close()
			}
		}
	}
	text := func() io.Reader { return strings.NewReader("body") }
	for name, how := range map[string]func(http.ResponseWriter){"429": status(429), "502": status(502), "503": status(503), "504": status(504), "reset": hangUp} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodDelete} {
			try(method, nil)(name, how, 3)
		}
		try(http.MethodPut, text())(name, how, 3)
		try(http.MethodPost, text(), again)(name, how, 3)
		try(http.MethodPatch, text(), again)(name, how, 3)
		try(http.MethodPost, text())(name, how, 1)
		try(http.MethodPost, nil)(name, how, 1)
		try(http.MethodPatch, text())(name, how, 1)
		try(http.MethodPost, text(), "Idempotency-Key:  ")(name, how, 1)
		try(http.MethodPost, io.MultiReader(text()), again)(name, how, 1) // no GetBody
		try(http.MethodPut, io.MultiReader(text()))(name, how, 1)
	}
	for _, code := range []int{200, 400, 401, 403, 404, 408, 409, 425, 500, 501, 505} {
		try(http.MethodGet, nil)(fmt.Sprint(code), status(code), 1)
	}
}

func TestRetriesAreBounded(t *testing.T) {
	t.Parallel()
	for retries, want := range map[int]int32{-1: 1, 0: 3, 1: 2, 3: 4} {
		srv, n := serve(t, func(w http.ResponseWriter, r *http.Request) { status(503)(w) })
		c := client(t, srv, Options{Retries: retries})
		pauses(c)
		code, text, err := get(t, c, srv.URL)
		if err != nil || code != 503 || text != "busy\n" {
			t.Errorf("got %d, %q and error %v, want the last answer as it is", code, text, err)
		}
		count(t, n, want)
	}
}

// A connection that was kept and turns out to be closed is no reason to send
// twice what must be sent once.
func TestOnceOnKeptConnections(t *testing.T) {
	t.Parallel()
	var posts atomic.Int32
	srv, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method == http.MethodPost {
			posts.Add(1)
			conn, _, _ := http.NewResponseController(w).Hijack()
			_ = conn.Close()
		}
	})
	c := client(t, srv, Options{})
	pauses(c)
	for i := range int32(4) {
		if _, _, err := get(t, c, srv.URL); err != nil {
			t.Fatal(err)
		}
		_, err := ask(t, c, http.MethodPost, srv.URL, strings.NewReader("x"))
		fails(t, err, Failed)
		count(t, &posts, i+1)
	}
}

func TestBadGetBody(t *testing.T) {
	t.Parallel()
	srv, n := serve(t, func(w http.ResponseWriter, _ *http.Request) { status(503)(w) })
	c := client(t, srv, Options{})
	pauses(c)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, srv.URL, strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	gone := errors.New("gone: " + secret)
	req.GetBody = func() (io.ReadCloser, error) { return nil, gone }
	_, err = c.Do(req)
	fails(t, err, Failed)
	if !errors.Is(err, gone) {
		t.Errorf("got error %v, want the cause in it", err)
	}
	count(t, n, 1)
}

// What will not pass is not tried again, and not held against the host.
func TestRefusalsAreNotRetried(t *testing.T) {
	t.Parallel()
	srv, n := serve(t, func(http.ResponseWriter, *http.Request) {})
	_, other := otherRoots(t)
	c := client(t, srv, Options{RootCAs: other})
	waits := pauses(c)
	_, _, err := get(t, c, srv.URL)
	fails(t, err, Failed)
	c = client(t, srv, Options{Networks: prefixes("10.0.0.0/8")})
	waits2 := pauses(c)
	_, _, err = get(t, c, srv.URL)
	fails(t, err, Refused)
	if h := hostOf(c, srv); h.failures != 0 || h.tokens != maxTokens {
		t.Errorf("got %d failures and %v tokens", h.failures, h.tokens)
	}
	count(t, n, 0)
	if len(*waits)+len(*waits2) > 0 {
		t.Errorf("got pauses %v and %v", *waits, *waits2)
	}
}

// A request that was sent and had no answer is never said not to have been sent, as when
// others open the breaker during its pause, or its host is elsewhere by then.
func TestSentIsNotUnsent(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*transport, *host){
		"breaker": func(_ *transport, h *host) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.failures, h.until = breakerFailures, time.Now().Add(breakerCooldown)
		},
		"address": func(tr *transport, _ *host) {
			tr.base.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, &refusedAddress{} }
		},
	} {
		srv, n := serve(t, func(w http.ResponseWriter, _ *http.Request) { hangUp(w) })
		c := client(t, srv, Options{})
		tr := c.Transport.(*transport)
		h := hostOf(c, srv)
		tr.timer = func() backoff.Timer { return changing{make(chan time.Time, 1), func() { change(tr, h) }} }
		_, _, err := get(t, c, srv.URL)
		if e := fails(t, err, Failed); !strings.Contains(e.Error(), "and then was not sent again") || n.Load() != 1 {
			t.Errorf("%s: got %v after %d requests", name, e, n.Load())
		}
	}
}

// changing has something happen during a pause.
type changing struct {
	c    chan time.Time
	then func()
}

func (t changing) Start(time.Duration) { t.then(); t.c <- time.Time{} }
func (changing) Stop()                 {}
func (t changing) C() <-chan time.Time { return t.c }

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, "0007": 7 * time.Second, "86400": 24 * time.Hour,
		"Fri, 02 Jan 2026 03:04:15 GMT": 10 * time.Second, "Friday, 02-Jan-26 03:04:15 GMT": 10 * time.Second, "Fri Jan  2 03:04:15 2026": 10 * time.Second,
		"Fri, 02 Jan 2026 03:04:00 GMT": 0, "-5": 0, "+5": 0, "1.5": 0, " 5": 0, "5s": 0, "soon": 0, "٥": 0,
		"99999999999999999999999": 1<<63 - 1,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: got %s, want %s", value, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"5", "Fri, 02 Jan 2026 03:04:15 GMT", "99999999999999999999", "-1", ""} {
		f.Add(s)
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		if d := retryAfter(s, now); d < 0 {
			t.Errorf("%q: got %s", s, d)
		}
	})
}

// A pause is no shorter than Retry-After, and an answer that asks for too much
// is the caller's.
func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	for after, want := range map[string][]time.Duration{
		"":                     {100 * time.Millisecond, 200 * time.Millisecond},
		"3":                    {3100 * time.Millisecond, 3200 * time.Millisecond},
		"30":                   nil, // more than is left of Timeout
		"31":                   nil,
		"1e9":                  {100 * time.Millisecond, 200 * time.Millisecond},
		"99999999999999999999": nil,
	} {
		srv, n := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", after)
			status(429)(w)
		})
		c := client(t, srv, Options{})
		waits := pauses(c)
		code, text, err := get(t, c, srv.URL)
		if err != nil || code != 429 || text != "busy\n" {
			t.Errorf("%q: got %d, %q and error %v, want the answer as it is", after, code, text, err)
		}
		if fmt.Sprint(*waits) != fmt.Sprint(want) {
			t.Errorf("%q: got pauses %v, want %v", after, *waits, want)
		}
		count(t, n, int32(len(want)+1))
	}
	srv, n := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "31")
		status(429)(w)
	})
	c := client(t, srv, Options{Timeout: time.Hour})
	pauses(c)
	if code, _, err := get(t, c, srv.URL); err != nil || code != 429 {
		t.Errorf("got %d and error %v", code, err)
	}
	count(t, n, 1)
}

// Full jitter is even from nothing to all of the pause, which doubles up to five
// seconds.
func TestFullJitter(t *testing.T) {
	t.Parallel()
	const d, draws = time.Second, 20_000
	var sum time.Duration
	low, high := d, time.Duration(0)
	for range draws {
		j := fullJitter(d)
		sum += j
		low, high = min(low, j), max(high, j)
	}
	if low < 0 || low > d/100 || high > d || high < d-d/100 {
		t.Errorf("got pauses from %s to %s", low, high)
	}
	if mean := sum / draws; mean < d*48/100 || mean > d*52/100 {
		t.Errorf("got a mean of %s", mean)
	}
	srv, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { status(429)(w) })
	c := client(t, srv, Options{Retries: 9, Timeout: time.Hour})
	hostOf(c, srv).tokens = 100
	waits := pauses(c)
	if _, _, err := get(t, c, srv.URL); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(*waits), "[100ms 200ms 400ms 800ms 1.6s 3.2s 5s 5s 5s]"; got != want {
		t.Errorf("got pauses %s, want %s", got, want)
	}
}

// A pause ends with the context.
func TestPauseHeedsTheContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	srv, n := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "20")
		status(503)(w)
		time.AfterFunc(10*time.Millisecond, cancel)
	})
	c := client(t, srv, Options{})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+"/?key="+secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Do(req)
	if e := fails(t, err, Canceled); e.Attempts != 1 || e.Host == "" {
		t.Errorf("got %+v", e)
	}
	count(t, n, 1)
}

// However many requests there are, a host that is down is not asked much more
// often than that.
func TestRetryBudget(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	down.Store(true)
	srv, n := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			status(429)(w)
		}
	})
	c := client(t, srv, Options{})
	pauses(c)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { _, _, _ = get(t, c, srv.URL) })
	}
	all.Wait()
	if got := n.Load(); got < 50 || got > 54 {
		t.Errorf("got %d requests, want 50 and at most 4 retries", got)
	}
	down.Store(false)
	for range 52 { // each earns a tenth
		_, _, _ = get(t, c, srv.URL)
	}
	down.Store(true)
	n.Store(0)
	_, _, _ = get(t, c, srv.URL)
	if got := n.Load(); got != 1 {
		t.Errorf("got %d requests, want no retry with 5.2 tokens less one", got)
	}
	h := hostOf(c, srv)
	for range 1000 {
		h.leave(healthy, false, time.Now())
	}
	if h.tokens != maxTokens {
		t.Errorf("got %v tokens, want at most %v", h.tokens, maxTokens)
	}
}

// A failed answer that is large or slow delays the next attempt by little.
func TestDrainIsBounded(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, proto func(*httptest.Server)) {
		var first atomic.Bool
		srv, n := serveWith(t, func(w http.ResponseWriter, r *http.Request) {
			if first.Swap(true) {
				return
			}
			w.WriteHeader(503)
			_, _ = w.Write(bytes.Repeat([]byte("x"), 10_000))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, proto)
		c := client(t, srv, Options{})
		pauses(c)
		if code, _, err := get(t, c, srv.URL); err != nil || code != 200 {
			t.Errorf("got %d and error %v", code, err)
		}
		count(t, n, 2)
	})
}
