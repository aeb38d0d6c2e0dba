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
	"unicode"
	"unicode/utf8"
)

const (
	softHyphen       = 0x00AD
	zwnj, zwj        = 0x200C, 0x200D
	lineSep, paraSep = 0x2028, 0x2029
	keycap           = 0x20E3
	vs1, vs3         = 0xFE00, 0xFE02
	vs15, vs16       = 0xFE0E, 0xFE0F
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
		return r == softHyphen || r == 0x034F || r == 0x061C || r == 0x115F || r == 0x1160 ||
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
// needs stays, one at a time and only where it does its work:
//
//   - a joiner between two visible non-ASCII characters (emoji families,
//     Persian, Indic);
//   - a variation selector after a character that has variants: an emoji or
//     keycap for the choice between text and picture, a CJK, Myanmar, Mongolian
//     or mathematical character for others;
//   - a soft hyphen between two letters;
//   - a line or paragraph separator.
//
// What stays can still carry a bit per visible character, as spelling can, but
// never a text beside the text. Tag characters always go, so the flags of
// England, Scotland and Wales become the black flag that they are built on, and
// the variants of names that ideographic selectors (U+E0100) write, the common
// form. Without anything to remove, s itself is returned.
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

// joins reports whether the hidden rune r does honest work between prev, which
// was kept, and the text that follows it.
func joins(prev, r rune, rest string) bool {
	next, _ := utf8.DecodeRuneInString(rest)
	switch {
	case r == lineSep || r == paraSep:
		return prev != lineSep && prev != paraSep
	case r == softHyphen:
		return unicode.In(prev, unicode.L, unicode.M) && unicode.IsLetter(next) && !Hidden(next)
	case r == zwj || r == zwnj:
		return (joinable(prev) || prev == vs16) && joinable(next)
	case r == vs15 || r == vs16:
		return pictorial(prev) || r == vs16 && next == keycap && strings.ContainsRune("#*0123456789", prev)
	case r >= vs1 && r <= vs3:
		return hasVariants(prev)
	case r >= 0x180B && r <= 0x180D || r == 0x180F: // Mongolian free variation selectors
		return prev >= 0x1820 && prev <= 0x18AA
	}
	return false
}

// joinable reports whether r is visible, and of a script that may need joiners.
func joinable(r rune) bool {
	return r > 0x9F && !Hidden(r) && !unicode.IsSpace(r)
}

// pictorial reports whether r is of the blocks that hold what can be written as
// text or as a picture.
func pictorial(r rune) bool {
	switch r {
	case 0xA9, 0xAE, 0x203C, 0x2049, 0x3030, 0x303D, 0x3297, 0x3299:
		return true
	}
	return r >= 0x2122 && r <= 0x2BFF || r >= 0x1F000 && r <= 0x1FAFF
}

// hasVariants reports whether r is of the blocks for which the Unicode list of
// standardized variants uses the first three selectors.
func hasVariants(r rune) bool {
	return r >= 0x1000 && r <= 0x109F || // Myanmar
		r >= 0x2200 && r <= 0x22FF || r >= 0x2A00 && r <= 0x2AFF || // mathematical operators
		r >= 0x3000 && r <= 0x303F && r != 0x3000 || // CJK punctuation
		r >= 0x3400 && r <= 0x9FFF || r >= 0xF900 && r <= 0xFAFF || // ideographs
		r >= 0xFF01 && r <= 0xFF60 || r >= 0x20000 && r <= 0x3FFFF
}
