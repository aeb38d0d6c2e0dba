package pgtool

import (
	"context"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type sessionOut struct {
	PID         int    `json:"pid"`
	Role        string `json:"role,omitempty"`
	Application string `json:"application,omitempty"`
	State       string `json:"state,omitempty"`
	Wait        string `json:"wait,omitempty"`
	Transaction int64  `json:"transaction_seconds,omitzero"`
	Statement   int64  `json:"statement_seconds,omitzero"`
	BlockedBy   []int  `json:"blocked_by,omitempty"`
}

type activityOut struct {
	Sessions   told[sessionOut] `json:"sessions" jsonschema:"pid, role, state and more"`
	Idle       int              `json:"idle"`
	NotVisible int              `json:"not_visible"`
	Hint       string           `json:"hint,omitempty"`
	More       bool             `json:"more"`
}

const unseenHint = "sessions of other roles are not visible to this role: grant pg_read_all_stats"

// activityTool returns pg_activity. No text of a statement is shown, also not
// those of the own role: all callers share it, and texts hold values.
func activityTool(db *DB) *mcpsec.Tool {
	return mcpsec.NewTool(db.spec("pg_activity", "Show what sessions of this PostgreSQL database do now: state, wait, age of transaction and statement, who blocks them. Texts of statements are not shown."),
		func(ctx context.Context, _ none) (out activityOut, err error) {
			if err = db.catalog(ctx, &out, activitySQL); err == nil && out.NotVisible > 0 {
				out.Hint = unseenHint
			}
			return out, err
		})
}

// activitySQL shows of sessions that the role may not look into only their pid,
// and only if they block others: that much pg_locks tells everybody.
const activitySQL = `
WITH s AS (
	SELECT a.*, state IS NULL AS unseen, CASE WHEN pid IN (SELECT pid FROM pg_locks WHERE NOT granted) THEN pg_blocking_pids(pid) ELSE '{}' END AS blockers
	FROM pg_stat_activity a
	WHERE datname = current_database() AND pid <> pg_backend_pid()
), busy AS (
	SELECT s.*, row_number() OVER (ORDER BY cardinality(blockers) > 0 DESC, xact_start NULLS LAST, pid) AS i FROM s
	WHERE state <> 'idle' OR cardinality(blockers) > 0 OR pid IN (SELECT unnest(blockers) FROM s)
)
SELECT json_build_object(
	'sessions', coalesce((SELECT json_agg(json_build_object('pid', pid, 'role', usename, 'application', left(application_name, 64), 'state', state,
		'wait', wait_event_type || ': ' || wait_event, 'transaction_seconds', floor(extract(epoch FROM clock_timestamp() - xact_start)),
		'statement_seconds', CASE WHEN state = 'active' THEN floor(extract(epoch FROM clock_timestamp() - query_start)) END,
		'blocked_by', blockers) ORDER BY i) FROM busy WHERE i <= 100), '[]'),
	'idle', (SELECT count(*) FROM s WHERE state = 'idle'),
	'not_visible', (SELECT count(*) FROM s WHERE unseen),
	'more', (SELECT count(*) > 100 FROM busy))`

type lockOut struct {
	PID       int    `json:"pid"`
	Role      string `json:"role,omitempty"`
	Mode      string `json:"mode"`
	Object    string `json:"object"`
	Seconds   int64  `json:"seconds,omitzero"`
	BlockedBy []int  `json:"blocked_by"`
}

type locksOut struct {
	Waiting told[lockOut] `json:"waiting" jsonschema:"pid, mode, object and more"`
	Roots   []int         `json:"roots"`
	Hint    string        `json:"hint,omitempty"`
	More    bool          `json:"more"`
}

// locksTool returns pg_locks.
func locksTool(db *DB) *mcpsec.Tool {
	return mcpsec.NewTool(db.spec("pg_locks", "Show which sessions of this PostgreSQL database wait for a lock, on what, and who blocks them. roots block others and wait for nobody."),
		func(ctx context.Context, _ none) (out locksOut, err error) {
			err = db.catalog(ctx, &out, locksSQL)
			if err == nil && len(out.Roots) > 0 {
				out.Hint = "look at the roots with pg_activity; a person can end one: SELECT pg_terminate_backend(pid)"
			}
			return out, err
		})
}

const locksSQL = `
WITH w AS (
	SELECT l.pid, l.mode, l.locktype, l.relation, l.waitstart, a.usename, pg_blocking_pids(l.pid) AS blockers
	FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
	WHERE NOT l.granted AND a.datname = current_database() AND a.pid <> pg_backend_pid()
), o AS (
	SELECT w.*, row_number() OVER (ORDER BY w.waitstart, w.pid) AS i,
		CASE WHEN w.relation IS NULL THEN w.locktype ELSE coalesce((SELECT format('%s %I.%I', w.locktype, n.nspname, c.relname)
			FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = w.relation AND ` + shown + `), w.locktype || ' that is not permitted') END AS object
	FROM w
)
SELECT json_build_object(
	'waiting', coalesce((SELECT json_agg(json_build_object('pid', pid, 'role', usename, 'mode', mode, 'object', object,
		'seconds', floor(extract(epoch FROM clock_timestamp() - waitstart)), 'blocked_by', blockers) ORDER BY i) FROM o WHERE i <= 100), '[]'),
	'roots', coalesce((SELECT json_agg(DISTINCT b) FROM w, unnest(blockers) b WHERE b NOT IN (SELECT pid FROM w)), '[]'),
	'more', (SELECT count(*) > 100 FROM o))`
