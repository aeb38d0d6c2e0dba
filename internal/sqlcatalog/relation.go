package sqlcatalog

import "strings"

// judgeRelations judges all relations. A view is allowed if everything that it
// uses is; tables it may read in any schema, for that is what views are for. A
// materialised view is read like a table. Foreign tables are not allowed, as
// they leave the database with the rights of somebody else, nor are tables whose
// rows lie in foreign tables, nor relations with a column of a type that is not:
// array_append(ARRAY[c], 'x') makes a value of c's type, and c::text casts one.
func (b *builder) judgeRelations() {
	j := relationJudge{b: b, byOID: map[uint32]Row{}, known: map[uint32]bool{}}
	for _, r := range b.relations {
		j.byOID[r.OID] = r
	}
	for _, r := range b.relations {
		n := name{r.Schema, r.Name}
		switch {
		case !j.fine(r.OID):
			b.s.relations[n] = denied
		case b.s.sealed(n) != nil && !b.s.listed[n]:
			b.s.relations[n] = sealedRel
		default:
			b.s.relations[n] = allowed
		}
	}
}

type relationJudge struct {
	b     *builder
	byOID map[uint32]Row
	known map[uint32]bool // verdicts so far; a view within itself is no further fault
}

func (j *relationJudge) fine(oid uint32) bool {
	if fine, ok := j.known[oid]; ok {
		return fine
	}
	j.known[oid] = true
	r, ok := j.byOID[oid]
	fine := ok && j.judge(r)
	j.known[oid] = fine
	return fine
}

func (j *relationJudge) judge(r Row) bool {
	n, kind, builtin, extension := name{r.Schema, r.Name}, r.Info[0], r.Info[1] == 'p', r.Info[2:]
	switch {
	case j.b.s.listed[n]:
		return true
	case builtin && r.Schema == "pg_catalog":
		return catalogs[r.Name]
	case builtin && r.Schema == "information_schema":
		return !standardDenied[r.Name]
	case strings.HasPrefix(r.Schema, "pg_"), extension != "" && !extensions[extension]:
		return false
	case kind == 'f' || j.b.foreign[r.OID] || j.b.reaches(r.Ref):
		return false
	case kind == 'v':
		return j.view(r.OID)
	}
	return true
}

// view reports whether everything that a view uses is allowed. What it shows of
// sealed columns cannot be told apart.
func (j *relationJudge) view(oid uint32) bool {
	for _, u := range j.b.uses[oid] {
		switch u.Info {
		case "relid":
			r := j.byOID[u.Ref]
			if !j.fine(u.Ref) || j.b.s.sealed(name{r.Schema, r.Name}) != nil {
				return false
			}
		case "resulttype":
			if j.b.reaches(u.Ref) {
				return false
			}
		default:
			if j.b.bad[u.Ref] {
				return false
			}
		}
	}
	return true
}
