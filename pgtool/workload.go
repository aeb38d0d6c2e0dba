package pgtool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mcpsec/mcpsec-go/internal/sqllex"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type topIn struct {
	Sort  string `json:"sort" validate:"omitempty,oneof=total mean calls rows temp" jsonschema:"default total time"`
	Limit *int   `json:"limit" validate:"omitempty,min=1,max=50"`
}

type statementOut struct {
	ID      string  `json:"id"`
	SQL     string  `json:"sql"`
	Calls   string  `json:"calls"`
	TotalMS float64 `json:"total_ms"`
	MeanMS  float64 `json:"mean_ms"`
	Rows    string  `json:"rows"`
	Hits    float64 `json:"cache_hit_percent"`
	TempMB  float64 `json:"temp_mb"`
}

type topOut struct {
	Statements told[statementOut] `json:"statements" jsonschema:"sql, calls, times, rows and more"`
	NotVisible int                `json:"not_visible"`
	Hint       string             `json:"hint,omitempty"`
}

const (
	installHint = "pg_stat_statements is not there. A person adds it: shared_preload_libraries = 'pg_stat_statements' in postgresql.conf, " +
		"a restart, and CREATE EXTENSION pg_stat_statements in this database"
	othersHint = "statements of other roles are not visible to this role: grant pg_read_all_stats; " +
		"so are those that name objects which are not permitted"
)

func topQueriesTool(db *DB) *mcpsec.Tool {
	return mcpsec.NewTool(db.spec("pg_top_queries", "List the statements that cost this PostgreSQL database most, from pg_stat_statements, without the values in them."),
		func(ctx context.Context, in topIn) (topOut, error) { return db.topQueries(ctx, in) })
}

func (db *DB) topQueries(ctx context.Context, in topIn) (topOut, error) {
	out := topOut{Statements: told[statementOut]{}}
	limit := 10
	if in.Limit != nil {
		limit = *in.Limit
	}
	rows, err := db.statements(ctx, topSQL, in.Sort)
	if err != nil {
		return out, err
	}
	if rows == nil {
		out.Hint = installHint
		return out, nil
	}
	hides, err := db.hiddenNames(ctx, rows)
	if err != nil {
		return out, err
	}
	for _, r := range rows {
		tokens, err := sqllex.Scan(r["query"])
		if r["seen"] != "true" || err != nil || slices.ContainsFunc(tokens, func(t sqllex.Token) bool { return named(t) && hides[t.Value] }) {
			out.NotVisible++
			continue
		}
		if len(out.Statements) < limit {
			out.Statements = append(out.Statements, statementOut{
				ID: r["id"], SQL: withoutValues(tokens), Calls: r["calls"], TotalMS: number(r, "total"), MeanMS: number(r, "mean"),
				Rows: r["rows"], Hits: number(r, "hits"), TempMB: number(r, "temp"),
			})
		}
	}
	if out.NotVisible > 0 {
		out.Hint = othersHint
	}
	return out, nil
}

// statements asks pg_stat_statements, in whose schema {s} stands. No rows and no
// error mean that it is not there.
func (db *DB) statements(ctx context.Context, sql string, args ...any) ([]map[string]string, error) {
	at, _, err := db.facts(ctx, extensionSQL, 1, "pg_stat_statements")
	if err != nil {
		return nil, modelError(err)
	}
	if len(at) == 0 {
		return nil, nil
	}
	rows, _, err := db.facts(ctx, strings.ReplaceAll(sql, "{s}", quoteName(at[0]["schema"])), maxStatements, args...)
	var reported *pgconn.PgError
	switch {
	case errors.As(err, &reported) && reported.Code == "55000": // the library is not loaded
		return nil, nil
	case errors.As(err, &reported) && reported.Code == "42501":
		return nil, &mcpsec.Error{Message: "pg_stat_statements is not visible to this role", Err: err}
	case err != nil:
		return nil, modelError(err)
	case rows == nil:
		return []map[string]string{}, nil
	}
	return rows, nil
}

const maxStatements = 200

// topSQL shows no text that is too long to be read as a whole.
const topSQL = `
SELECT s.queryid AS id, CASE WHEN length(s.query) <= 10000 THEN s.query END AS query, (s.queryid IS NOT NULL AND length(s.query) <= 10000)::text AS seen,
	s.calls, round(s.total_exec_time::numeric, 1) AS total, round(s.mean_exec_time::numeric, 3) AS mean, s.rows,
	round(100.0 * s.shared_blks_hit / greatest(s.shared_blks_hit + s.shared_blks_read, 1), 1) AS hits,
	round(s.temp_blks_written * current_setting('block_size')::numeric / 1048576, 1) AS temp
FROM {s}.pg_stat_statements s
WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY CASE $1 WHEN 'mean' THEN s.mean_exec_time WHEN 'calls' THEN s.calls WHEN 'rows' THEN s.rows WHEN 'temp' THEN s.temp_blks_written ELSE s.total_exec_time END DESC, s.queryid
LIMIT 100`

