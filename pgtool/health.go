package pgtool

import (
	"fmt"
	"slices"
	"strconv"
)

var healthChecks = slices.Concat(indexChecks, tableChecks, serverChecks)

var tableChecks = []check{
	{name: "dead_rows",
		why: "Rows that are deleted or outdated fill pages that scans still read, until VACUUM frees them. Long transactions and idle replication slots hold it up.",
		sql: `SELECT 'warning' AS severity, format('%I.%I', n.nspname, c.relname) AS object,
			format('%s dead rows beside %s live ones; last vacuum %s', s.dead, s.live, coalesce(s.last::date::text, 'never')) AS what,
			format('VACUUM (ANALYZE) %I.%I;', n.nspname, c.relname) AS fix
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, LATERAL (SELECT pg_stat_get_dead_tuples(c.oid) AS dead,
			pg_stat_get_live_tuples(c.oid) AS live, greatest(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)) AS last) s
		WHERE c.relkind IN ('r', 'm') AND s.dead >= 10000 AND s.dead > 0.2 * (s.live + s.dead) AND ` + shown + ` ORDER BY s.dead DESC, 2`},
	{name: "stale_statistics",
		why: "The planner chooses plans by statistics. Where they are missing or old it guesses, and takes slow plans.",
		sql: `SELECT 'warning' AS severity, format('%I.%I', n.nspname, c.relname) AS object,
			format('%s rows changed since the last analyze (%s)', s.changed, coalesce(s.last::date::text, 'never')) AS what,
			format('ANALYZE %I.%I;', n.nspname, c.relname) AS fix
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, LATERAL (SELECT pg_stat_get_mod_since_analyze(c.oid) AS changed,
			pg_stat_get_live_tuples(c.oid) AS live, greatest(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)) AS last) s
		WHERE c.relkind IN ('r', 'm') AND s.changed >= 10000 AND s.changed > 0.2 * s.live AND ` + shown + ` ORDER BY s.changed DESC, 2`},
	{name: "autovacuum_off",
		why: "Without autovacuum dead rows and old transaction ids pile up, until the server has to stop for it.",
		sql: `SELECT 'warning' AS severity, format('%I.%I', n.nspname, c.relname) AS object, 'autovacuum is switched off for this table' AS what,
			format('ALTER TABLE %I.%I RESET (autovacuum_enabled);', n.nspname, c.relname) AS fix
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'm') AND EXISTS (SELECT 1 FROM pg_options_to_table(c.reloptions) o
			WHERE o.option_name = 'autovacuum_enabled' AND o.option_value IN ('false', 'off', 'no', '0', 'f', 'n', 'of')) AND ` + shown + ` ORDER BY 2`},
	{name: "unvalidated_constraint",
		why: "Rows from before the constraint may break it. The planner does not rely on it, and a dump may not restore.",
		sql: `SELECT 'warning' AS severity, format('%I.%I', n.nspname, c.relname) AS object,
			format('constraint %I holds for new rows only', k.conname) AS what,
			format('ALTER TABLE %I.%I VALIDATE CONSTRAINT %I;', n.nspname, c.relname, k.conname) AS fix
		FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE NOT k.convalidated AND coalesce((to_jsonb(k) ->> 'conenforced')::bool, true) AND ` + shown + ` ORDER BY 2, k.conname`},
	{name: "sequence_near_end",
		why: "At its end a sequence raises an error, and every insert that takes its default from it fails.",
		sql: sequencesSQL},
}

