package state

import (
	"bytes"
	"container/heap"
	"context"
	"fmt"
	"sync"
	"time"
)

// Memory is the [Once] of one process. The zero value is ready for use. It must
// not be copied, and its fields must not change, once it is in use.
//
// A result leaves when its time to keep has ended, a claim that was not settled an
// hour after its lease. A Claim over the bounds is [ErrFull], and so is a Complete
// whose result has no room: its claim stays, until its lease ends.
type Memory struct {
	// MaxKeys is how many keys are kept at once. Defaults to 500,000.
	MaxKeys int
	// MaxBytes is how much memory keys and results take, counting 256 bytes of
	// housekeeping for each. Defaults to 256 MiB.
	MaxBytes int

	mu    sync.Mutex
	keys  map[string]*entry
	ends  endings // the same entries, by when they leave
	bytes int
	fence uint64
}

// An entry is one key that is claimed or done.
type entry struct {
	key    string
	fence  uint64
	done   bool
	result []byte
	end    time.Time // of the lease, or of the time to keep
	drop   time.Time // when it leaves
	place  int       // in the heap
}

const (
	housekeeping = 256       // bytes an entry takes in map and heap, rounded up
	lateness     = time.Hour // how long a claim can be settled after its lease
)

func (e *entry) size() int { return len(e.key) + len(e.result) + housekeeping }

// Claim implements [Once].
func (m *Memory) Claim(ctx context.Context, key string, lease time.Duration) (Claim, error) {
	if err := checkClaim(key, lease); err != nil {
		return Claim{}, fmt.Errorf("claiming a key: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return Claim{}, fmt.Errorf("claiming a key: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.expire(now)
	e := m.keys[key]
	switch {
	case e != nil && e.done:
		return Claim{Key: key, Status: Done, Result: bytes.Clone(e.result)}, nil
	case e != nil && e.end.After(now):
		return Claim{Key: key, Status: Busy, Left: e.end.Sub(now)}, nil
	case e != nil: // its lease ended
		m.remove(e)
	}
	return m.take(key, now.Add(lease))
}

// Complete implements [Once].
func (m *Memory) Complete(ctx context.Context, c Claim, result []byte, keep time.Duration) error {
	if err := checkResult(result, keep); err != nil {
		return fmt.Errorf("completing a claim: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("completing a claim: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.held(c)
	switch {
	case e == nil, e.done && !bytes.Equal(e.result, result):
		return fmt.Errorf("completing a claim: %w", ErrLost)
	case e.done:
		return nil
	case m.bytes+len(result) > m.maxBytes():
		return fmt.Errorf("completing a claim: %w", ErrFull)
	}
	end := time.Now().Add(keep)
	e.done, e.result, e.end, e.drop = true, bytes.Clone(result), end, end
	m.bytes += len(result)
	heap.Fix(&m.ends, e.place)
	return nil
}

// Fail implements [Once].
func (m *Memory) Fail(ctx context.Context, c Claim) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("failing a claim: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.held(c)
	if e == nil || e.done {
		return fmt.Errorf("failing a claim: %w", ErrLost)
	}
	m.remove(e)
	return nil
}

// take adds a key that is not kept.
func (m *Memory) take(key string, end time.Time) (Claim, error) {
	e := &entry{key: key, fence: m.fence + 1, end: end, drop: end.Add(lateness)}
	if len(m.keys) >= m.maxKeys() || m.bytes+e.size() > m.maxBytes() {
		return Claim{}, fmt.Errorf("claiming a key: %w", ErrFull)
	}
	if m.keys == nil {
		m.keys = map[string]*entry{}
	}
	m.fence++
	m.keys[key] = e
	m.bytes += e.size()
	heap.Push(&m.ends, e)
	return Claim{Key: key, Status: Taken, Fence: e.fence}, nil
}

// held is the entry that c is the claim of.
func (m *Memory) held(c Claim) *entry {
	e := m.keys[c.Key]
	if e == nil || c.Status != Taken || e.fence != c.Fence {
		return nil
	}
	return e
}

// expire drops what nobody can ask for any more.
func (m *Memory) expire(now time.Time) {
	for len(m.ends) > 0 && !m.ends[0].drop.After(now) {
		m.remove(m.ends[0])
	}
}

func (m *Memory) remove(e *entry) {
	heap.Remove(&m.ends, e.place)
	delete(m.keys, e.key)
	m.bytes -= e.size()
}

func (m *Memory) maxKeys() int {
	if m.MaxKeys > 0 {
		return m.MaxKeys
	}
	return 500_000
}

func (m *Memory) maxBytes() int {
	if m.MaxBytes > 0 {
		return m.MaxBytes
	}
	return 256 << 20
}

// endings is a heap of entries; the first to leave is on top.
type endings []*entry

func (h endings) Len() int           { return len(h) }
func (h endings) Less(i, j int) bool { return h[i].drop.Before(h[j].drop) }

func (h endings) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *endings) Push(x any) {
	e := x.(*entry)
	e.place = len(*h)
	*h = append(*h, e)
}

func (h *endings) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}
