package sqllex

import (
	"strings"
	"unicode/utf8"
)

// word reads a keyword or identifier, or a literal that begins with a letter.
func (s *scanner) word() (Token, Reason) {
	switch next := s.at(s.pos + 1); {
	case next == '\'':
		switch s.low[s.pos] {
		case 'e':
			return s.literal(s.pos+1, escaped)
		case 'n':
			// The server makes two tokens of it, the word nchar and a string.
			return s.literal(s.pos+1, plain)
		case 'b', 'x':
			return s.literal(s.pos+1, bits)
		}
	case next == '&' && s.low[s.pos] == 'u':
		switch s.at(s.pos + 2) {
		case '\'':
			return s.literal(s.pos+2, unicode)
		case '"':
			return s.unicodeWord()
		}
	}
	// A dollar sign belongs to the word, so a$b$ opens no dollar quote.
	end := s.pos + 1
	for isWordPart(s.at(end)) {
		end++
	}
	return s.name(Word, end, s.low[s.pos:end]), ""
}

// quotedWord reads a "…" identifier.
func (s *scanner) quotedWord() (Token, Reason) {
	value, end, reason := s.quoted(s.pos)
	if reason != "" {
		return Token{}, reason
	}
	return s.name(QuotedWord, end, value), ""
}

// unicodeWord reads a U&"…" identifier.
func (s *scanner) unicodeWord() (Token, Reason) {
	raw, end, reason := s.quoted(s.pos + 2)
	if reason != "" {
		return Token{}, reason
	}
	value, end, reason := s.unicodeValue(raw, end)
	if reason != "" {
		return Token{}, reason
	}
	return s.name(UnicodeWord, end, value), ""
}

// quoted reads from the double quote at open to the one that closes it.
func (s *scanner) quoted(open int) (value string, end int, reason Reason) {
	end = closing(s.src, open, '"')
	if end < 0 {
		return "", 0, UnterminatedName
	}
	value = s.src[open+1 : end-1]
	if value == "" {
		return "", 0, EmptyName
	}
	return strings.ReplaceAll(value, `""`, `"`), end, ""
}

// name makes a token whose value is a name. The server cuts long names, at the
// edge of a letter, so that two long names may mean the same thing.
func (s *scanner) name(k Kind, end int, value string) Token {
	t := s.token(k, end, value)
	if len(value) <= MaxName {
		return t
	}
	n := MaxName
	for n > 0 && !utf8.RuneStart(value[n]) {
		n--
	}
	t.Value, t.Cut = value[:n], true
	return t
}

// closing returns the offset after the quote that closes the one at open, or
// -1. Two quotes in a row stand for one and close nothing.
func closing(text string, open int, quote byte) int {
	for i := open + 1; i < len(text); i++ {
		n := strings.IndexByte(text[i:], quote)
		if n < 0 {
			return -1
		}
		i += n
		if i+1 == len(text) || text[i+1] != quote {
			return i + 1
		}
		i++
	}
	return -1
}
