package suppress

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Memory is the [Store] of one process, which is forgotten with it. The zero value is
// ready for use. It must not be copied once it is in use.
type Memory struct {
	// MaxEntries is how many addresses are kept; another one is [ErrFull].
	// Defaults to 200,000, which take up to 200 MB.
	MaxEntries int

	mu      sync.RWMutex
	entries map[string]Entry
	sorted  []string // addresses; nil when it has to be made
}

var _ Store = (*Memory)(nil)

// Add implements [Store].
func (m *Memory) Add(ctx context.Context, e Entry) (bool, error) {
	if err := first(ctx, e.Check()); err != nil {
		return false, fmt.Errorf("suppressing an address: %w", err)
	}
	e.Time = e.Time.UTC().Truncate(time.Microsecond)
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.entries[e.Address]
	switch {
	case ok && old.Reason.Weight() >= e.Reason.Weight():
		return false, nil
	case !ok && len(m.entries) >= m.maxEntries():
		return false, fmt.Errorf("suppressing an address: %w", ErrFull)
	case m.entries == nil:
		m.entries = map[string]Entry{}
	}
	m.entries[e.Address] = e
	if !ok {
		m.sorted = nil
	}
	return true, nil
}

// Remove implements [Store].
func (m *Memory) Remove(ctx context.Context, address string, r Reason) (bool, error) {
	if err := first(ctx, CheckAddress(address)); err != nil {
		return false, fmt.Errorf("removing a suppression: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.entries[address]
	if ok = ok && e.Reason == r; ok {
		delete(m.entries, address)
		m.sorted = nil
	}
	return ok, nil
}

// Check implements [Store].
func (m *Memory) Check(ctx context.Context, address string) (Entry, bool, error) {
	if err := first(ctx, CheckAddress(address)); err != nil {
		return Entry{}, false, fmt.Errorf("looking a suppression up: %w", err)
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	e, ok := m.entries[address]
	return e, ok, nil
}

// List implements [Store].
func (m *Memory) List(ctx context.Context, after string, n int) ([]Entry, error) {
	if err := first(ctx, CheckList(after, n)); err != nil {
		return nil, fmt.Errorf("listing suppressions: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sorted == nil {
		for a := range m.entries {
			m.sorted = append(m.sorted, a)
		}
		slices.Sort(m.sorted)
	}
	from, found := slices.BinarySearch(m.sorted, after)
	if found {
		from++
	}
	out := []Entry{}
	for _, a := range m.sorted[from:min(from+n, len(m.sorted))] {
		out = append(out, m.entries[a])
	}
	return out, nil
}

func (m *Memory) maxEntries() int {
	if m.MaxEntries > 0 {
		return m.MaxEntries
	}
	return 200_000
}

// first is the first thing that is wrong.
func first(ctx context.Context, err error) error {
	if err != nil {
		return err
	}
	return ctx.Err()
}
