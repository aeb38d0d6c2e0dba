package sqlcatalog

import (
	"slices"
	"strconv"
	"strings"
)

// A builder has the parts of a snapshot by OID.
type builder struct {
	s      *Snapshot
	policy Policy

	bad       map[uint32]bool // functions that are not allowed, even in a view
	types     []Row
	relations []Row
	operators []Row
	casts     []Row
	inside    map[uint32][]uint32 // what a type contains
	checks    map[uint32][]uint32 // functions of a domain
	uses      map[uint32][]Row    // of a view
	foreign   map[uint32]bool     // tables with a foreign table below them
	masked    map[uint32]*maskedRelation
	reads     map[uint32][]Row // of a view, if there are masks

	columns map[uint32][]Row // of relations that may have sealed ones
	badType map[uint32]bool  // to make a value of it, or to cast one, runs a function that is not allowed
}

func newBuilder(p Policy) *builder {
	s := &Snapshot{
		schemas: map[string]bool{}, listed: map[name]bool{}, path: []string{"pg_catalog"},
		calls: map[string]bool{}, one: map[string]bool{}, full: map[name]bool{}, relations: map[name]verdict{}, types: map[name]bool{},
		unsteady: map[string]bool{}, operators: map[name]bool{}, clouded: map[string]bool{}, has: map[name]bool{}, columns: map[name]map[string]bool{}, objects: newObjects(),
		masks: map[name]*maskedRelation{}, maskedAs: map[string][]uint32{}, tainted: map[name]bool{}, oids: map[string][]uint32{}, found: map[int]bool{},
	}
	s.guarded = p.Masks
	for _, entry := range p.Allow {
		s.listed[split(entry)] = true
	}
	if s.path = append(s.path, p.Schemas...); p.Schemas == nil {
		s.path = append(s.path, "public")
	}
	return &builder{s: s, policy: p, bad: map[uint32]bool{}, inside: map[uint32][]uint32{}, checks: map[uint32][]uint32{}, uses: map[uint32][]Row{},
		foreign: map[uint32]bool{}, columns: map[uint32][]Row{}, masked: map[uint32]*maskedRelation{}, reads: map[uint32][]Row{}, badType: map[uint32]bool{}}
}

func (b *builder) add(r Row) {
	n := name{r.Schema, r.Name}
	switch r.Kind {
	case 'n':
		b.s.schemas[r.Schema] = b.schemaAllowed(r.Schema)
	case 'f':
		b.s.has[n] = true
		b.function(n, r)
	case 'o':
		b.operators = append(b.operators, r)
	case 'c':
		b.casts = append(b.casts, r)
	case 't':
		b.s.has[n] = true
		b.types = append(b.types, r)
	case 'e':
		b.inside[r.OID] = append(b.inside[r.OID], r.Ref)
	case 'd':
		b.checks[r.OID] = append(b.checks[r.OID], r.Ref)
	case 'r':
		b.s.has[n] = true
		b.s.oids[r.Name] = append(b.s.oids[r.Name], r.OID)
		b.relations = append(b.relations, r)
	case 'v':
		b.uses[r.OID] = append(b.uses[r.OID], r)
	case 'h':
		b.foreign[r.OID] = true
	case 'm':
		b.s.found[int(r.Ref)-1] = true
	case 'k':
		b.maskRow(r)
	case 'w':
		b.reads[r.OID] = append(b.reads[r.OID], r)
	case 'a':
		b.columns[r.OID] = append(b.columns[r.OID], r)
	}
}

// schemaAllowed reports whether a schema may be named. Temporary objects cannot
// outlive a call, and those of others cannot be read.
func (b *builder) schemaAllowed(schema string) bool {
	switch {
	case schema == "pg_catalog" || schema == "information_schema":
		return true
	case strings.HasPrefix(schema, "pg_"):
		return false
	}
	return b.policy.Schemas == nil || slices.Contains(b.policy.Schemas, schema)
}

// function judges one function. A name is allowed if all functions of that name
// are: which of them a call means depends on types.
func (b *builder) function(n name, r Row) {
	fine, inner := judge(n, r.Info)
	if b.s.guarded && unmasked[n.name] {
		fine = false
	}
	if b.s.listed[n] {
		fine, inner = true, true
	}
	if !inner {
		b.bad[r.OID] = true
	}
	if fine && r.Info[0] == 'v' && !steady[n.name] {
		b.s.unsteady[n.name] = true
	}
	b.s.objects.functions[r.OID] = object{n.name, fine, inner || r.OID < firstOfUsers && viewFunctions[n.name]}
	also := func(old, known bool) bool { return fine && (old || !known) }
	old, known := b.s.full[n]
	b.s.full[n] = also(old, known)
	if slices.Contains(b.s.path, n.schema) {
		old, known = b.s.calls[n.name]
		b.s.calls[n.name] = also(old, known)
		if !fine && r.Info[2] == '1' {
			b.s.one[n.name] = true
		}
	}
}

// judge reports whether a function may be called by a caller, and by a view.
func judge(n name, info string) (fine, inner bool) {
	volatile, definer, builtin, extension := info[0] == 'v', info[1] == 'd', info[3] == 'p', info[4:]
	switch {
	case info[3] == 't':
		return true, true
	case builtin && n.schema == "information_schema":
		return true, true
	case builtin && n.schema == "pg_catalog":
		fine = functions[n.name]
		return fine, fine || !volatile && !hasPrefix(n.name, innerDenied)
	case extensions[extension] && !definer:
		fine = !volatile || volatileNames[n.name]
	}
	return fine, fine
}

// judgeTypes finds the types that lead to functions that are not allowed: a
// domain by its CHECK, the types of a cast, and all that contain one of them.
func (b *builder) judgeTypes() {
	for domain, functions := range b.checks {
		b.badType[domain] = slices.ContainsFunc(functions, func(f uint32) bool { return b.bad[f] })
	}
	for _, c := range b.casts {
		if b.bad[c.Ref] {
			target, _ := strconv.ParseUint(c.Info, 10, 32) // an OID that the server has written
			b.badType[c.OID], b.badType[uint32(target)] = true, true
		}
	}
	for _, t := range b.types {
		if n := (name{t.Schema, t.Name}); !b.s.listed[n] && b.reaches(t.OID) {
			b.s.types[n] = true
		}
	}
}

// reaches reports whether a type is one of the bad ones or contains one.
func (b *builder) reaches(oid uint32) bool {
	seen := map[uint32]bool{}
	var in func(uint32) bool
	in = func(oid uint32) bool {
		if b.badType[oid] {
			return true
		}
		if oid < 16384 || seen[oid] {
			return false
		}
		seen[oid] = true
		return slices.ContainsFunc(b.inside[oid], in)
	}
	return in(oid)
}

func (b *builder) judgeOperators() {
	for _, o := range b.operators {
		n := name{o.Schema, o.Name}
		fine := !b.bad[o.Ref]
		old, known := b.s.operators[n]
		b.s.operators[n] = fine && (old || !known)
		if !fine && slices.Contains(b.s.path, o.Schema) {
			b.s.clouded[o.Name] = true
		}
	}
}
