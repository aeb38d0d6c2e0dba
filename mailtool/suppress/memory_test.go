package suppress_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/suppresstest"
	"github.com/mcpsec/mcpsec-go/mailtool/suppress"
)

func TestMemoryIsStore(t *testing.T) {
	t.Parallel()
	suppresstest.Run(t, func(*testing.T) suppress.Store { return new(suppress.Memory) })
}

// A full list forgets nobody, and still takes the weightier reason of one it has.
func TestMemoryRefusesRatherThanForgets(t *testing.T) {
	t.Parallel()
	m := &suppress.Memory{MaxEntries: 2}
	e := suppress.Entry{Reason: suppress.HardBounce, Time: time.Unix(1e9, 0), Source: "s"}
	for i := range 3 {
		e.Address = fmt.Sprintf("a%d@example.com", i)
		if ok, err := m.Add(t.Context(), e); ok != (i < 2) || errors.Is(err, suppress.ErrFull) != (i == 2) {
			t.Errorf("%d: got %v, %v", i, ok, err)
		}
	}
	e.Address, e.Reason = "a0@example.com", suppress.Complaint
	if ok, err := m.Add(t.Context(), e); !ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
	if page, err := m.List(t.Context(), "", 10); err != nil || len(page) != 2 {
		t.Errorf("got %v, %v", page, err)
	}
}
