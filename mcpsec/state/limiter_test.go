package state_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/statetest"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// A clock stands until it is moved, in any direction.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newClock(m *state.Memory) *clock {
	c := &clock{time.Date(2026, 3, 28, 23, 0, 0, 0, time.UTC)}
	state.SetClock(m, c.now)
	return c
}

// counted is a fixture of a Memory on a clock of its own.
func counted() statetest.Fixture {
	m := new(state.Memory)
	c := newClock(m)
	return statetest.Fixture{Once: m, Limiter: m, Now: c.now, Pass: func(d time.Duration) { c.t = c.t.Add(d) }}
}

func TestLimiterModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		statetest.Agree(t, counted(), rand.New(rand.NewPCG(seed, 1)), 200)
	}
}

func FuzzTake(f *testing.F) {
	f.Add([]byte("allowance"))
	f.Fuzz(func(t *testing.T, seed []byte) {
		var b [32]byte
		copy(b[:], seed)
		statetest.Agree(t, counted(), rand.New(rand.NewPCG(binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:]))), 20+int(b[16]))
	})
}

// Neither the clock that goes backwards fills an allowance, nor one that goes back
// and forth around midnight.
func TestClockBackwards(t *testing.T) {
	t.Parallel()
	m := new(state.Memory)
	c := newClock(m)
	take := func(key string, a state.Allowance, want time.Duration) {
		t.Helper()
		if wait, err := m.Take(t.Context(), key, 1, a); err != nil || wait != want {
			t.Errorf("%s: got %v, %v, want %v", key, wait, err, want)
		}
	}
	minute := state.Allowance{Limit: 1, Per: time.Minute}
	today := state.Allowance{Limit: 1, Per: 24 * time.Hour, Calendar: true}
	take("minute", minute, 0)
	take("today", today, 0)
	c.t = c.t.Add(-10 * time.Minute)
	take("minute", minute, 11*time.Minute)
	take("today", today, time.Hour+10*time.Minute)
	take("behind", today, 0)
	c.t = c.t.Add(10 * time.Minute)
	take("minute", minute, time.Minute)
	c.t = c.t.Add(55 * time.Minute)
	take("behind", today, 5*time.Minute)

	c.t = c.t.Add(5 * time.Minute) // midnight: all is full, and forgotten
	take("tomorrow", today, 0)
	c.t = c.t.Add(-time.Minute)
	take("tomorrow", today, 24*time.Hour+time.Minute)
	take("today", today, 0)
	c.t = c.t.Add(time.Minute)
	take("tomorrow", today, 24*time.Hour)
	take("today", today, 24*time.Hour)
}

// What ends at midnight is kept until then, whatever the clock did since it was taken.
func TestCalendarIsKeptUntilItsEnd(t *testing.T) {
	t.Parallel()
	m := &state.Memory{MaxKeys: 2}
	c := newClock(m)
	today := state.Allowance{Limit: 1, Per: 24 * time.Hour, Calendar: true}
	for _, step := range []struct {
		pass time.Duration
		key  string
		full bool
	}{{0, "at 23:00", false}, {-10 * time.Minute, "at 22:50", false}, {65 * time.Minute, "at 23:55", true}, {5 * time.Minute, "at midnight", false}} {
		c.t = c.t.Add(step.pass)
		if wait, err := m.Take(t.Context(), step.key, 1, today); errors.Is(err, state.ErrFull) != step.full || (wait == 0) == step.full {
			t.Errorf("%s: got %v, %v", step.key, wait, err)
		}
	}
}

// Whoever makes up keys fills the store with allowances, and then: those that are
// kept go on, keys of Once have room, and there is room again once some are full.
func TestMemoryFullOfAllowances(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]*state.Memory{
		"keys":  {MaxKeys: 10},
		"bytes": {MaxBytes: 10 * (256 + 5)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := state.Allowance{Limit: 2, Per: time.Hour}
				for i := range 10 {
					if wait, err := m.Take(t.Context(), fmt.Sprintf("key-%d", i), 1, a); err != nil || wait != 0 {
						t.Fatalf("key %d: got %v, %v", i, wait, err)
					}
					time.Sleep(time.Minute)
				}
				if wait, err := m.Take(t.Context(), "fresh", 1, a); !errors.Is(err, state.ErrFull) || wait <= 0 {
					t.Fatalf("got %v, want ErrFull", err)
				}
				if wait, err := m.Take(t.Context(), "fresh", 0, a); err != nil || wait != 0 {
					t.Fatalf("asking: got %v, %v", wait, err)
				}
				if wait, err := m.Take(t.Context(), "key-9", 1, a); err != nil || wait != 0 {
					t.Errorf("a key that is kept: got %v, %v", wait, err)
				}
				if wait, err := m.Take(t.Context(), "key-9", 1, a); err != nil || wait == 0 {
					t.Errorf("a key that is kept has more than its limit: %v, %v", wait, err)
				}
				if c, err := m.Claim(t.Context(), "once", time.Minute); err != nil || c.Status != state.Taken {
					t.Errorf("got %+v, %v", c, err)
				}
				time.Sleep(20 * time.Minute) // the first has filled up
				if wait, err := m.Take(t.Context(), "fresh", 2, a); err != nil || wait != 0 {
					t.Errorf("got %v, %v, want room", wait, err)
				}
				if _, err := m.Take(t.Context(), "other", 1, a); !errors.Is(err, state.ErrFull) {
					t.Errorf("got %v, want ErrFull", err)
				}
			})
		})
	}
}

// What has filled up leaves as others come, so that memory is bounded by what counts
// and not by all who ever came.
func TestMemoryOfAllowancesShrinks(t *testing.T) {
	t.Parallel()
	m := new(state.Memory)
	c := newClock(m)
	for i := range 100_000 {
		if wait, err := m.Take(t.Context(), fmt.Sprintf("key-%d", i), 1, state.Allowance{Limit: 1, Per: time.Second}); err != nil || wait != 0 {
			t.Fatal(wait, err)
		}
		c.t = c.t.Add(time.Millisecond)
	}
	if n := state.Kept(m); n > 10_000 {
		t.Errorf("%d allowances are kept, of which a thousand count", n)
	}
}

// A store full of claims counts all the same.
func TestMemoryFullOfClaims(t *testing.T) {
	t.Parallel()
	m := &state.Memory{MaxKeys: 1}
	if _, err := m.Claim(t.Context(), "k", time.Minute); err != nil {
		t.Fatal(err)
	}
	if wait, err := m.Take(t.Context(), "k", 1, state.Allowance{Limit: 1, Per: time.Hour}); err != nil || wait != 0 {
		t.Errorf("got %v, %v", wait, err)
	}
}

func BenchmarkTake(b *testing.B) {
	a := state.Allowance{Limit: 2e6, Per: 2 * time.Second}
	for _, keys := range []int{1, 10_000, 400_000} {
		b.Run(fmt.Sprint(keys, "-keys"), func(b *testing.B) {
			m := new(state.Memory)
			names := make([]string, keys)
			for i := range names {
				names[i] = fmt.Sprintf("rate:principal-%d", i)
				if _, err := m.Take(b.Context(), names[i], 1e6, state.Allowance{Limit: 1e6, Per: 24 * time.Hour}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := m.Take(b.Context(), names[i%keys], 1, a); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
