package pgtool

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mcpsec/mcpsec-go/internal/text"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// InspectTools returns the tools that look at how a database is doing and
// change nothing: pg_explain, pg_top_queries, pg_health, pg_activity, pg_locks,
// pg_index_advice, pg_settings_review and pg_audit. To offer some of them only,
// choose by [mcpsec.Tool.Name].
//
// They run SQL of ours; what pg_explain is given passes the gate of pg_query.
// What they advise is SQL for a person, which nothing here runs. They name
// objects that the role may read, in Options.Schemas, and roles, settings and
// extensions of the server; no statement of another session, no address, no
// value of a row. What the role cannot see they say. To see all of the server
// they need a role with pg_read_all_stats and pg_read_all_settings, which [Open]
// refuses without insecure.OverprivilegedRole: keep such a DB apart, without
// [ReadTools].
func InspectTools(db *DB) []*mcpsec.Tool {
	return []*mcpsec.Tool{
		explainTool(db), topQueriesTool(db),
		db.review("pg_health", "Check the PostgreSQL database's health: indexes, vacuum, wraparound, cache, connections, replication, sequences, constraints, long transactions.", healthChecks),
		activityTool(db), locksTool(db),
		db.review("pg_index_advice", "Advise on PostgreSQL indexes to add or drop, from the schema and from use. Try one with pg_explain.", adviceChecks),
		db.review("pg_settings_review", "Review PostgreSQL settings: memory, durability, WAL, autovacuum, logging, TLS.", settingsChecks),
		db.review("pg_audit", "Audit PostgreSQL security: roles, grants to PUBLIC, SECURITY DEFINER, row security, passwords, TLS, extensions.", auditChecks),
	}
}

// The severities, the worst first. hidden marks what the role cannot see.
const (
	critical = "critical"
	warning  = "warning"
	info     = "info"
	hidden   = "hidden"
)

var severities = []string{critical, warning, info}

// A finding is one thing that is not as it should be.
type finding struct {
	Severity string `json:"severity"`
	Check    string `json:"check"`
	Object   string `json:"object,omitempty"`
	What     string `json:"what"`
	Why      string `json:"why"`
	Fix      string `json:"fix,omitempty"`
}

type reportOut struct {
	Findings   told[finding] `json:"findings" jsonschema:"severity, check, object, what, why, fix"`
	Checked    []string      `json:"checked"`
	NotVisible []string      `json:"not_visible,omitempty"`
	Scope      string        `json:"scope"`
	More       bool          `json:"more"`
}

// A check is one query of ours, whose last argument is the list of schemas that
// are shown. It returns findings in columns severity, object, what and fix, or
// facts that judge turns into findings.
type check struct {
	name, why, sql string
	judge          func(rows []map[string]string) []finding
}

const (
	maxFindings   = 200       // of a report
	maxPerCheck   = 20        // of a check
	maxFacts      = 1_000     // rows of a check with judge
	maxCheckBytes = 256 << 10 // of a check
	maxFix        = 1_000     // bytes; SQL that is longer is left out
	maxObject     = 300       // bytes: a function's signature can be long
	maxWhat       = 1_000     // bytes
)

func (db *DB) review(name, description string, checks []check) *mcpsec.Tool {
	return mcpsec.NewTool(db.spec(name, description+" Findings come worst first; fix is SQL for a person to read and run."),
		func(ctx context.Context, _ none) (reportOut, error) { return db.runChecks(ctx, checks) })
}

