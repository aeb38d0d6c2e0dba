package statetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// RunMarker runs all tests of Marker against the stores that the harness makes.
func RunMarker(t *testing.T, h Harness) {
	for name, test := range map[string]func(*testing.T, Fixture){
		"the highest stays":               highest,
		"a mark is kept for its time":     keptMark,
		"fifty at once form one row":      raisers,
		"keys of marks are exact":         exactMarks,
		"marks out of bounds are told":    markBounds,
		"an ended context raises nothing": endedMarkContext,
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) { h(t, test) })
	}
}

func raise(t *testing.T, f Fixture, key string, n, want int64) {
	t.Helper()
	if before, err := f.Marker.Raise(t.Context(), key, n, keep); err != nil || before != want {
		t.Errorf("%s to %d: got %d, %v, want %d", key, n, before, err, want)
	}
}

func highest(t *testing.T, f Fixture) {
	const most = 1<<63 - 1
	for _, step := range [][2]int64{{0, 0}, {0, 0}, {5, 0}, {0, 5}, {3, 5}, {5, 5}, {300, 5}, {256, 300}, {most, 300}, {1, most}, {0, most}} {
		raise(t, f, "k", step[0], step[1])
	}
}

func keptMark(t *testing.T, f Fixture) {
	raise(t, f, "k", 5, 0)
	f.Pass(keep - time.Second)
	raise(t, f, "k", 4, 5) // which keeps it no longer
	raise(t, f, "k", 5, 5)
	f.Pass(time.Second)
	raise(t, f, "k", 0, 0)
	raise(t, f, "k", 2, 0)
	f.Pass(keep / 2)
	raise(t, f, "k", 3, 2) // which does
	f.Pass(keep - time.Second)
	raise(t, f, "k", 0, 3)
}

// Each is told what another has left: there is an order in which they came.
func raisers(t *testing.T, f Fixture) {
	before := make([]int64, 50)
	var wg sync.WaitGroup
	for i := range before {
		wg.Go(func() {
			var err error
			if before[i], err = f.Marker.Raise(t.Context(), "k", int64(i+1), keep); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	raise(t, f, "k", 0, 50)
	var raised []int64
	for i, b := range before {
		if b < int64(i+1) { // it has raised the mark from b
			if slices.Contains(raised, b) {
				t.Errorf("two have raised the mark from %d", b)
			}
			raised = append(raised, b)
		}
	}
}

func exactMarks(t *testing.T, f Fixture) {
	complete(t, f, claim(t, f, "k", state.Taken), "paid")
	for i, key := range []string{"k", "K", "k ", "mark", "é", "e\u0301"} {
		raise(t, f, key, int64(i+1), 0)
	}
	claim(t, f, "K", state.Taken)
	claim(t, f, "k", state.Done)
}

func markBounds(t *testing.T, f Fixture) {
	raise(t, f, strings.Repeat("k", state.MaxKey), 1, 0)
	for _, key := range []string{"", strings.Repeat("k", state.MaxKey+1), "a\nb", "a\x00b", "\xff"} {
		if _, err := f.Marker.Raise(t.Context(), key, 1, keep); err == nil {
			t.Errorf("a key of %d bytes is taken", len(key))
		}
	}
	for _, d := range []time.Duration{0, -1, 367 * 24 * time.Hour} {
		if _, err := f.Marker.Raise(t.Context(), "k", 1, d); err == nil {
			t.Errorf("kept for %v", d)
		}
	}
	if _, err := f.Marker.Raise(t.Context(), "k", -1, keep); err == nil {
		t.Error("a negative mark is taken")
	}
	raise(t, f, "k", 0, 0)
}

func endedMarkContext(t *testing.T, f Fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Marker.Raise(ctx, "k", 1, keep); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	raise(t, f, "k", 0, 0)
}
