package pgtool

import (
	"context"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type describeIn struct {
	Schema string `json:"schema" validate:"required,max=63"`
	Name   string `json:"name" validate:"required,max=63"`
}

type columnOut struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Nullable bool   `json:"nullable"`
	Default  string `json:"default,omitempty"`
	Comment  string `json:"comment,omitempty"`
}

type describeOut struct {
	Schema      string      `json:"schema"`
	Name        string      `json:"name"`
	Kind        string      `json:"kind"`
	Comment     string      `json:"comment,omitempty"`
	Rows        string      `json:"rows,omitempty"`
	Bytes       string      `json:"bytes,omitempty"`
	RowSecurity bool        `json:"row_security"`
	Columns     []columnOut `json:"columns"`
	Constraints []string    `json:"constraints"`
	References  []string    `json:"referenced_by"`
	Indexes     []string    `json:"indexes"`
	Labels      []string    `json:"labels,omitempty"`
	Base        string      `json:"base,omitempty"`
}

// DescribeTool returns pg_describe, which describes one table, view, sequence
// or type. It shows what the role may read: a column without SELECT is left out,
// and with it all that names it. Defaults are shown: whoever may read a column
// can ask the catalogs for its default, and secrets of known form are masked.
func DescribeTool(db *DB) *mcpsec.Tool {
	return mcpsec.NewTool(db.spec("pg_describe", "Describe one PostgreSQL table, view, sequence, enum or domain: columns, keys, "+
		"constraints, indexes, estimated rows, size. With row_security, policies hide rows."),
		func(ctx context.Context, in describeIn) (out describeOut, err error) {
			err = db.catalog(ctx, &out, describeSQL, in.Schema, in.Name)
			return out, err
		})
}

const describeSQL = `
WITH rel AS (
	SELECT c.*, n.nspname, has_table_privilege(c.oid, 'SELECT') AS whole
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
		AND ($3::text[] IS NULL OR n.nspname = ANY ($3)) AND ` + visible + `
), col AS (
	SELECT a.*, rel.relkind FROM pg_attribute a JOIN rel ON a.attrelid = rel.oid
	WHERE a.attnum > 0 AND NOT a.attisdropped AND (rel.relkind = 'S' OR has_column_privilege(a.attrelid, a.attnum, 'SELECT'))
), con AS (
	SELECT k.*, quote_ident(k.conname) || ' ' || left(pg_get_constraintdef(k.oid), 1000) AS j
	FROM pg_constraint k JOIN rel ON k.conrelid = rel.oid
	WHERE k.contype IN ('p', 'u', 'c', 'f', 'x')
		AND (rel.whole OR k.conkey <@ ARRAY(SELECT attnum FROM col) AND cardinality(k.conkey) > 0)
		AND (k.contype <> 'f' OR has_table_privilege(k.confrelid, 'SELECT') AND EXISTS (
			SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE c.oid = k.confrelid AND has_schema_privilege(n.oid, 'USAGE') AND ($3::text[] IS NULL OR n.nspname = ANY ($3))))
), ref AS (
	SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) || ' ' || left(pg_get_constraintdef(k.oid), 1000) AS j,
		k.conname, n.nspname, c.relname
	FROM pg_constraint k JOIN rel ON k.confrelid = rel.oid JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE k.contype = 'f' AND rel.whole AND has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE')
		AND ($3::text[] IS NULL OR n.nspname = ANY ($3))
), ind AS (
	SELECT i.*, left(pg_get_indexdef(i.indexrelid), 1000) AS j, c.relname
	FROM pg_index i JOIN rel ON i.indrelid = rel.oid JOIN pg_class c ON c.oid = i.indexrelid
	WHERE rel.whole OR i.indexprs IS NULL AND i.indpred IS NULL AND i.indkey::int2[] <@ ARRAY(SELECT attnum FROM col)
)
SELECT json_build_object(
	'schema', rel.nspname, 'name', rel.relname,
	'kind', CASE rel.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'matview'
		WHEN 'f' THEN 'foreign_table' ELSE 'sequence' END,
	'comment', coalesce(left(obj_description(rel.oid, 'pg_class'), 1000), ''),
	'rows', CASE WHEN rel.relkind IN ('r', 'm') AND rel.reltuples >= 0 THEN rel.reltuples::int8::text ELSE '' END,
	'bytes', CASE WHEN rel.relkind IN ('r', 'm') THEN pg_total_relation_size(rel.oid)::text ELSE '' END,
	'row_security', rel.relrowsecurity,
	'columns', coalesce((SELECT json_agg(json_build_object('name', col.attname, 'type', format_type(col.atttypid, col.atttypmod),
		'nullable', NOT col.attnotnull,
		'default', CASE WHEN col.attidentity <> '' THEN 'identity' WHEN col.attgenerated <> '' THEN 'generated: ' ELSE '' END
			|| coalesce(left(pg_get_expr(d.adbin, d.adrelid), 500), ''),
		'comment', coalesce(left(col_description(col.attrelid, col.attnum), 500), '')) ORDER BY col.attnum)
		FROM col LEFT JOIN pg_attrdef d ON d.adrelid = col.attrelid AND d.adnum = col.attnum), '[]'),
	'constraints', coalesce((SELECT json_agg(j ORDER BY contype = 'p' DESC, conname) FROM con), '[]'),
	'referenced_by', coalesce((SELECT json_agg(j ORDER BY nspname, relname, conname) FROM ref), '[]'),
	'indexes', coalesce((SELECT json_agg(j ORDER BY relname) FROM ind), '[]'))
FROM rel
UNION ALL
SELECT json_build_object('schema', n.nspname, 'name', t.typname, 'kind', 'type',
	'comment', coalesce(left(obj_description(t.oid, 'pg_type'), 1000), ''),
	'columns', '[]'::json, 'constraints', '[]'::json, 'referenced_by', '[]'::json, 'indexes', '[]'::json,
	'labels', (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid),
	'base', CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) ELSE '' END)
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE n.nspname = $1 AND t.typname = $2 AND t.typtype IN ('e', 'd') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
	AND ($3::text[] IS NULL OR n.nspname = ANY ($3)) AND has_schema_privilege(n.oid, 'USAGE') AND has_type_privilege(t.oid, 'USAGE')`
