package pgtool

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// ReadTools returns the tools that read: pg_list_schemas, pg_list_objects,
// pg_describe and pg_query. Their Name methods tell them apart.
func ReadTools(db *DB) []*mcpsec.Tool {
	return []*mcpsec.Tool{listSchemasTool(db), listObjectsTool(db), describeTool(db), queryTool(db)}
}

// spec is what all tools have in common. What a database says is private, and
// strangers may have written it.
func (db *DB) spec(name, description string) mcpsec.ToolSpec {
	return mcpsec.ToolSpec{
		Name:        name,
		Description: description,
		Effect:      mcpsec.Read,
		Labels:      mcpsec.Private | mcpsec.Untrusted,
		Timeout:     db.o.Timeout + 2*grace,
		MaxResult:   db.o.MaxBytes + 256<<10, // beside the rows there are up to 1,664 columns to name
		Narrow:      "lower limit or name fewer columns",
		Waive:       db.o.Waive,
		Scopes:      db.o.Scopes,
	}
}

// scoped returns the arguments of one of our own queries. Where it has one
// parameter more, that is the list of schemas that are shown.
func (db *DB) scoped(sql string, args []any) ([][]byte, error) {
	texts, err := textArgs(args)
	if err == nil && strings.Contains(sql, "$"+strconv.Itoa(len(args)+1)) {
		texts = append(texts, textArray(db.o.Schemas))
	}
	return texts, err
}

// catalog runs one of our own queries, whose last argument is the list of
// schemas that are shown, and which returns one row with one column of JSON.
func (db *DB) catalog(ctx context.Context, out any, sql string, args ...any) error {
	texts, err := db.scoped(sql, args)
	if err != nil {
		return err
	}
	r, err := db.query(ctx, &query{sql: sql, own: true, args: texts, maxRows: 1, maxBytes: maxCatalog})
	if err != nil {
		return modelError(err)
	}
	if r.rows == 0 {
		if r.more {
			return &mcpsec.Error{Message: "the answer is too large; ask for less"}
		}
		return errNoObject
	}
	r.each(func(values [][]byte) bool {
		err = json.Unmarshal(values[0], out)
		return false
	})
	return err
}

const maxCatalog = 1 << 20

var errNoObject = &mcpsec.Error{Message: "there is no such object, or it is not permitted; pg_list_objects lists what there is"}

// textArray writes names as an array, nil as NULL.
func textArray(names []string) []byte {
	if names == nil {
		return nil
	}
	b := []byte{'{'}
	for i, n := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendQuoted(b, []byte(n))
	}
	return append(b, '}')
}

// limited returns limit, or most if the caller asks for none or for more.
func limited(limit *int, most int) int {
	if limit == nil {
		return most
	}
	return min(*limit, most)
}
