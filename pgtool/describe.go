package pgtool

import (
	"context"
	"encoding/json"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type describeIn struct {
	Schema string `json:"schema" validate:"required,max=63"`
	Name   string `json:"name" validate:"required,max=1000"`
	After  *int   `json:"after" validate:"omitempty,min=0,max=2000" jsonschema:"columns to skip"`
}

// A describeOut leaves columns, and what else there is to say, as the server
// writes it: their schema would take much of a model's context, and say no more
// than they do.
type describeOut struct {
	Schema  string            `json:"schema"`
	Name    string            `json:"name"`
	Kind    string            `json:"kind"`
	Comment string            `json:"comment,omitempty"`
	Columns []json.RawMessage `json:"columns,omitempty"`
	Next    int               `json:"next,omitzero"`
	About   json.RawMessage   `json:"about"`
}

// describeTool returns pg_describe, which describes one table, view, sequence,
// type, function or extension. It shows what the role may read: a column without
// SELECT is left out, and with it all that names it, and so is what names an
// object that is not permitted. Defaults are shown: whoever may read a column
// can ask the catalogs for its default, and secrets of known form are masked.
func describeTool(db *DB) *mcpsec.Tool {
	return mcpsec.NewTool(db.spec("pg_describe", "Describe one PostgreSQL object of pg_list_objects: columns, constraints, foreign keys both ways, "+
		"indexes, triggers, policies, estimated rows, size. next, if present, is the next after."),
		func(ctx context.Context, in describeIn) (describeOut, error) { return db.describe(ctx, in) })
}

func (db *DB) describe(ctx context.Context, in describeIn) (out describeOut, err error) {
	after := 0
	if in.After != nil {
		after = *in.After
	}
	if err = db.catalog(ctx, &out, describeSQL, in.Schema, in.Name, after); err == nil {
		err = db.markMasked(ctx, &out)
	}
	return out, err
}
