// Package text finds and removes characters that a person cannot see and a
// model can: bidirectional controls, zero-width and tag characters, variation
// selectors used as a covert alphabet, terminal escapes. It protects the people
// who approve calls from text that reads differently to the machine.
//
// It does not judge what visible text says: look-alike letters and plain
// injected instructions pass.
package text

import (
	"strings"
	"unicode/utf8"
)

const (
	zwnj, zwj = 0x200C, 0x200D
	vs1, vs16 = 0xFE00, 0xFE0F
)

// Hidden reports whether r never has a place in a name or a description:
// invisible and bidirectional characters, and control characters other than
// tab, line feed and carriage return.
func Hidden(r rune) bool {
	switch {
	case r < 0x20:
		return r != '\t' && r != '\n' && r != '\r'
	case r < 0x7F:
		return false
	case r <= 0x9F: // DEL and C1: some terminals take C1 as escapes
		return true
	case r < 0x2000:
		return r == 0x00AD || r == 0x034F || r == 0x061C || r == 0x115F || r == 0x1160 ||
			r == 0x17B4 || r == 0x17B5 || r >= 0x180B && r <= 0x180F
	case r < 0x3000:
		return r >= 0x200B && r <= 0x200F || r >= 0x2028 && r <= 0x202E || r >= 0x2060 && r <= 0x206F
	}
	return r == 0x3164 || r >= vs1 && r <= vs16 || r == 0xFEFF || r == 0xFFA0 ||
		r >= 0xFFF0 && r <= 0xFFFB || r >= 0x1BCA0 && r <= 0x1BCA3 ||
		r >= 0x1D173 && r <= 0x1D17A || r >= 0xE0000 && r <= 0xE0FFF
}

// FirstHidden returns the byte offset of the first [Hidden] rune of s or of
// its first invalid UTF-8 byte, and -1 when there is none.
func FirstHidden(s string) int {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				return i
			}
		}
		if Hidden(r) {
			return i
		}
	}
	return -1
}

// Strip removes the hidden characters of s and counts them. What honest text
// needs stays: joiners between non-ASCII characters (emoji families, Persian)
// and a single variation selector that follows a non-ASCII character or a
// keycap base. A run of selectors or a joiner among ASCII letters is a covert
// channel and goes. Without anything to remove, s itself is returned.
func Strip(s string) (string, int) {
	i := firstNonPlain(s)
	if i < 0 {
		return s, 0
	}
	var b strings.Builder
	n, prev := 0, rune(0) // prev is the last rune that was kept
	if i > 0 {
		prev = rune(s[i-1])
	}
	for j, r := range s[i:] {
		if Hidden(r) && !joins(prev, r, s[i+j+utf8.RuneLen(r):]) {
			if n == 0 {
				b.Grow(len(s))
				b.WriteString(s[:i+j])
			}
			n++
			continue
		}
		if n > 0 {
			b.WriteRune(r)
		}
		prev = r
	}
	if n == 0 {
		return s, 0
	}
	return b.String(), n
}

// firstNonPlain finds where s stops being printable ASCII.
func firstNonPlain(s string) int {
	for i := range len(s) {
		if c := s[i]; c >= 0x7F || c < 0x20 && c != '\n' && c != '\t' && c != '\r' {
			return i
		}
	}
	return -1
}

// joins reports whether the hidden rune r does honest work between prev and
// the text that follows it.
func joins(prev, r rune, rest string) bool {
	switch {
	case r == 0x2028 || r == 0x2029: // line and paragraph separators are layout
		return true
	case r == 0x00AD: // soft hyphen
		return true
	case r == zwj || r == zwnj:
		next, _ := utf8.DecodeRuneInString(rest)
		return prev >= 0x80 && prev != zwj && prev != zwnj && next >= 0x80 && !Hidden(next)
	case r >= vs1 && r <= vs16:
		keycap := prev == '#' || prev == '*' || prev >= '0' && prev <= '9'
		return (prev >= 0x80 || keycap) && (prev < vs1 || prev > vs16)
	}
	return false
}
