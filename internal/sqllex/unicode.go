package sqllex

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// unicodeValue decodes the inside of U&'…' or U&"…" that ends before end,
// together with a UESCAPE clause after it, and returns where all of it ends.
func (s *scanner) unicodeValue(raw string, end int) (string, int, Reason) {
	mark, end, ok := s.uescape(end)
	if !ok {
		return "", 0, BadEscape
	}
	value, ok := decodeUnicode(raw, mark)
	if !ok {
		return "", 0, BadEscape
	}
	return value, end, ""
}

// uescape looks for UESCAPE 'c' at i. Without one the mark is a backslash. The
// server also takes E'c' and $$c$$ here; a clause in such a form is not read.
func (s *scanner) uescape(i int) (mark byte, end int, ok bool) {
	const keyword = "uescape"
	ahead := scanner{src: s.src, low: s.low, pos: i}
	if ahead.skip() != "" || !strings.HasPrefix(s.low[ahead.pos:], keyword) ||
		isWordPart(s.at(ahead.pos+len(keyword))) {
		return '\\', i, true
	}
	ahead.pos += len(keyword)
	if ahead.skip() != "" || ahead.at(ahead.pos) != '\'' {
		return 0, 0, false
	}
	t, reason := ahead.literal(ahead.pos, plain)
	if reason != "" || len(t.Value) != 1 {
		return 0, 0, false
	}
	mark = t.Value[0]
	ok = mark < utf8.RuneSelf && !isHex(mark) && !isSpace(mark) && strings.IndexByte("\v+'\"", mark) < 0
	return mark, t.End(), ok
}

// decodeUnicode replaces \XXXX, \+XXXXXX and \\ in raw, where \ is the mark.
func decodeUnicode(raw string, mark byte) (string, bool) {
	if strings.IndexByte(raw, mark) < 0 {
		return raw, true
	}
	var b strings.Builder
	for i := 0; i < len(raw); {
		switch {
		case raw[i] != mark:
			b.WriteByte(raw[i])
			i++
		case i+1 < len(raw) && raw[i+1] == mark:
			b.WriteByte(mark)
			i += 2
		default:
			r, n := unicodeEscape(raw[i:], mark)
			if r <= 0 || !utf8.ValidRune(r) {
				return "", false
			}
			b.WriteRune(r)
			i += n
		}
	}
	return b.String(), true
}

// unicodeEscape reads the escape, or the surrogate pair of escapes, that raw
// begins with, and returns its length.
func unicodeEscape(raw string, mark byte) (rune, int) {
	r, n := unicodeUnit(raw)
	if isHighSurrogate(r) && len(raw) > n && raw[n] == mark {
		low, m := unicodeUnit(raw[n:])
		return joinSurrogates(r, low), n + m
	}
	return r, n
}

func unicodeUnit(raw string) (rune, int) {
	from, width := 1, 4
	if len(raw) > 1 && raw[1] == '+' {
		from, width = 2, 6
	}
	if len(raw) < from+width {
		return -1, 0
	}
	r := rune(0)
	for _, c := range []byte(raw[from : from+width]) {
		if !isHex(c) {
			return -1, 0
		}
		r = r<<4 | rune(hexValue(c))
	}
	return r, from + width
}

func isHighSurrogate(r rune) bool { return 0xD800 <= r && r < 0xDC00 }

// joinSurrogates returns -1 unless low is the second half of a pair.
func joinSurrogates(high, low rune) rune {
	if r := utf16.DecodeRune(high, low); r != utf8.RuneError {
		return r
	}
	return -1
}
