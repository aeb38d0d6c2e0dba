package sqllex

import "strings"

// number reads a numeric literal. Anything attached to it is an error: 1e or
// 0x1g were a number and an alias up to version 14 and are errors from 15 on.
//
// 0x1F, 0o17, 0b11 and 1_000 are numbers from version 16 on. Before, they are
// an error or a number and a word; such a word begins with _, x, o or b and
// goes on with digits, so it is no keyword, and no grammar rule can call it.
func (s *scanner) number() (Token, Reason) {
	end, ok := s.radix()
	if !ok {
		end = s.decimal()
	}
	if end < 0 {
		return Token{}, BadNumber
	}
	// The server would open a dollar quote right after the digits of 1$$.
	if c := s.at(end); isWordPart(c) || ok && c == '.' {
		return Token{}, BadNumber
	}
	return s.token(Number, end, s.src[s.pos:end]), ""
}

// radix returns the end of a hexadecimal, octal or binary integer.
func (s *scanner) radix() (end int, ok bool) {
	if s.at(s.pos) != '0' {
		return 0, false
	}
	end = s.pos + 2
	switch s.at(s.pos + 1) {
	case 'x', 'X':
		end = s.group(end, isHex)
	case 'o', 'O':
		end = s.group(end, isOctal)
	case 'b', 'B':
		end = s.group(end, isBinary)
	}
	return end, end > s.pos+2
}

// decimal returns the end of a decimal number, or -1 when an exponent has no
// digits. In 1..2 the number ends before the dots.
func (s *scanner) decimal() int {
	end := s.pos
	if isDigit(s.at(end)) {
		end = s.group(end+1, isDigit)
	}
	if s.at(end) == '.' && s.at(end+1) != '.' {
		end++
		if isDigit(s.at(end)) {
			end = s.group(end+1, isDigit)
		}
	}
	if c := s.at(end); c != 'e' && c != 'E' {
		return end
	}
	end++
	if c := s.at(end); c == '+' || c == '-' {
		end++
	}
	if !isDigit(s.at(end)) {
		return -1
	}
	return s.group(end+1, isDigit)
}

// group returns the end of the digits at i. One underscore may stand before
// each digit.
func (s *scanner) group(i int, is func(byte) bool) int {
	for {
		switch {
		case is(s.at(i)):
			i++
		case s.at(i) == '_' && is(s.at(i+1)):
			i += 2
		default:
			return i
		}
	}
}

// dollar reads a parameter or a dollar-quoted string.
func (s *scanner) dollar() (Token, Reason) {
	end := s.pos + 1
	if isDigit(s.at(end)) {
		return s.param()
	}
	if isWordStart(s.at(end)) {
		for end++; isWordPart(s.at(end)) && s.at(end) != '$'; end++ {
		}
	}
	if s.at(end) != '$' {
		return Token{}, BadDollar
	}
	end++
	tag := s.src[s.pos:end]
	n := strings.Index(s.src[end:], tag)
	if n < 0 {
		return Token{}, UnterminatedString
	}
	return s.token(String, end+n+len(tag), s.src[end:end+n]), ""
}

// param reads $1. Old versions wrap a number beyond 32 bits around, read $1a
// as two tokens, and all of them open a dollar quote in the middle of $1$$.
func (s *scanner) param() (Token, Reason) {
	end, n := s.pos+1, 0
	for ; isDigit(s.at(end)) && n <= maxParam; end++ {
		n = n*10 + int(s.at(end)-'0')
	}
	if n == 0 || n > maxParam || isWordPart(s.at(end)) {
		return Token{}, BadParam
	}
	return s.token(Param, end, s.src[s.pos:end]), ""
}
