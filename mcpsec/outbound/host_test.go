package outbound

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

func TestBreaker(t *testing.T) {
	t.Parallel()
	var mood atomic.Int32
	srv, n := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if code := mood.Load(); code != 0 {
			w.WriteHeader(int(code))
			return
		}
		hangUp(w)
	})
	c := client(t, srv, Options{Retries: -1})
	h := hostOf(c, srv)
	for range breakerFailures {
		_, _, err := get(t, c, srv.URL)
		fails(t, err, Failed)
	}
	n.Store(0)
	for range 3 {
		_, _, err := get(t, c, srv.URL)
		if e := fails(t, err, BreakerOpen); e.RetryIn <= 0 || e.RetryIn > breakerCooldown || e.Attempts != 0 {
			t.Errorf("got RetryIn %s after %d attempts", e.RetryIn, e.Attempts)
		}
	}
	count(t, n, 0)

	cooled := func() { h.mu.Lock(); h.until = time.Now(); h.mu.Unlock() }
	cooled()
	_, _, err := get(t, c, srv.URL)
	fails(t, err, Failed) // the probe
	_, _, err = get(t, c, srv.URL)
	fails(t, err, BreakerOpen)
	count(t, n, 1)

	cooled()
	mood.Store(503)
	if code, _, err := get(t, c, srv.URL); err != nil || code != 503 {
		t.Errorf("got %d and error %v", code, err)
	}
	_, _, err = get(t, c, srv.URL)
	fails(t, err, BreakerOpen)

	cooled()
	mood.Store(404)
	for range 3 {
		if code, _, err := get(t, c, srv.URL); err != nil || code != 404 {
			t.Errorf("got %d and error %v, want a closed breaker", code, err)
		}
	}
}

// What one caller's input can cause does not shut the others out.
func TestBreakerIgnores(t *testing.T) {
	t.Parallel()
	for _, code := range []int{200, 302, 400, 404, 429, 500} {
		srv, n := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(code) })
		c := client(t, srv, Options{Retries: -1})
		for range 2 * breakerFailures {
			if got, _, err := get(t, c, srv.URL); err != nil || got != code {
				t.Fatalf("got %d and error %v, want %d", got, err, code)
			}
		}
		count(t, n, 2*breakerFailures)
	}
	entered := make(chan bool)
	srv, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		entered <- true
		<-r.Context().Done()
	})
	c := client(t, srv, Options{})
	for range 2 * breakerFailures {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-entered; cancel() }()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Do(req)
		fails(t, err, Canceled)
	}
}

// A breaker of one host is no other's.
func TestBreakerIsOfOneHost(t *testing.T) {
	t.Parallel()
	bad, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	good, n := serve(t, func(http.ResponseWriter, *http.Request) {})
	pool := roots(bad)
	pool.AddCert(good.Certificate())
	c := client(t, good, Options{Retries: -1, RootCAs: pool, Allow: []string{good.Listener.Addr().String(), bad.Listener.Addr().String()}})
	for range breakerFailures {
		_, _, _ = get(t, c, bad.URL)
	}
	_, _, err := get(t, c, bad.URL)
	fails(t, err, BreakerOpen)
	if _, _, err := get(t, c, good.URL); err != nil {
		t.Error(err)
	}
	count(t, n, 1)
}

// Half open, one goes through, however it ends, and then the next.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	h := &host{tokens: maxTokens}
	for range breakerFailures {
		if probe, wait := h.enter(now); probe || wait != 0 {
			t.Fatal("a closed breaker refuses")
		}
		h.leave(unhealthy, false, now)
	}
	if _, wait := h.enter(now.Add(breakerCooldown - 1)); wait != 1 {
		t.Errorf("got wait %d, want 1", wait)
	}
	for _, end := range []verdict{silent, silent} {
		later := now.Add(breakerCooldown)
		probe, wait := h.enter(later)
		if !probe || wait != 0 {
			t.Fatalf("got probe %v and wait %s, want a probe", probe, wait)
		}
		for range 3 {
			if probe, wait := h.enter(later); probe || wait <= 0 {
				t.Errorf("got probe %v and wait %s, want a refusal beside the probe", probe, wait)
			}
		}
		h.leave(unhealthy, false, now) // one that was sent before: not the probe's end
		if _, wait := h.enter(later); wait <= 0 {
			t.Error("the end of another request ended the probe")
		}
		h.leave(end, true, later)
	}
}
