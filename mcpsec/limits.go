package mcpsec

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/schema"
)

// The bounds that an argument gets when its validate tag names none. They are
// part of the schema that the model sees.
const (
	DefaultMaxLength = schema.DefaultMaxLength // characters of a string, bytes of a []byte
	DefaultMaxItems  = schema.DefaultMaxItems  // elements of a slice
)

// Limits bounds what a client can make a server spend. Zero fields take the
// defaults; none of them means unlimited.
type Limits struct {
	// Timeout is how long one call may take. A handler that does not heed its
	// context is left behind when it passes. Defaults to 30 seconds.
	Timeout time.Duration
	// MaxResult is how many bytes of JSON one result may have. A larger one is
	// an error that says how to ask for less. Defaults to 256 KiB.
	MaxResult int
	// MaxConcurrent is how many calls run at once; one more is refused, not
	// queued. A handler left behind counts until it returns. Defaults to 64.
	MaxConcurrent int
	// MaxConcurrentPerPrincipal is the same for one caller. Defaults to 16.
	MaxConcurrentPerPrincipal int
	// CallsPerSecond is how many calls, lists and other requests one principal
	// may make on average, with bursts of twice as many, at least two: 0.01 to
	// 1,000,000. They are counted in Options.State. Defaults to 100.
	CallsPerSecond float64
	// MaxMessage is how many bytes one incoming message may have. Defaults to
	// 1 MiB.
	MaxMessage int
	// MaxDepth is how deep arrays and objects of a message may nest. Defaults
	// to 64.
	MaxDepth int
	// Grace is how long running calls may go on when the server stops, before
	// they are cancelled. Defaults to 5 seconds.
	Grace time.Duration
	// Confirm is how long a person may take to answer a question, at most a day.
	// A call that waits for one counts against no other limit, but a caller has
	// at most a quarter of MaxConcurrentPerPrincipal of them. Defaults to 5
	// minutes.
	Confirm time.Duration
}

func (l Limits) withDefaults() Limits {
	setDefault(&l.Timeout, 30*time.Second)
	setDefault(&l.MaxResult, 256<<10)
	setDefault(&l.MaxConcurrent, 64)
	setDefault(&l.MaxConcurrentPerPrincipal, 16)
	setDefault(&l.CallsPerSecond, 100)
	setDefault(&l.MaxMessage, 1<<20)
	setDefault(&l.MaxDepth, 64)
	setDefault(&l.Grace, 5*time.Second)
	setDefault(&l.Confirm, 5*time.Minute)
	return l
}

// check refuses values that would switch a limit off.
func (l Limits) check() error {
	if c := l.CallsPerSecond; c != 0 && !(c >= 0.01 && c <= 1e6) {
		return errors.New("Limits.CallsPerSecond must be 0.01 to 1,000,000")
	}
	if l.Timeout < 0 || l.MaxResult < 0 || l.MaxConcurrent < 0 || l.MaxConcurrentPerPrincipal < 0 || l.MaxMessage < 0 || l.MaxDepth < 0 || l.Grace < 0 || l.Confirm < 0 {
		return errors.New("Limits must not be negative")
	}
	if l.Confirm > 24*time.Hour {
		return errors.New("Limits.Confirm must be at most 24 hours")
	}
	if l.MaxDepth > maxDepth {
		return fmt.Errorf("Limits.MaxDepth must be at most %d", maxDepth)
	}
	return nil
}

// maxDepth is how deep JSON may nest at all, in either direction: readers of
// other languages give up at a thousand.
const maxDepth = 500

func setDefault[T int | float64 | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// inFlight counts running calls against a limit.
type inFlight struct{ n atomic.Int64 }

func (c *inFlight) enter(limit int) bool {
	if c.n.Add(1) > int64(limit) {
		c.n.Add(-1)
		return false
	}
	return true
}

func (c *inFlight) leave() { c.n.Add(-1) }

// meter keeps how fast something comes, as a GCRA: due is when the allowance is
// full again.
type meter struct{ due time.Time }

// meters holds a meter for each name that was active lately.
type meters struct {
	mu sync.Mutex
	m  map[string]*meter
}

// maxMeters bounds the memory that new names can take.
const maxMeters = 10_000

// take counts one of the name at time now, unless it comes too early.
func (ms *meters) take(name string, now time.Time, perSecond float64) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	m := ms.m[name]
	if m == nil {
		m = ms.add(name, now)
	}
	step, burst := pace(perSecond)
	if m.due.Before(now) {
		m.due = now
	}
	if m.due.Add(step).Sub(now) <= burst {
		m.due = m.due.Add(step)
	}
}

// exhausted reports whether take would not count.
func (ms *meters) exhausted(name string, now time.Time, perSecond float64) bool {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	m := ms.m[name]
	step, burst := pace(perSecond)
	return m != nil && m.due.Add(step).Sub(now) > burst
}

// pace is the time that one is worth, and how much of it may be taken at once.
func pace(perSecond float64) (step, burst time.Duration) {
	step = time.Duration(float64(time.Second) / perSecond)
	return step, time.Duration(math.Max(2, 2*perSecond)) * step
}

// add makes a meter, and room for it: idle ones first. A table full of active
// names starts over, which forgives them at most one burst each.
func (ms *meters) add(name string, now time.Time) *meter {
	if len(ms.m) >= maxMeters {
		for k, m := range ms.m {
			if m.due.Before(now) {
				delete(ms.m, k)
			}
		}
	}
	if ms.m == nil || len(ms.m) >= maxMeters {
		ms.m = map[string]*meter{}
	}
	m := &meter{}
	ms.m[name] = m
	return m
}
