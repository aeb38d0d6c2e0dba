package pgtool

import (
	"context"
	"encoding/json"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type none struct{}

type schemasOut struct {
	Schemas []json.RawMessage `json:"schemas"`
	More    bool              `json:"more,omitzero"`
}

// listSchemasTool returns pg_list_schemas, which lists the schemas.
func listSchemasTool(db *DB) *mcpsec.Tool {
	return mcpsec.NewTool(db.spec("pg_list_schemas", "List the PostgreSQL schemas and how many tables each has. Start here."),
		func(ctx context.Context, _ none) (out schemasOut, err error) {
			err = db.catalog(ctx, &out, schemasSQL)
			return out, err
		})
}

// visible is what the role may see of relation c in namespace n: what it may
// read, wholly or in part, in a schema that it may use and that is not
// PostgreSQL's own.
const visible = `has_schema_privilege(n.oid, 'USAGE') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
		AND (CASE WHEN c.relkind = 'S' THEN has_sequence_privilege(c.oid, 'SELECT')
			ELSE has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT') END)`

const schemasSQL = `
WITH s AS (
	SELECT n.nspname AS name, left(obj_description(n.oid, 'pg_namespace'), 300) AS comment,
		(SELECT count(*) FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND ` + visible + `) AS tables
	FROM pg_namespace n
	WHERE has_schema_privilege(n.oid, 'USAGE') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
		AND ($1::text[] IS NULL OR n.nspname = ANY ($1))
	ORDER BY n.nspname LIMIT 501
)
SELECT json_build_object('schemas', coalesce((SELECT json_agg(json_strip_nulls(to_json(x))) FROM (SELECT * FROM s ORDER BY name LIMIT 500) x), '[]'),
	'more', (SELECT count(*) > 500 FROM s))`

type objectsIn struct {
	Schema string `json:"schema" validate:"max=63"`
	Kind   string `json:"kind" validate:"omitempty,oneof=table view matview foreign_table sequence function type extension"`
	Search string `json:"search" validate:"max=100" jsonschema:"LIKE pattern, as %order%"`
	After  string `json:"after" validate:"max=1000"`
	Limit  *int   `json:"limit" validate:"omitempty,min=1,max=200"`
}

type objectsOut struct {
	Objects []json.RawMessage `json:"objects"`
	Next    string            `json:"next,omitempty"`
}

const defaultObjects = 100

// listObjectsTool returns pg_list_objects, which lists tables, views and other
// objects.
func listObjectsTool(db *DB) *mcpsec.Tool {
	return mcpsec.NewTool(db.spec("pg_list_objects", "List PostgreSQL objects by schema, kind or name; rows is an estimate. "+
		"next, if present, is the next after. For columns use pg_describe."),
		func(ctx context.Context, in objectsIn) (out objectsOut, err error) {
			limit := defaultObjects
			if in.Limit != nil {
				limit = *in.Limit
			}
			err = db.catalog(ctx, &out, objectsSQL, in.Schema, in.Kind, in.Search, in.After, limit)
			return out, err
		})
}

// objectsSQL pages by a key of schema, name, kind and OID, in the order of bytes,
// so that a page follows the one before whatever was added meanwhile. The name
// of a function can be of any length, and after takes 1000: the key has the
// start of it, without control characters, which do not come back as they went.
// The OID makes the key unique, also of a."b.c" and "a.b".c.
var objectsSQL = `
WITH o AS (
	SELECT n.nspname AS schema, c.relname::text AS name,
		CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'matview'
			WHEN 'f' THEN 'foreign_table' ELSE 'sequence' END AS kind,
		CASE WHEN c.relkind IN ('r', 'm') AND c.reltuples >= 0 THEN c.reltuples::int8 END AS rows,
		c.oid, 'pg_class' AS catalog
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND ` + visible + `
	UNION ALL
	SELECT n.nspname, p.proname || '(' || CASE WHEN ` + outsideIn("$6", "pg_proc", "p.oid") + ` THEN '` + notPermitted + `' ELSE pg_get_function_identity_arguments(p.oid) END || ')', 'function', NULL, p.oid, 'pg_proc'
	FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
	WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND has_schema_privilege(n.oid, 'USAGE')
		AND has_function_privilege(p.oid, 'EXECUTE') AND NOT EXISTS (SELECT 1 FROM pg_depend d
			WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
	UNION ALL
	SELECT n.nspname, t.typname::text, 'type', NULL, t.oid, 'pg_type'
	FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
	WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND has_schema_privilege(n.oid, 'USAGE')
		AND has_type_privilege(t.oid, 'USAGE') AND (t.typtype IN ('e', 'd', 'r')
			OR t.typtype = 'c' AND (SELECT c.relkind = 'c' FROM pg_class c WHERE c.oid = t.typrelid))
	UNION ALL
	SELECT n.nspname, x.extname::text, 'extension', NULL, x.oid, 'pg_extension'
	FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace
	WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND has_schema_privilege(n.oid, 'USAGE')
), k AS (
	SELECT o.*, (regexp_replace(o.schema || '.' || left(o.name, 200), '[[:cntrl:]]', '?', 'g') || ' ' || o.kind || ' ' || o.oid) COLLATE "C" AS key FROM o
	WHERE ($1 = '' OR o.schema = $1) AND ($2 = '' OR o.kind = $2) AND ($3 = '' OR o.name ILIKE $3)
		AND ($6::text[] IS NULL OR o.schema = ANY ($6))
), page AS (
	SELECT * FROM k WHERE key > $4 COLLATE "C" ORDER BY key LIMIT $5::int
)
SELECT json_build_object(
	'objects', coalesce((SELECT json_agg(json_strip_nulls(json_build_object('schema', schema, 'name', name, 'kind', kind, 'rows', rows::text,
		'comment', left(obj_description(oid, catalog), 300))) ORDER BY key) FROM page), '[]'),
	'next', (SELECT max(key) FROM page WHERE EXISTS (SELECT 1 FROM k WHERE k.key > (SELECT max(key) FROM page))))`
