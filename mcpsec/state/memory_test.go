package state_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/statetest"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

func inBubble(t *testing.T, test func(*testing.T, statetest.Fixture)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := new(state.Memory)
		test(t, statetest.Fixture{Once: m, Limiter: m, Now: time.Now, Pass: time.Sleep})
	})
}

func TestMemoryIsOnce(t *testing.T) {
	t.Parallel()
	statetest.Run(t, inBubble)
}

func TestMemoryIsLimiter(t *testing.T) {
	t.Parallel()
	statetest.RunLimiter(t, inBubble)
}

// take claims key-0 to key-(n-1), and completes each second of them.
func take(t *testing.T, m *state.Memory, n int) {
	t.Helper()
	for i := range n {
		c, err := m.Claim(t.Context(), fmt.Sprintf("key-%d", i), time.Minute)
		if err != nil || c.Status != state.Taken {
			t.Fatalf("key %d: got %+v, %v", i, c, err)
		}
		if i%2 == 0 {
			if err := m.Complete(t.Context(), c, []byte("ok"), time.Hour); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A full Memory forgets nothing that counts, and has room again when what it
// keeps has ended.
func TestMemoryRefusesRatherThanForgets(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]*state.Memory{
		"keys":  {MaxKeys: 10},
		"bytes": {MaxBytes: 10*(256+5) + 5*2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				take(t, m, 10)
				if c, err := m.Claim(t.Context(), "another", time.Minute); !errors.Is(err, state.ErrFull) || c.Status == state.Taken {
					t.Fatalf("got %+v, %v, want ErrFull", c, err)
				}
				for i := range 10 {
					want := []state.Status{state.Done, state.Busy}[i%2]
					if c, err := m.Claim(t.Context(), fmt.Sprintf("key-%d", i), time.Minute); err != nil || c.Status != want {
						t.Errorf("key %d: got %+v, %v, want %v", i, c, err, want)
					}
				}
				time.Sleep(2 * time.Hour)
				take(t, m, 10)
			})
		})
	}
}

// A result without room is refused, and its key is not free.
func TestMemoryBoundsResults(t *testing.T) {
	t.Parallel()
	m := &state.Memory{MaxBytes: 1000}
	c, err := m.Claim(t.Context(), "k", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Complete(t.Context(), c, make([]byte, 1000), time.Hour); !errors.Is(err, state.ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
	if c, err := m.Claim(t.Context(), "k", time.Minute); err != nil || c.Status != state.Busy {
		t.Errorf("got %+v, %v", c, err)
	}
}

// The zero Status does nothing, and an unknown one has a name.
func TestStatus(t *testing.T) {
	t.Parallel()
	var zero state.Status
	for s, want := range map[state.Status]string{zero: "busy", state.Taken: "taken", state.Done: "done", 9: "Status(9)"} {
		if got := s.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func BenchmarkMemory(b *testing.B) {
	m := &state.Memory{MaxKeys: 1 << 30, MaxBytes: 1 << 40}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c, err := m.Claim(b.Context(), fmt.Sprintf("stripe:evt_%d", i), time.Minute)
		if err != nil {
			b.Fatal(err)
		}
		if err := m.Complete(b.Context(), c, nil, time.Hour); err != nil {
			b.Fatal(err)
		}
	}
}
