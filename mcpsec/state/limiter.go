package state

import (
	"context"
	"time"
)

// A Limiter counts what was taken of a key's allowance. An error means that
// nothing is known: what was to be counted must not be done on the strength of
// it. Implementations are safe for concurrent use, count exactly, and refuse what
// [Once] refuses of keys, and allowances that are out of bounds.
type Limiter interface {
	// Take takes n of the key's allowance and returns 0, or takes nothing and
	// returns how long to wait until n can be had if nobody else takes any. More
	// than Allowance.Limit can never be had, which is an error.
	//
	// With n 0 it takes nothing and returns how long to wait until 1 can be had.
	// A negative n gives back, up to Limit. What has filled up again since it was
	// taken must not be given back: it would be had twice. With an error the wait
	// is not 0.
	Take(ctx context.Context, key string, n int64, a Allowance) (wait time.Duration, err error)
}

// An Allowance says how much of something may be taken. One key has one
// allowance. If it changes, what was taken stays taken, and fills up by the new one
// from the first Take on that names it; what had filled up of a unit is lost when
// Per changes.
type Allowance struct {
	// Limit is the most that can be taken at once: 1 to 1<<53. Required.
	Limit int64
	// Per is the time in which an empty allowance fills up: whole microseconds,
	// at most 366 days. Required.
	Per time.Duration
	// Calendar fills the allowance at once at each multiple of Per since
	// 1970-01-01 00:00 UTC: one of 24 hours at midnight UTC. Then twice the Limit
	// can be had around that moment. Defaults to false: it fills continuously,
	// and no time d sees more than Limit*(1+d/Per) taken.
	Calendar bool
}

// A Store is what replicas share.
type Store interface {
	Once
	Limiter
}
