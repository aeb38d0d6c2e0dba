package state

import "time"

// SetClock makes a Memory ask another clock.
func SetClock(m *Memory, now func() time.Time) { m.now = now }
