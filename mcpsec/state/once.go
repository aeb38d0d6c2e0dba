package state

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/bounds"
)

// Bounds that every [Once] and [Limiter] enforces.
const (
	MaxKey    = bounds.MaxKey    // bytes of a key
	MaxResult = bounds.MaxResult // bytes of a result
)

var (
	// ErrLost says that a claim is no longer its holder's: its lease ended and
	// another took the key, or it was completed or failed already.
	ErrLost = errors.New("the claim is lost: its lease ended, or it was settled already")
	// ErrFull says that there is no room for another key, result or allowance,
	// and that all that is kept still counts.
	ErrFull = errors.New("no room for another key")
)

// Once lets one caller at a time, and in the end one only, have a key. An error
// other than [ErrLost] means that nothing is known: the work must not be done on
// the strength of it. Implementations are safe for concurrent use, and refuse
// keys that are empty, longer than [MaxKey] or not printable UTF-8, leases and
// times to keep that are not between zero and 366 days, and results longer than
// [MaxResult].
type Once interface {
	// Claim asks for a key. With the status Taken it is the caller's until the
	// lease ends, to be settled by Complete or Fail. With Busy it is another's;
	// with Done the work is done, and Result is what Complete was given. An
	// ended lease, or an ended time to keep, leaves the key free.
	Claim(ctx context.Context, key string, lease time.Duration) (Claim, error)
	// Complete records that the work is done and keeps the result for that
	// long: Claims of the key until then are answered with it. After the
	// lease's end it succeeds as long as nobody took the key over. Completing
	// again with the same result does nothing, so it may be retried; all else
	// is ErrLost.
	Complete(ctx context.Context, c Claim, result []byte, keep time.Duration) error
	// Fail gives the key back, so that the next Claim takes it. Call it only
	// when the work was not done. A claim that is not the caller's is ErrLost.
	Fail(ctx context.Context, c Claim) error
}

// A Claim is the answer to one Claim of a key.
type Claim struct {
	Key    string
	Status Status
	Fence  uint64        // grows with each taking of the key; zero unless Taken
	Result []byte        // what Complete was given, if Done; the caller's own copy
	Left   time.Duration // how long the other's lease still lasts, if Busy
}

// Status says what a caller may do with a key. The zero Status is Busy: do
// nothing.
type Status uint8

// What became of a claim.
const (
	Busy  Status = iota // another is at it: come back later
	Taken               // the key is the caller's: do the work
	Done                // the work is done: use the result
)

// String returns the name of the status in lower case.
func (s Status) String() string {
	switch s {
	case Busy:
		return "busy"
	case Taken:
		return "taken"
	case Done:
		return "done"
	}
	return fmt.Sprintf("Status(%d)", uint8(s))
}
