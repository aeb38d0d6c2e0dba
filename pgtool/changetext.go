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
	if c.Op == "is_null" || c.Op == "not_null" {
		return word(c.Column) + " " + op
	}
	return word(c.Column) + " " + op + " " + string(c.Value)
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

func (g Conditions) text() string {
	var parts []string
	for _, c := range g.All {
		parts = append(parts, c.text())
	}
	if len(g.Any) > 0 {
		anyOf := make([]string, len(g.Any))
		for i, c := range g.Any {
			anyOf[i] = c.text()
		}
		parts = append(parts, "("+strings.Join(anyOf, " or ")+")")
	}
	for _, c := range g.None {
		parts = append(parts, "not ("+c.text()+")")
	}
	return strings.Join(parts, " and ")
}

func (w Where) text() string {
	var parts []string
	if own := w.Conditions.text(); own != "" {
		parts = append(parts, own)
	}
	for _, g := range w.Groups {
		parts = append(parts, g.text())
	}
	return strings.Join(parts, " and ")
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
