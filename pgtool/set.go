package pgtool

import (
	"slices"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A Set is several databases, by the names that callers know them by. Each has its
// own role, limits, tenants and replicas; a caller can only choose among them. The
// map must not change once tools were made of it.
type Set map[string]*DB

// ReadTools are those of [ReadTools], each once for all databases: a required
// argument, database, is one of their names. It panics on an empty Set, and on a
// name that is empty or over 63 bytes.
func (s Set) ReadTools() []*mcpsec.Tool { return s.tools(ReadTools) }

// InspectTools are those of [InspectTools], in the same way. Options.ExplainAnalyze
// must be the same for all.
func (s Set) InspectTools() []*mcpsec.Tool { return s.tools(InspectTools) }

// tools joins the tools of one kind. All databases have the same ones.
func (s Set) tools(of func(*DB) []*mcpsec.Tool) []*mcpsec.Tool {
	byName := map[string]map[string]*mcpsec.Tool{}
	var names []string
	for database, db := range s {
		if !plainName(database) || db == nil {
			panic("pgtool: Set: a database has no name of 1 to 63 bytes, or is nil")
		}
		for _, t := range of(db) {
			if byName[t.Name()] == nil {
				byName[t.Name()] = map[string]*mcpsec.Tool{}
				names = append(names, t.Name())
			}
			byName[t.Name()][database] = t
		}
	}
	if len(names) == 0 {
		panic("pgtool: Set: there are no databases")
	}
	slices.Sort(names)
	tools := make([]*mcpsec.Tool, len(names))
	for i, n := range names {
		tools[i] = mcpsec.Choice("database", "which database", byName[n])
	}
	return tools
}
