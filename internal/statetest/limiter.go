package statetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// RunLimiter runs all tests of Limiter against the stores that the harness makes.
func RunLimiter(t *testing.T, h Harness) {
	for name, test := range map[string]func(*testing.T, Fixture){
		"a hundred at once get what there is": burst,
		"the wait is exact":                   exactWait,
		"refill is exact and has no drift":    exactRefill,
		"an idle key holds no more than full": idle,
		"money is exact":                      money,
		"the largest allowance":               largest,
		"a day ends at midnight UTC":          midnight,
		"a week is counted from the epoch":    weeks,
		"a burst around midnight":             burstAroundMidnight,
		"given back":                          givenBack,
		"asking takes nothing":                asking,
		"a refused take takes nothing":        refusedTakesNothing,
		"a changed limit forgives nothing":    changedLimit,
		"a changed time forgives nothing":     changedPer,
		"limits out of bounds are told":       limitBounds,
		"keys of allowances are exact":        exactLimitKeys,
		"an ended context takes nothing":      endedLimitContext,
		"keys of once are others":             otherKeys,
		"it counts like a naive model":        asModel,
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) { h(t, test) })
	}
}

const day = 24 * time.Hour

var tenASecond = state.Allowance{Limit: 10, Per: time.Second}

// take takes n and wants the wait.
func take(t *testing.T, f Fixture, key string, n int64, a state.Allowance, want time.Duration) {
	t.Helper()
	if wait, err := f.Limiter.Take(t.Context(), key, n, a); err != nil || wait != want {
		t.Fatalf("taking %d of %+v: got %v, %v, want %v", n, a, wait, err, want)
	}
}

func burst(t *testing.T, f Fixture) {
	for _, a := range []state.Allowance{tenASecond, {Limit: 10, Per: day, Calendar: true}} {
		var taken, refused atomic.Int64
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i := range 100 {
			wg.Go(func() {
				<-start
				n := int64(1 + i%2)
				switch wait, err := f.Limiter.Take(t.Context(), fmt.Sprint("k", a.Calendar), n, a); {
				case err != nil:
					t.Error(err)
				case wait == 0:
					taken.Add(n)
				default:
					refused.Add(1)
				}
			})
		}
		close(start)
		wg.Wait()
		if taken.Load() != 10 {
			t.Errorf("%+v: %d were taken and %d takers refused, want 10 taken", a, taken.Load(), refused.Load())
		}
	}
}

func exactWait(t *testing.T, f Fixture) {
	take(t, f, "k", 10, tenASecond, 0)
	take(t, f, "k", 1, tenASecond, 100*time.Millisecond)
	take(t, f, "k", 10, tenASecond, time.Second)
	f.Pass(100*time.Millisecond - time.Microsecond)
	take(t, f, "k", 1, tenASecond, time.Microsecond)
	take(t, f, "k", 2, tenASecond, 100*time.Millisecond+time.Microsecond)
	f.Pass(time.Microsecond)
	take(t, f, "k", 1, tenASecond, 0)
	take(t, f, "k", 1, tenASecond, 100*time.Millisecond)
}

// Seven in a second do not divide: whoever rounds gains or loses some.
func exactRefill(t *testing.T, f Fixture) {
	a := state.Allowance{Limit: 7, Per: time.Second}
	take(t, f, "k", 7, a, 0)
	taken := 0
	for range 300 {
		f.Pass(time.Millisecond)
		if wait, err := f.Limiter.Take(t.Context(), "k", 1, a); err != nil {
			t.Fatal(err)
		} else if wait == 0 {
			taken++
		}
	}
	if taken != 2 { // 2.1
		t.Errorf("%d were taken in 300 ms, want 2", taken)
	}
	f.Pass(128571 * time.Microsecond) // 428.571 ms: 3 are there in a microsecond
	if wait, err := f.Limiter.Take(t.Context(), "k", 1, a); err != nil || wait <= 0 || wait > time.Microsecond {
		t.Errorf("got %v, %v, want a microsecond at most", wait, err)
	}
	f.Pass(time.Microsecond)
	take(t, f, "k", 1, a, 0)
}

func idle(t *testing.T, f Fixture) {
	take(t, f, "k", 3, tenASecond, 0)
	f.Pass(365 * day)
	take(t, f, "k", 10, tenASecond, 0)
	take(t, f, "k", 1, tenASecond, 100*time.Millisecond)
}

