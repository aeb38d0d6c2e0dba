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
//	m  the pattern with the number of the other OID, from 1, has found something
//	k  relation with masked columns: detail is c if tables hang below it
//	k  column, with its number in the place of the other OID, that the session may
//	   read of such a relation: schema of its type, name, its mask or -, its type
//	w  view that reads the other relation: detail is m if one of its masked columns
//
// A column is masked if a pattern is about it, and with it all that holds the same
// values: the column in tables below and above, foreign keys that point to it,
// columns generated from it, and columns that have a row of its table in them. An edge
// leads from a column, or with number 0 from any of its relation, to one that holds
// the same. A table above one with the column shows its values, but has no own:
// other tables below it are as they were.
const MaskSQL = `
WITH RECURSIVE pattern AS (
	SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS p(schema, relation, col, mask, i)
), found AS (
	SELECT a.attrelid, a.attnum, p.mask, p.i FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
		JOIN pattern p ON n.nspname::text ILIKE p.schema AND c.relname::text ILIKE p.relation AND a.attname::text ILIKE p.col
	WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND a.attnum > 0 AND NOT a.attisdropped AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
), edge(rel, num, to_rel, to_num, mask, from_own, own) AS MATERIALIZED (
	SELECT i.inhparent, a.attnum, i.inhrelid, b.attnum, NULL, true, true FROM pg_inherits i
		JOIN pg_attribute a ON a.attrelid = i.inhparent AND a.attnum > 0 JOIN pg_attribute b ON b.attrelid = i.inhrelid AND b.attname = a.attname AND NOT b.attisdropped
	UNION ALL SELECT i.inhrelid, a.attnum, i.inhparent, b.attnum, NULL, false, false FROM pg_inherits i
		JOIN pg_attribute a ON a.attrelid = i.inhrelid AND a.attnum > 0 JOIN pg_attribute b ON b.attrelid = i.inhparent AND b.attname = a.attname AND NOT b.attisdropped
	UNION ALL SELECT k.confrelid, f.ref, k.conrelid, f.num, NULL, true, true FROM pg_constraint k, unnest(k.conkey, k.confkey) f(num, ref) WHERE k.contype = 'f'
	UNION ALL SELECT d.refobjid, d.refobjsubid, g.attrelid, g.attnum, NULL, false, NULL FROM pg_attribute g JOIN pg_attrdef e ON e.adrelid = g.attrelid AND e.adnum = g.attnum
		JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = e.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = g.attrelid AND d.refobjsubid <> g.attnum
		WHERE g.attgenerated <> ''
	UNION ALL SELECT t.typrelid, 0, b.attrelid, b.attnum, 'h', false, true FROM pg_type t JOIN pg_type u ON u.oid = t.oid OR u.oid = t.typarray OR u.typbasetype = t.oid JOIN pg_attribute b ON b.atttypid = u.oid
		WHERE t.typtype = 'c' AND t.oid >= 16384 AND b.attnum > 0 AND NOT b.attisdropped
), reached(rel, num, mask, own) AS (
	SELECT attrelid, attnum, mask, true FROM found
	UNION
	SELECT e.to_rel, e.to_num, coalesce(e.mask, m.mask), coalesce(e.own, m.own)
		FROM reached m JOIN edge e ON e.rel = m.rel AND (e.num = m.num OR e.num = 0) WHERE m.own OR NOT e.from_own
), masked AS MATERIALIZED (
	SELECT rel, num, min(mask) AS mask FROM reached GROUP BY rel, num
), relation AS MATERIALIZED (
	SELECT c.oid, c.relname, n.nspname, has_table_privilege(c.oid, 'SELECT') AS whole FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE c.relkind <> 'c' AND c.oid IN (SELECT rel FROM masked)
), base(oid, base) AS (
	SELECT oid, oid FROM pg_type WHERE typtype <> 'd'
	UNION ALL SELECT t.oid, b.base FROM base b JOIN pg_type t ON t.typbasetype = b.oid AND t.typtype = 'd'
)
SELECT * FROM (` + SQL + `) other
UNION ALL SELECT DISTINCT 'm', 0::oid, i::int8::oid, '', '', '' FROM found
UNION ALL SELECT 'k', r.oid, 0, r.nspname, r.relname, CASE WHEN EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhparent = r.oid) THEN 'c' ELSE '' END FROM relation r
UNION ALL SELECT 'k', a.attrelid, a.attnum::int4::oid, n.nspname, a.attname, coalesce(m.mask, '-') || t.typname
	FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid JOIN base b ON b.oid = a.atttypid JOIN pg_type t ON t.oid = b.base JOIN pg_namespace n ON n.oid = t.typnamespace
	LEFT JOIN masked m ON m.rel = a.attrelid AND m.num = a.attnum
	WHERE a.attnum > 0 AND NOT a.attisdropped AND (r.whole OR has_column_privilege(a.attrelid, a.attnum, 'SELECT'))
UNION ALL SELECT DISTINCT 'w', w.ev_class, d.refobjid, '', '', CASE WHEN m.rel IS NOT NULL OR r.oid IS NOT NULL AND w.ev_action::text LIKE '%:varattno 0 %' THEN 'm' ELSE '' END
	FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class AND c.relkind IN ('v', 'm')
		JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> w.ev_class
		LEFT JOIN masked m ON m.rel = d.refobjid AND m.num = d.refobjsubid LEFT JOIN relation r ON r.oid = d.refobjid
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