// sequencesSQL takes the smaller of the ends of a sequence and of the column
// that it fills: a bigint sequence in an integer column ends with the column.
const sequencesSQL = `
WITH s AS (
	SELECT q.*, n.nspname, c.relname, CASE WHEN has_sequence_privilege(c.oid, 'SELECT') THEN pg_sequence_last_value(c.oid) END AS last,
		has_sequence_privilege(c.oid, 'SELECT') AS seen,
		CASE a.atttypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647 ELSE 9223372036854775807 END AS fits,
		t.relname AS owner, tn.nspname AS ownerschema, a.attname
	FROM pg_sequence q JOIN pg_class c ON c.oid = q.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
	LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
	LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
	LEFT JOIN pg_class t ON t.oid = d.refobjid LEFT JOIN pg_namespace tn ON tn.oid = t.relnamespace
	WHERE has_schema_privilege(n.oid, 'USAGE') AND n.nspname !~ '^pg_' AND ($1::text[] IS NULL OR n.nspname = ANY ($1))
		AND (t.oid IS NULL AND has_sequence_privilege(c.oid, 'SELECT') OR has_table_privilege(t.oid, 'SELECT')
			AND has_schema_privilege(tn.oid, 'USAGE') AND ($1::text[] IS NULL OR tn.nspname = ANY ($1)))
), u AS (
	SELECT s.*, CASE WHEN seqincrement > 0 THEN (last::numeric - seqmin) / greatest(least(seqmax, fits)::numeric - seqmin, 1)
		ELSE (seqmax - last::numeric) / greatest(seqmax - seqmin::numeric, 1) END AS used
	FROM s WHERE seen AND NOT seqcycle AND last IS NOT NULL
)
SELECT 'hidden' AS severity, NULL AS object, format('%s sequences of tables that this role may read are not visible to it: GRANT SELECT on them', count(*)) AS what, NULL AS fix
FROM s WHERE NOT seen HAVING count(*) > 0
UNION ALL
SELECT * FROM (
	SELECT CASE WHEN used > 0.95 THEN 'critical' ELSE 'warning' END AS severity, format('%I.%I', nspname, relname) AS object,
		format('%s%% of its numbers are used%s', floor(100 * used), ', which fill ' || quote_ident(ownerschema) || '.' || quote_ident(owner) || '.' || quote_ident(attname)) AS what,
		CASE WHEN fits > 2147483647 AND seqmax < 9223372036854775807 THEN format('ALTER SEQUENCE %I.%I AS bigint MAXVALUE 9223372036854775807;', nspname, relname)
			WHEN owner IS NOT NULL THEN format('ALTER TABLE %I.%I ALTER COLUMN %I TYPE bigint; -- rewrites and locks the table; do the columns that refer to it too', ownerschema, owner, attname)
			ELSE '' END AS fix
	FROM u WHERE used > 0.75 ORDER BY used DESC, 2
) f`

// serverChecks judge figures of the server and of this database.
var serverChecks = []check{
	{name: "server", sql: serverSQL, judge: judgeServer},
	{name: "long_transaction", sql: transactionsSQL, judge: judgeTransactions,
		why: "A transaction that stays open keeps its locks, and keeps VACUUM from freeing rows of the whole database."},
	{name: "prepared_transaction", sql: `SELECT gid, floor(extract(epoch FROM clock_timestamp() - prepared))::int8 AS seconds
			FROM pg_prepared_xacts WHERE database = current_database() ORDER BY prepared`,
		why:   "A prepared transaction keeps its locks, also over a restart, and keeps VACUUM from freeing rows, until somebody ends it.",
		judge: judgePrepared},
	{name: "replication", sql: replicationSQL, judge: judgeReplication,
		why: "A standby that is behind answers with old data, and a slot that nobody reads keeps WAL until the disk is full."},
}

// serverSQL asks for what everybody may see.
const serverSQL = `
SELECT (SELECT sum(numbackends) FROM pg_stat_database WHERE datid <> 0) AS connections,
	current_setting('max_connections')::int8 - current_setting('superuser_reserved_connections')::int8 AS max_connections,
	(SELECT numbackends FROM pg_stat_database WHERE datname = d.datname) AS here, d.datconnlimit AS limit_here,
	age(d.datfrozenxid) AS xid_age, mxid_age(d.datminmxid) AS mxid_age,
	current_setting('autovacuum_freeze_max_age') AS freeze_age, current_setting('autovacuum_multixact_freeze_max_age') AS mxid_freeze_age,
	s.blks_hit AS hits, s.blks_read AS reads, s.temp_bytes, s.deadlocks, s.checksum_failures,
	a.failed_count AS archive_failures, (a.last_failed_time > coalesce(a.last_archived_time, '-infinity'))::text AS archive_fails
FROM pg_database d JOIN pg_stat_database s ON s.datname = d.datname, pg_stat_archiver a
WHERE d.datname = current_database()`

