package sqlgate

import "github.com/mcpsec/mcpsec-go/internal/sqllex"

// A withState is a place in a WITH clause:
//
//	WITH [RECURSIVE] name [(columns)] AS [[NOT] MATERIALIZED] (query)
//	  [SEARCH {DEPTH|BREADTH} FIRST BY names SET name]
//	  [CYCLE names SET name [TO constant DEFAULT constant] USING name]
//	  [, name …] query
//
// The clause is read exactly. A CTE body and the statement after the clause are
// the only places inside a query where the grammar accepts INSERT, UPDATE,
// DELETE and MERGE, and these words are legal names in all the others.
type withState uint8

const (
	withNone     withState = iota // no WITH clause, or past it
	withFirst                     // after WITH
	withName                      // a name comes
	withAs                        // columns or AS come
	withBody                      // the body comes
	withNext                      // after a body: comma, SEARCH, CYCLE or the query
	searchBy                      // between SEARCH and BY
	searchColumn                  // a column of SEARCH comes
	searchMore                    // comma or SET comes
	cycleColumn                   // a column of CYCLE comes
	cycleMore                     // comma or SET comes
	cycleMark                     // the mark column comes
	cycleUsing                    // up to USING
	pathName                      // the column of SEARCH … SET or CYCLE … USING comes
)

// withStep moves on by one token at the level of the clause. It tells whether a
// parenthesis here has to hold a query.
func (f *frame) withStep(t sqllex.Token, keyword string, next sqllex.Token) (query bool, _ *fault) {
	state, ok := f.with, false
	switch state {
	case withFirst, withName, searchColumn, cycleColumn, cycleMark, pathName:
		f.with, ok = afterName(state, t, next)
	case withBody:
		ok = t.Is("(") || word(t) == "not" || word(t) == "materialized"
		if query = t.Is("("); query {
			f.with = withNext
		}
	case withNext:
		return f.withNext(t, keyword)
	default:
		f.with, ok = afterKeyword(state, t, keyword)
	}
	if !ok {
		return false, &fault{badWith, t.Pos}
	}
	return query, nil
}

// afterName moves on from the states in which a name has to come.
func afterName(state withState, t, next sqllex.Token) (withState, bool) {
	if t.Kind != sqllex.Word && t.Kind != sqllex.QuotedWord {
		return state, false
	}
	switch state {
	case withFirst:
		// RECURSIVE is itself a legal name.
		if word(t) == "recursive" && word(next) != "as" && !next.Is("(") {
			return withName, true
		}
		return withAs, true
	case withName:
		return withAs, true
	case searchColumn:
		return searchMore, true
	case cycleColumn:
		return cycleMore, true
	case cycleMark:
		return cycleUsing, true
	}
	return withNext, true
}

// afterKeyword moves on from the states in which a certain word has to come.
func afterKeyword(state withState, t sqllex.Token, keyword string) (withState, bool) {
	switch {
	case state == withAs && keyword == "as":
		return withBody, true
	case state == withAs && t.Is("("):
		return withAs, true
	case state == searchBy && keyword == "by":
		return searchColumn, true
	case state == searchBy && (keyword == "depth" || keyword == "breadth" || keyword == "first"):
		return searchBy, true
	case state == searchMore && t.Is(","):
		return searchColumn, true
	case state == searchMore && keyword == "set":
		return pathName, true
	case state == cycleMore && t.Is(","):
		return cycleColumn, true
	case state == cycleMore && keyword == "set":
		return cycleMark, true
	case state == cycleUsing && keyword == "using":
		return pathName, true
	case state == cycleUsing:
		// TO and DEFAULT with constants; USING cannot be a name among them.
		return cycleUsing, true
	}
	return state, false
}

// withNext moves on after a CTE.
func (f *frame) withNext(t sqllex.Token, keyword string) (query bool, _ *fault) {
	switch {
	case t.Is(","):
		f.with = withName
	case keyword == "search":
		f.with = searchBy
	case keyword == "cycle":
		f.with = cycleColumn
	case f.write:
		f.with = withNone
		return false, beginsWrite(t, keyword)
	case keyword == "select", keyword == "values", keyword == "table":
		f.with = withNone
	case t.Is("("):
		f.with = withNone
		return true, nil
	default:
		return false, notQuery(t)
	}
	return false, nil
}
