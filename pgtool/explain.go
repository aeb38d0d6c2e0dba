package pgtool

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/sqlgate"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type explainIn struct {
	SQL     string            `json:"sql" validate:"required,max=20000" jsonschema:"the statement itself, without EXPLAIN"`
	Params  []json.RawMessage `json:"params" validate:"max=50" mcpsec:"any"`
	JSON    bool              `json:"json" jsonschema:"the plan as JSON, not text"`
	Indexes []indexIn         `json:"indexes" validate:"max=5,dive" jsonschema:"indexes to imagine, with hypopg"`
}

type indexIn struct {
	Schema  string   `json:"schema" validate:"required,max=63"`
	Table   string   `json:"table" validate:"required,max=63"`
	Columns []string `json:"columns" validate:"required,min=1,max=8,dive,required,max=63"`
}

type explainAnalyzeIn struct {
	explainIn
	Analyze bool `json:"analyze" jsonschema:"run the statement and measure"`
}

type explainOut struct {
	Cost     float64         `json:"cost"`
	Rows     float64         `json:"rows"`
	Warnings []string        `json:"warnings"`
	Text     string          `json:"text,omitempty"`
	Plan     json.RawMessage `json:"plan,omitempty"`
	Hidden   bool            `json:"hidden"`
}

func explainTool(db *DB) *mcpsec.Tool {
	const about = "Show how PostgreSQL would run a SELECT: plan, cost, and warnings in words. "
	if db.o.ExplainAnalyze {
		return mcpsec.NewTool(db.spec("pg_explain", about+"With analyze it is run, as by pg_query, and measured."),
			func(ctx context.Context, in explainAnalyzeIn) (explainOut, error) {
				return db.explain(ctx, in.explainIn, in.Analyze)
			})
	}
	return mcpsec.NewTool(db.spec("pg_explain", about+"It is not run."),
		func(ctx context.Context, in explainIn) (explainOut, error) { return db.explain(ctx, in, false) })
}

// explain plans a caller's statement, which takes the way of pg_query.
func (db *DB) explain(ctx context.Context, in explainIn, analyze bool) (explainOut, error) {
	s, err := sqlgate.Check(in.SQL, sqlgate.Options{})
	if err != nil {
		return explainOut{}, gateError(err)
	}
	if s.Kind != sqlgate.Query {
		return explainOut{}, &mcpsec.Error{Message: "sql must be the statement itself: SELECT, WITH, VALUES or TABLE", Rule: "statement"}
	}
	prefix := "EXPLAIN (FORMAT JSON, VERBOSE) "
	if analyze {
		prefix = "EXPLAIN (ANALYZE, FORMAT JSON, VERBOSE) "
	}
	q := &query{sql: prefix + s.SQL, offset: len(prefix), analyze: analyze, maxRows: 1, maxBytes: maxCatalog}
	if q.args, err = scalarArgs(in.Params); err != nil {
		return explainOut{}, err
	}
	if err := db.imagine(ctx, q, in.Indexes); err != nil {
		return explainOut{}, err
	}
	a, err := db.readOnly(ctx, q)
	if err == errShared {
		return explainOut{}, &mcpsec.Error{Message: "indexes cannot be imagined here: a pooler shares the session, which would keep them"}
	}
	if err != nil {
		return explainOut{}, err
	}
	if a.Len() == 0 {
		return explainOut{}, &mcpsec.Error{Message: "the plan is too large; explain a part of the statement"}
	}
	var text string
	for row := range a.Rows {
		text, _ = row.Text(0)
	}
	return db.explained(ctx, []byte(text), in.JSON)
}

// explained turns the server's plan into an answer that names only what the
// caller may know of.
func (db *DB) explained(ctx context.Context, text []byte, asJSON bool) (explainOut, error) {
	var plans []struct{ Plan *planNode }
	if err := json.Unmarshal(text, &plans); err != nil || len(plans) != 1 || plans[0].Plan == nil {
		return explainOut{}, errors.New("the server's plan is not as expected")
	}
	root := plans[0].Plan
	sizes, err := db.planTables(ctx, root)
	if err != nil {
		return explainOut{}, err
	}
	others, err := db.reaches(ctx, root)
	if err != nil {
		return explainOut{}, err
	}
	out := explainOut{Cost: root.Cost, Rows: root.Rows, Hidden: root.hide(sizes, others)}
	out.Warnings = planWarnings(root, sizes)
	if out.Hidden {
		out.Warnings = append(out.Warnings, "parts of the plan are about objects that are not permitted, and are hidden, and so are all conditions")
	}
	if asJSON {
		out.Plan, err = json.Marshal(root)
		return out, err
	}
	out.Text = root.text()
	return out, nil
}

