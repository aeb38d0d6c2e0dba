package sqlcatalog

import (
	"maps"
	"slices"

	"github.com/mcpsec/mcpsec-go/internal/sqlgate"
	"github.com/mcpsec/mcpsec-go/internal/sqltree"
)

// objects are the verdicts by OID, for a statement that the server has analysed.
type objects struct {
	functions map[uint32]object
	operators map[uint32]object // those that are not PostgreSQL's own
	types     map[uint32]object // those that are not PostgreSQL's own
	relations map[uint32]object
	sealed    map[uint32]map[int]string // columns that are not for the caller, and the relation's whole row
}

// An object is one that has an OID.
type object struct {
	name   string
	caller bool // a caller may use it
	view   bool // a view may, and an operator or a cast
}

func newObjects() objects {
	return objects{map[uint32]object{}, map[uint32]object{}, map[uint32]object{}, map[uint32]object{}, map[uint32]map[int]string{}}
}

// firstOfUsers is the lowest OID of what is not PostgreSQL's own.
const firstOfUsers = 16384

// judgeObjects completes the verdicts by OID, after those by name.
func (b *builder) judgeObjects() {
	o := &b.s.objects
	for _, p := range b.operators {
		fine := !b.bad[p.Ref]
		o.operators[p.OID] = object{p.Name, fine, fine}
	}
	for _, t := range b.types {
		n := name{t.Schema, t.Name}
		fine := b.s.listed[n] || !b.s.types[n]
		o.types[t.OID] = object{t.Name, fine, fine}
	}
	for _, r := range b.relations {
		n := name{r.Schema, r.Name}
		fine := b.s.relations[n] != denied
		o.relations[r.OID] = object{r.Name, fine && (b.s.schemas[r.Schema] || b.s.listed[n]), fine || r.OID < firstOfUsers}
		if b.s.relations[n] == sealedRel {
			o.sealed[r.OID], b.s.columns[n] = sealedColumns(n, b.columns[r.OID])
		}
	}
	seen := map[uint32]bool{}
	for _, r := range b.relations {
		if b.s.listed[name{r.Schema, r.Name}] {
			b.release(r.OID, seen)
		}
	}
}

// sealedColumns returns the sealed columns of a relation, by number, and all of its
// columns.
func sealedColumns(n name, columns []Row) (sealedOnes map[int]string, all map[string]bool) {
	sealedOnes, all = map[int]string{0: "*"}, map[string]bool{}
	for _, c := range columns {
		all[c.Name] = true
		if sealed[n][c.Name] {
			sealedOnes[int(c.Ref)] = c.Name
		}
	}
	return sealedOnes, all
}

// release lets views use what one in Policy.Allow does.
func (b *builder) release(view uint32, seen map[uint32]bool) {
	if seen[view] {
		return
	}
	seen[view] = true
	o := &b.s.objects
	for _, u := range b.uses[view] {
		m := o.functions
		switch u.Info {
		case "relid":
			m = o.relations
			b.release(u.Ref, seen)
		case "resulttype":
			m = o.types
		}
		if v, ok := m[u.Ref]; ok {
			v.view = true
			m[u.Ref] = v
		}
	}
}

// CheckUses accepts what the server says that a statement uses, before and after
// views were put in, if all of it is allowed. The statement must have passed Check,
// which also looks at what OIDs do not tell. The error is a *sqlgate.Refusal.
func (s *Snapshot) CheckUses(parsed, rewritten *sqltree.Uses) error {
	caller := func(o object) bool { return o.caller }
	view := func(o object) bool { return o.view }
	for _, c := range []struct {
		oids    map[uint32]bool
		known   map[uint32]object
		own     bool // those of PostgreSQL itself are not in known
		allowed func(object) bool
		text    func(string) string
	}{
		{parsed.Calls, s.objects.functions, false, caller, functionText},
		{parsed.Implied, s.objects.functions, false, view, functionText},
		{parsed.Operators, s.objects.operators, true, caller, operatorText},
		{parsed.Types, s.objects.types, true, caller, typeText},
		{parsed.Relations, s.objects.relations, false, caller, relationText},
		{rewritten.Calls, s.objects.functions, false, view, functionText},
		{rewritten.Implied, s.objects.functions, false, view, functionText},
		{rewritten.Operators, s.objects.operators, true, view, operatorText},
		{rewritten.Types, s.objects.types, true, view, typeText},
		{rewritten.Relations, s.objects.relations, false, view, relationText},
	} {
		for _, oid := range slices.Sorted(maps.Keys(c.oids)) {
			o, ok := c.known[oid]
			switch {
			case !ok && (!c.own || oid >= firstOfUsers):
				return &sqlgate.Refusal{Reason: newText}
			case ok && !c.allowed(o):
				return &sqlgate.Refusal{Reason: c.text(o.name)}
			}
		}
	}
	for _, oid := range slices.Sorted(maps.Keys(parsed.Columns)) {
		for _, n := range slices.Sorted(maps.Keys(parsed.Columns[oid])) {
			if column, ok := s.objects.sealed[oid][n]; ok {
				return &sqlgate.Refusal{Reason: "column " + column + sealedText}
			}
		}
	}
	return nil
}
