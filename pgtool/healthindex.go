package pgtool

// indexed joins index i, which is the relation x, to its table c in namespace n.
const indexed = `pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace`

// free are indexes that can be dropped: no constraint, no replica identity and
// no partitioned index needs them.
const free = `NOT i.indisreplident AND i.indisvalid AND NOT x.relispartition AND x.relkind = 'i'
	AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid)`

// big is how many pages, of usually 8 KiB, an index has that is worth a finding.
const big = `128`

const mb = `pg_size_pretty(x.relpages::int8 * current_setting('block_size')::int8)`

var indexChecks = []check{
	{name: "invalid_index",
		why: "No query uses an index that is not valid, and every write maintains it. It is left by a CREATE INDEX CONCURRENTLY that failed.",
		sql: `SELECT 'warning' AS severity, format('%I.%I', n.nspname, x.relname) AS object,
			format('the index on %I.%I is not valid, unless it is being built now', n.nspname, c.relname) AS what,
			format('REINDEX INDEX CONCURRENTLY %I.%I;', n.nspname, x.relname) AS fix
		FROM ` + indexed + ` WHERE NOT i.indisvalid AND x.relkind = 'i' AND ` + shown + ` ORDER BY 2`},
	{name: "duplicate_index",
		why: "Two indexes that are the same cost every write twice, and disk and cache, and help no query.",
		sql: `SELECT 'warning' AS severity, format('%I.%I', n.nspname, x.relname) AS object,
			format('the same as index %I of %I.%I; it has %s', min(kx.relname), n.nspname, c.relname, ` + mb + `) AS what,
			format('DROP INDEX CONCURRENTLY %I.%I;', n.nspname, x.relname) AS fix
		FROM ` + indexed + ` JOIN pg_index k ON k.indrelid = i.indrelid AND k.indexrelid <> i.indexrelid AND k.indisvalid
			AND k.indkey::text = i.indkey::text AND k.indnkeyatts = i.indnkeyatts AND k.indclass::text = i.indclass::text
			AND k.indcollation::text = i.indcollation::text AND k.indoption::text = i.indoption::text
			AND coalesce(pg_get_expr(k.indexprs, k.indrelid), '') = coalesce(pg_get_expr(i.indexprs, i.indrelid), '')
			AND coalesce(pg_get_expr(k.indpred, k.indrelid), '') = coalesce(pg_get_expr(i.indpred, i.indrelid), '')
		JOIN pg_class kx ON kx.oid = k.indexrelid AND kx.relam = x.relam
		WHERE ` + free + ` AND (k.indisunique > i.indisunique OR k.indisunique = i.indisunique AND (k.indexrelid < i.indexrelid
			OR EXISTS (SELECT 1 FROM pg_constraint y WHERE y.conindid = k.indexrelid))) AND ` + shown + `
		GROUP BY n.nspname, x.relname, c.relname, x.relpages ORDER BY 2`},
	{name: "redundant_index",
		why: "An index whose columns begin another index is rarely needed: the other one serves its queries too.",
		sql: `SELECT 'info' AS severity, format('%I.%I', n.nspname, x.relname) AS object,
			format('its columns begin those of index %I of %I.%I; it has %s', min(kx.relname), n.nspname, c.relname, ` + mb + `) AS what,
			format('DROP INDEX CONCURRENTLY %I.%I;', n.nspname, x.relname) AS fix
		FROM ` + indexed + ` JOIN pg_am a ON a.oid = x.relam AND a.amname = 'btree'
		JOIN pg_index k ON k.indrelid = i.indrelid AND k.indisvalid AND k.indnkeyatts > i.indnkeyatts AND k.indexprs IS NULL AND k.indpred IS NULL
			AND starts_with(k.indkey::text, i.indkey::text || ' ') AND starts_with(k.indclass::text, i.indclass::text || ' ')
			AND starts_with(k.indcollation::text, i.indcollation::text || ' ') AND starts_with(k.indoption::text, i.indoption::text || ' ')
		JOIN pg_class kx ON kx.oid = k.indexrelid AND kx.relam = x.relam
		WHERE i.indexprs IS NULL AND i.indpred IS NULL AND i.indnatts = i.indnkeyatts AND NOT i.indisunique AND ` + free + ` AND ` + shown + `
		GROUP BY n.nspname, x.relname, c.relname, x.relpages ORDER BY 2`},
	unusedIndex,
	{name: "bloated_index",
		why: "An index that is mostly empty space wastes cache and disk, and its scans read more pages than they need.",
		sql: `SELECT 'info' AS severity, format('%I.%I', b.nspname, b.relname) AS object,
			format('about %s of its %s are empty, by estimate', pg_size_pretty(b.size - b.need), pg_size_pretty(b.size)) AS what,
			format('REINDEX INDEX CONCURRENTLY %I.%I;', b.nspname, b.relname) AS fix
		FROM (
			SELECT n.nspname, x.relname, x.relpages::int8 * current_setting('block_size')::int8 AS size,
				(x.reltuples * (12 + 8 * ceil(sum(s.stawidth) / 8.0)) / 0.9)::int8 AS need, count(*) AS known, i.indnatts
			FROM ` + indexed + ` JOIN pg_am a ON a.oid = x.relam AND a.amname = 'btree'
			JOIN pg_attribute t ON t.attrelid = c.oid AND t.attnum = ANY (i.indkey::int2[])
			JOIN LATERAL (SELECT max(avg_width) AS stawidth FROM pg_stats s WHERE s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = t.attname) s ON s.stawidth IS NOT NULL
			WHERE x.relpages >= ` + big + ` AND x.reltuples >= 0 AND i.indexprs IS NULL AND ` + shown + `
			GROUP BY n.nspname, x.relname, x.relpages, x.reltuples, i.indnatts
		) b WHERE b.known = b.indnatts AND b.size > 3 * b.need ORDER BY b.size - b.need DESC`},
}

var unusedIndex = check{name: "unused_index",
	why: "An index that no query uses costs every write, and disk and cache. Look at replicas too before it goes: each has its own statistics.",
	sql: `SELECT 'info' AS severity, format('%I.%I', n.nspname, x.relname) AS object,
		format('no scan of it on %I.%I since %s; it has %s', n.nspname, c.relname,
			coalesce((SELECT stats_reset::date::text FROM pg_stat_database WHERE datname = current_database()), 'the statistics began'), ` + mb + `) AS what,
		format('DROP INDEX CONCURRENTLY %I.%I;', n.nspname, x.relname) AS fix
	FROM ` + indexed + `
	WHERE pg_stat_get_numscans(x.oid) = 0 AND x.relpages >= ` + big + ` AND NOT i.indisunique AND ` + free + ` AND ` + shown + `
	ORDER BY x.relpages DESC, 2`}