// number reads a figure, 0 if there is none.
func number(row map[string]string, name string) float64 {
	n, err := strconv.ParseFloat(row[name], 64)
	if err != nil {
		return 0
	}
	return n
}

func judgeServer(rows []map[string]string) (out []finding) {
	if len(rows) != 1 {
		return nil
	}
	n := func(name string) float64 { return number(rows[0], name) }
	add := func(bad bool, severity, check, what, why, fix string) {
		if bad {
			out = append(out, finding{Severity: severity, Check: check, What: what, Why: why, Fix: fix})
		}
	}
	share := n("connections") / max(n("max_connections"), 1)
	add(share > 0.8, grade(share > 0.95), "connections", fmt.Sprintf("%.0f of %.0f connections are in use", n("connections"), n("max_connections")),
		"At the limit the server refuses every new connection.", "ALTER SYSTEM SET max_connections = 200; -- needs a restart; better put a pooler before the server")
	add(n("limit_here") > 0 && n("here") > 0.8*n("limit_here"), warning, "database_connections", fmt.Sprintf("%.0f of the %.0f connections to this database are in use", n("here"), n("limit_here")),
		"At the limit of the database new connections to it are refused.", "")
	for _, w := range []struct{ age, freeze, check string }{{"xid_age", "freeze_age", "wraparound"}, {"mxid_age", "mxid_freeze_age", "multixact_wraparound"}} {
		age := n(w.age)
		add(age > 1.1*n(w.freeze) && n(w.freeze) > 0 || age > 1_000_000_000, grade(age > 1_000_000_000), w.check,
			fmt.Sprintf("the oldest id of this database is %.0f old; autovacuum should have frozen it at %.0f, and the server stops writing at about 2,100,000,000", age, n(w.freeze)),
			"When ids run out the server refuses all writes until a VACUUM has ended.", "VACUUM (FREEZE); -- and end long transactions, prepared ones and unused replication slots first")
	}
	blocks := n("hits") + n("reads")
	add(blocks > 1e6 && n("hits") < 0.9*blocks, info, "cache_hit_ratio", fmt.Sprintf("%.0f%% of the blocks came from shared_buffers", 100*n("hits")/max(blocks, 1)),
		"Blocks that are not in memory come from the operating system or the disk, which takes longer.", "")
	add(n("temp_bytes") > 10e9, info, "temporary_files", fmt.Sprintf("%.0f GB were written to temporary files since the statistics began", n("temp_bytes")/1e9),
		"Sorts and hashes beyond work_mem go to disk, which takes longer.", "")
	add(n("deadlocks") > 0, info, "deadlocks", fmt.Sprintf("%.0f deadlocks since the statistics began", n("deadlocks")),
		"In each a transaction was ended by the server. Take locks in one order everywhere.", "")
	add(n("checksum_failures") > 0, critical, "checksum_failures", fmt.Sprintf("%.0f pages of this database did not match their checksums", n("checksum_failures")),
		"Data on disk is damaged. Stop writing, take a copy, and look for a good backup.", "")
	add(rows[0]["archive_fails"] == "true", critical, "archiving", fmt.Sprintf("the last WAL segment could not be archived, %.0f failures so far", n("archive_failures")),
		"Backups have a gap, and WAL is kept until the disk is full.", "")
	return out
}

// grade is critical if it is bad, else warning.
func grade(bad bool) string {
	if bad {
		return critical
	}
	return warning
}
