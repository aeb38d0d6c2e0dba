package pgtool

import "fmt"

// transactionsSQL asks for the sessions of this database that are in a
// transaction. Of those of other roles a plain role sees that they are there.
const transactionsSQL = `
SELECT pid, usename AS role, state, floor(extract(epoch FROM clock_timestamp() - xact_start))::int8 AS seconds, (state IS NULL)::text AS hidden
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND (xact_start IS NOT NULL OR state IS NULL)
ORDER BY xact_start`

func judgeTransactions(rows []map[string]string) (out []finding) {
	unseen := 0
	for _, r := range rows {
		age := number(r, "seconds")
		switch {
		case r["hidden"] == "true":
			unseen++
		case age > 600 || age > 60 && r["state"] == "idle in transaction":
			out = append(out, finding{Severity: grade(age > 3600), Object: "pid " + r["pid"],
				What: fmt.Sprintf("a transaction of role %q has been open for %.0f seconds and is %s", r["role"], age, r["state"]),
				Fix:  "SELECT pg_terminate_backend(" + r["pid"] + "); -- look first at what it is: pg_activity"})
		}
	}
	if unseen > 0 {
		out = append(out, finding{Severity: hidden, What: fmt.Sprintf("%d sessions of other roles are not visible to this role: grant pg_read_all_stats", unseen)})
	}
	return out
}

func judgePrepared(rows []map[string]string) (out []finding) {
	for _, r := range rows {
		if age := number(r, "seconds"); age > 600 {
			out = append(out, finding{Severity: warning, Object: quoteText(r["gid"]),
				What: fmt.Sprintf("prepared %.0f seconds ago and not ended", age),
				Fix:  "ROLLBACK PREPARED " + quoteText(r["gid"]) + "; -- or COMMIT PREPARED: its transaction manager knows"})
		}
	}
	return out
}

// replicationSQL asks for slots, which everybody may see, and for standbys, of
// which a plain role sees that they are there. On a standby it asks how far
// behind that is.
const replicationSQL = `
SELECT 'slot' AS kind, slot_name::text AS name, active::text AS fit, wal_status AS state,
	pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END, restart_lsn)::int8 AS bytes, NULL::int8 AS seconds
FROM pg_replication_slots WHERE NOT temporary
UNION ALL
SELECT 'standby', application_name, 'true', coalesce(state, 'hidden'),
	CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) END::int8, floor(extract(epoch FROM replay_lag))::int8
FROM pg_stat_replication
UNION ALL
SELECT 'self', 'this server', 'true', 'recovery', NULL, floor(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()))::int8
WHERE pg_is_in_recovery() AND pg_last_wal_receive_lsn() IS DISTINCT FROM pg_last_wal_replay_lsn()`

func judgeReplication(rows []map[string]string) (out []finding) {
	const far = 1 << 30
	unseen := 0
	for _, r := range rows {
		bytes, seconds := number(r, "bytes"), number(r, "seconds")
		f := finding{Severity: warning, Object: fmt.Sprintf("%s %q", r["kind"], r["name"])}
		switch {
		case r["kind"] == "slot" && (r["state"] == "lost" || r["state"] == "unreserved"):
			f.Severity, f.What = critical, "WAL that its reader needs is gone, or will be at the next checkpoint"
		case r["kind"] == "slot" && r["fit"] == "false":
			f.Severity, f.What = grade(bytes > far), fmt.Sprintf("nobody reads the slot, which keeps %.0f MB of WAL", bytes/(1<<20))
			f.Fix = "SELECT pg_drop_replication_slot(" + quoteText(r["name"]) + "); -- if its reader does not come back"
		case r["kind"] == "standby" && r["state"] == "hidden":
			unseen++
			continue
		case r["kind"] != "slot" && (bytes > far || seconds > 60):
			f.What = fmt.Sprintf("it is %.0f MB or %.0f seconds behind", bytes/(1<<20), seconds)
		default:
			continue
		}
		out = append(out, f)
	}
	if unseen > 0 {
		out = append(out, finding{Severity: hidden, What: fmt.Sprintf("%d standbys are not visible to this role: grant pg_read_all_stats", unseen)})
	}
	return out
}
