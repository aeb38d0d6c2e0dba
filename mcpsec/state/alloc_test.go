package state_test

import (
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/racing"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// Counting a caller who is known costs no allocation.
func TestTakeAllocatesNothing(t *testing.T) { // not parallel: it counts
	if racing.Enabled {
		t.Skip("the race detector allocates for itself")
	}
	m := new(state.Memory)
	a := state.Allowance{Limit: 1e6, Per: time.Second}
	if got := testing.AllocsPerRun(200, func() {
		if _, err := m.Take(t.Context(), "rate:ann", 1, a); err != nil {
			t.Error(err)
		}
	}); got > 0 {
		t.Errorf("%v allocations, want none", got)
	}
}
