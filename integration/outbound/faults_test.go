package outbound

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/outbound"
)

const (
	short = 150 * time.Millisecond
	once  = -1 // no retries
)

func answer(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if r.Header.Get("Do") != "nothing" {
		_, _ = io.WriteString(w, strings.Repeat("x", 200_000))
	}
}

// An answer that is late is given up, by the deadline of the phase that it is
// late in.
func TestLatency(t *testing.T) {
	protocols(t, func(t *testing.T, http2 bool) {
		n := newNetwork(t, http2, answer)
		n.toxic("latency", "downstream", `"latency": 1500`)
		_, _, err := n.do(n.client(outbound.Options{TLSTimeout: short, Retries: once}), http.MethodGet, "")
		if e := fails(t, err, outbound.TimedOut); !strings.Contains(e.Error(), "TLS handshake") {
			t.Errorf("got error %v", err)
		}
		_, _, err = n.do(n.client(outbound.Options{Timeout: short, Retries: once}), http.MethodGet, "")
		if e := fails(t, err, outbound.TimedOut); !strings.Contains(e.Error(), "no complete answer") {
			t.Errorf("got error %v", err)
		}
		n = newNetwork(t, http2, answer) // the first one's connections are stuck
		c := n.client(outbound.Options{HeaderTimeout: short})
		n.warm(c)
		n.toxic("latency", "downstream", `"latency": 1500`)
		_, _, err = n.do(c, http.MethodGet, "")
		if e := fails(t, err, outbound.TimedOut); !strings.Contains(e.Error(), "header") {
			t.Errorf("got error %v", err)
		}
		if got := n.requests.Load(); got != 1 {
			t.Errorf("the server got %d requests, want 1: it may be at it still", got)
		}
	})
}

// Latency that is within the deadlines changes nothing.
func TestLatencyWithinDeadlines(t *testing.T) {
	protocols(t, func(t *testing.T, http2 bool) {
		n := newNetwork(t, http2, answer)
		n.toxic("latency", "downstream", `"latency": 30, "jitter": 20`)
		for range 3 {
			if code, text, err := n.do(n.client(outbound.Options{}), http.MethodGet, ""); err != nil || code != 200 || len(text) != 200_000 {
				t.Errorf("got %d, %d bytes and error %v", code, len(text), err)
			}
		}
	})
}

// A reset connection is tried again, for what may be sent twice.
func TestReset(t *testing.T) {
	protocols(t, func(t *testing.T, http2 bool) {
		n := newNetwork(t, http2, answer)
		n.toxic("reset_peer", "downstream", `"timeout": 0`)
		for method, attempts := range map[string]int{http.MethodGet: 3, http.MethodPost: 1} {
			c := n.client(outbound.Options{})
			_, _, err := n.do(c, method, "")
			if e := fails(t, err, outbound.Failed); e.Attempts != attempts {
				t.Errorf("%s: got error %v after %d attempts, want %d", method, err, e.Attempts, attempts)
			}
		}
	})
}

// A reset after the request has arrived does not have it arrive twice.
func TestResetAfterRequest(t *testing.T) {
	protocols(t, func(t *testing.T, http2 bool) {
		var n *network
		reset := func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if r.Header.Get("Do") == "nothing" {
				return
			}
			if n.requests.Load() == 1 {
				n.toxic("reset_peer", "downstream", `"timeout": 0`)
			} else {
				n.calm()
			}
			_, _ = io.WriteString(w, "done")
		}
		n = newNetwork(t, http2, reset)
		c := n.client(outbound.Options{})
		n.warm(c)
		_, _, err := n.do(c, http.MethodPost, "order")
		if e := fails(t, err, outbound.Failed); e.Attempts != 1 {
			t.Errorf("got error %v after %d attempts", err, e.Attempts)
		}
		if got := n.requests.Load(); got != 1 {
			t.Errorf("the server got %d requests, want 1", got)
		}
	})
}