// planTables returns the estimated rows of the tables that a plan names, of
// those that the caller may know of.
func (db *DB) planTables(ctx context.Context, root *planNode) (map[string]float64, error) {
	var schemas, names []string
	for n := range root.walk {
		if n.Relation != "" {
			schemas, names = append(schemas, n.Schema), append(names, n.Relation)
		}
	}
	sizes := map[string]float64{}
	if names == nil {
		return sizes, nil
	}
	rows, _, err := db.facts(ctx, planTablesSQL, 10_000, string(textArray(schemas)), string(textArray(names)))
	if err != nil {
		return nil, modelError(err)
	}
	for _, r := range rows {
		sizes[(&planNode{Schema: r["schema"], Relation: r["name"]}).table()] = number(r, "rows")
	}
	return sizes, nil
}

// reaches reports whether a plan names a function, a type or an operator of a
// schema that the caller may not know of, as a view or a policy can.
func (db *DB) reaches(ctx context.Context, root *planNode) (bool, error) {
	words := []string{}
	for n := range root.walk {
		more, ok := n.qualifiers()
		if !ok {
			return true, nil
		}
		words = append(words, more...)
	}
	rows, _, err := db.facts(ctx, hiddenSchemasSQL, 1, string(textArray(words)))
	if err != nil {
		return false, modelError(err)
	}
	return len(rows) > 0, nil
}

const hiddenSchemasSQL = `
SELECT 1 AS found FROM pg_namespace n
WHERE n.nspname = ANY ($1::text[]) AND n.nspname NOT IN ('pg_catalog', 'information_schema')
	AND NOT (has_schema_privilege(n.oid, 'USAGE') AND ($2::text[] IS NULL OR n.nspname = ANY ($2)))`

const planTablesSQL = `
SELECT DISTINCT n.nspname AS schema, c.relname AS name, c.reltuples AS rows
FROM unnest($1::text[], $2::text[]) AS p(schema, name) JOIN pg_namespace n ON n.nspname = p.schema JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.name
WHERE has_schema_privilege(n.oid, 'USAGE') AND (has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT'))
	AND ($3::text[] IS NULL OR n.nspname = ANY ($3) OR n.nspname IN ('pg_catalog', 'information_schema'))`

// imagine makes hypopg pretend that there are indexes, in the session of q, which
// is thrown away after: DISCARD ALL does not make hypopg forget.
func (db *DB) imagine(ctx context.Context, q *query, indexes []indexIn) error {
	if len(indexes) == 0 {
		return nil
	}
	rows, _, err := db.facts(ctx, extensionSQL, 1, "hypopg")
	if err != nil {
		return modelError(err)
	}
	if len(rows) == 0 {
		return &mcpsec.Error{Message: "indexes need the extension hypopg, which is not installed here: a person can run CREATE EXTENSION hypopg"}
	}
	statements := make([]string, len(indexes))
	for i, x := range indexes {
		found, _, err := db.facts(ctx, tableShownSQL, 1, x.Schema, x.Table)
		if err != nil {
			return modelError(err)
		}
		if len(found) == 0 {
			return errNoObject
		}
		columns := make([]string, len(x.Columns))
		for j, c := range x.Columns {
			columns[j] = quoteName(c)
		}
		statements[i] = "CREATE INDEX ON " + quoteName(x.Schema) + "." + quoteName(x.Table) + " (" + strings.Join(columns, ", ") + ")"
	}
	q.before = "SELECT count(*) FROM unnest($1::text[]) i, LATERAL " + quoteName(rows[0]["schema"]) + ".hypopg_create_index(i)"
	q.with, q.spoils = [][]byte{textArray(statements)}, true
	return nil
}

// extensionSQL asks for the schema of an extension. Only a superuser, or who may
// CREATE in the database, makes one.
const extensionSQL = `SELECT n.nspname AS schema FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = $1`

const tableShownSQL = `
SELECT 1 AS found FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'm') AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
	AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND ($3::text[] IS NULL OR n.nspname = ANY ($3))`
