package sqltree

import (
	"errors"
	"strings"
)

// maxRun is the longest run of bytes without a break that the server has surely not
// broken itself.
const maxRun = 76

var errBroken = errors.New("the analysis has a name that is too long to be read safely")

// unbroken refuses a text in which the server may have broken a token. A line break
// after a backslash can be part of a name, so that it ends no run.
func unbroken(tree string) error {
	run := 0
	for i := range len(tree) {
		switch c := tree[i]; {
		case c == ' ', c == '\n' && (i == 0 || tree[i-1] != '\\'):
			run = 0
		default:
			if run++; run > maxRun {
				return errBroken
			}
		}
	}
	return nil
}

// A scanner splits a tree into tokens as the server's own reader does.
type scanner struct {
	text  string
	token string // the current one, with backslashes; empty at the end
}

// next goes to the next token: one of ( ) { }, or all up to the next of them or a
// space.
func (s *scanner) next() {
	s.text = strings.TrimLeft(s.text, " \n\t")
	n := 0
	for n < len(s.text) && !ends(s.text[n]) {
		if s.text[n] == '\\' && n+1 < len(s.text) {
			n++
		}
		n++
	}
	if n == 0 && s.text != "" {
		n = 1
	}
	s.token, s.text = s.text[:n], s.text[n:]
}

// ends reports whether a byte without a backslash ends a token.
func ends(c byte) bool {
	switch c {
	case ' ', '\n', '\t', '(', ')', '{', '}':
		return true
	}
	return false
}
