package sqllex

import (
	"strings"
	"unicode/utf8"
)

// A style is how the inside of a '…' literal is read.
type style uint8

const (
	plain   style = iota // '' is a quote, a backslash is nothing special
	escaped              // E'…': backslash escapes
	bits                 // B'…' and X'…': not even '' is special
	unicode              // U&'…': plain, then decoded as a whole
)

// literal reads the literal whose first quote is at open, with all the parts
// that continue it on further lines.
func (s *scanner) literal(open int, st style) (Token, Reason) {
	value, end, reason := s.part(open, st)
	if reason != "" {
		return Token{}, reason
	}
	var parts []string
	for open = s.continued(end); open >= 0; open = s.continued(end) {
		var part string
		if part, end, reason = s.part(open, st); reason != "" {
			return Token{}, reason
		}
		parts = append(parts, part)
	}
	if parts != nil {
		value += strings.Join(parts, "")
	}
	return s.finish(st, value, end)
}

// finish checks and decodes what can only be seen on the whole literal.
func (s *scanner) finish(st style, value string, end int) (Token, Reason) {
	switch st {
	case bits:
		return s.token(Bits, end, s.low[s.pos:s.pos+1]+value), ""
	case escaped:
		// \ooo and \xhh can build bytes that the server refuses.
		if badByte(value) >= 0 {
			return Token{}, BadEscape
		}
	case unicode:
		var reason Reason
		if value, end, reason = s.unicodeValue(value, end); reason != "" {
			return Token{}, reason
		}
	}
	return s.token(String, end, value), ""
}

// part reads one '…' of a literal and returns the offset after it.
func (s *scanner) part(open int, st style) (value string, end int, reason Reason) {
	switch st {
	case bits:
		end = strings.IndexByte(s.src[open+1:], '\'') + open + 2
		if end == open+1 {
			return "", 0, UnterminatedString
		}
		return s.src[open+1 : end-1], end, ""
	case escaped:
		return s.escapedPart(open)
	}
	end = closing(s.src, open, '\'')
	if end < 0 {
		return "", 0, UnterminatedString
	}
	return strings.ReplaceAll(s.src[open+1:end-1], "''", "'"), end, ""
}

// continued returns where the literal that was closed before i opens again, or
// -1. SQL joins two literals when a line end stands between them; -- comments
// may stand there too, /* */ comments may not.
func (s *scanner) continued(i int) int {
	line := false
	for {
		switch c := s.at(i); {
		case c == '\n' || c == '\r':
			line = true
			i++
		case isSpace(c):
			i++
		case s.comment(i) == '-':
			i = s.lineEnd(i)
		case c == '\'' && line:
			return i
		default:
			return -1
		}
	}
}

// escapedPart reads one part of an E'…' literal. In it \' does not close.
func (s *scanner) escapedPart(open int) (string, int, Reason) {
	var value []byte
	for i := open + 1; i < len(s.src); {
		n := strings.IndexAny(s.src[i:], `\'`)
		if n < 0 {
			break
		}
		value = append(value, s.src[i:i+n]...)
		i += n
		switch {
		case s.src[i] == '\\':
			var ok bool
			if value, i, ok = s.escape(value, i); !ok {
				return "", 0, BadEscape
			}
		case s.at(i+1) == '\'':
			value = append(value, '\'')
			i += 2
		default:
			return string(value), i + 1, ""
		}
	}
	return "", 0, UnterminatedString
}

// escape appends what the backslash at i stands for and returns the offset
// after the sequence.
func (s *scanner) escape(value []byte, i int) ([]byte, int, bool) {
	c := s.at(i + 1)
	switch {
	case isOctal(c):
		v, end := s.digits(i+1, 3, 8)
		return append(value, byte(v)), end, true
	case c == 'x' && isHex(s.at(i+2)):
		v, end := s.digits(i+2, 2, 16)
		return append(value, byte(v)), end, true
	case c == 'u' || c == 'U':
		r, end, ok := s.escapedRune(i)
		return utf8.AppendRune(value, r), end, ok
	case c == 'v' || c == 0:
		// \v became a vertical tab in a late version; before it is a v.
		return nil, 0, false
	}
	if j := strings.IndexByte("bfnrt", c); j >= 0 {
		c = "\b\f\n\r\t"[j]
	}
	return append(value, c), i + 2, true
}

// escapedRune reads \uXXXX, \UXXXXXXXX or a surrogate pair of them at i.
func (s *scanner) escapedRune(i int) (r rune, end int, ok bool) {
	unit := func(i int) (rune, int) {
		width := 4
		if s.at(i+1) == 'U' {
			width = 8
		}
		v, end := s.digits(i+2, width, 16)
		if end != i+2+width || v > utf8.MaxRune {
			return -1, end
		}
		return rune(v), end
	}
	r, end = unit(i)
	if isHighSurrogate(r) && s.at(end) == '\\' && (s.at(end+1) == 'u' || s.at(end+1) == 'U') {
		var low rune
		low, end = unit(end)
		r = joinSurrogates(r, low)
	}
	return r, end, r > 0 && utf8.ValidRune(r)
}

// digits reads at most width digits of the base at i.
func (s *scanner) digits(i, width, base int) (v uint64, end int) {
	for end = i; end < i+width; end++ {
		d := hexValue(s.at(end))
		if d < 0 || d >= base {
			break
		}
		v = v*uint64(base) + uint64(d)
	}
	return v, end
}

func hexValue(c byte) int {
	switch {
	case isDigit(c):
		return int(c - '0')
	case !isHex(c):
		return -1
	}
	return int(c|0x20-'a') + 10
}
