package redact

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// Mask is what stands in place of a secret, in text and in place of a [Secret].
const Mask = "[redacted]"

// Secret holds a value that prints as [Mask]: in every fmt verb, in JSON, in
// text encodings and templates, and in log/slog. The only way to the value is
// [Secret.Reveal]. The zero Secret is empty and prints the same.
//
// A Secret is kept in memory in the clear; what can read the process's memory
// can read it. It is safe for concurrent use once it is filled.
type Secret struct {
	// The value lies behind a func, so that printing by reflection (fmt on a
	// struct with an unexported Secret field, a debugger-like dumper) shows an
	// address and no text.
	value func() string
}

// NewSecret returns value as a Secret.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{value: func() string { return value }}
}

// Reveal returns the value. Hand it to what needs it, and to nothing that
// prints; a search for ".Reveal(" finds each place where it goes out.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return s.value()
}

// IsZero reports whether the Secret holds no value.
func (s Secret) IsZero() bool { return s.value == nil }

// Equal reports whether both hold the same value, in time that does not depend
// on where, or whether, they differ.
func (s Secret) Equal(other Secret) bool {
	// Hashed first: ConstantTimeCompare answers at once when lengths differ.
	a, b := sha256.Sum256([]byte(s.Reveal())), sha256.Sum256([]byte(other.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
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

// UnmarshalText takes text as the value, so that configuration loaders can
// fill a Secret.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}

// UnmarshalJSON takes a JSON string as the value. Null leaves the Secret as it
// is.
func (s *Secret) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	var text string
	if json.Unmarshal(data, &text) != nil {
		return errNotString // without the cause: it may quote the value
	}
	*s = NewSecret(text)
	return nil
}
