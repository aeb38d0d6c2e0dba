package state

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/bounds"
)

// A Marker keeps the highest number that was given for a key: how new the newest is
// that was seen, how often something has failed. An error means that nothing is
// known. Implementations are safe for concurrent use, and refuse what [Once] refuses
// of keys and of times to keep. The keys of marks are others than those of Once.
type Marker interface {
	// Raise makes n the mark of key, for that long from now, if the mark is lower,
	// and returns what the mark was before: 0 if there was none. Of all who raise a
	// key at one moment each is told what the one before has left. With n 0 it
	// changes nothing. A negative n is an error.
	Raise(ctx context.Context, key string, n int64, keep time.Duration) (before int64, err error)
}

// Raise implements [Marker]. Marks take room from keys of Once.
func (m *Memory) Raise(ctx context.Context, key string, n int64, keep time.Duration) (int64, error) {
	if err := bounds.Mark(key, n, keep); err != nil {
		return 0, fmt.Errorf("raising a mark: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("raising a mark: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock()
	m.claims.expire(now, math.MaxInt)
	key, before := bounds.MarkKey(key), int64(0)
	e := m.claims.keys[key]
	if e != nil {
		before = e.value.mark
	}
	if n <= before {
		return before, nil
	}
	end := now.Add(keep)
	if e == nil {
		var ok bool
		if e, ok = m.claims.add(key, end, m.maxKeys(), m.maxBytes()); !ok {
			return 0, fmt.Errorf("raising a mark: %w", ErrFull)
		}
	}
	e.value.mark = n
	m.claims.keep(e, end)
	return before, nil
}
