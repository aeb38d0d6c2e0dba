package statetest

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// A model counts as naively as can be, in fractions of any size.
type model struct {
	owed *big.Rat // units
	at   time.Time
}

func (m *model) take(now time.Time, n int64, a state.Allowance) bool {
	limit := new(big.Rat).SetInt64(a.Limit)
	if a.Calendar {
		if now.Truncate(a.Per).After(m.at) {
			m.owed = new(big.Rat)
		}
	} else {
		gain := big.NewRat(int64(now.Sub(m.at)), int64(a.Per))
		m.owed = new(big.Rat).Sub(m.owed, gain.Mul(gain, limit))
	}
	m.at = now
	if m.owed.Sign() < 0 {
		m.owed = new(big.Rat)
	}
	sum := new(big.Rat).Add(m.owed, new(big.Rat).SetInt64(n))
	if n > 0 && sum.Cmp(limit) > 0 {
		return false
	}
	if m.owed = sum; sum.Sign() < 0 {
		m.owed = new(big.Rat)
	}
	return true
}

// Agree lets a Limiter and the model count the same takes, drawn from rnd. It also
// waits for as long as the Limiter says, which must be enough and, but for a
// microsecond, not too much.
func Agree(t *testing.T, f Fixture, rnd *rand.Rand, takes int) {
	t.Helper()
	a := state.Allowance{
		Limit: 1 + rnd.Int64N(1<<rnd.IntN(54)),
		Per:   (1 + time.Duration(rnd.Int64N(366*24*3600*1e6>>rnd.IntN(44)))) * time.Microsecond,
	}
	if a.Calendar = rnd.IntN(3) == 0; a.Calendar {
		a.Per = []time.Duration{time.Second, time.Hour, day}[rnd.IntN(3)] // Truncate counts from the year 1
	}
	key := fmt.Sprint("model ", rnd.Uint64())
	want := model{new(big.Rat), f.Now()}
	for i := range takes {
		f.Pass(time.Duration(rnd.Int64N(1+int64(a.Per)>>rnd.IntN(40))) / time.Microsecond * time.Microsecond)
		n := 1 + rnd.Int64N(1+(a.Limit-1)>>rnd.IntN(20))
		if rnd.IntN(8) == 0 {
			n = -n
		}
		wait, err := f.Limiter.Take(t.Context(), key, n, a)
		if err != nil {
			t.Fatal(err)
		}
		if ok := want.take(f.Now(), n, a); ok != (wait == 0) {
			t.Fatalf("take %d, %d of %+v: got %v, the model says %v", i, n, a, wait, ok)
		}
		if wait > 0 && rnd.IntN(2) == 0 {
			f.Pass((wait+time.Microsecond-1)/time.Microsecond*time.Microsecond - time.Microsecond)
			if early, err := f.Limiter.Take(t.Context(), key, n, a); err != nil || early <= 0 || early > time.Microsecond {
				t.Fatalf("take %d: a microsecond before the end of the wait: %v, %v", i, early, err)
			}
			f.Pass(time.Microsecond)
			if wait, err := f.Limiter.Take(t.Context(), key, n, a); err != nil || wait != 0 || !want.take(f.Now(), n, a) {
				t.Fatalf("take %d: after the wait: %v, %v", i, wait, err)
			}
		}
	}
}

// asModel lets a few random allowances be counted; packages try more.
func asModel(t *testing.T, f Fixture) {
	for seed := range uint64(12) {
		Agree(t, f, rand.New(rand.NewPCG(seed, 2)), 40)
	}
}
