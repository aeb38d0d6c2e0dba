package pgtool

// adviceChecks say which indexes to add and which to drop.
var adviceChecks = []check{
	{name: "foreign_key_without_index",
		why: "Each DELETE and key UPDATE in the referenced table looks for rows here, and joins along the key do too: without an index that reads the whole table, and holds locks for as long.",
		sql: `SELECT CASE WHEN c.reltuples >= 10000 THEN 'warning' ELSE 'info' END AS severity, format('%I.%I', n.nspname, c.relname) AS object,
			format('foreign key %I (%s) has no index that begins with its columns', k.conname, cols.list) AS what,
			format('CREATE INDEX CONCURRENTLY ON %I.%I (%s);', n.nspname, c.relname, cols.list) AS fix
		FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
			LATERAL (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY o.i) AS list FROM unnest(k.conkey) WITH ORDINALITY o(num, i)
				JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = o.num) cols
		WHERE k.contype = 'f' AND c.relkind = 'r' AND k.conparentid = 0 AND ` + shown + ` AND NOT EXISTS (
			SELECT 1 FROM pg_index i WHERE i.indrelid = k.conrelid AND i.indisvalid AND i.indpred IS NULL AND i.indnkeyatts >= cardinality(k.conkey)
				AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey)
		ORDER BY c.reltuples DESC, 2, k.conname`},
	{name: "sequential_scans",
		why: "Reading a whole table for few rows takes time in proportion to its size. If the scans want most of the rows, an index does not help.",
		sql: `SELECT 'warning' AS severity, format('%I.%I', n.nspname, c.relname) AS object,
			format('%s scans of the whole table, of %s rows each, and %s by an index', s.scans, s.read / s.scans, s.byindex) AS what,
			'-- find its statements with pg_top_queries, and see with pg_explain which columns they filter by' AS fix
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, LATERAL (SELECT pg_stat_get_numscans(c.oid) AS scans, pg_stat_get_tuples_returned(c.oid) AS read,
			(SELECT coalesce(sum(pg_stat_get_numscans(i.indexrelid)), 0) FROM pg_index i WHERE i.indrelid = c.oid) AS byindex) s
		WHERE c.relkind IN ('r', 'm') AND s.scans >= 50 AND s.read / greatest(s.scans, 1) >= 10000 AND s.scans > s.byindex AND ` + shown + `
		ORDER BY s.read DESC, 2`},
	{name: "no_primary_key",
		why: "Without a primary key rows have no name: logical replication cannot update them, and duplicates go unseen.",
		sql: `SELECT 'info' AS severity, format('%I.%I', n.nspname, c.relname) AS object, 'the table has no primary key' AS what,
			'-- choose the columns that name a row, then: ALTER TABLE ... ADD PRIMARY KEY (...)' AS fix
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND ` + shown + `
			AND NOT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary) ORDER BY c.reltuples DESC, 2`},
	unusedIndex,
}
