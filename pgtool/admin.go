package pgtool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// An Admin is a PostgreSQL database that can be looked after: tables are vacuumed,
// statements cancelled. It is safe for concurrent use.
type Admin struct {
	db *DB
	memory
}

// OpenAdmin connects to a database and checks that its role can do nothing but look
// after the tables in Options.Schemas, which are required: it owns them, or has
// MAINTAIN on them from version 17 on, and may be a member of pg_signal_backend,
// pg_read_all_stats and pg_monitor, for which it must INHERIT. [SetupSQL] with Migrates
// makes a role that owns them. Options.Timeout is how long a VACUUM or REINDEX may take,
// too. The error names every fault of the role; it holds no piece of the URL. The caller
// must Close the Admin.
func OpenAdmin(ctx context.Context, o Options) (*Admin, error) {
	o, err := o.withDefaults()
	switch {
	case err != nil:
	case len(o.Schemas) == 0:
		err = errors.New("Options.Schemas is required")
	case o.Tenant != nil || len(o.Mask) > 0:
		err = errTenants
	}
	if err != nil {
		return nil, fmt.Errorf("pgtool: %w", err)
	}
	config, err := o.config(o.URL)
	if err != nil {
		return nil, fmt.Errorf("pgtool: %w", err)
	}
	a := &Admin{db: &DB{o: o, login: config.User, unshared: true}}
	a.db.pool = newPool(config, o.MaxConns, a.db.checkConn)
	setup := SetupOptions{Database: config.Database, Schemas: o.Schemas, Migrates: true}
	if err := a.db.startOwner(ctx, setup, ownerFaults, "", "pg_signal_backend", "pg_read_all_stats", "pg_monitor", "pg_read_all_settings", "pg_stat_scan_tables"); err != nil {
		a.Close()
		return nil, fmt.Errorf("pgtool: %w", err)
	}
	return a, nil
}

// Close ends all connections and waits for statements that run, which are
// cancelled. Further calls do nothing.
func (a *Admin) Close() { a.db.Close() }

// AdminTools returns the tools that look after a database: pg_maintain, which runs
// VACUUM, ANALYZE or REINDEX CONCURRENTLY on one table or index; pg_cancel_query,
// which cancels the statement that another session runs, and pg_reset_statistics,
// which makes pg_stat_statements forget what it knows of this database, both after a
// person has said yes. The latter needs EXECUTE on pg_stat_statements_reset, which
// only a superuser has from the start, and pg_cancel_query EXECUTE on
// pg_cancel_backend where that was revoked, as by [SetupSQL].
func AdminTools(a *Admin) []*mcpsec.Tool {
	return []*mcpsec.Tool{maintainTool(a), cancelTool(a), resetStatisticsTool(a.db)}
}

type maintainIn struct {
	Action string `json:"action" validate:"required,oneof=vacuum analyze vacuum_analyze reindex"`
	Object string `json:"object" validate:"required,max=200" jsonschema:"schema.table, or schema.index to reindex"`
}

type maintainOut struct {
	Done bool   `json:"done"`
	Note string `json:"note,omitempty"`
}

// maintainTool returns pg_maintain. It changes no data, but takes time and locks.
func maintainTool(a *Admin) *mcpsec.Tool {
	spec := a.db.spec("pg_maintain", fmt.Sprintf("Run VACUUM, ANALYZE or REINDEX CONCURRENTLY on one PostgreSQL table or index, as pg_health or pg_index_advice suggest. "+
		"Reads and writes go on; it may take %s. No VACUUM FULL.", a.db.o.Timeout))
	spec.Effect, spec.Labels, spec.Idempotent, spec.Timeout = mcpsec.Write, 0, true, spec.Timeout+resolveLimit
	return mcpsec.NewTool(spec, a.maintain)
}

// maintained are the statements of pg_maintain, by action and by whether the object
// is an index, and the tags that they end with.
var maintained = map[string][2]string{
	"vacuum t": {"VACUUM ", "VACUUM"}, "analyze t": {"ANALYZE ", "ANALYZE"}, "vacuum_analyze t": {"VACUUM (ANALYZE) ", "VACUUM"},
	"reindex t": {"REINDEX TABLE CONCURRENTLY ", "REINDEX"}, "reindex i": {"REINDEX INDEX CONCURRENTLY ", "REINDEX"},
}

// maintainSQL finds an object of this title. VACUUM and ANALYZE only warn if the role
// may not run them.
const maintainSQL = `
SELECT CASE WHEN c.relkind IN ('i', 'I') THEN 'i' ELSE 't' END AS kind, format('%I.%I', n.nspname, c.relname) AS title,
	(pg_has_role(t.relowner, 'USAGE') OR CASE WHEN current_setting('server_version_num')::int >= 170000 THEN has_table_privilege(t.oid, 'MAINTAIN') ELSE false END)::text AS may
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_index i ON i.indexrelid = c.oid JOIN pg_class t ON t.oid = coalesce(i.indrelid, c.oid)
WHERE $1 IN (n.nspname || '.' || c.relname, format('%I.%I', n.nspname, c.relname)) AND c.relkind IN ('r', 'p', 'm', 'i', 'I') AND n.nspname = ANY ($2)`

