package state

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/bounds"
)

// Memory is the [Store] of one process. The zero value is ready for use. It must
// not be copied, and its fields must not change, once it is in use.
//
// A result leaves when its time to keep has ended, a claim that was not settled an
// hour after its lease, and an allowance that has filled up when room is needed. A
// Claim or Take of a new key over the bounds is [ErrFull], and so is a Complete whose
// result has no room: its claim stays, until its lease ends. Keys that are kept go on
// as before, and allowances take no room from keys of Once, nor these from them.
//
// So whoever can make up keys of allowances can keep new keys out, for as long as
// theirs need to fill up: one of 200 in 2 seconds is gone 10 ms after 1 was taken
// of it, one of a day that ends at midnight stays until then. Make keys of what
// callers cannot make up.
type Memory struct {
	// MaxKeys is how many keys of Once are kept at once, and how many
	// allowances. Defaults to 500,000.
	MaxKeys int
	// MaxBytes is how much memory keys and results of Once may take, and how
	// much allowances may, counting 256 bytes of housekeeping for each.
	// Defaults to 256 MiB.
	MaxBytes int

	mu     sync.Mutex // guards claims and fence
	claims shelf[claim]
	fence  uint64

	muLimits sync.Mutex // guards limits and wall
	limits   shelf[tally]
	wall     int64 // the latest time that the calendar has shown

	now func() time.Time // in tests; nil is time.Now
}

// A claim is what is known of a key that is claimed or done.
type claim struct {
	fence  uint64
	done   bool
	result []byte
	end    time.Time // of the lease, or of the time to keep
}

// lateness is how long a claim can be settled after its lease.
const lateness = time.Hour

// Claim implements [Once].
func (m *Memory) Claim(ctx context.Context, key string, lease time.Duration) (Claim, error) {
	if err := bounds.Claim(key, lease); err != nil {
		return Claim{}, fmt.Errorf("claiming a key: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return Claim{}, fmt.Errorf("claiming a key: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock()
	m.claims.expire(now, math.MaxInt)
	e := m.claims.keys[key]
	switch {
	case e != nil && e.value.done:
		return Claim{Key: key, Status: Done, Result: bytes.Clone(e.value.result)}, nil
	case e != nil && e.value.end.After(now):
		return Claim{Key: key, Status: Busy, Left: e.value.end.Sub(now)}, nil
	case e != nil: // its lease ended
		m.claims.remove(e)
	}
	return m.claim(key, now.Add(lease))
}

// claim adds a key that is not kept.
func (m *Memory) claim(key string, end time.Time) (Claim, error) {
	e, ok := m.claims.add(key, end.Add(lateness), m.maxKeys(), m.maxBytes())
	if !ok {
		return Claim{}, fmt.Errorf("claiming a key: %w", ErrFull)
	}
	m.fence++
	e.value = claim{fence: m.fence, end: end}
	return Claim{Key: key, Status: Taken, Fence: m.fence}, nil
}

// Complete implements [Once].
func (m *Memory) Complete(ctx context.Context, c Claim, result []byte, keep time.Duration) error {
	if err := bounds.Result(result, keep); err != nil {
		return fmt.Errorf("completing a claim: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("completing a claim: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.held(c)
	switch {
	case e == nil, e.value.done && !bytes.Equal(e.value.result, result):
		return fmt.Errorf("completing a claim: %w", ErrLost)
	case e.value.done:
		return nil
	case m.claims.bytes+len(result) > m.maxBytes():
		return fmt.Errorf("completing a claim: %w", ErrFull)
	}
	end := m.clock().Add(keep)
	e.value.done, e.value.result, e.value.end = true, bytes.Clone(result), end
	m.claims.grow(e, len(result))
	m.claims.keep(e, end)
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
	if e == nil || e.value.done {
		return fmt.Errorf("failing a claim: %w", ErrLost)
	}
	m.claims.remove(e)
	return nil
}

// held is the slot that c is the claim of.
func (m *Memory) held(c Claim) *slot[claim] {
	e := m.claims.keys[c.Key]
	if e == nil || c.Status != Taken || e.value.fence != c.Fence {
		return nil
	}
	return e
}

// Take implements [Limiter].
func (m *Memory) Take(ctx context.Context, key string, n int64, a Allowance) (time.Duration, error) {
	if err := bounds.Take(key, n, a.Limit, a.Per); err != nil {
		return bounds.Unknown, fmt.Errorf("taking of an allowance: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return bounds.Unknown, fmt.Errorf("taking of an allowance: %w", err)
	}
	m.muLimits.Lock()
	defer m.muLimits.Unlock()
	now := m.clock()
	m.wall = max(m.wall, now.UnixNano())
	e := m.limits.keys[key]
	if e == nil {
		if n <= 0 { // it is full
			return 0, nil
		}
		if e = m.newTally(key, now); e == nil {
			return bounds.Unknown, fmt.Errorf("taking of an allowance: %w", ErrFull)
		}
		e.value = tally{Allowance: a, at: now, wall: m.wall}
	}
	e.value.settle(now, m.wall, a)
	wait := e.value.take(n, now)
	m.limits.keep(e, e.value.full())
	return wait, nil
}

// idle is how many allowances stay though they have filled up: callers who come every
// few seconds would otherwise be forgotten and added each time.
const idle = 10_000

// newTally makes a place for a key, and room for it, or returns nil. Many that have
// filled up at one moment leave two by two, not all under one lock.
func (m *Memory) newTally(key string, now time.Time) *slot[tally] {
	if len(m.limits.keys) >= idle {
		m.limits.expire(now, 2)
	}
	e, ok := m.limits.add(key, now, m.maxKeys(), m.maxBytes())
	if !ok {
		m.limits.expire(now, math.MaxInt)
		e, _ = m.limits.add(key, now, m.maxKeys(), m.maxBytes())
	}
	return e
}

func (m *Memory) clock() time.Time {
	if m.now != nil {
		return m.now()
	}
	return time.Now()
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
