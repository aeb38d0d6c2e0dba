package pgtool

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type tableIn struct {
	Schema string `json:"schema" validate:"required,max=63"`
	Table  string `json:"table" validate:"required,max=63"`
}

// Resources returns the resources pg://schema, the schemas and up to 200 tables
// and other objects of each, and pg://schema/{schema}/{table}, what pg_describe
// says about one. They show what the tools of [ReadTools] show. A name with a
// slash, a backslash or hidden characters has no address here.
func Resources(db *DB) []*mcpsec.Resource {
	spec := mcpsec.ResourceSpec{
		Name: "pg_schema", Description: "The schemas, tables and other objects of the PostgreSQL database.",
		URI: "pg://schema", MIMEType: "application/json", Labels: mcpsec.Private | mcpsec.Untrusted,
		Timeout: db.o.Timeout + 2*grace, MaxResult: maxCatalog, Waive: db.o.Waive, Scopes: db.o.Scopes,
	}
	table := spec
	table.Name, table.Description, table.URI = "pg_table", "One table, view or other object: columns, keys, indexes, policies, size.", "pg://schema/{schema}/{table}"
	table.Complete = map[string]func(context.Context, string) ([]string, error){
		"schema": func(ctx context.Context, prefix string) ([]string, error) {
			return db.names(ctx, schemaNamesSQL, prefix)
		},
		"table": func(ctx context.Context, prefix string) ([]string, error) {
			return db.names(ctx, tableNamesSQL, prefix)
		},
	}
	return []*mcpsec.Resource{
		mcpsec.NewResource(spec, func(ctx context.Context, _ struct{}) (mcpsec.Content, error) {
			var out json.RawMessage
			err := db.catalog(ctx, &out, overviewSQL)
			return mcpsec.Content{Text: string(out)}, err
		}),
		mcpsec.NewResource(table, func(ctx context.Context, in tableIn) (mcpsec.Content, error) {
			out, err := db.describe(ctx, describeIn{Schema: in.Schema, Name: in.Table})
			if errors.Is(err, errNoObject) {
				err = fs.ErrNotExist
			}
			if err != nil {
				return mcpsec.Content{}, err
			}
			text, err := json.Marshal(out)
			return mcpsec.Content{Text: string(text)}, err
		}),
	}
}

func (db *DB) names(ctx context.Context, sql, prefix string) ([]string, error) {
	rows, _, err := db.facts(ctx, sql, 100, prefix)
	if err != nil {
		return nil, modelError(err)
	}
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = r["name"]
	}
	return out, nil
}

const (
	schemaNamesSQL = `SELECT n.nspname AS name FROM pg_namespace n
		WHERE starts_with(n.nspname::text, $1) AND has_schema_privilege(n.oid, 'USAGE') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
			AND ($2::text[] IS NULL OR n.nspname = ANY ($2)) ORDER BY 1 LIMIT 100`
	tableNamesSQL = `SELECT DISTINCT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE starts_with(c.relname::text, $1) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND ` + visible + `
			AND ($2::text[] IS NULL OR n.nspname = ANY ($2)) ORDER BY 1 LIMIT 100`
	overviewSQL = `
WITH o AS (
	SELECT n.nspname, c.relname, CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'matview' WHEN 'f' THEN 'foreign_table' WHEN 'S' THEN 'sequence' ELSE 'table' END AS kind,
		row_number() OVER (PARTITION BY n.oid ORDER BY c.relkind = 'S', c.relname) AS i
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT c.relispartition AND ` + visible + ` AND ($1::text[] IS NULL OR n.nspname = ANY ($1))
), s AS (
	SELECT nspname AS name, json_agg(json_build_object('name', relname, 'kind', kind) ORDER BY i) FILTER (WHERE i <= 200) AS objects, count(*) AS count
	FROM o GROUP BY nspname ORDER BY nspname LIMIT 50
)
SELECT json_build_object('schemas', coalesce((SELECT json_agg(s ORDER BY name) FROM s), '[]'), 'more', (SELECT count(DISTINCT nspname) > 50 OR max(i) > 200 FROM o))`
)