// Once the network is back, the request that waits for its next attempt gets
// through, with its key and its body.
func TestRecovery(t *testing.T) {
	protocols(t, func(t *testing.T, http2 bool) {
		var calls atomic.Int32
		var seen sync.Map
		n := newNetwork(t, http2, func(w http.ResponseWriter, r *http.Request) {
			data, _ := io.ReadAll(r.Body)
			seen.Store(r.Header.Get("Idempotency-Key")+string(data), true)
			if calls.Add(1) < 3 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
		n.toxic("latency", "downstream", `"latency": 5`)
		n.toxic("slicer", "upstream", `"average_size": 100, "size_variation": 50, "delay": 10`)
		code, _, err := n.do(n.client(outbound.Options{}), http.MethodPost, "order", "Idempotency-Key: 17-")
		if err != nil || code != 200 || calls.Load() != 3 {
			t.Errorf("got %d and error %v after %d calls", code, err, calls.Load())
		}
		kinds := 0
		seen.Range(func(k, _ any) bool { kinds++; return k == "17-order" })
		if kinds != 1 {
			t.Error("the attempts differ")
		}
	})
}

// A cut answer is an error, wherever it is cut.
func TestTruncation(t *testing.T) {
	protocols(t, func(t *testing.T, http2 bool) {
		n := newNetwork(t, http2, answer)
		for _, bytes := range []string{"10", "2000", "30000", "150000", "199000"} {
			n.toxic("limit_data", "downstream", `"bytes": `+bytes)
			_, text, err := n.do(n.client(outbound.Options{Retries: once}), http.MethodGet, "")
			if fails(t, err, outbound.Failed); len(text) == 200_000 {
				t.Errorf("cut after %s bytes: got all of it", bytes)
			}
			n.calm()
		}
	})
}

// A body that comes in drops is bounded by the whole, and one that stops by the
// gap.
func TestSlowBody(t *testing.T) {
	protocols(t, func(t *testing.T, http2 bool) {
		n := newNetwork(t, http2, answer)
		c := n.client(outbound.Options{Timeout: 2 * short})
		n.warm(c)
		n.toxic("bandwidth", "downstream", `"rate": 50`) // KB/s
		_, text, err := n.do(c, http.MethodGet, "")
		if e := fails(t, err, outbound.TimedOut); !strings.Contains(e.Error(), "no complete answer") || len(text) == 200_000 {
			t.Errorf("got %d bytes and error %v", len(text), err)
		}
		n.calm()
		stop := newNetwork(t, http2, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			_, _ = io.WriteString(w, "begun")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})
		_, text, err = stop.do(stop.client(outbound.Options{BodyTimeout: short}), http.MethodGet, "")
		if e := fails(t, err, outbound.TimedOut); !strings.Contains(e.Error(), "no byte of the body") || text != "begun" {
			t.Errorf("got %q and error %v", text, err)
		}
	})
}

// A header that comes in drops is bounded by the header's time.
func TestSlowHeader(t *testing.T) {
	protocols(t, func(t *testing.T, http2 bool) {
		n := newNetwork(t, http2, answer)
		c := n.client(outbound.Options{HeaderTimeout: short, Retries: once})
		n.warm(c)
		n.toxic("slicer", "downstream", `"average_size": 1, "size_variation": 0, "delay": 20000`)
		_, _, err := n.do(c, http.MethodGet, "")
		fails(t, err, outbound.TimedOut)
	})
}

// A network that swallows everything holds a request no longer than its
// deadline.
func TestBlackHole(t *testing.T) {
	protocols(t, func(t *testing.T, http2 bool) {
		n := newNetwork(t, http2, answer)
		c := n.client(outbound.Options{HeaderTimeout: short, Retries: once})
		n.warm(c)
		n.toxic("timeout", "upstream", `"timeout": 0`)
		_, _, err := n.do(c, http.MethodGet, "")
		fails(t, err, outbound.TimedOut)
		if got := n.requests.Load(); got != 0 {
			t.Errorf("the server got %d requests", got)
		}
	})
}

// A server that is down is asked a little more often than there are requests,
// then not at all.
func TestDown(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, false, answer)
	c := n.client(outbound.Options{})
	n.proxy.Stop()
	attempts, open := 0, 0
	for range 20 {
		_, _, err := n.do(c, http.MethodGet, "")
		e := fails(t, err, outbound.Failed, outbound.BreakerOpen)
		attempts += e.Attempts
		if e.Reason == outbound.BreakerOpen {
			open++
		}
	}
	if attempts != 5 || open < 17 {
		t.Errorf("got %d attempts and %d refusals, want 5 attempts and then refusals", attempts, open)
	}
}

// Many requests that are all told to come back later do not make a storm.
func TestStormOf429(t *testing.T) {
	protocols(t, func(t *testing.T, http2 bool) {
		n := newNetwork(t, http2, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
		})
		n.toxic("latency", "downstream", `"latency": 5, "jitter": 5`)
		c := n.client(outbound.Options{})
		var all sync.WaitGroup
		for range 40 {
			all.Go(func() {
				if code, _, err := n.do(c, http.MethodGet, ""); err != nil || code != 429 {
					t.Errorf("got %d and error %v, want the answer as it is", code, err)
				}
			})
		}
		all.Wait()
		if got := n.requests.Load(); got < 40 || got > 44 {
			t.Errorf("the server got %d requests, want 40 and at most 4 retries", got)
		}
	})
}
