package pgtool

import "strings"

// allowed is which namespace n a description may name.
const allowed = `(n.nspname IN ('pg_catalog', 'information_schema') OR has_schema_privilege(n.oid, 'USAGE') AND ($4::text[] IS NULL OR n.nspname = ANY ($4)))`

// outside reports whether an object is made of another that is not permitted:
// what the server writes about it would name that.
func outside(class, oid string) string { return outsideIn("$4", class, oid) }

// outsideIn is outside in a query whose list of schemas is another parameter.
func outsideIn(schemas, class, oid string) string {
	return strings.ReplaceAll(`EXISTS (SELECT 1 FROM pg_depend dep LEFT JOIN pg_class dc ON dep.refclassid = 'pg_class'::regclass AND dc.oid = dep.refobjid
		LEFT JOIN pg_proc dp ON dep.refclassid = 'pg_proc'::regclass AND dp.oid = dep.refobjid LEFT JOIN pg_type dt ON dep.refclassid = 'pg_type'::regclass AND dt.oid = dep.refobjid
		JOIN pg_namespace n ON n.oid = coalesce(dc.relnamespace, dp.pronamespace, dt.typnamespace)
		WHERE dep.classid = '`+class+`'::regclass AND dep.objid = `+oid+` AND (NOT `+allowed+` OR dc.relkind IN ('r', 'p', 'v', 'm', 'f')
			AND NOT has_table_privilege(dc.oid, 'SELECT') AND NOT (dep.refobjsubid > 0 AND has_column_privilege(dc.oid, dep.refobjsubid::int2, 'SELECT'))))`, "$4", schemas)
}

// typeName names the type of a column, or of a domain.
func typeName(oid, mod string) string {
	return `CASE WHEN EXISTS (SELECT 1 FROM pg_type own LEFT JOIN pg_type elem ON elem.oid = own.typelem AND own.typcategory = 'A' JOIN pg_namespace n ON n.oid = coalesce(elem.typnamespace, own.typnamespace)
		WHERE own.oid = ` + oid + ` AND ` + allowed + `) THEN format_type(` + oid + `, ` + mod + `) ELSE '` + notPermitted + `' END`
}

