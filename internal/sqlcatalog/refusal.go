package sqlcatalog

import (
	"unicode/utf8"

	"github.com/mcpsec/mcpsec-go/internal/sqlgate"
)

// A fault is a refusal whose position is still a byte offset.
type fault struct {
	reason string
	pos    int
}

func (f *fault) refusal(sql string) *sqlgate.Refusal {
	return &sqlgate.Refusal{Reason: f.reason, Pos: utf8.RuneCountInString(sql[:f.pos]) + 1}
}

const (
	notClear   = "what this name means is not clear; write it plainly"
	sealedText = " is not allowed: of this catalog, name the columns that you need, as in p.proname, with FROM … p"

	settingText = "current_setting is not allowed but for settings that SHOW may ask for, named by a constant"
	growthText  = "repeat, lpad and rpad need a length that is a number up to 10000; write least(n, 10000) for one that is computed"
	nestedText  = "repeat, lpad and rpad are not allowed within the first argument of one another"
	formatText  = "format needs a constant as its first argument, without widths over 9999, * or many n$ in it; or use || and concat"
	inputText   = "this function needs the name of one of PostgreSQL's own types as a constant, as in 'int4'"
	newText     = "this uses what the database has had for some seconds only, or what is not there any more; try again in a few seconds"
	treatText   = "TREAT is not allowed; write CAST"

	standardText   = "JSON_ARRAYAGG, JSON_OBJECTAGG and JSON_ARRAY of a query are not allowed; write json_agg or json_object_agg"
	nestedHoldText = "aggregates that gather rows are not allowed within so many others; gather in sub-selects of FROM"
	manyHoldsText  = "the statement has too many aggregates that gather rows; gather fewer, and not within others"
)

func functionText(n string) string { return "function " + shown(n) + " is not allowed; do without it" }

// shadowText is about a function of PostgreSQL's own that is allowed, and that
// users have given a namesake.
func shadowText(n string) string {
	return "function " + shown(n) + " is not allowed, as there are several of that name; write pg_catalog." + shown(n)
}

func attributeText(n string) string {
	return "function " + shown(n) + " is not allowed, and can be called like this; for a column of that name, leave out what stands before the dot"
}

func relationText(n string) string {
	return "table or view " + shown(n) + " is not allowed: it shows what is not for this role, or runs functions that are not allowed"
}

func typeText(n string) string {
	return "type " + shown(n) + " is not allowed: making a value of it runs functions that are not"
}

func schemaText(n string) string {
	return "schema " + shown(n) + " is not allowed; if this is the alias of a table, choose another"
}

func operatorText(symbol string) string {
	return "operator " + symbol + " is not allowed, as one of the database's own runs a function that is not; for PostgreSQL's write OPERATOR(pg_catalog." + symbol + ")"
}

// shown returns a name of the catalog that is plain, or else a word for it:
// people have written it, and a model reads it.
func shown(n string) string {
	for _, r := range n {
		if r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return "of that name"
		}
	}
	return n
}

const (
	padText    = "char(n) and bit(n) need an n of at most 10000; use text or varchar"
	piecesText = "what replace, regexp_replace, array_to_string and concat_ws put in, and what jsonb_pretty shows, must not be a long constant, or made by repeat, lpad or rpad"
	weightText = "queries within one another name the same columns so often that a row could become very large; write fewer levels"
	joinsText  = "more than 40 tables are joined; ask with several statements"
	searchText = "functions, arrays and || are not allowed in a recursion with SEARCH or CYCLE; compute this where its rows are read, or write the path without SEARCH"
)

func labelText(n string) string {
	return n + " can be called like this, and is not allowed so; give the column another name with AS"
}

func unsteadyText(n string) string {
	return "function " + shown(n) + " is not allowed within an aggregate that gathers rows; call it in a sub-select of FROM with OFFSET 0"
}
