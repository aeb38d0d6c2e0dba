package sqlcatalog

import (
	"cmp"
	"slices"
	"strings"
)

// Masks, in the order of their strength: of two for one column the first holds.
const (
	Hidden  = 'h' // NULL
	Hashed  = 'k' // a keyed digest, as text
	Partial = 'p' // the last four characters, as text
)

// MaskSQL asks for what SQL does, and for what is masked. Its arguments are four
// arrays of one length, patterns of LIKE for schemas, relations and columns, without
// regard to case, and the masks as letters. It has these rows more:
//
//	a  the pattern with the number of the other OID, from 1, has found something
//	k  relation with masked columns: detail is c if tables hang below it
//	k  column, with its number in the place of the other OID, that the session may
//	   read of such a relation: schema of its type, name, its mask or -, its type
//	w  view that reads the other relation: detail is m if one of its masked columns
//
// A column is masked if a pattern is about it, and with it all that holds the same
// values: the column in tables below and above, foreign keys that point to it,
// columns generated from it, and columns that have a row of its table in them.
const MaskSQL = `
WITH RECURSIVE pattern AS (
	SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS p(schema, relation, col, mask, i)
), found AS (
	SELECT a.attrelid, a.attnum, p.mask, p.i FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
		JOIN pattern p ON n.nspname::text ILIKE p.schema AND c.relname::text ILIKE p.relation AND a.attname::text ILIKE p.col
	WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND a.attnum > 0 AND NOT a.attisdropped AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
), reached(rel, num, mask, own) AS (
	SELECT attrelid, attnum, mask, true FROM found
	UNION
	SELECT x.* FROM reached m JOIN pg_attribute a ON a.attrelid = m.rel AND a.attnum = m.num, LATERAL (
		SELECT i.inhrelid, b.attnum, m.mask, true FROM pg_inherits i JOIN pg_attribute b ON b.attrelid = i.inhrelid AND b.attname = a.attname
			WHERE m.own AND i.inhparent = m.rel AND NOT b.attisdropped
		UNION ALL SELECT i.inhparent, b.attnum, m.mask, false FROM pg_inherits i JOIN pg_attribute b ON b.attrelid = i.inhparent AND b.attname = a.attname
			WHERE i.inhrelid = m.rel AND NOT b.attisdropped
		UNION ALL SELECT k.conrelid, f.num, m.mask, true FROM pg_constraint k, unnest(k.conkey, k.confkey) f(num, ref)
			WHERE m.own AND k.contype = 'f' AND k.confrelid = m.rel AND f.ref = m.num
		UNION ALL SELECT m.rel, g.attnum, m.mask, m.own FROM pg_attrdef e JOIN pg_attribute g ON g.attrelid = e.adrelid AND g.attnum = e.adnum AND g.attgenerated <> ''
				JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = e.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = m.rel AND d.refobjsubid = m.num
			WHERE e.adrelid = m.rel AND e.adnum <> m.num
		UNION ALL SELECT b.attrelid, b.attnum, 'h', true FROM pg_type t JOIN pg_attribute b ON b.atttypid IN (t.oid, t.typarray)
			WHERE t.typrelid = m.rel AND t.typtype = 'c' AND b.attnum > 0 AND NOT b.attisdropped
	) x
), masked AS MATERIALIZED (
	SELECT rel, num, min(mask) AS mask FROM reached GROUP BY rel, num
), base(oid, base) AS (
	SELECT oid, oid FROM pg_type WHERE typtype <> 'd'
	UNION ALL SELECT t.oid, b.base FROM base b JOIN pg_type t ON t.typbasetype = b.oid AND t.typtype = 'd'
)
SELECT * FROM (` + SQL + `) other
UNION ALL SELECT DISTINCT 'a', 0::oid, i::int8::oid, '', '', '' FROM found
UNION ALL SELECT 'k', c.oid, 0, n.nspname, c.relname, CASE WHEN EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhparent = c.oid) THEN 'c' ELSE '' END
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind <> 'c' AND c.oid IN (SELECT rel FROM masked)
UNION ALL SELECT 'k', a.attrelid, a.attnum::int4::oid, n.nspname, a.attname, coalesce(m.mask, '-') || t.typname
	FROM pg_attribute a JOIN base b ON b.oid = a.atttypid JOIN pg_type t ON t.oid = b.base JOIN pg_namespace n ON n.oid = t.typnamespace
	LEFT JOIN masked m ON m.rel = a.attrelid AND m.num = a.attnum
	WHERE a.attrelid IN (SELECT rel FROM masked) AND a.attnum > 0 AND NOT a.attisdropped AND has_column_privilege(a.attrelid, a.attnum, 'SELECT')
UNION ALL SELECT DISTINCT 'w', w.ev_class, d.refobjid, '', '', CASE WHEN EXISTS (SELECT 1 FROM masked m WHERE m.rel = d.refobjid
		AND (m.num = d.refobjsubid OR w.ev_action::text LIKE '%:varattno 0 %')) THEN 'm' ELSE '' END
	FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class AND c.relkind IN ('v', 'm')
		JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> w.ev_class
	WHERE c.oid >= 16384`

