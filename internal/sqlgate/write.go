package sqlgate

import (
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/sqllex"
)

const (
	oneWrite    = "send one INSERT, UPDATE, DELETE or MERGE statement"
	badWrite    = "this is no statement of the kinds allowed; " + oneWrite
	badBody     = "only a query may stand here: SELECT or VALUES"
	writeNoInto = "INTO is allowed only after INSERT and MERGE"
	writeNoLock = "row locks are not allowed; leave out FOR UPDATE, FOR SHARE and the like"
)

// walkWrite checks the tokens of one statement that writes, and returns with which
// of them it begins, after its WITH.
func walkWrite(tokens []sqllex.Token) (int, *fault) {
	w := walker{tokens: tokens, stack: make([]frame, 1, 16), main: -1}
	w.stack[0].write = true
	f := w.walk()
	switch {
	case f != nil && strings.HasSuffix(f.reason, oneOf):
		f.reason = badBody
	case f != nil && f.reason == noInto:
		f.reason = writeNoInto
	case f != nil && f.reason == noLock:
		f.reason = writeNoLock
	case f == nil && w.main < 0:
		f = &fault{badWrite, tokens[len(tokens)-1].Pos}
	}
	return w.main, f
}

// beginsWrite refuses a token that stands where a statement that writes has to
// begin.
func beginsWrite(t sqllex.Token, keyword string) *fault {
	switch keyword {
	case "insert", "update", "delete", "merge":
		return nil
	}
	return &fault{badWrite, t.Pos}
}
