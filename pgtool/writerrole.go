package pgtool

// readerFaults are what a role that only reads must not be able to do to tables
// and sequences, and writerFaults the same for one that may write to those of $1,
// and the lack of what it needs for that. They are parts of faultsSQL.
const readerFaults = `
	UNION ALL SELECT 10, who || ' can write to ', quote_ident(n.nspname) || '.' || quote_ident(c.relname)
		FROM own, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE ` + userTable + ` AND ` + canWrite + `
	UNION ALL SELECT 11, who || ' can change sequence ', quote_ident(n.nspname) || '.' || quote_ident(c.relname)
		FROM own, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'S' AND has_sequence_privilege(own.oid, c.oid, 'UPDATE, USAGE')`

const (
	userTable = `c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_(catalog|toast|temp)' AND n.nspname <> 'information_schema'`
	canWrite  = `(has_table_privilege(own.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')
				OR has_any_column_privilege(own.oid, c.oid, 'INSERT, UPDATE'))`
)

// A sequence that gives a column its default must be usable, but not set. An
// upsert reads the columns that it overwrites.
const writerFaults = `
	UNION ALL SELECT 10, who || ' can write to tables that are not listed: ', quote_ident(n.nspname) || '.' || quote_ident(c.relname)
		FROM own, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE ` + userTable + ` AND ` + canWrite + ` AND NOT EXISTS (SELECT 1 FROM listed l WHERE l.oid = c.oid)
	UNION ALL SELECT 10, who || ' can do more to listed tables than is listed: ', p.privilege || ' on ' || l.title
		FROM own, listed l, unnest('{DELETE,TRUNCATE,TRIGGER}'::text[]) AS p(privilege)
		WHERE has_table_privilege(own.oid, l.oid, p.privilege) AND NOT (p.privilege = 'DELETE' AND l.del)
	UNION ALL SELECT 10, who || ' can write to columns that are not listed: ', p.privilege || ' on ' || l.title || ' (' || quote_ident(a.attname) || ')'
		FROM own, listed l JOIN pg_attribute a ON a.attrelid = l.oid AND a.attnum > 0 AND NOT a.attisdropped, unnest('{INSERT,UPDATE}'::text[]) AS p(privilege)
		WHERE has_column_privilege(own.oid, l.oid, a.attnum, p.privilege) AND a.attname <> ALL (CASE p.privilege WHEN 'INSERT' THEN l.ins ELSE l.upd END)
	UNION ALL SELECT 11, who || ' can change sequence ', quote_ident(n.nspname) || '.' || quote_ident(c.relname)
		FROM own, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'S' AND (has_sequence_privilege(own.oid, c.oid, 'UPDATE') OR has_sequence_privilege(own.oid, c.oid, 'USAGE')
			AND NOT EXISTS (SELECT 1 FROM pg_depend d JOIN listed l ON l.oid = d.refobjid AND l.ins <> '{}'
				WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')))
	UNION ALL SELECT 17, 'the role lacks what is listed: ', need.privilege || ' on ' || l.title || ' (' || quote_ident(need.attname) || ')'
		FROM me, listed l, LATERAL (SELECT 'INSERT', unnest(l.ins) UNION SELECT 'UPDATE', unnest(l.upd)
			UNION SELECT 'SELECT', unnest(l.read || l.key || CASE WHEN l.key <> '{}' THEN l.upd ELSE '{}' END)) AS need(privilege, attname)
		WHERE NOT EXISTS (SELECT 1 FROM {holder} h WHERE has_column_privilege(h.oid, l.oid, need.attname, need.privilege))
	UNION ALL SELECT 17, 'the role lacks what is listed: ', 'DELETE on ' || l.title
		FROM me, listed l WHERE l.del AND NOT EXISTS (SELECT 1 FROM {holder} h WHERE has_table_privilege(h.oid, l.oid, 'DELETE'))
	UNION ALL SELECT 17, 'the role lacks what is listed: ', 'USAGE on schema ' || quote_ident(l.s)
		FROM me, listed l WHERE NOT EXISTS (SELECT 1 FROM {holder} h WHERE has_schema_privilege(h.oid, l.s, 'USAGE'))`

// listedSQL is the part of faultsSQL that reads $1.
const listedSQL = `, listed AS (
	SELECT c.oid, x->>'s' AS s, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS title, (x->>'del')::bool AS del,
		ARRAY(SELECT json_array_elements_text(CASE json_typeof(x->'read') WHEN 'array' THEN x->'read' ELSE '[]' END)) AS read, ARRAY(SELECT json_array_elements_text(CASE json_typeof(x->'ins') WHEN 'array' THEN x->'ins' ELSE '[]' END)) AS ins, ARRAY(SELECT json_array_elements_text(CASE json_typeof(x->'upd') WHEN 'array' THEN x->'upd' ELSE '[]' END)) AS upd, ARRAY(SELECT json_array_elements_text(CASE json_typeof(x->'key') WHEN 'array' THEN x->'key' ELSE '[]' END)) AS key
	FROM json_array_elements(coalesce($1::json, '[]')) x JOIN pg_namespace n ON n.nspname = x->>'s'
	JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = x->>'n'
)`
