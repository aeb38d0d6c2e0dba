package sqlcatalog

import (
	"iter"
	"slices"
	"strings"
)

// Policy is what the operator decides. The zero value allows what PostgreSQL
// itself offers without harm, and every table and fit view.
type Policy struct {
	// Schemas are the schemas that may be named, beside PostgreSQL's own, and
	// that the session has in its search_path. Defaults to all, with public in
	// the search_path.
	Schemas []string
	// Allow holds functions, relations and types, as schema.name, that are
	// allowed whatever they do. Defaults to none.
	Allow []string
	// Masks says that the rows are those of MaskSQL.
	Masks bool
}

// A Row is a row of SQL.
type Row struct {
	Kind               byte
	OID, Ref           uint32
	Schema, Name, Info string
}

type name struct{ schema, name string }

// A Snapshot knows what the names of a database mean. It does not change, and
// may be used concurrently.
type Snapshot struct {
	schemas map[string]bool // whether a schema may be named
	listed  map[name]bool   // in Policy.Allow
	path    []string

	calls map[string]bool // of functions in the path: whether all of the name are allowed
	one   map[string]bool // names of functions in the path that are not, and take one argument
	full  map[name]bool   // of functions by schema: whether all of the name are allowed

	unsteady map[string]bool // names of allowed functions that return another value each time, which a statement could foresee

	relations map[name]verdict
	types     map[name]bool            // those that lead to functions that are not allowed
	operators map[name]bool            // not PostgreSQL's own: whether all of the symbol are allowed
	clouded   map[string]bool          // symbols that the path has with a function that is not allowed
	columns   map[name]map[string]bool // of relations that may have sealed ones
	has       map[name]bool            // what Missing is about

	objects objects // the same by OID

	masks    map[name]*maskedRelation
	guarded  bool                // Policy.Masks
	maskedAs map[string][]uint32 // OIDs of them by name
	oids     map[string][]uint32 // of all relations by name
	tainted  map[name]bool       // views that show what is masked
	found    map[int]bool        // patterns of masks that are about something
}

// A verdict says why a name is refused, or what is to be seen to.
type verdict uint8

const (
	allowed verdict = iota
	denied
	sealedRel // a relation with columns that are not for the caller
)

// New makes a snapshot of the rows that SQL returned.
func New(rows iter.Seq[Row], p Policy) *Snapshot {
	b := newBuilder(p)
	for r := range rows {
		b.add(r)
	}
	b.judgeTypes()
	b.judgeRelations()
	b.judgeOperators()
	b.judgeMasks()
	b.judgeObjects()
	return b.s
}

// Missing returns the entries of p.Allow that name nothing.
func (s *Snapshot) Missing(p Policy) []string {
	return slices.DeleteFunc(slices.Clone(p.Allow), func(entry string) bool { return s.has[split(entry)] })
}

// split parts schema.name at the first dot.
func split(entry string) name {
	schema, rest, _ := strings.Cut(entry, ".")
	return name{schema, rest}
}

// visible returns what the path leads to of a map by name: the first.
func visible[V any](s *Snapshot, m map[name]V, n string) (v V, in string, ok bool) {
	for _, schema := range s.path {
		if v, ok = m[name{schema, n}]; ok {
			return v, schema, true
		}
	}
	return v, "", false
}

// Resolve returns the schema in which the search_path finds a relation.
func (s *Snapshot) Resolve(relation string) (schema string, ok bool) {
	_, schema, ok = visible(s, s.relations, relation)
	return schema, ok
}
