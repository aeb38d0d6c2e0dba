package guard

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// Work lets a principal keep handlers busy for as long as the budget says, whose
// Limit is in milliseconds of their time, counted to the microsecond. A call takes
// what it may take at most, the time to its deadline, before it runs, and gives back
// what its handler did not use when it has returned. So calls at one moment do not go
// beyond the budget together, and a budget must be several times the tools' timeouts:
// a call whose timeout is more than the Limit is always refused.
//
// What has filled up again while the handler ran is not given back, and of a Calendar
// budget nothing is after its end by this process's clock: one that is wrong by a
// second can give back to the new budget what was taken of the old. A handler that is left behind keeps what was taken
// until it returns; what it used beyond is taken then, if it is there.
//
// Work panics if l is nil or the budget out of bounds.
func Work(l state.Limiter, budget state.Allowance) mcpsec.Guard {
	check("Work", l, budget)
	prefix := fmt.Sprintf("guard work %d/%s/%t ", budget.Limit, budget.Per, budget.Calendar)
	budget.Limit *= 1000
	check("Work", l, budget)
	return func(ctx context.Context, c *mcpsec.Call) error {
		start := time.Now()
		r := reservation{l: l, budget: budget, key: prefix + c.Principal.ID, start: start, n: untilDeadline(ctx, start)}
		switch wait, err := r.take(ctx); {
		case err != nil:
			return &mcpsec.Error{Message: "the work could not be counted: retry later", Rule: "work", Err: err}
		case wait != 0:
			return &mcpsec.Error{Message: "the work budget is used up: retry in " + inWords(wait), Rule: "work"}
		}
		c.After(r.settle)
		return nil
	}
}

// A reservation is the work that was taken for one call, in microseconds.
type reservation struct {
	l      state.Limiter
	budget state.Allowance
	key    string
	start  time.Time
	n      int64
}

// untilDeadline is how long a call can take, or 0 if it could take for ever.
func untilDeadline(ctx context.Context, now time.Time) int64 {
	end, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	return max(1, micros(end.Sub(now)))
}

func (r *reservation) take(ctx context.Context) (time.Duration, error) {
	if r.n <= 0 {
		return 0, errors.New("the call has no deadline")
	}
	if r.n > r.budget.Limit {
		return 0, fmt.Errorf("the call may take %d µs, and the budget has %d µs: lower ToolSpec.Timeout", r.n, r.budget.Limit)
	}
	return r.l.Take(ctx, r.key, r.n, r.budget)
}

// settle makes what was taken what was used.
func (r *reservation) settle(ctx context.Context, took time.Duration) {
	more := micros(took) - r.n
	if more < 0 {
		more = -r.unused(-more, time.Now())
	}
	if more == 0 {
		return
	}
	wait, err := r.l.Take(ctx, r.key, min(more, r.budget.Limit), r.budget)
	if err != nil {
		mcpsec.Logger(ctx).ErrorContext(ctx, "the work budget could not be settled: what was reserved stays taken", "error", err)
	} else if wait != 0 {
		mcpsec.Logger(ctx).WarnContext(ctx, "a handler took longer than its deadline, and the work budget is used up", "micros", more)
	}
}

// unused is what of n can be given back at time now: not what has filled up since it
// was taken.
func (r *reservation) unused(n int64, now time.Time) int64 {
	if r.budget.Calendar {
		per := r.budget.Per.Microseconds()
		if r.start.UnixMicro()/per != now.UnixMicro()/per {
			return 0
		}
		return n
	}
	return max(0, n-filled(r.budget, now.Sub(r.start)))
}

// filled is how much of the allowance fills up in d, rounded up, and at most all.
func filled(a state.Allowance, d time.Duration) int64 {
	if d >= a.Per {
		return a.Limit
	}
	hi, lo := bits.Mul64(uint64(a.Limit), uint64(max(0, d)))
	q, rest := bits.Div64(hi, lo, uint64(a.Per)) // hi is less than Per, since d is
	if rest > 0 {
		q++
	}
	return int64(q)
}

// micros rounds up.
func micros(d time.Duration) int64 { return int64((d + time.Microsecond - 1) / time.Microsecond) }
