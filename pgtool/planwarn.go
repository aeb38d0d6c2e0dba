package pgtool

import (
	"fmt"
	"slices"
)

const (
	bigTable    = 10_000   // rows that are worth an index
	sessionMem  = 16 << 20 // work_mem of our sessions, see limits
	highCost    = 1e6
	maxWarnings = 20
)

// planWarnings says in words what is likely to be slow. sizes are the rows of
// tables, by estimate.
func planWarnings(root *planNode, sizes map[string]float64) []string {
	out := []string{}
	if root.Cost > highCost {
		out = append(out, fmt.Sprintf("the cost of %.0f is high: it may not end in time", root.Cost))
	}
	for n := range root.walk {
		for _, warn := range []func(*planNode, map[string]float64) string{scanWarning, loopWarning, spillWarning, estimateWarning} {
			if w := warn(n, sizes); w != "" && !slices.Contains(out, w) {
				out = append(out, w)
			}
		}
		if len(out) >= maxWarnings {
			break
		}
	}
	return out
}

func scanWarning(n *planNode, sizes map[string]float64) string {
	rows, known := sizes[n.table()]
	switch {
	case n.Node != "Seq Scan" || !known:
		return ""
	case rows < 0:
		return fmt.Sprintf("%s was never analyzed: estimates about it are guesses; a person can run ANALYZE", n.table())
	case rows >= bigTable && n.Filter != "" && n.Rows < rows/10:
		return fmt.Sprintf("sequential scan of %s reads about %.0f rows to find %.0f: an index on the columns of its filter may be missing", n.table(), rows, n.Rows)
	case rows >= 100*bigTable && n.Filter == "":
		return fmt.Sprintf("sequential scan of all of %s, about %.0f rows", n.table(), rows)
	}
	return ""
}

// loopWarning looks at what a nested loop does again for each of its rows.
func loopWarning(n *planNode, sizes map[string]float64) string {
	if n.Node != "Nested Loop" || len(n.Plans) != 2 || n.Plans[0] == nil || n.Plans[1] == nil {
		return ""
	}
	outer, inner := n.Plans[0], n.Plans[1]
	if inner.Node == "Materialize" && len(inner.Plans) == 1 && inner.Plans[0] != nil {
		inner = inner.Plans[0]
	}
	if inner.Node != "Seq Scan" {
		return ""
	}
	if n.JoinFilter == "" && outer.Rows > 1 && inner.Rows > 1 && n.Rows >= 0.9*outer.Rows*inner.Rows && n.Rows >= bigTable {
		return fmt.Sprintf("a nested loop joins every row with every other, about %.0f: a join condition may be missing", n.Rows)
	}
	if rows := sizes[inner.table()]; rows >= bigTable && outer.Rows > 1 {
		return fmt.Sprintf("a nested loop reads all of %s again for each of about %.0f rows: an index on its join columns may be missing", inner.table(), outer.Rows)
	}
	return ""
}

func spillWarning(n *planNode, _ map[string]float64) string {
	size := n.Rows * n.Width
	switch {
	case n.SortPlace == "Disk":
		return fmt.Sprintf("a sort spilled %.0f MB to disk", n.SortSpace/1024)
	case n.Batches > 1:
		return fmt.Sprintf("a hash spilled to disk, in %.0f batches", n.Batches)
	case n.Actual == nil && (n.Node == "Sort" || n.Node == "Hash" || n.Node == "HashAggregate") && size > sessionMem:
		return fmt.Sprintf("%s of about %.0f MB will spill to disk: work_mem is %d MB here", n.Node, size/(1<<20), sessionMem>>20)
	}
	return ""
}

func estimateWarning(n *planNode, _ map[string]float64) string {
	if n.Actual == nil || n.Loops == 0 {
		return ""
	}
	got, want := *n.Actual, max(n.Rows, 1)
	if most := max(got, want); most < 1000 || most < 10*max(min(got, want), 1) {
		return ""
	}
	about := ""
	if n.Relation != "" && n.Relation != notPermitted {
		about = " on " + n.table()
	}
	return fmt.Sprintf("%s%s was to give %.0f rows and gave %.0f: the statistics are old, or the conditions depend on each other; ANALYZE or CREATE STATISTICS may help", n.Node, about, want, got)
}
