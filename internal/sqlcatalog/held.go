package sqlcatalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/sqledit"
)

// PostgreSQL has no limit for the memory of an aggregate that keeps what it is
// given. So every call of one gets a FILTER that adds up, in a setting of the
// transaction, what all of them have been given so far, and that fails beyond
// maxHeld. Nothing that the statement returns depends on it.
const (
	// HeldSetting is the setting, which has to be 0 when the statement begins.
	HeldSetting = "mcpsec.held"
	// HeldMark is in the server's message, of SQLSTATE 22P02, if a statement has
	// been given more than it may keep.
	HeldMark = "mcpsec: the statement holds too much"
	// MaxHeld is how many bytes a statement may keep, with what the server needs
	// to keep them.
	MaxHeld = 32 << 20
	// MaxRecast is the same for a statement that makes something else of what it has
	// gathered, which can take thirty times as much.
	MaxRecast = 4 << 20
)

// budget is true, or fails, and is never NULL. Its operators and types are
// PostgreSQL's own, as pg_catalog is first in the path and has them for just these
// types; a function of a user could fit better than one that takes any. The second set_config fails by what it sets: a constant
// would fail when the statement is planned.
func (c *checker) budget(bytes string) string {
	return fmt.Sprintf("(pg_catalog.set_config('%[1]s', (pg_catalog.current_setting('%[1]s')::int8 + %[2]s)::text, true)::int8 < %[3]d"+
		" OR pg_catalog.set_config('%[1]s', '%[4]s', true)::bool)", HeldSetting, bytes, c.most, HeldMark)
}

// A holder says what one row costs that an aggregate is given. The arguments are
// made into a fresh value, as what lies compressed in a table is kept in full.
type holder func(args []string) string

// holders are the aggregates of PostgreSQL that keep what they are given.
var holders = map[string]holder{
	"array_agg": inArray, "string_agg": inArray, "xmlagg": inArray, "range_agg": inRange,
	"json_agg": inJSON, "json_agg_strict": inJSON, "json_object_agg": inJSON, "json_object_agg_strict": inJSON,
	"json_object_agg_unique": inJSON, "json_object_agg_unique_strict": inJSON,
	"jsonb_agg": inJSONB, "jsonb_agg_strict": inJSONB, "jsonb_object_agg": inJSONB, "jsonb_object_agg_strict": inJSONB,
	"jsonb_object_agg_unique": inJSONB, "jsonb_object_agg_unique_strict": inJSONB,
}

// inArray counts twice what an array of the value is, as space for more is got
// ahead, but the head of the array once.
func inArray(args []string) string {
	sizes := make([]string, len(args))
	for i, a := range args {
		sizes[i] = "2::int8 * pg_catalog.pg_column_size(ARRAY[" + a + "]) - 24"
	}
	return "(" + strings.Join(sizes, " + ") + ")"
}

// inRange counts what the text of a multirange takes while it is written, too: some
// kilobytes for each of its ranges, of which most rows become fewer.
func inRange(args []string) string { return "(800::int8 + " + inArray(args) + ")" }

func inJSON(args []string) string {
	return "(2::int8 * pg_catalog.pg_column_size(pg_catalog.json_build_array(" + strings.Join(args, ", ") + ")))"
}

// inJSONB counts what a value takes while it is taken apart: 32 times as much if
// it is of small numbers, or of objects with one.
func inJSONB(args []string) string {
	return "(32::int8 * pg_catalog.pg_column_size(pg_catalog.jsonb_build_array(" + strings.Join(args, ", ") + ")))"
}

// maxNested is how many of them may stand within one another: each runs what is
// within it twice.
const maxNested = 3

// A hold is a call of an aggregate that keeps what it is given, or of ARRAY(SELECT …).
type hold struct {
	name, open, end int // tokens
	cost            holder
}

// noteHold notes the call at token i, if it is one.
func (c *checker) noteHold(i int) *fault {
	t := c.tokens[i]
	call := c.is(i+1, "(")
	switch cost := holders[t.Value]; {
	case !call && c.is(i-1, ".") && asAttribute[t.Value]:
		return &fault{labelText(t.Value), t.Pos}
	case !call, c.is(i-1, ".") && c.tokens[max(i-2, 0)].Value != "pg_catalog":
	case c.word(i) == "array":
		c.holds = append(c.holds, hold{name: i, open: i + 1, end: c.closing(i + 1)})
	case standardHolder[c.word(i)] || c.word(i) == "json_array" && c.startsQuery(i+2):
		return &fault{standardText, t.Pos}
	case cost != nil && !c.allows(i):
		c.holds = append(c.holds, hold{i, i + 1, c.closing(i + 1), cost})
	}
	return nil
}

// asAttribute are those that take one argument, and so are called by t.array_agg
// unless t has such a column.
var asAttribute = set("array_agg xmlagg range_agg json_agg json_agg_strict jsonb_agg jsonb_agg_strict")

// standardHolder are those that are no functions of the catalog.
var standardHolder = set("json_arrayagg json_objectagg")

// startsQuery reports whether a query begins at token i.
func (c *checker) startsQuery(i int) bool {
	for c.is(i, "(") {
		i++
	}
	return slices.Contains([]string{"select", "with", "values", "table"}, c.word(i))
}

