package sqllex

import (
	"strings"
	"unicode/utf8"
)

// Scan returns the tokens of sql in order. Between them stand only white space
// and comments. Its time is linear in the length of sql. The error is an *Error.
func Scan(sql string) ([]Token, error) {
	if pos := badByte(sql); pos >= 0 {
		return nil, &Error{BadEncoding, pos}
	}
	s := scanner{src: sql, low: lowerASCII(sql)}
	tokens := make([]Token, 0, min(len(sql)/3+1, MaxTokens))
	for {
		if reason := s.skip(); reason != "" {
			return nil, &Error{reason, s.pos}
		}
		if s.pos == len(sql) {
			return tokens, nil
		}
		if len(tokens) == MaxTokens {
			return nil, &Error{TooManyTokens, s.pos}
		}
		t, reason := s.next()
		if reason != "" {
			return nil, &Error{reason, s.pos}
		}
		tokens = append(tokens, t)
		s.pos = t.End()
	}
}

// A scanner is a position in a text. Its methods look ahead from there and
// leave moving on to Scan.
type scanner struct {
	src string
	low string // src with ASCII letters in lower case: values of words are cut from it
	pos int
}

// at returns the byte at i, or 0 beyond the end: a text holds no zero byte.
func (s *scanner) at(i int) byte {
	if i < len(s.src) {
		return s.src[i]
	}
	return 0
}

// token makes the token that reaches from the current position to end.
func (s *scanner) token(k Kind, end int, value string) Token {
	return Token{Kind: k, Pos: s.pos, Text: s.src[s.pos:end], Value: value}
}

// next reads the token at the current position, which is no white space.
func (s *scanner) next() (Token, Reason) {
	c := s.at(s.pos)
	switch {
	case isWordStart(c):
		return s.word()
	case isDigit(c), c == '.' && isDigit(s.at(s.pos+1)):
		return s.number()
	case c == '\'':
		return s.literal(s.pos, plain)
	case c == '"':
		return s.quotedWord()
	case c == '$':
		return s.dollar()
	case isOperator(c):
		return s.operator()
	}
	return s.punct()
}

// punct reads the tokens that are neither words nor operators.
func (s *scanner) punct() (Token, Reason) {
	n := 1
	switch s.at(s.pos) {
	case '(', ')', '[', ']', ',', ';':
	case ':':
		if c := s.at(s.pos + 1); c == ':' || c == '=' {
			n = 2
		}
	case '.':
		if s.at(s.pos+1) == '.' {
			n = 2
		}
	default:
		// The server takes any other byte for a token of its own, which no
		// rule of its grammar accepts. A vertical tab is one of them up to
		// version 15 and white space from 16 on.
		return Token{}, BadCharacter
	}
	return s.token(Punct, s.pos+n, s.src[s.pos:s.pos+n]), ""
}

// skip moves over white space and comments.
func (s *scanner) skip() Reason {
	for {
		switch {
		case isSpace(s.at(s.pos)):
			s.pos++
		case s.comment(s.pos) == '-':
			s.pos = s.lineEnd(s.pos)
		case s.comment(s.pos) == '*':
			end := s.blockEnd(s.pos)
			if end < 0 {
				return UnterminatedComment
			}
			s.pos = end
		default:
			return ""
		}
	}
}

// comment tells which comment begins at i: '-' for --, '*' for /*, 0 for none.
func (s *scanner) comment(i int) byte {
	switch {
	case s.at(i) == '-' && s.at(i+1) == '-':
		return '-'
	case s.at(i) == '/' && s.at(i+1) == '*':
		return '*'
	}
	return 0
}

// lineEnd returns where the line that holds i ends. A carriage return ends it
// as well as a line feed: what follows a bare one is no comment any more.
func (s *scanner) lineEnd(i int) int {
	if n := strings.IndexAny(s.src[i:], "\r\n"); n >= 0 {
		return i + n
	}
	return len(s.src)
}

// blockEnd returns the end of the /* comment at i, or -1. Such comments nest.
func (s *scanner) blockEnd(i int) int {
	for depth := 0; i < len(s.src); {
		switch {
		case s.comment(i) == '*':
			depth++
			i += 2
		case s.src[i] == '*' && s.at(i+1) == '/':
			depth--
			i += 2
		default:
			i++
		}
		if depth == 0 {
			return i
		}
	}
	return -1
}

func badByte(s string) int {
	if i := strings.IndexByte(s, 0); i >= 0 {
		return i
	}
	if utf8.ValidString(s) {
		return -1
	}
	for i, r := range s {
		if _, n := utf8.DecodeRuneInString(s[i:]); r == utf8.RuneError && n == 1 {
			return i
		}
	}
	return -1
}

// lowerASCII folds A to Z only, as the server does in UTF-8: strings.ToLower
// would also turn the Kelvin sign into k and so make up keywords.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + ('a' - 'A')
		}
	}
	return string(b)
}