func (a *Admin) maintain(ctx context.Context, in maintainIn) (maintainOut, error) {
	rows, _, err := a.db.facts(ctx, maintainSQL, 2, in.Object)
	if err != nil {
		return maintainOut{}, modelError(err)
	}
	if len(rows) != 1 {
		return maintainOut{}, errNoObject
	}
	sql, ok := maintained[in.Action+" "+rows[0]["kind"]]
	switch {
	case !ok:
		return maintainOut{}, badArgument(errors.New("an index can only be reindexed"))
	case rows[0]["may"] != "true":
		return maintainOut{}, &mcpsec.Error{Message: "the role does not own this object, and may not maintain it", Rule: "owner"}
	}
	err = a.db.runAlone(ctx, a.db.o.Timeout, ownSearchPath, sql[0]+rows[0]["title"], sql[1])
	if err == nil {
		return maintainOut{Done: true}, nil
	}
	out := aloneError(ctx, err)
	if in.Action == "reindex" {
		out.Message += "; an index whose name ends in _ccnew or _ccold may be left, INVALID: pg_health names it"
	}
	return maintainOut{}, out
}

type cancelIn struct {
	PID int `json:"pid" validate:"required,min=1,max=2147483647" jsonschema:"as pg_activity shows it"`
}

type cancelOut struct {
	Sent bool `json:"sent"`
}

// cancelTool returns pg_cancel_query. What is cancelled is the statement that a
// person was shown, and not one that the session runs later.
func cancelTool(a *Admin) *mcpsec.Tool {
	spec := a.db.spec("pg_cancel_query", "Cancel the statement that another session of this PostgreSQL database runs, after a person has confirmed it. The session goes on; its transaction fails.")
	spec.Effect, spec.Labels = mcpsec.Destroy, 0
	spec.Guards = []mcpsec.Guard{func(ctx context.Context, c *mcpsec.Call) error {
		which := ""
		ask := mcpsec.Preview(func(ctx context.Context, in cancelIn) (text string, err error) {
			which, text, err = a.running(ctx, in.PID)
			return text, err
		})
		err := ask(ctx, c)
		if which != "" {
			a.remember(c.ID, which)
			c.After(func(context.Context, time.Duration) { a.forget(c.ID) })
		}
		return err
	}}
	return mcpsec.NewTool(spec, a.cancel)
}

// runningSQL and cancelSQL are about a statement that runs now, which begins and is
// one only at its time.
const (
	runningFrom = ` FROM pg_stat_activity WHERE pid = $1::int AND pid <> pg_backend_pid() AND datname = current_database() AND backend_type = 'client backend'
		AND state = 'active' AND xact_start IS NOT NULL`
	runningSQL = `SELECT backend_start::text || ' ' || query_start::text AS which, usename AS role, left(application_name, 64) AS application,
		floor(extract(epoch FROM clock_timestamp() - query_start))::text AS seconds` + runningFrom
	cancelSQL = `SELECT pg_cancel_backend(pid)::text AS sent` + runningFrom + ` AND backend_start::text || ' ' || query_start::text = $2`
)

var errNotRunning = &mcpsec.Error{Message: "there is no such session that runs a statement now, or it is not visible to this role: see pg_activity"}

func (a *Admin) running(ctx context.Context, pid int) (which, text string, err error) {
	rows, _, err := a.db.facts(ctx, runningSQL, 1, pid)
	if err != nil {
		return "", "", modelError(err)
	}
	if len(rows) == 0 || rows[0]["which"] == "" {
		return "", "", errNotRunning
	}
	r := rows[0]
	// The seconds would change between question and yes.
	return r["which"], fmt.Sprintf("cancels the statement that process %d runs for role %q, application %q; what its transaction has done is lost", pid, r["role"], r["application"]), nil
}

func (a *Admin) cancel(ctx context.Context, in cancelIn) (cancelOut, error) {
	which, ok := a.remembered(mcpsec.CallID(ctx))
	if !ok {
		return cancelOut{}, errors.New("a statement that nobody was asked about")
	}
	rows, _, err := a.db.facts(ctx, cancelSQL, 1, in.PID, which)
	switch reported := reportedBy(err); {
	case reported != nil && reported.Code == "42501":
		return cancelOut{}, &mcpsec.Error{Message: "this role may not cancel statements of that session: it is of another role, or of a superuser, or EXECUTE on pg_cancel_backend is missing", Err: errors.New(logText(reported))}
	case err != nil:
		return cancelOut{}, modelError(err)
	case len(rows) == 0:
		return cancelOut{}, errNotRunning
	}
	return cancelOut{Sent: rows[0]["sent"] == "true"}, nil
}