// A cap of 123,456.79 holds to the cent, however it is taken.
func money(t *testing.T, f Fixture) {
	a := state.Allowance{Limit: 12_345_679, Per: 30 * day}
	for range 9 {
		take(t, f, "k", 1_371_742, a, 0)
	}
	exact := (a.Per + time.Duration(a.Limit) - 1) / time.Duration(a.Limit) // for one more, if 2 are asked of the 1 that is left
	if wait, err := f.Limiter.Take(t.Context(), "k", 2, a); err != nil || wait < exact || wait > exact+time.Microsecond {
		t.Errorf("got %v, %v, want %v", wait, err, exact)
	}
	take(t, f, "k", 1, a, 0)
	if wait, err := f.Limiter.Take(t.Context(), "k", 1, a); err != nil || wait < exact || wait > exact+time.Microsecond {
		t.Errorf("got %v, %v, want %v", wait, err, exact)
	}
}

func largest(t *testing.T, f Fixture) {
	a := state.Allowance{Limit: 1 << 53, Per: 366 * day}
	take(t, f, "k", 1<<53-1, a, 0)
	take(t, f, "k", 1, a, 0)
	take(t, f, "k", 1<<53, a, 366*day)
	f.Pass(183 * day)
	take(t, f, "k", 1<<53, a, 183*day)
	take(t, f, "k", 1<<52, a, 0)
	take(t, f, "k", -(1 << 53), a, 0)
	take(t, f, "k", 1<<53, a, 0)
	small := state.Allowance{Limit: 1, Per: 366 * day} // full in more years than a Duration has
	if wait, err := f.Limiter.Take(t.Context(), "k", 1, small); err != nil || wait < 100*365*day {
		t.Errorf("got %v, %v", wait, err)
	}
}

func untilMidnight(f Fixture) time.Duration {
	now := f.Now().UTC()
	return now.Truncate(day).Add(day).Sub(now)
}

func midnight(t *testing.T, f Fixture) {
	a := state.Allowance{Limit: 10, Per: day, Calendar: true}
	f.Pass(untilMidnight(f) - time.Hour)
	take(t, f, "k", 10, a, 0)
	take(t, f, "k", 1, a, time.Hour)
	f.Pass(time.Hour - time.Microsecond)
	take(t, f, "k", 1, a, time.Microsecond)
	f.Pass(time.Microsecond)
	take(t, f, "k", 4, a, 0)
	take(t, f, "k", 7, a, day)
	f.Pass(3*day + time.Hour)
	take(t, f, "k", 10, a, 0)
	take(t, f, "k", 1, a, 23*time.Hour)
}

func weeks(t *testing.T, f Fixture) {
	a := state.Allowance{Limit: 1, Per: 7 * day, Calendar: true}
	take(t, f, "k", 1, a, 0)
	wait, err := f.Limiter.Take(t.Context(), "k", 1, a)
	if end := f.Now().Add(wait).UTC(); err != nil || end.Weekday() != time.Thursday || !end.Equal(end.Truncate(day)) {
		t.Errorf("the week ends at %v, %v", end, err)
	}
}

func burstAroundMidnight(t *testing.T, f Fixture) {
	a := state.Allowance{Limit: 10, Per: day, Calendar: true}
	f.Pass(untilMidnight(f) - time.Microsecond)
	take(t, f, "k", 10, a, 0)
	f.Pass(time.Microsecond)
	take(t, f, "k", 10, a, 0)
	take(t, f, "k", 1, a, day)
}

func givenBack(t *testing.T, f Fixture) {
	for _, a := range []state.Allowance{{Limit: 10, Per: day}, {Limit: 10, Per: day, Calendar: true}} {
		key := fmt.Sprint("k", a.Calendar)
		take(t, f, key, -5, a, 0) // of a key that nobody knows
		take(t, f, key, 10, a, 0)
		take(t, f, key, -3, a, 0)
		take(t, f, key, 3, a, 0)
		if wait, err := f.Limiter.Take(t.Context(), key, 1, a); err != nil || wait <= 0 {
			t.Errorf("got %v, %v", wait, err)
		}
		take(t, f, key, -100, a, 0) // never above Limit
		take(t, f, key, 10, a, 0)
		if wait, err := f.Limiter.Take(t.Context(), key, 1, a); err != nil || wait <= 0 {
			t.Errorf("got %v, %v", wait, err)
		}
	}
}

func asking(t *testing.T, f Fixture) {
	for range 20 {
		take(t, f, "k", 0, tenASecond, 0)
	}
	take(t, f, "k", 10, tenASecond, 0)
	take(t, f, "k", 0, tenASecond, 100*time.Millisecond)
	f.Pass(100 * time.Millisecond)
	take(t, f, "k", 0, tenASecond, 0)
	take(t, f, "k", 1, tenASecond, 0)
}