// runChecks runs the checks one after the other, in the time of one statement
// together.
func (db *DB) runChecks(ctx context.Context, checks []check) (reportOut, error) {
	out := reportOut{Findings: told[finding]{}, Checked: []string{}, Scope: db.scope()}
	limited, cancel := context.WithTimeout(ctx, db.o.Timeout)
	defer cancel()
	for _, c := range checks {
		found, err := db.runCheck(limited, c, &out)
		if reason := unseen(err); reason != "" || err != nil && limited.Err() != nil && ctx.Err() == nil {
			out.NotVisible = append(out.NotVisible, c.name+": "+cmp.Or(reason, "there was no time left; Options.Timeout bounds all checks together"))
			continue
		}
		if err != nil {
			return out, modelError(err)
		}
		out.Checked = append(out.Checked, c.name)
		for _, f := range found {
			if f.Severity == hidden {
				out.NotVisible = append(out.NotVisible, c.name+": "+f.What)
				continue
			}
			out.Findings = append(out.Findings, c.complete(f))
		}
	}
	slices.SortStableFunc(out.Findings, func(a, b finding) int {
		return cmp.Compare(slices.Index(severities, a.Severity), slices.Index(severities, b.Severity))
	})
	if len(out.Findings) > maxFindings {
		out.Findings, out.More = out.Findings[:maxFindings], true
	}
	return out, nil
}

func (db *DB) runCheck(ctx context.Context, c check, out *reportOut) ([]finding, error) {
	limit := maxPerCheck
	if c.judge != nil {
		limit = maxFacts
	}
	rows, more, err := db.facts(ctx, c.sql, limit)
	if err != nil {
		return nil, err
	}
	out.More = out.More || more
	if c.judge != nil {
		return c.judge(rows), nil
	}
	found := make([]finding, len(rows))
	for i, r := range rows {
		found[i] = finding{Severity: r["severity"], Object: r["object"], What: r["what"], Fix: r["fix"]}
	}
	return found, nil
}

// facts returns the rows of a query of ours, as texts by the names of the
// columns, "" for NULL.
func (db *DB) facts(ctx context.Context, sql string, limit int, args ...any) (rows []map[string]string, more bool, err error) {
	texts, err := db.scoped(sql, args)
	if err != nil {
		return nil, false, err
	}
	r, err := db.query(ctx, &query{sql: sql, own: true, primary: true, args: texts, maxRows: limit, maxBytes: maxCheckBytes})
	if err != nil {
		return nil, false, err
	}
	r.each(func(values [][]byte) bool {
		row := make(map[string]string, len(values))
		for i, v := range values {
			row[r.fields[i].name] = string(v)
		}
		rows = append(rows, row)
		return true
	})
	return rows, r.more, nil
}

// complete adds what all findings of a check have in common. A name with hidden
// characters would leave without them, and the SQL would name another object.
func (c check) complete(f finding) finding {
	f.Check, f.Why = cmp.Or(f.Check, c.name), cmp.Or(f.Why, c.why)
	switch {
	case text.FirstHidden(f.Object+f.What+f.Fix) >= 0 || strings.ContainsAny(f.Fix, "\r\n"):
		f.Fix, f.What = "", f.What+" (a name in it has hidden characters, so no SQL is given: look it up in the catalogs)"
	case len(f.Fix) > maxFix:
		f.Fix = ""
	}
	f.Object, f.What = cut(f.Object, maxObject), cut(f.What, maxWhat)
	return f
}

// cut returns the start of a text that is longer than n bytes.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "..."
}

// unseen says why a check could not look, or "" if it could.
func unseen(err error) string {
	var reported *pgconn.PgError
	var tenant *tenantError
	if !errors.As(err, &reported) || fatal(reported) || errors.As(err, &tenant) {
		return ""
	}
	switch reported.Code {
	case "42501":
		return "not visible to this role: it needs a superuser, or pg_monitor"
	case "57014", "55P03":
		return "it took too long"
	}
	return "this server does not answer it (" + stateText(reported) + ")"
}

// scope says which objects were looked at.
func (db *DB) scope() string {
	if db.o.Schemas == nil {
		return "objects that this role may read, in all schemas that it may use; others were not looked at"
	}
	return "objects that this role may read, in the schemas that pg_list_schemas lists; others were not looked at"
}

// shown is what of relation c in namespace n a finding may name: what the role
// may read as a whole, in the schemas allowed.
const shown = `has_schema_privilege(n.oid, 'USAGE') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
	AND has_table_privilege(c.oid, 'SELECT') AND ($1::text[] IS NULL OR n.nspname = ANY ($1))`
