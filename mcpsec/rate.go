package mcpsec

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// stateTimeout is how long a shared state may take to count a request.
const stateTimeout = 5 * time.Second

// rates counts the requests of principals in what replicas share.
type rates struct {
	limiter   state.Limiter
	allowance state.Allowance
	prefix    string // of keys: servers of other names may use the same store
	remote    bool   // the limiter is shared, and may be slow
	waits     waits  // of those who were refused by it
	failures  refusals
}

func newRates(store state.Store, server string, perSecond float64) *rates {
	r := &rates{limiter: store, allowance: perSecondAllowance(perSecond), prefix: ratePrefix(server), remote: store != nil}
	if store == nil {
		r.limiter = new(state.Memory)
	}
	return r
}

// ratePrefix quotes the name, so that where it ends is certain.
func ratePrefix(server string) string { return "rate " + strconv.Quote(server) + " " }

// perSecondAllowance lets as many through as pace does, at least two at once.
func perSecondAllowance(perSecond float64) state.Allowance {
	limit := math.Max(2, math.Floor(2*perSecond))
	return state.Allowance{Limit: int64(limit), Per: time.Duration(math.Ceil(limit/perSecond*1e6)) * time.Microsecond}
}

// rate counts one request of a principal. It returns how long to wait if it comes
// too early. With an error, which is logged, nothing is known: it is refused.
func (s *Server) rate(ctx context.Context, principal string) (wait time.Duration, err error) {
	r := s.rates
	if r.remote {
		if wait := r.waits.left(principal, time.Now()); wait > 0 {
			return wait, nil
		}
	}
	wait, err = r.take(ctx, principal)
	switch {
	case err == nil && wait > 0 && r.remote:
		r.waits.set(principal, time.Now().Add(wait))
	case err != nil && ctx.Err() == nil: // nobody has hung up
		if ok, more := r.failures.admit(time.Now()); ok {
			s.log.ErrorContext(ctx, "a request was refused because Options.State could not count it", "error", err, "more", more)
		}
	}
	return wait, err
}

// take asks the limiter, which may be a user's own: one that panics counts nothing.
// Who hangs up at once is counted all the same, which a shared store sees to itself.
func (r *rates) take(ctx context.Context, principal string) (wait time.Duration, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the Limiter panicked: %v", p)
		}
	}()
	if !r.remote {
		return r.limiter.Take(context.WithoutCancel(ctx), r.prefix+principal, 1, r.allowance)
	}
	ctx, cancel := context.WithTimeout(ctx, stateTimeout)
	defer cancel()
	return r.limiter.Take(ctx, r.prefix+principal, 1, r.allowance)
}

// waits are when those may be asked about again who were told to wait. Until then
// the answer is known: a flood does not reach what replicas share.
type waits struct {
	mu    sync.Mutex
	until map[string]time.Time
}

// maxWaits bounds the memory of waits. When it is full all are asked about again.
const maxWaits = 10_000

func (w *waits) left(principal string, now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	left := w.until[principal].Sub(now)
	if left <= 0 {
		delete(w.until, principal)
	}
	return left
}

func (w *waits) set(principal string, until time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.until == nil || len(w.until) >= maxWaits {
		w.until = map[string]time.Time{}
	}
	w.until[principal] = until
}
