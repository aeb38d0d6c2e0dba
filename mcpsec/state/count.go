package state

import (
	"math"
	"math/bits"
	"time"
)

// A tally is what was taken of an allowance and has not filled up again. It is
// counted in units of 1/Per, in which the refill of a nanosecond is Limit, so
// that nothing is ever rounded: 1<<53 units of 366 days need 108 bits.
type tally struct {
	Allowance           // by which it fills up
	owed      wide      // in units of 1/Per
	at        time.Time // when owed was right; its monotonic clock counts
	wall      int64     // the same by the calendar, in nanoseconds since 1970
}

// settle brings the tally up to date, from when on it fills up by a. A clock that
// goes backwards fills nothing.
func (t *tally) settle(now time.Time, wall int64, a Allowance) {
	elapsed := now.Sub(t.at)
	switch {
	case t.Calendar && t.wall < windowStart(wall, t.Per):
		t.owed = wide{}
	case !t.Calendar && elapsed > 0:
		t.owed = t.owed.minus(product(uint64(t.Limit), uint64(elapsed)))
	}
	if elapsed > 0 {
		t.at = now
	}
	t.wall = max(t.wall, wall)
	if t.Per != a.Per {
		t.owed = product(t.owed.over(uint64(t.Per)), uint64(a.Per))
	}
	t.Allowance = a
}

// take takes n from a settled tally, or returns how long to wait.
func (t *tally) take(n int64, now time.Time) (wait time.Duration) {
	per := uint64(t.Per)
	if n < 0 {
		t.owed = t.owed.minus(product(uint64(-n), per))
		return 0
	}
	owed := t.owed.plus(product(uint64(max(n, 1)), per))
	if missing := owed.minus(product(uint64(t.Limit), per)); missing != (wide{}) {
		return t.until(missing) + t.ahead(now)
	}
	if n > 0 {
		t.owed = owed
	}
	return 0
}

// ahead is by how much a clock that went backwards is behind the tally.
func (t *tally) ahead(now time.Time) time.Duration {
	if t.Calendar {
		return time.Duration(t.wall - now.UnixNano())
	}
	return t.at.Sub(now)
}

// until is how long after its time the tally has filled up what is missing.
func (t *tally) until(missing wide) time.Duration {
	if t.Calendar {
		return time.Duration(windowStart(t.wall, t.Per) + int64(t.Per) - t.wall)
	}
	return time.Duration(min(missing.over(uint64(t.Limit)), uint64(longest)))
}

// full is when the allowance has filled up: by the calendar if that fills it.
func (t *tally) full() time.Time {
	d := t.until(t.owed)
	if t.Calendar {
		return time.Unix(0, t.wall).Add(d)
	}
	return t.at.Add(d)
}

// longest is the longest wait that is told.
const longest = 100 * 366 * 24 * time.Hour

// windowStart is the last multiple of per since 1970.
func windowStart(wall int64, per time.Duration) int64 { return wall - wall%int64(per) }

// wide is an unsigned integer of 128 bits.
type wide struct{ hi, lo uint64 }

func product(a, b uint64) wide {
	hi, lo := bits.Mul64(a, b)
	return wide{hi, lo}
}

func (x wide) plus(y wide) wide {
	lo, carry := bits.Add64(x.lo, y.lo, 0)
	hi, _ := bits.Add64(x.hi, y.hi, carry)
	return wide{hi, lo}
}

// minus is x-y, or 0 if y is larger.
func (x wide) minus(y wide) wide {
	lo, borrow := bits.Sub64(x.lo, y.lo, 0)
	hi, borrow := bits.Sub64(x.hi, y.hi, borrow)
	if borrow != 0 {
		return wide{}
	}
	return wide{hi, lo}
}

// over is x/y rounded up, or the largest number if it is larger.
func (x wide) over(y uint64) uint64 {
	if x.hi >= y {
		return math.MaxUint64
	}
	q, r := bits.Div64(x.hi, x.lo, y)
	if r > 0 && q < math.MaxUint64 {
		q++
	}
	return q
}
