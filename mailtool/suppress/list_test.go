package suppress_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/suppresstest"
	"github.com/mcpsec/mcpsec-go/mailtool/suppress"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

func TestListIsStore(t *testing.T) {
	t.Parallel()
	suppresstest.Run(t, func(*testing.T) suppress.Store { return suppress.New(nil) })
}

// A full list forgets nobody, and still takes the weightier reason of one it has.
func TestListRefusesRatherThanForgets(t *testing.T) {
	t.Parallel()
	m := suppress.New(&state.Memory{MaxKeys: 2})
	e := suppress.Entry{Reason: suppress.HardBounce, Time: time.Unix(1e9, 0), Source: "s"}
	for i := range 3 {
		e.Address = fmt.Sprintf("a%d@example.com", i)
		if ok, err := m.Add(t.Context(), e); ok != (i < 2) || errors.Is(err, state.ErrFull) != (i == 2) {
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

// What is there and is no entry is not taken for none.
func TestListChecksWhatItReads(t *testing.T) {
	t.Parallel()
	const key = "mail suppressed ann@example.com"
	for _, value := range []string{"", "null", "{}", `{"address":"ann@example.com","reason":"made up","time":"2026-01-01T00:00:00Z","source":"s"}`, `{"address":"bob@example.com","reason":"manual","time":"2026-01-01T00:00:00Z","source":"s"}`} {
		m := new(state.Memory)
		if _, err := m.Put(t.Context(), state.Document{Key: key, Value: []byte(value)}, 0); err != nil {
			t.Fatal(err)
		}
		list := suppress.New(m)
		if _, _, err := list.Check(t.Context(), "ann@example.com"); err == nil {
			t.Errorf("%s: checked", value)
		}
		if _, err := list.List(t.Context(), "", 1); err == nil {
			t.Errorf("%s: listed", value)
		}
		if _, err := list.Add(t.Context(), suppress.Entry{Address: "ann@example.com", Reason: suppress.Complaint, Time: time.Unix(1e9, 0), Source: "s"}); err == nil {
			t.Errorf("%s: written over", value)
		}
	}
}
