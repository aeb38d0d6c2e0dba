package state

import "time"

// SetClock makes a Memory ask another clock.
func SetClock(m *Memory, now func() time.Time) { m.now = now }

// Kept is how many allowances a Memory keeps.
func Kept(m *Memory) int { return len(m.limits.keys) }
