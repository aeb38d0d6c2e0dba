package pgtool

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// What a person reads before they say yes. Values are written as JSON, in whose
// quotes no text can look like a condition.

// words are the operators in a question.
var words = map[string]string{
	"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "is_null": "is null", "not_null": "is not null",
}

func (c Condition) text() string {
	op, ok := words[c.Op]
	if !ok {
		op = c.Op
	}
	text := word(c.Column) + " " + op
	if c.Op != "is_null" && c.Op != "not_null" {
		text += " " + string(c.Value)
	}
	if c.Not {
		return "not (" + text + ")"
	}
	return text
}

// word quotes a name that could be read as more than one.
func word(name string) string {
	for _, r := range name {
		if r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') {
			return strconv.Quote(name)
		}
	}
	return name
}

func (w Where) text() string {
	terms := make([]string, len(w))
	for i, t := range w {
		terms[i] = t.Condition.text()
		for _, c := range t.Or {
			terms[i] += " or " + c.text()
		}
		if len(t.Or) > 0 {
			terms[i] = "(" + terms[i] + ")"
		}
	}
	return strings.Join(terms, " and ")
}

// rowsText shows rows and their values.
func rowsText(rows []row) string {
	out := make([]string, len(rows))
	for i, r := range rows {
		var parts []string
		for _, n := range slices.Sorted(maps.Keys(r)) {
			parts = append(parts, word(n)+" = "+string(r[n]))
		}
		out[i] = strings.Join(parts, ", ")
	}
	return strings.Join(out, "; ")
}

// text says what a change does, with the numbers that were counted.
func (c *change) text(o *outcome) string {
	if c.title != "" {
		return c.title + "; rows affected: " + strconv.Itoa(o.affected) + "; in all: " + o.does()
	}
	rows := " rows of "
	if o.affected == 1 {
		rows = " row of "
	}
	text := c.verb + " " + strconv.Itoa(o.affected) + rows + c.table
	if c.detail != "" {
		text += " " + c.detail
	}
	if !o.alone(c) {
		text += "; in all: " + o.does()
	}
	return text
}
