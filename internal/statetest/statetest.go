// Package statetest holds what every [state.Once] and [state.Limiter] must do, as
// tests that each implementation runs. It protects replicas from stores that promise the same
// and differ.
package statetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// A Fixture is a store under test, with a clock that only Pass moves: a conformant
// store asks no other.
type Fixture struct {
	Once    state.Once
	Limiter state.Limiter
	Now     func() time.Time
	Pass    func(time.Duration)
}

// A Harness runs one test with a store that holds none of the test's keys. It may
// run it in a bubble of testing/synctest, so tests start no subtests.
type Harness func(t *testing.T, test func(*testing.T, Fixture))

// Run runs all tests of Once against the stores that the harness makes.
func Run(t *testing.T, h Harness) {
	for name, test := range map[string]func(*testing.T, Fixture){
		"one of fifty gets the key":      oneTaker,
		"twenty equal answers":           equalAnswers,
		"results are copies":             results,
		"a failed key is free":           failed,
		"a lease ends":                   leaseEnds,
		"the one taken over is fenced":   fenced,
		"late is not lost":               late,
		"completing again":               completedAgain,
		"a result is kept for its time":  kept,
		"settled claims stay settled":    settled,
		"made-up claims settle nothing":  madeUp,
		"what is out of bounds is told":  bounds,
		"keys are exact":                 exactKeys,
		"an ended context does nothing":  endedContext,
		"fences grow":                    fencesGrow,
		"fifty race for an ended lease":  raceForEnded,
		"a context that ends harms none": contextAfter,
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) { h(t, test) })
	}
}

const lease, keep = time.Minute, time.Hour

func claim(t *testing.T, f Fixture, key string, want state.Status) state.Claim {
	t.Helper()
	c, err := f.Once.Claim(t.Context(), key, lease)
	if err != nil {
		t.Fatalf("claiming: %v", err)
	}
	if c.Status != want || c.Key != key {
		t.Fatalf("got %v of %q, want %v of %q", c.Status, c.Key, want, key)
	}
	return c
}

func complete(t *testing.T, f Fixture, c state.Claim, result string) {
	t.Helper()
	if err := f.Once.Complete(t.Context(), c, []byte(result), keep); err != nil {
		t.Fatalf("completing: %v", err)
	}
}

func lost(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, state.ErrLost) {
		t.Errorf("got %v, want ErrLost", err)
	}
}

// race lets n claim at once and returns who got the key.
func race(t *testing.T, f Fixture, key string, n int) (taken []state.Claim) {
	t.Helper()
	claims, errs := make([]state.Claim, n), make([]error, n)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			claims[i], errs[i] = f.Once.Claim(t.Context(), key, lease)
		})
	}
	close(start)
	wg.Wait()
	for i, c := range claims {
		switch {
		case errs[i] != nil:
			t.Error(errs[i])
		case c.Status == state.Taken:
			taken = append(taken, c)
		case c.Status != state.Busy || c.Left <= 0 || c.Left > lease || c.Fence != 0:
			t.Errorf("got %+v, want busy for up to %v", c, lease)
		}
	}
	return taken
}

func oneTaker(t *testing.T, f Fixture) {
	if taken := race(t, f, "k", 50); len(taken) != 1 || taken[0].Fence == 0 {
		t.Errorf("taken by %+v, want one", taken)
	}
}

func raceForEnded(t *testing.T, f Fixture) {
	claim(t, f, "k", state.Taken)
	f.Pass(lease)
	if taken := race(t, f, "k", 50); len(taken) != 1 {
		t.Errorf("taken by %+v, want one", taken)
	}
}

func equalAnswers(t *testing.T, f Fixture) {
	complete(t, f, claim(t, f, "k", state.Taken), "paid")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if c, err := f.Once.Claim(t.Context(), "k", lease); err != nil || c.Status != state.Done || string(c.Result) != "paid" {
				t.Errorf("got %+v, %v", c, err)
			}
		})
	}
	wg.Wait()
}

func results(t *testing.T, f Fixture) {
	given := []byte("paid")
	if err := f.Once.Complete(t.Context(), claim(t, f, "k", state.Taken), given, keep); err != nil {
		t.Fatal(err)
	}
	given[0] = 'X'
	claim(t, f, "k", state.Done).Result[0] = 'X'
	if c := claim(t, f, "k", state.Done); string(c.Result) != "paid" {
		t.Errorf("got %q", c.Result)
	}
	complete(t, f, claim(t, f, "empty", state.Taken), "")
	if c := claim(t, f, "empty", state.Done); len(c.Result) != 0 {
		t.Errorf("got %q", c.Result)
	}
	largest := strings.Repeat("x", state.MaxResult)
	complete(t, f, claim(t, f, "large", state.Taken), largest)
	if c := claim(t, f, "large", state.Done); string(c.Result) != largest {
		t.Errorf("got %d bytes", len(c.Result))
	}
}

