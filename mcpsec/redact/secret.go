package redact

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
)

// Mask is what stands in place of a secret, in text and in place of a [Secret].
const Mask = "[redacted]"

// Secret holds a value that prints as [Mask]: in every fmt verb, in JSON, in
// text encodings and templates, in log/slog and in a panic. The only way to the
// value is [Secret.Reveal]. The zero Secret is empty and prints the same.
//
// Copies of a Secret share one value, in memory in the clear until
// [Secret.Close] of any of them. All methods but UnmarshalText and
// UnmarshalJSON, which fill a Secret, are safe for concurrent use.
type Secret struct {
	// The value lies behind a func, so that printing by reflection (fmt on a
	// struct with an unexported Secret field, a debugger-like dumper) shows an
	// address and no text.
	vault func() *vault
}

// A vault is the one place in which all copies of a Secret keep its value.
type vault struct {
	mu    sync.RWMutex
	value []byte
}

// NewSecret returns value as a Secret.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return own([]byte(value))
}

// own makes a Secret of value, which is nobody else's from now on.
func own(value []byte) Secret {
	v := &vault{value: value}
	return Secret{vault: func() *vault { return v }}
}

// Reveal returns a copy of the value. Hand it to what needs it, and to nothing
// that prints; a search for ".Reveal(" finds each place where it goes out. A
// template that is given a Secret can call it too.
func (s Secret) Reveal() string {
	if s.vault == nil {
		return ""
	}
	v := s.vault()
	v.mu.RLock()
	defer v.mu.RUnlock()
	return string(v.value)
}

// Close overwrites the value that this Secret and its copies share. From then
// on Reveal returns "". It may be called more than once, and on a zero Secret.
//
// It does not reach what Reveal returned before, the string that NewSecret was
// given, copies that loading, checking and comparing made, what a [Redactor]
// looks for, the environment, swap and core dumps.
func (s Secret) Close() {
	if s.vault == nil {
		return
	}
	v := s.vault()
	v.mu.Lock()
	defer v.mu.Unlock()
	clear(v.value)
	v.value = nil
}

// IsZero reports whether the Secret never held a value. A closed one is not
// zero: what is gone must not be taken for what was left out.
func (s Secret) IsZero() bool { return s.vault == nil }

// Equal reports whether both hold the same value, in time that does not depend
// on where, or whether, they differ. An empty or closed Secret equals none, not
// even itself: a check against a key that is not there must not pass.
func (s Secret) Equal(other Secret) bool {
	a, b := s.Reveal(), other.Reveal()
	// Hashed first: ConstantTimeCompare answers at once when lengths differ.
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1 && a != ""
}

// String returns [Mask].
func (Secret) String() string { return Mask }

// GoString returns [Mask].
func (Secret) GoString() string { return Mask }

// Format writes [Mask], whatever the verb.
func (Secret) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, Mask) }

// LogValue returns [Mask].
func (Secret) LogValue() slog.Value { return slog.StringValue(Mask) }

// MarshalJSON returns [Mask] as a JSON string.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + Mask + `"`), nil }

// MarshalText returns [Mask].
func (Secret) MarshalText() ([]byte, error) { return []byte(Mask), nil }

// MarshalBinary returns [Mask], so that encoding/gob carries no value either.
func (Secret) MarshalBinary() ([]byte, error) { return []byte(Mask), nil }

var (
	errNotString = errors.New("secret is not a JSON string")
	errMasked    = errors.New("secret was masked when it was written, its value is lost: load it from where it is kept")
)

// UnmarshalText takes text as the value, so that configuration loaders can
// fill a Secret. [Mask] is an error: it is what a Secret was written as.
// [Secret.Check] tells whether the value can be one.
func (s *Secret) UnmarshalText(text []byte) error {
	if string(text) == Mask {
		return errMasked
	}
	*s = NewSecret(string(text))
	return nil
}

// UnmarshalJSON takes a JSON string as the value, as UnmarshalText does. Null
// leaves the Secret as it is.
func (s *Secret) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	var text string
	if json.Unmarshal(data, &text) != nil {
		return errNotString // without the cause: it may quote the value
	}
	return s.UnmarshalText([]byte(text))
}
