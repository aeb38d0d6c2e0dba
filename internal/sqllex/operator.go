package sqllex

import "strings"

// operator reads the longest run of operator characters that is an operator.
func (s *scanner) operator() (Token, Reason) {
	end := s.pos
	for isOperator(s.at(end)) && s.comment(end) == 0 {
		if end++; end-s.pos > MaxName {
			// The server allows long runs of + and -, one operator each. It
			// takes quadratic time over them, and nobody writes them.
			return Token{}, LongOperator
		}
	}
	end = s.trimSign(end)
	text := s.src[s.pos:end]
	switch text {
	case "=>":
		return s.token(Punct, end, text), "" // names an argument; can be no operator
	case "!=":
		return s.token(Operator, end, "<>"), ""
	}
	return s.token(Operator, end, text), ""
}

// trimSign returns the end without a trailing + or -. These belong to an
// operator only if it holds a character that standard SQL does not use, so
// that 1=-1 is 1 = -1 while @- is one operator.
func (s *scanner) trimSign(end int) int {
	if c := s.at(end - 1); c != '+' && c != '-' || strings.ContainsAny(s.src[s.pos:end-1], "~!@#^&|`?%") {
		return end
	}
	for end > s.pos+1 && (s.at(end-1) == '+' || s.at(end-1) == '-') {
		end--
	}
	return end
}
