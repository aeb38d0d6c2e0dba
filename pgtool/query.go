package pgtool

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type queryIn struct {
	SQL    string            `json:"sql" validate:"required,max=20000" jsonschema:"one statement; $1 is the first of params"`
	Params []json.RawMessage `json:"params" validate:"max=50" mcpsec:"any" jsonschema:"strings, numbers, booleans or null"`
	Limit  *int              `json:"limit" validate:"omitempty,min=1"`
}

type queryOut struct {
	Columns   told[Column]      `json:"columns" jsonschema:"name and type"`
	Rows      []json.RawMessage `json:"rows"`
	RowCount  int               `json:"row_count"`
	Truncated bool              `json:"truncated"`
	Hint      string            `json:"hint,omitempty"`
}

// queryTool returns pg_query, which runs one statement that only reads.
func queryTool(db *DB) *mcpsec.Tool {
	return mcpsec.NewTool(db.spec("pg_query", fmt.Sprintf("Run one PostgreSQL statement that only reads: SELECT, WITH, VALUES, TABLE, "+
		"EXPLAIN without ANALYZE, or SHOW. Pass values as params. At most %d rows, %d bytes, %s. "+
		"int8 and numeric come as strings. For columns see pg_describe.",
		db.o.MaxRows, db.o.MaxBytes, db.o.Timeout)),
		func(ctx context.Context, in queryIn) (queryOut, error) { return db.runQuery(ctx, in) })
}

func (db *DB) runQuery(ctx context.Context, in queryIn) (queryOut, error) {
	args, err := scalarArgs(in.Params)
	if err != nil {
		return queryOut{}, err
	}
	a, err := db.readOnly(ctx, &query{sql: in.SQL, args: args, maxRows: limited(in.Limit, db.o.MaxRows), maxBytes: db.o.MaxBytes})
	if err != nil {
		return queryOut{}, err
	}
	out := queryOut{Columns: a.Columns, Truncated: a.More}
	out.Rows, out.Truncated = a.rowsJSON(db.o.MaxBytes)
	out.RowCount = len(out.Rows)
	if out.Truncated {
		out.Hint = truncatedHint(out.RowCount)
	}
	return out, nil
}

// rowsJSON returns the rows as JSON, as many as fit into limit, and whether
// there are more.
func (a *Answer) rowsJSON(limit int) (rows []json.RawMessage, more bool) {
	rows = make([]json.RawMessage, 0, a.Len())
	b := make([]byte, 0, len(a.r.data)+2*len(a.Columns)*a.Len())
	more = a.More
	for row := range a.Rows {
		from := len(b)
		if b = row.AppendJSON(b); len(b) > limit {
			return rows, true
		}
		rows = append(rows, b[from:len(b):len(b)])
	}
	return rows, more
}

func truncatedHint(rows int) string {
	if rows == 0 {
		return "the first row alone is too large: name fewer columns, or cut long values with left(column, 200)"
	}
	return fmt.Sprintf("there are more rows: use ORDER BY a unique key with WHERE key > the last one, or OFFSET %d; or aggregate", rows)
}