func failed(t *testing.T, f Fixture) {
	c := claim(t, f, "k", state.Taken)
	claim(t, f, "k", state.Busy)
	if err := f.Once.Fail(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	claim(t, f, "k", state.Taken)
}

func leaseEnds(t *testing.T, f Fixture) {
	claim(t, f, "k", state.Taken)
	f.Pass(lease - time.Second)
	claim(t, f, "k", state.Busy)
	f.Pass(time.Second)
	claim(t, f, "k", state.Taken)
}

func fenced(t *testing.T, f Fixture) {
	old := claim(t, f, "k", state.Taken)
	f.Pass(lease)
	now := claim(t, f, "k", state.Taken)
	lost(t, f.Once.Complete(t.Context(), old, []byte("old"), keep))
	lost(t, f.Once.Fail(t.Context(), old))
	claim(t, f, "k", state.Busy)
	complete(t, f, now, "new")
	lost(t, f.Once.Complete(t.Context(), old, []byte("new"), keep))
	if c := claim(t, f, "k", state.Done); string(c.Result) != "new" {
		t.Errorf("got %q", c.Result)
	}
}

func late(t *testing.T, f Fixture) {
	c := claim(t, f, "k", state.Taken)
	f.Pass(lease + 59*time.Minute)
	claim(t, f, "other", state.Taken) // what makes a store clean up
	complete(t, f, c, "paid")
	claim(t, f, "k", state.Done)
}

func completedAgain(t *testing.T, f Fixture) {
	c := claim(t, f, "k", state.Taken)
	complete(t, f, c, "paid")
	complete(t, f, c, "paid")
	lost(t, f.Once.Complete(t.Context(), c, []byte("else"), keep))
	if c := claim(t, f, "k", state.Done); string(c.Result) != "paid" {
		t.Errorf("got %q", c.Result)
	}
	f.Pass(keep / 2)
	complete(t, f, c, "paid")
	f.Pass(keep / 2) // it is kept no longer for that
	claim(t, f, "k", state.Taken)

	c = claim(t, f, "nil", state.Taken)
	for range 2 {
		if err := f.Once.Complete(t.Context(), c, nil, keep); err != nil {
			t.Error(err)
		}
	}
}

func kept(t *testing.T, f Fixture) {
	complete(t, f, claim(t, f, "k", state.Taken), "paid")
	f.Pass(keep - time.Second)
	claim(t, f, "k", state.Done)
	f.Pass(time.Second)
	claim(t, f, "k", state.Taken)
}

func settled(t *testing.T, f Fixture) {
	c := claim(t, f, "done", state.Taken)
	complete(t, f, c, "paid")
	lost(t, f.Once.Fail(t.Context(), c))
	claim(t, f, "done", state.Done)

	c = claim(t, f, "failed", state.Taken)
	if err := f.Once.Fail(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	lost(t, f.Once.Fail(t.Context(), c))
	lost(t, f.Once.Complete(t.Context(), c, nil, keep))
	claim(t, f, "failed", state.Taken)
}

func madeUp(t *testing.T, f Fixture) {
	c := claim(t, f, "k", state.Taken)
	busy := claim(t, f, "k", state.Busy)
	for _, other := range []state.Claim{
		{}, busy, {Key: "k", Status: state.Taken}, {Key: "other", Status: state.Taken, Fence: c.Fence},
		{Key: "k", Status: state.Taken, Fence: c.Fence + 1}, {Key: "k", Status: state.Busy, Fence: c.Fence},
	} {
		lost(t, f.Once.Complete(t.Context(), other, nil, keep))
		lost(t, f.Once.Fail(t.Context(), other))
	}
	complete(t, f, c, "paid")
}

func bounds(t *testing.T, f Fixture) {
	longest := strings.Repeat("k", state.MaxKey)
	for _, key := range []string{"", longest + "k", "a\nb", "a\x00b", "a\x7fb", "\xff"} {
		if c, err := f.Once.Claim(t.Context(), key, lease); err == nil || c.Status == state.Taken {
			t.Errorf("a key of %d bytes: got %+v, %v", len(key), c, err)
		} else if len(key) > 3 && strings.Contains(err.Error(), key) {
			t.Error("the error holds the key")
		}
	}
	for _, d := range []time.Duration{0, -1, 367 * 24 * time.Hour} {
		if c, err := f.Once.Claim(t.Context(), "k", d); err == nil || c.Status == state.Taken {
			t.Errorf("a lease of %v: got %+v, %v", d, c, err)
		}
	}
	c := claim(t, f, longest, state.Taken)
	for _, d := range []time.Duration{0, -1, 367 * 24 * time.Hour} {
		if err := f.Once.Complete(t.Context(), c, nil, d); err == nil {
			t.Errorf("kept for %v", d)
		}
	}
	if err := f.Once.Complete(t.Context(), c, make([]byte, state.MaxResult+1), keep); err == nil {
		t.Error("a result over the bound was taken")
	}
	complete(t, f, c, "paid")
}

func exactKeys(t *testing.T, f Fixture) {
	for _, key := range []string{"k", "K", "k ", " k", "k%", "k_", "é", "e\u0301", "k'--", `k\`} {
		claim(t, f, key, state.Taken)
	}
}

func endedContext(t *testing.T, f Fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if c, err := f.Once.Claim(ctx, "k", lease); !errors.Is(err, context.Canceled) || c.Status == state.Taken {
		t.Errorf("got %+v, %v", c, err)
	}
	c := claim(t, f, "k", state.Taken)
	for _, err := range []error{f.Once.Complete(ctx, c, nil, keep), f.Once.Fail(ctx, c)} {
		if !errors.Is(err, context.Canceled) || errors.Is(err, state.ErrLost) {
			t.Errorf("got %v", err)
		}
	}
	claim(t, f, "k", state.Busy)
}

func contextAfter(t *testing.T, f Fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	c, err := f.Once.Claim(ctx, "k", lease)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	claim(t, f, "k", state.Busy)
	complete(t, f, c, "paid")
}

func fencesGrow(t *testing.T, f Fixture) {
	var last uint64
	for i := range 5 {
		c := claim(t, f, "k", state.Taken)
		if c.Fence <= last {
			t.Errorf("fence %d follows %d", c.Fence, last)
		}
		last = c.Fence
		if i%2 == 0 {
			f.Pass(lease)
		} else if err := f.Once.Fail(t.Context(), c); err != nil {
			t.Fatal(fmt.Errorf("failing: %w", err))
		}
	}
}
