// Package bounds holds what every store of package state refuses, so that all
// refuse the same. No error holds a key: it may be a secret of the caller's.
package bounds

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// The bounds of keys, results, allowances and times.
const (
	MaxKey    = 512                  // bytes of a key
	MaxResult = 64 << 10             // bytes of a result
	MaxLimit  = 1 << 53              // of an allowance
	MaxTime   = 366 * 24 * time.Hour // of a lease, for which a result is kept, in which an allowance fills up
)

// Unknown is the wait that goes with an error: whoever drops the error and looks at
// the wait alone does not take it for a yes.
const Unknown = time.Second

// Claim refuses a key and a lease that no store takes.
func Claim(key string, lease time.Duration) error {
	if err := checkKey(key); err != nil {
		return err
	}
	return checkTime("the lease", lease)
}

// Result refuses a result and a time to keep it that no store takes.
func Result(result []byte, keep time.Duration) error {
	if len(result) > MaxResult {
		return fmt.Errorf("a result of %d bytes: at most %d are kept", len(result), MaxResult)
	}
	return checkTime("the time to keep", keep)
}

// Take refuses what no store counts: n of a key's allowance of limit, which
// fills up in per.
func Take(key string, n, limit int64, per time.Duration) error {
	switch {
	case limit < 1 || limit > MaxLimit:
		return errors.New("Allowance.Limit must be 1 to 1<<53")
	case per <= 0 || per > MaxTime || per%time.Microsecond != 0:
		return errors.New("Allowance.Per must be whole microseconds, more than zero and at most 366 days")
	case n > limit:
		return fmt.Errorf("%d is more than the allowance's limit of %d: it can never be had", n, limit)
	case n < -MaxLimit:
		return errors.New("at most 1<<53 can be given back")
	}
	return checkKey(key)
}

func checkKey(key string) error {
	switch {
	case key == "":
		return errors.New("the key is empty")
	case len(key) > MaxKey:
		return fmt.Errorf("a key of %d bytes: at most %d are kept", len(key), MaxKey)
	case !printable(key):
		return errors.New("the key must be UTF-8 without control characters")
	}
	return nil
}

func checkTime(what string, d time.Duration) error {
	if d <= 0 || d > MaxTime {
		return fmt.Errorf("%s must be more than zero and at most 366 days", what)
	}
	return nil
}

func printable(key string) bool {
	for _, r := range key {
		if r < ' ' || r == 0x7f {
			return false
		}
	}
	return utf8.ValidString(key)
}