// closing returns the token that closes the parenthesis at open, or the end.
func (c *checker) closing(open int) int {
	depth := 0
	for i := open; i < len(c.tokens); i++ {
		if t := c.tokens[i]; t.Is("(") || t.Is("[") {
			depth++
		} else if t.Is(")") || t.Is("]") {
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(c.tokens)
}

// editHolds makes the edits, from the last to the first: what a call is given is
// written a second time, with the edits in it.
func (c *checker) editHolds(sql string) *fault {
	for n, h := range slices.Backward(c.holds) {
		if h.end == len(c.tokens) {
			return &fault{notClear, c.tokens[h.name].Pos} // the server refuses it too
		}
		if h.cost == nil {
			c.editArray(h)
			continue
		}
		above := 0
		for _, outer := range c.holds[:n] {
			if outer.cost != nil && outer.end > h.end {
				above++
			}
		}
		if above >= maxNested {
			return &fault{nestedHoldText, c.tokens[h.name].Pos}
		}
		if f := c.editCall(sql, h); f != nil {
			return f
		}
	}
	return nil
}

// editArray puts the query of ARRAY(SELECT …) into another one, which counts. It
// may have too many columns, which the server refuses as before. OFFSET 0 keeps the
// condition from being applied to the tables of the query, before they are joined.
func (c *checker) editArray(h hold) {
	if !c.startsQuery(h.open + 1) {
		return // the server refuses it
	}
	c.insert(c.tokens[h.open].End(), "SELECT * FROM (SELECT * FROM (")
	c.insert(c.tokens[h.end].Pos, ") AS mcpsec OFFSET 0) AS mcpsec(held) WHERE "+c.budget(inArray([]string{"mcpsec.held"})))
}

// editCall adds a FILTER to a call, or a condition to the one that it has. What a
// window function is given may have aggregates in it, which a FILTER must not: there
// the condition stands before the first argument.
func (c *checker) editCall(sql string, h hold) *fault {
	args, first, f := c.given(sql, h)
	if f != nil {
		return f
	}
	if len(args) == 0 {
		return nil // the server refuses it
	}
	limit := c.budget(h.cost(args))
	next, after := h.end+1, h.end+1
	filtered := c.word(next) == "filter" && c.is(next+1, "(")
	if filtered {
		after = c.closing(next+1) + 1
	}
	if c.word(after) == "over" {
		c.insert(c.tokens[first.from].Pos, "CASE WHEN "+limit+" THEN (")
		c.insert(c.tokens[first.to-1].End(), ") END")
		return nil
	}
	if !filtered {
		c.insert(c.tokens[h.end].End(), " FILTER (WHERE "+limit+")")
		return nil
	}
	end := c.closing(h.end + 2)
	if c.word(h.end+3) != "where" || end == len(c.tokens) {
		return &fault{notClear, c.tokens[h.end+1].Pos}
	}
	c.insert(c.tokens[h.end+3].End(), " (")
	c.insert(c.tokens[end].Pos, ") AND "+limit)
	return nil
}

// A span is the tokens from one to the one before another.
type span struct{ from, to int }

// given returns the arguments of a call, as they are to be written a second time, and
// where the first one is.
// They must be the same then: an argument that could tell the first time from the
// second would be small when it is counted only.
func (c *checker) given(sql string, h hold) (args []string, first span, _ *fault) {
	from := h.open + 1
	if w := c.word(from); w == "distinct" || w == "all" {
		from++
	}
	depth := 0
	for i := from; i <= h.end; i++ {
		t := c.tokens[i]
		if i < h.end && named(t) && c.s.unsteady[t.Value] && (c.is(i+1, "(") || c.is(i-1, ".")) {
			return nil, first, &fault{unsteadyText(t.Value), t.Pos}
		}
		ordered := depth == 0 && c.word(i) == "order" && c.word(i+1) == "by" && !c.is(i-1, ".")
		if depth == 0 && (i == h.end || ordered || t.Is(",")) {
			if from == i {
				return nil, first, nil
			}
			if args == nil {
				first = span{from, i}
			}
			args = append(args, c.edited(sql, from, i))
			if from = i + 1; ordered {
				return args, first, nil // what it is ordered by is not kept, but on the disk
			}
		}
		if t.Is("(") || t.Is("[") {
			depth++
		} else if t.Is(")") || t.Is("]") {
			depth--
		}
	}
	return args, first, nil
}

// edited returns the text of the tokens from i to k, with the edits there.
func (c *checker) edited(sql string, i, k int) string {
	from, to := c.tokens[i].Pos, c.tokens[k-1].End()
	var inner []sqledit.Edit
	for _, e := range c.edits {
		if e.Pos >= from && e.End <= to {
			inner = append(inner, sqledit.Edit{Pos: e.Pos - from, End: e.End - from, Text: e.Text})
		}
	}
	return sqledit.Sort(inner).Apply(sql[from:to])
}

func (c *checker) insert(at int, text string) {
	c.edits = append(c.edits, sqledit.Edit{Pos: at, End: at, Text: text})
}