// describeSQL asks for one object. Of each kind of thing about it there are 200 at
// most, and of columns too, page by page.
var describeSQL = `
WITH rel AS (
	SELECT c.*, n.nspname, has_table_privilege(c.oid, 'SELECT') AS whole
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
		AND ($4::text[] IS NULL OR n.nspname = ANY ($4)) AND ` + visible + `
), col AS (
	SELECT a.*, rel.relkind FROM pg_attribute a JOIN rel ON a.attrelid = rel.oid
	WHERE a.attnum > 0 AND NOT a.attisdropped AND (rel.relkind = 'S' OR has_column_privilege(a.attrelid, a.attnum, 'SELECT'))
), page AS (
	SELECT * FROM col WHERE relkind <> 'S' ORDER BY attnum OFFSET $3::int LIMIT 200
), con AS (
	SELECT k.*, quote_ident(k.conname) || ' ' || left(pg_get_constraintdef(k.oid), 1000) AS j
	FROM pg_constraint k JOIN rel ON k.conrelid = rel.oid
	WHERE k.contype IN ('p', 'u', 'c', 'f', 'x')
		AND (rel.whole OR k.conkey <@ ARRAY(SELECT attnum FROM col) AND cardinality(k.conkey) > 0)
		AND (k.contype = 'f' OR NOT ` + outside("pg_constraint", "k.oid") + `)
		AND (k.contype <> 'f' OR has_table_privilege(k.confrelid, 'SELECT') AND EXISTS (
			SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE c.oid = k.confrelid AND has_schema_privilege(n.oid, 'USAGE') AND ($4::text[] IS NULL OR n.nspname = ANY ($4))))
	ORDER BY k.contype = 'p' DESC, k.conname LIMIT 200
), ref AS (
	SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) || ' ' || left(pg_get_constraintdef(k.oid), 1000) AS j,
		k.conname, n.nspname, c.relname
	FROM pg_constraint k JOIN rel ON k.confrelid = rel.oid JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE k.contype = 'f' AND rel.whole AND has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE')
		AND ($4::text[] IS NULL OR n.nspname = ANY ($4))
	ORDER BY n.nspname, c.relname, k.conname LIMIT 200
), ind AS (
	SELECT left(pg_get_indexdef(i.indexrelid), 1000) || format(' -- %s scans, %s%s', pg_stat_get_numscans(i.indexrelid),
		pg_size_pretty(c.relpages::int8 * current_setting('block_size')::int8), CASE WHEN i.indisvalid THEN '' ELSE ', not valid' END) AS j, c.relname
	FROM pg_index i JOIN rel ON i.indrelid = rel.oid JOIN pg_class c ON c.oid = i.indexrelid
	WHERE (rel.whole OR i.indexprs IS NULL AND i.indpred IS NULL AND i.indkey::int2[] <@ ARRAY(SELECT attnum FROM col)) AND NOT ` + outside("pg_class", "i.indexrelid") + `
	ORDER BY c.relname LIMIT 200
), trg AS (
	SELECT t.tgname, CASE WHEN ` + outside("pg_trigger", "t.oid") + ` THEN quote_ident(t.tgname) || ' runs a function that is ` + notPermitted + `' ELSE left(pg_get_triggerdef(t.oid, true), 1000) END
		|| CASE t.tgenabled WHEN 'D' THEN ' -- disabled' ELSE '' END AS j
	FROM pg_trigger t JOIN rel ON t.tgrelid = rel.oid WHERE NOT t.tgisinternal AND rel.whole ORDER BY t.tgname LIMIT 200
), pol AS (
	SELECT p.polname, format('%I FOR %s TO %s%s', p.polname, CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
		(SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r) END, ', ') FROM unnest(p.polroles) r),
		CASE WHEN ` + outside("pg_policy", "p.oid") + ` THEN ' by an expression that is ` + notPermitted + `' ELSE
			coalesce(' USING (' || left(pg_get_expr(p.polqual, p.polrelid), 500) || ')', '') || coalesce(' WITH CHECK (' || left(pg_get_expr(p.polwithcheck, p.polrelid), 500) || ')', '') END) AS j
	FROM pg_policy p JOIN rel ON p.polrelid = rel.oid WHERE rel.whole ORDER BY p.polname LIMIT 200
)
SELECT json_build_object(
	'schema', rel.nspname, 'name', rel.relname,
	'kind', CASE rel.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'matview'
		WHEN 'f' THEN 'foreign_table' ELSE 'sequence' END,
	'comment', coalesce(left(obj_description(rel.oid, 'pg_class'), 1000), ''),
	'columns', (SELECT json_agg(json_strip_nulls(json_build_object('name', page.attname, 'type', ` + typeName("page.atttypid", "page.atttypmod") + `,
		'nullable', NOT page.attnotnull,
		'default', nullif(CASE WHEN page.attidentity <> '' THEN 'identity' WHEN page.attgenerated <> '' THEN 'generated: ' ELSE '' END
			|| coalesce(CASE WHEN ` + outside("pg_attrdef", "d.oid") + ` THEN '` + notPermitted + `' ELSE left(pg_get_expr(d.adbin, d.adrelid), 500) END, ''), ''),
		'comment', left(col_description(page.attrelid, page.attnum), 500))) ORDER BY page.attnum)
		FROM page LEFT JOIN pg_attrdef d ON d.adrelid = page.attrelid AND d.adnum = page.attnum),
	'next', (SELECT CASE WHEN count(*) > $3::int + 200 THEN $3::int + 200 ELSE 0 END FROM col WHERE relkind <> 'S'),
	'about', json_strip_nulls(json_build_object(
		'rows', CASE WHEN rel.relkind IN ('r', 'm') AND rel.reltuples >= 0 THEN rel.reltuples::int8::text END,
		'bytes', CASE WHEN rel.relkind IN ('r', 'm') THEN pg_total_relation_size(rel.oid)::text END,
		'partition_key', CASE WHEN rel.relkind = 'p' AND rel.whole THEN pg_get_partkeydef(rel.oid) END,
		'partition', CASE WHEN rel.relispartition AND rel.whole THEN pg_get_expr(rel.relpartbound, rel.oid) END,
		'row_security', CASE WHEN rel.relrowsecurity THEN 'on: policies hide rows' || CASE WHEN rel.relforcerowsecurity THEN ', from the owner too' ELSE '' END
			WHEN EXISTS (SELECT 1 FROM pol) THEN 'off: the policies do nothing' END,
		'policies', (SELECT json_agg(j ORDER BY polname) FROM pol),
		'constraints', (SELECT json_agg(j ORDER BY contype = 'p' DESC, conname) FROM con),
		'referenced_by', (SELECT json_agg(j ORDER BY nspname, relname, conname) FROM ref),
		'indexes', (SELECT json_agg(j ORDER BY relname) FROM ind),
		'triggers', (SELECT json_agg(j ORDER BY tgname) FROM trg),
		'definition', (SELECT left(pg_get_viewdef(rel.oid, true), 4000) FROM pg_rewrite w WHERE w.ev_class = rel.oid AND w.rulename = '_RETURN' AND rel.whole AND NOT ` + outside("pg_rewrite", "w.oid") + `),
		'sequence', (SELECT format('%s from %s to %s by %s, last value %s%s', format_type(q.seqtypid, NULL), q.seqmin, q.seqmax, q.seqincrement,
			coalesce(pg_sequence_last_value(q.seqrelid)::text, 'none yet'), CASE WHEN q.seqcycle THEN ', cycles' ELSE '' END) FROM pg_sequence q WHERE q.seqrelid = rel.oid))))
FROM rel
UNION ALL
SELECT json_build_object('schema', n.nspname, 'name', t.typname, 'kind', 'type',
	'comment', coalesce(left(obj_description(t.oid, 'pg_type'), 1000), ''),
	'about', json_strip_nulls(json_build_object(
		'is', CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range' ELSE 'composite' END,
		'labels', (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM (SELECT * FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder LIMIT 1000) e),
		'base', CASE WHEN t.typtype = 'd' THEN ` + typeName("t.typbasetype", "t.typtypmod") + ` END,
		'not_null', nullif(t.typnotnull, false),
		'constraints', (SELECT json_agg(quote_ident(k.conname) || ' ' || left(pg_get_constraintdef(k.oid), 1000) ORDER BY k.conname) FROM pg_constraint k WHERE k.contypid = t.oid AND NOT ` + outside("pg_constraint", "k.oid") + `),
		'members', (SELECT json_agg(a.attname || ' ' || ` + typeName("a.atttypid", "a.atttypmod") + ` ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped))))
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE n.nspname = $1 AND t.typname = $2 AND (t.typtype IN ('e', 'd', 'r') OR t.typtype = 'c' AND (SELECT c.relkind = 'c' FROM pg_class c WHERE c.oid = t.typrelid))
	AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
	AND ($4::text[] IS NULL OR n.nspname = ANY ($4)) AND has_schema_privilege(n.oid, 'USAGE') AND has_type_privilege(t.oid, 'USAGE')
UNION ALL
(SELECT json_build_object('schema', n.nspname, 'name', f.proname || f.signature, 'kind', 'function',
	'comment', coalesce(left(obj_description(f.oid, 'pg_proc'), 1000), ''),
	'about', json_strip_nulls(json_build_object(
		'arguments', CASE WHEN f.hides THEN '` + notPermitted + `' ELSE left(pg_get_function_arguments(f.oid), 2000) END,
		'returns', CASE WHEN f.hides THEN '` + notPermitted + `' ELSE coalesce(left(pg_get_function_result(f.oid), 1000), 'nothing: a procedure') END,
		'language', (SELECT lanname FROM pg_language l WHERE l.oid = f.prolang),
		'volatility', CASE f.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
		'runs_as', CASE WHEN f.prosecdef THEN 'its owner (SECURITY DEFINER)' ELSE 'its caller' END)))
FROM (SELECT p.*, ` + outside("pg_proc", "p.oid") + ` AS hides,
		'(' || CASE WHEN ` + outside("pg_proc", "p.oid") + ` THEN '` + notPermitted + `' ELSE pg_get_function_identity_arguments(p.oid) END || ')' AS signature
	FROM pg_proc p WHERE p.pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND starts_with($2, p.proname::text)) f
JOIN pg_namespace n ON n.oid = f.pronamespace
WHERE n.nspname = $1 AND $2 IN (f.proname::text, f.proname || f.signature) AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
	AND ($4::text[] IS NULL OR n.nspname = ANY ($4)) AND has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(f.oid, 'EXECUTE')
	AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = f.oid AND d.deptype = 'e')
ORDER BY f.oid LIMIT 1)
UNION ALL
SELECT json_build_object('schema', n.nspname, 'name', x.extname, 'kind', 'extension',
	'comment', coalesce(left(obj_description(x.oid, 'pg_extension'), 1000), ''), 'about', json_build_object('version', x.extversion))
FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace
WHERE n.nspname = $1 AND x.extname = $2 AND n.nspname !~ '^pg_' AND ($4::text[] IS NULL OR n.nspname = ANY ($4)) AND has_schema_privilege(n.oid, 'USAGE')`
