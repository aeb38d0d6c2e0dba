package pgtool

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/sqllex"
)

// A planNode is a node of a plan, with the members that an answer may have:
// others, such as the SQL that a foreign table sends, are dropped on reading.
type planNode struct {
	Node     string `json:"Node Type"`
	Parent   string `json:"Parent Relationship,omitempty"`
	Join     string `json:"Join Type,omitempty"`
	Schema   string `json:"Schema,omitempty"`
	Relation string `json:"Relation Name,omitempty"`
	Alias    string `json:"Alias,omitempty"`
	Index    string `json:"Index Name,omitempty"`
	Subplan  string `json:"Subplan Name,omitempty"`
	CTE      string `json:"CTE Name,omitempty"`
	Function string `json:"Function Name,omitempty"`

	Startup float64 `json:"Startup Cost"`
	Cost    float64 `json:"Total Cost"`
	Rows    float64 `json:"Plan Rows"`
	Width   float64 `json:"Plan Width"`

	IndexCond   string   `json:"Index Cond,omitempty"`
	RecheckCond string   `json:"Recheck Cond,omitempty"`
	HashCond    string   `json:"Hash Cond,omitempty"`
	MergeCond   string   `json:"Merge Cond,omitempty"`
	JoinFilter  string   `json:"Join Filter,omitempty"`
	Filter      string   `json:"Filter,omitempty"`
	SortKey     []string `json:"Sort Key,omitempty"`
	GroupKey    []string `json:"Group Key,omitempty"`

	Time      *float64 `json:"Actual Total Time,omitzero"` // milliseconds a loop
	Actual    *float64 `json:"Actual Rows,omitzero"`       // a loop
	Loops     float64  `json:"Actual Loops,omitzero"`
	Removed   float64  `json:"Rows Removed by Filter,omitzero"`
	SortSpace float64  `json:"Sort Space Used,omitzero"` // KiB
	SortPlace string   `json:"Sort Space Type,omitempty"`
	Batches   float64  `json:"Hash Batches,omitzero"`

	Plans []*planNode `json:"Plans,omitempty"`
}

const notPermitted = "not permitted"

// walk calls f with the node and all below it.
func (n *planNode) walk(f func(*planNode) bool) { n.visit(f) }

func (n *planNode) visit(f func(*planNode) bool) bool {
	if !f(n) {
		return false
	}
	for _, p := range n.Plans {
		if p != nil && !p.visit(f) {
			return false
		}
	}
	return true
}

func (n *planNode) table() string { return quoteIdent(n.Schema) + "." + quoteIdent(n.Relation) }

// quoteIdent writes an identifier as quote_ident does, but for key words.
func quoteIdent(s string) string {
	for i, c := range s {
		if c != '_' && (c < 'a' || c > 'z') && (c < '0' || c > '9' || i == 0) {
			return quoteName(s)
		}
	}
	return s
}

// conditions are the texts of a node that the server has written.
func (n *planNode) conditions() []string {
	return slices.Concat([]string{n.IndexCond, n.RecheckCond, n.HashCond, n.MergeCond, n.JoinFilter, n.Filter}, n.SortKey, n.GroupKey)
}

// qualifiers are the words that can be names of schemas: in what the server writes,
// all but what the search_path leads to has one.
func (n *planNode) qualifiers() (words []string, ok bool) {
	if n.Function != "" && n.Schema != "" {
		words = append(words, n.Schema)
	}
	for _, text := range n.conditions() {
		tokens, err := sqllex.Scan(text)
		if err != nil {
			return nil, false
		}
		for i, t := range tokens[:max(len(tokens)-1, 0)] {
			if named(t) && tokens[i+1].Is(".") {
				words = append(words, t.Value)
			}
		}
	}
	return words, true
}

// hide removes tables that are not in sizes, of which the caller may not know,
// and, if there are such or others are known to be, all that could name one of
// their columns. It reports whether it has.
func (n *planNode) hide(sizes map[string]float64, others bool) bool {
	any := others
	for p := range n.walk {
		if _, ok := sizes[p.table()]; p.Relation != "" && !ok {
			p.Schema, p.Relation, any = "", notPermitted, true
		}
	}
	if !any {
		return false
	}
	for p := range n.walk {
		if p.Relation == "" {
			p.Schema = ""
		}
		p.Alias, p.Index, p.Subplan, p.CTE, p.Function = "", "", "", "", ""
		p.IndexCond, p.RecheckCond, p.HashCond, p.MergeCond, p.JoinFilter, p.Filter = "", "", "", "", "", ""
		p.SortKey, p.GroupKey = nil, nil
	}
	return true
}

const maxPlanText = 64 << 10

// text writes the plan as EXPLAIN does, the start of one that is very long.
func (n *planNode) text() string {
	var b strings.Builder
	n.write(&b, 0)
	return b.String()
}

func (n *planNode) write(b *strings.Builder, depth int) {
	if b.Len() > maxPlanText {
		return
	}
	indent := strings.Repeat("  ", min(depth, 30))
	b.WriteString(indent + n.title())
	fmt.Fprintf(b, "  (cost=%.2f..%.2f rows=%.0f width=%.0f)", n.Startup, n.Cost, n.Rows, n.Width)
	if n.Actual != nil && n.Time != nil {
		fmt.Fprintf(b, " (actual time=%.3f rows=%.0f loops=%.0f)", *n.Time, *n.Actual, n.Loops)
	}
	b.WriteByte('\n')
	for _, c := range []struct{ name, text string }{
		{"Index Cond", n.IndexCond}, {"Recheck Cond", n.RecheckCond}, {"Hash Cond", n.HashCond}, {"Merge Cond", n.MergeCond},
		{"Join Filter", n.JoinFilter}, {"Filter", n.Filter}, {"Sort Key", strings.Join(n.SortKey, ", ")}, {"Group Key", strings.Join(n.GroupKey, ", ")},
	} {
		if c.text != "" {
			fmt.Fprintf(b, "%s    %s: %.2000s\n", indent, c.name, c.text)
		}
	}
	if n.Removed > 0 {
		fmt.Fprintf(b, "%s    Rows Removed by Filter: %.0f\n", indent, n.Removed)
	}
	for _, p := range n.Plans {
		if p != nil {
			p.write(b, depth+1)
		}
	}
}

func (n *planNode) title() string {
	t := n.Node
	if n.Subplan != "" {
		t = n.Subplan + ": " + t
	}
	if n.Join != "" && n.Join != "Inner" {
		t += " " + n.Join
	}
	if n.Index != "" {
		t += " using " + quoteIdent(n.Index)
	}
	switch {
	case n.Relation == notPermitted && n.Schema == "":
		t += " on (" + notPermitted + ")"
	case n.Relation != "":
		t += " on " + n.table()
	case n.CTE != "":
		t += " on " + quoteIdent(n.CTE)
	case n.Function != "":
		t += " on " + quoteIdent(n.Function)
	}
	if n.Alias != "" && n.Alias != n.Relation {
		t += " " + quoteIdent(n.Alias)
	}
	return t
}
