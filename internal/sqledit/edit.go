// Package sqledit puts texts of ours into a statement that has been checked, at
// places between its tokens, and finds the way back from a position in the result.
package sqledit

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// An Edit replaces the bytes from Pos to End of a statement by Text. It inserts
// if they are the same.
type Edit struct {
	Pos, End int
	Text     string
}

// Edits are sorted, and do not overlap. Those that insert at one place stay in the
// order they were made in, before one that replaces what stands there.
type Edits []Edit

// Sort brings edits, which must not overlap, into order.
func Sort(edits []Edit) Edits {
	slices.SortStableFunc(edits, func(a, b Edit) int { return cmp.Or(cmp.Compare(a.Pos, b.Pos), cmp.Compare(a.End, b.End)) })
	return edits
}

// Apply returns the statement as edited.
func (e Edits) Apply(sql string) string {
	if len(e) == 0 {
		return sql
	}
	var b strings.Builder
	from := 0
	for _, edit := range e {
		b.WriteString(sql[from:edit.Pos])
		b.WriteString(edit.Text)
		from = edit.End
	}
	b.WriteString(sql[from:])
	return b.String()
}

// Origin returns the character of sql, counted from 1, that the character at
// position of the edited statement comes from. One that an edit has put there
// comes from the character that the edit stands before.
func (e Edits) Origin(sql string, position int) int {
	seen, from, at := 0, 0, 0 // characters of the edited statement; bytes of sql; characters of it
	for _, edit := range e {
		kept := utf8.RuneCountInString(sql[from:edit.Pos])
		if position <= seen+kept {
			return at + position - seen
		}
		seen, at = seen+kept, at+kept
		if put := utf8.RuneCountInString(edit.Text); position <= seen+put {
			return at + 1
		} else {
			seen += put
		}
		at += utf8.RuneCountInString(sql[edit.Pos:edit.End])
		from = edit.End
	}
	return at + position - seen
}