// A maskedRelation is one with columns that a caller does not see in clear.
type maskedRelation struct {
	n        name
	children bool
	columns  []maskedColumn
	query    string // selects it, with the masks
}

type maskedColumn struct {
	num  uint32
	name string
	kind name // its type
	mask byte // or '-'
}

// maskRow adds a row of kind k.
func (b *builder) maskRow(r Row) {
	m := b.masked[r.OID]
	if m == nil {
		m = &maskedRelation{}
		b.masked[r.OID] = m
	}
	if r.Ref == 0 {
		m.n, m.children = name{r.Schema, r.Name}, r.Info == "c"
		return
	}
	m.columns = append(m.columns, maskedColumn{num: r.Ref, name: r.Name, kind: name{r.Schema, r.Info[1:]}, mask: r.Info[0]})
}

// judgeMasks finds what a query has to read in the place of a relation, and the
// views that show what is masked.
func (b *builder) judgeMasks() {
	for oid, m := range b.masked {
		slices.SortFunc(m.columns, func(a, b maskedColumn) int { return cmp.Compare(a.num, b.num) })
		texts := make([]string, len(m.columns))
		for i, c := range m.columns {
			texts[i] = c.shown()
		}
		m.query = "SELECT " + strings.Join(texts, ", ") + " FROM " + quote(m.n.schema) + "." + quote(m.n.name)
		b.s.masks[m.n] = m
		b.s.maskedAs[m.n.name] = append(b.s.maskedAs[m.n.name], oid)
	}
	names := map[uint32]name{}
	for _, r := range b.relations {
		names[r.OID] = name{r.Schema, r.Name}
	}
	known := map[uint32]bool{}
	var tainted func(oid uint32) bool
	tainted = func(oid uint32) bool {
		if found, ok := known[oid]; ok || b.s.listed[names[oid]] {
			return found
		}
		known[oid] = false // a view within itself is no further fault
		known[oid] = slices.ContainsFunc(b.reads[oid], func(r Row) bool { return r.Info == "m" || tainted(r.Ref) })
		return known[oid]
	}
	for oid := range b.reads {
		if tainted(oid) {
			b.s.tainted[names[oid]] = true
		}
	}
}

// The names of settings that hold the two halves of the key, in hex: 64 bytes of
// the key, filled up with zeros, XOR 0x36 and XOR 0x5c, as RFC 2104 has them.
const (
	InnerKey = "mcpsec.mask_inner"
	OuterKey = "mcpsec.mask_outer"
)

// shown returns the column as it is selected. Names have their schema, so that
// nothing that a user has made can stand in for them.
func (c maskedColumn) shown() string {
	column := quote(c.name)
	text := column + "::pg_catalog.text"
	as := " AS " + column
	switch c.mask {
	case '-':
		return column
	case Hashed:
		return "pg_catalog.left(pg_catalog.encode(" + digest(OuterKey, digest(InnerKey, "pg_catalog.convert_to("+text+", 'UTF8')")) + ", 'hex'), 32)" + as
	case Partial:
		return "CASE WHEN pg_catalog.length(" + text + ") OPERATOR(pg_catalog.>=) 8 THEN '****' OPERATOR(pg_catalog.||) pg_catalog.right(" + text + ", 4)" +
			" WHEN (" + text + ") IS NOT NULL THEN '****' END" + as
	}
	return "NULL::" + quote(c.kind.schema) + "." + quote(c.kind.name) + as
}

// digest returns the hash of a key and of bytes that follow it.
func digest(key, bytes string) string {
	return "pg_catalog.sha256(pg_catalog.decode(pg_catalog.current_setting('" + key + "'), 'hex') OPERATOR(pg_catalog.||) " + bytes + ")"
}

func quote(n string) string { return `"` + strings.ReplaceAll(n, `"`, `""`) + `"` }