func refusedTakesNothing(t *testing.T, f Fixture) {
	take(t, f, "k", 6, tenASecond, 0)
	for range 10 {
		take(t, f, "k", 5, tenASecond, 100*time.Millisecond)
	}
	take(t, f, "k", 4, tenASecond, 0)
	f.Pass(500 * time.Millisecond)
	for range 10 {
		take(t, f, "k", 6, tenASecond, 100*time.Millisecond)
	}
	take(t, f, "k", 5, tenASecond, 0)
}

func changedLimit(t *testing.T, f Fixture) {
	small := state.Allowance{Limit: 5, Per: time.Second}
	take(t, f, "k", 10, tenASecond, 0)
	take(t, f, "k", 1, small, 1200*time.Millisecond)
	take(t, f, "k", 1, tenASecond, 100*time.Millisecond) // what was asked meanwhile changes nothing
	take(t, f, "k", 1, small, 1200*time.Millisecond)
	f.Pass(1200 * time.Millisecond)
	take(t, f, "k", 1, small, 0)
	take(t, f, "k", 1, small, 200*time.Millisecond)
	take(t, f, "k", 5, tenASecond, 0) // of 10, of which 5 are taken
	take(t, f, "k", 1, tenASecond, 100*time.Millisecond)
	take(t, f, "k", -1, small, 0)
	take(t, f, "k", 1, tenASecond, 0)
}

func changedPer(t *testing.T, f Fixture) {
	slow := state.Allowance{Limit: 10, Per: time.Minute}
	take(t, f, "k", 10, tenASecond, 0)
	f.Pass(50 * time.Millisecond) // half of one has filled up, which is lost
	take(t, f, "k", 1, slow, 6*time.Second)
	f.Pass(3 * time.Second)
	take(t, f, "k", 1, slow, 3*time.Second)
	calendar := state.Allowance{Limit: 10, Per: time.Minute, Calendar: true}
	if wait, err := f.Limiter.Take(t.Context(), "k", 1, calendar); err != nil || wait <= 0 || wait > time.Minute {
		t.Errorf("got %v, %v", wait, err)
	}
	f.Pass(time.Minute)
	take(t, f, "k", 10, calendar, 0)
}

func limitBounds(t *testing.T, f Fixture) {
	for _, a := range []state.Allowance{
		{}, {Limit: 1}, {Per: 1}, {Limit: -1, Per: time.Second}, {Limit: 1<<53 + 1, Per: time.Second},
		{Limit: 1, Per: -1}, {Limit: 1, Per: 367 * day}, {Limit: 1, Per: time.Nanosecond},
	} {
		if wait, err := f.Limiter.Take(t.Context(), "k", 1, a); err == nil || wait <= 0 {
			t.Errorf("%+v was counted", a)
		}
	}
	for _, n := range []int64{11, 1 << 62, -1<<53 - 1, -1 << 63} {
		if _, err := f.Limiter.Take(t.Context(), "k", n, tenASecond); err == nil {
			t.Errorf("%d were taken", n)
		}
	}
	for _, key := range []string{"", strings.Repeat("k", state.MaxKey+1), "a\nb", "a\x00b", "a\x7fb", "\xff"} {
		if wait, err := f.Limiter.Take(t.Context(), key, 1, tenASecond); err == nil || wait <= 0 {
			t.Errorf("a key of %d bytes was counted", len(key))
		} else if len(key) > 3 && strings.Contains(err.Error(), key) {
			t.Error("the error holds the key")
		}
	}
	take(t, f, "k", 10, tenASecond, 0) // nothing of all this was taken
	take(t, f, strings.Repeat("k", state.MaxKey), 10, tenASecond, 0)
}

func exactLimitKeys(t *testing.T, f Fixture) {
	for _, key := range []string{"k", "K", "k ", " k", "k%", "k_", "é", "e\u0301", "k'--", `k\`} {
		take(t, f, key, 10, tenASecond, 0)
		take(t, f, key, 1, tenASecond, 100*time.Millisecond)
	}
}

func endedLimitContext(t *testing.T, f Fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		if wait, err := f.Limiter.Take(ctx, "k", 10, tenASecond); !errors.Is(err, context.Canceled) || wait <= 0 {
			t.Errorf("got %v", err)
		}
	}
	take(t, f, "k", 10, tenASecond, 0)
	if _, err := f.Limiter.Take(ctx, "k", -10, tenASecond); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	take(t, f, "k", 1, tenASecond, 100*time.Millisecond)
}

func otherKeys(t *testing.T, f Fixture) {
	claim(t, f, "k", state.Taken)
	take(t, f, "k", 10, tenASecond, 0)
	claim(t, f, "k", state.Busy)
}
