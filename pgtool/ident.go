package pgtool

import (
	"errors"
	"strings"
)

// An Ident is a name in a statement, such as "shop"."orders". No text that it
// was made of can end its quotes. The zero Ident is no name, and makes a
// statement that does not parse.
type Ident struct{ quoted string }

// NewIdent returns the name that parts make up, as in NewIdent("shop", "orders").
// A part is taken as it is, capitals and dots included; it must be UTF-8, of 1 to
// 63 bytes, without line breaks or U+0000.
func NewIdent(parts ...string) (Ident, error) {
	if len(parts) == 0 {
		return Ident{}, errName
	}
	quoted := make([]string, len(parts))
	for i, p := range parts {
		if !plainName(p) {
			return Ident{}, errName
		}
		quoted[i] = quoteName(p)
	}
	return Ident{strings.Join(quoted, ".")}, nil
}

var errName = errors.New("a name must have 1 to 63 bytes of UTF-8, without line breaks")

// String returns the name in quotes, for a statement.
func (i Ident) String() string { return i.quoted }

// A SQL is a statement that was written by a programmer: only a constant can
// become one, so none can hold what came from a caller or from data.
type SQL struct{ text string }

// NewSQL returns a constant as a SQL. A variable does not compile.
func NewSQL(text constant) SQL { return SQL{string(text)} }

// A constant takes untyped constants only: it is not exported, so nobody can
// convert to it.
type constant string

// String returns the text.
func (s SQL) String() string { return s.text }