// hiddenNames returns the words of statements that are names of what the caller
// may not know of. A name that stands for two things, of which one may be known,
// is hidden too: the text does not say which it means.
func (db *DB) hiddenNames(ctx context.Context, rows []map[string]string) (map[string]bool, error) {
	words := map[string]bool{}
	for _, r := range rows {
		tokens, _ := sqllex.Scan(r["query"]) // what cannot be read is not shown
		for _, t := range tokens {
			if named(t) && len(t.Value) <= maxName && len(words) < 20_000 {
				words[t.Value] = true
			}
		}
	}
	list := make([]string, 0, len(words))
	for w := range words {
		list = append(list, w)
	}
	found, more, err := db.facts(ctx, hiddenNamesSQL, 20_000, string(textArray(list)))
	if err != nil {
		return nil, modelError(err)
	}
	if more || len(words) >= 20_000 {
		return nil, &mcpsec.Error{Message: "there are too many names in the statements to look at them"}
	}
	hides := make(map[string]bool, len(found))
	for _, f := range found {
		hides[f["name"]] = true
	}
	return hides, nil
}

const hiddenNamesSQL = `
WITH w AS (SELECT unnest($1::text[])::name AS name), n AS (
	SELECT oid, nspname, has_schema_privilege(oid, 'USAGE') AND ($2::text[] IS NULL OR nspname = ANY ($2)) AS allowed
	FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
)
SELECT w.name FROM w JOIN n ON n.nspname = w.name WHERE NOT n.allowed
UNION SELECT w.name FROM w JOIN pg_class c ON c.relname = w.name JOIN n ON n.oid = c.relnamespace
	WHERE NOT n.allowed OR c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT has_table_privilege(c.oid, 'SELECT') AND NOT has_any_column_privilege(c.oid, 'SELECT')
UNION SELECT w.name FROM w JOIN pg_proc p ON p.proname = w.name JOIN n ON n.oid = p.pronamespace WHERE NOT n.allowed
UNION SELECT w.name FROM w JOIN pg_type t ON t.typname = w.name JOIN n ON n.oid = t.typnamespace WHERE NOT n.allowed`

// asks are the first words of statements whose values pg_stat_statements takes
// out. Of others, such as CREATE ROLE with a password, only that word is shown.
var asks = []string{"select", "with", "values", "table", "insert", "update", "delete", "merge"}

const maxStatementText = 1_000

// withoutValues writes a statement without the literals that may be left in it,
// and without comments.
func withoutValues(tokens []sqllex.Token) string {
	i := 0
	for i < len(tokens) && tokens[i].Is("(") {
		i++
	}
	if i == len(tokens) || tokens[i].Kind != sqllex.Word {
		return "..."
	}
	if !slices.Contains(asks, tokens[i].Value) {
		return strings.ToUpper(tokens[i].Value) + " ..."
	}
	var b strings.Builder
	for j, t := range tokens {
		if b.Len()+len(t.Text) > maxStatementText {
			return b.String() + " ..."
		}
		if j > 0 && t.Pos > tokens[j-1].End() {
			b.WriteByte(' ')
		}
		if t.Kind == sqllex.String || t.Kind == sqllex.Bits || t.Kind == sqllex.Number {
			b.WriteByte('?')
		} else {
			b.WriteString(t.Text)
		}
	}
	return b.String()
}

type resetOut struct {
	Reset bool `json:"reset"`
}

// resetStatisticsTool returns pg_reset_statistics.
func resetStatisticsTool(db *DB) *mcpsec.Tool {
	spec := db.spec("pg_reset_statistics", "Make pg_stat_statements forget all statements of this PostgreSQL database, to measure from now on.")
	spec.Effect, spec.Labels = mcpsec.Destroy, 0
	spec.Guards = []mcpsec.Guard{mcpsec.Preview(func(ctx context.Context, _ none) (string, error) {
		rows, err := db.statements(ctx, countSQL)
		if err != nil {
			return "", err
		}
		if len(rows) == 0 {
			return "", &mcpsec.Error{Message: installHint}
		}
		return fmt.Sprintf("forgets the statistics of %s statements of this database, which cannot be had back", rows[0]["n"]), nil
	})}
	return mcpsec.NewTool(spec, func(ctx context.Context, _ none) (resetOut, error) {
		rows, err := db.statements(ctx, resetSQL)
		if err == nil && len(rows) == 0 {
			err = &mcpsec.Error{Message: installHint}
		}
		return resetOut{Reset: err == nil}, err
	})
}

// What is counted exactly would change between question and yes with every
// statement, and the person would be asked anew.
const (
	countSQL = `SELECT CASE WHEN count(*) < 100 THEN 'fewer than 100' ELSE '100 or more' END AS n
		FROM {s}.pg_stat_statements s WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())`
	resetSQL = `SELECT 1 AS done FROM pg_database d, LATERAL {s}.pg_stat_statements_reset(0::oid, d.oid, 0::int8) r WHERE d.datname = current_database()`
)
