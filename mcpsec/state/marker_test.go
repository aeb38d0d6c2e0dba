package state_test

import (
	"errors"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/statetest"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

func TestMemoryIsMarker(t *testing.T) {
	t.Parallel()
	statetest.RunMarker(t, inBubble)
}

// A full Memory raises what it keeps, and tells of what it cannot.
func TestMemoryFullOfMarks(t *testing.T) {
	t.Parallel()
	m := &state.Memory{MaxKeys: 1}
	for _, step := range []struct {
		key    string
		n      int64
		before int64
		full   bool
	}{{"a", 1, 0, false}, {"b", 1, 0, true}, {"a", 2, 1, false}, {"b", 0, 0, false}} {
		if before, err := m.Raise(t.Context(), step.key, step.n, time.Hour); before != step.before || errors.Is(err, state.ErrFull) != step.full {
			t.Errorf("%s to %d: got %d, %v", step.key, step.n, before, err)
		}
	}
}
