package outbound

import (
	"sync"
	"time"
)

// A host is what is remembered of one host: how its last requests ended. There
// is one for each entry of Options.Allow, made at the start, so that nothing
// that a caller does makes it more.
type host struct {
	name string // host:port

	mu       sync.Mutex
	failures int       // in a row
	until    time.Time // when an open breaker lets a probe through
	probing  bool
	tokens   float64
}

// The breaker opens after so many failures in a row, for so long. Then one
// request is let through, and its end closes the breaker or opens it again.
const (
	breakerFailures = 5
	breakerCooldown = 10 * time.Second
)

// The budget of retries is gRPC's (proposal A6): a failure takes one token of
// ten, a success puts a tenth back, and there are retries while more than half
// of them are left. So a host that is down gets at most five retries, whatever
// the number of requests, and one in a long row that fails a little gets a tenth
// on top.
const (
	maxTokens  = 10
	tokenRatio = 0.1
)

// A verdict is what an attempt tells about a host.
type verdict int

const (
	silent    verdict = iota // nothing: it was refused here, or given up by the caller
	healthy                  // it answered
	overwhelm                // it answered that it has too much to do
	unhealthy                // it did not answer, or a gateway answered for it
)

// enter asks whether a request may be sent. If not, it returns for how long
// that stays so. A probe must be ended by leave.
func (h *host) enter(now time.Time) (probe bool, wait time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failures < breakerFailures {
		return false, 0
	}
	if wait := h.until.Sub(now); wait > 0 {
		return false, wait
	}
	if h.probing {
		return false, time.Second // by then the probe may have ended
	}
	h.probing = true
	return true, 0
}

// leave takes in how an attempt ended.
func (h *host) leave(v verdict, probe bool, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if probe {
		h.probing = false
	}
	switch v {
	case healthy:
		h.failures, h.tokens = 0, min(h.tokens+tokenRatio, maxTokens)
	case overwhelm:
		h.failures, h.tokens = 0, max(h.tokens-1, 0)
	case unhealthy:
		h.failures, h.tokens = h.failures+1, max(h.tokens-1, 0)
		h.until = now.Add(breakerCooldown)
	}
}

// mayRetry reports whether the budget and the breaker allow one more attempt.
func (h *host) mayRetry() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tokens > maxTokens/2 && h.failures < breakerFailures
}
