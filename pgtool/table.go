package pgtool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A Table says what may be written to one table. What is not listed is denied.
type Table struct {
	// Schema and Name are the table's, which must be one and not a view.
	// Required.
	Schema, Name string
	// Read are the columns that conditions may name and answers show. Defaults to
	// none, which leaves pg_insert only.
	Read []string
	// Insert are the columns that a new row may be given. Defaults to none: no
	// inserts.
	Insert []string
	// Update are the columns that may be overwritten. Defaults to none: no updates.
	Update []string
	// Key are the columns of a primary key or unique constraint by which
	// pg_upsert finds the row that it overwrites. Defaults to none: no upserts.
	Key []string
	// Delete says that rows may be deleted. Defaults to false.
	Delete bool
}

// title is what the table is called in arguments and questions.
func (t Table) title() string { return t.Schema + "." + t.Name }

// check refuses a Table that cannot be meant.
func (t Table) check() error {
	columns := slices.Concat(t.Read, t.Insert, t.Update, t.Key)
	for _, name := range append([]string{t.Schema, t.Name}, columns...) {
		if !plainName(name) {
			return errors.New("WriteOptions.Tables must have names of tables and columns")
		}
	}
	missing := func(list []string) func(string) bool {
		return func(c string) bool { return !slices.Contains(list, c) }
	}
	switch {
	case strings.HasPrefix(t.Schema, "pg_") || t.Schema == "information_schema":
		return errors.New("WriteOptions.Tables must not have tables of PostgreSQL's own")
	case len(t.Insert)+len(t.Update) == 0 && !t.Delete:
		return fmt.Errorf("WriteOptions.Tables: %q allows nothing", t.title())
	case (t.Delete || len(t.Update) > 0 && len(t.Insert) == 0) && len(t.Read) == 0:
		return fmt.Errorf("WriteOptions.Tables: %q needs Read, the columns that a where may name", t.title())
	case len(t.Key) > 0 && len(t.Update) == 0:
		return fmt.Errorf("WriteOptions.Tables: %q: Key is for upserts, which need Update", t.title())
	case slices.ContainsFunc(t.Key, missing(t.Insert)):
		return fmt.Errorf("WriteOptions.Tables: %q: Key must be among Insert", t.title())
	}
	return nil
}

// A target is a Table as the database has it.
type target struct {
	Table
	ident   Ident
	columns map[string]column
}

// pick returns the columns of a list.
func (t *target) pick(names []string) map[string]column {
	out := map[string]column{}
	for _, n := range names {
		out[n] = t.columns[n]
	}
	return out
}

func columnNames(columns map[string]column) string {
	return strings.Join(slices.Sorted(maps.Keys(columns)), ", ")
}

// tablesJSON is how the tables get to the statements of this package.
func tablesJSON(tables []Table) string {
	type listed struct {
		Schema string   `json:"s"`
		Name   string   `json:"n"`
		Read   []string `json:"read"`
		Insert []string `json:"ins"`
		Update []string `json:"upd"`
		Key    []string `json:"key"`
		Delete bool     `json:"del"`
	}
	out := make([]listed, len(tables))
	for i, t := range tables {
		out[i] = listed(t)
	}
	b, _ := json.Marshal(out) // of strings and bools
	return string(b)
}

// targetsSQL lists the columns of the tables, with the type that a domain is made
// of in the end. Only types of PostgreSQL's own, enums and arrays of them have
// the operators of pg_catalog that conditions are written with: for citext, =
// would mean that of text. A domain over an enum has none.
const targetsSQL = `
WITH RECURSIVE base AS (
	SELECT t.oid, t.oid AS base FROM pg_type t WHERE t.typtype <> 'd'
	UNION ALL SELECT d.oid, b.base FROM pg_type d JOIN base b ON d.typbasetype = b.oid WHERE d.typtype = 'd'
), listed AS (
	SELECT x->>'s' AS s, x->>'n' AS n FROM json_array_elements($1::json) x
)
SELECT l.s, l.n, c.relkind IN ('r', 'p') AND NOT EXISTS (SELECT 1 FROM pg_partition_tree(c.oid) t
	JOIN pg_class f ON f.oid = t.relid WHERE f.relkind = 'f'), c.relhasrules, a.attname, base.base,
	own(b) AND (b.typtype <> 'e' OR b.oid = a.atttypid) OR b.typcategory = 'A' AND own(e)
FROM listed l JOIN pg_namespace n ON n.nspname = l.s JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = l.n
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN base ON base.oid = a.atttypid JOIN pg_type b ON b.oid = base.base
LEFT JOIN base eb ON eb.oid = b.typelem LEFT JOIN pg_type e ON e.oid = eb.base
ORDER BY c.oid, a.attnum`

// ownType is what own(x) stands for in targetsSQL.
func ownType(alias string) string {
	return "(" + alias + ".typnamespace = 'pg_catalog'::regnamespace OR " + alias + ".typtype = 'e')"
}

// keysSQL lists what can tell two rows of a table apart, without conditions, for
// every table.
const keysSQL = `
SELECT n.nspname, c.relname, (SELECT json_agg(a.attname) FROM pg_attribute a
	WHERE a.attrelid = c.oid AND a.attnum = ANY (i.indkey::int2[]))
FROM json_array_elements($1::json) x JOIN pg_namespace n ON n.nspname = x->>'s'
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = x->>'n' JOIN pg_index i ON i.indrelid = c.oid
WHERE i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnatts = i.indnkeyatts`

// targets looks the tables up. The error names what they do not have.
func (db *DB) targets(ctx context.Context, tables []Table) (map[string]*target, error) {
	out := map[string]*target{}
	for _, t := range tables {
		ident, err := NewIdent(t.Schema, t.Name)
		if err != nil {
			return nil, err
		}
		if out[t.title()] != nil {
			return nil, fmt.Errorf("WriteOptions.Tables has %q twice", t.title())
		}
		out[t.title()] = &target{Table: t, ident: ident, columns: map[string]column{}}
	}
	args := [][]byte{[]byte(tablesJSON(tables))}
	sql := strings.NewReplacer("own(b)", ownType("b"), "own(e)", ownType("e")).Replace(targetsSQL)
	r, err := db.query(ctx, &query{sql: sql, own: true, anyone: true, args: args, maxRows: maxColumns, maxBytes: maxCatalog})
	if err != nil {
		return nil, err
	}
	var fields []field
	r.each(func(v [][]byte) bool {
		t := out[string(v[0])+"."+string(v[1])]
		if string(v[2]) != "t" || string(v[3]) != "f" {
			err = fmt.Errorf("WriteOptions.Tables: %q is not a plain table, or has rules or foreign partitions", t.title())
		}
		f := field{string(v[4]), parseOID(v[5])}
		fields = append(fields, f)
		t.columns[f.name] = column{name: f.name, oid: f.oid, comparable: string(v[6]) == "t"}
		return true
	})
	if err == nil {
		err = db.learn(ctx, fields)
	}
	if err == nil {
		err = db.checkKeys(ctx, out, args)
	}
	return out, err
}

const maxColumns = 20_000 // of all tables that may be written

// checkKeys refuses columns that a table does not have, and a Key that is none.
func (db *DB) checkKeys(ctx context.Context, targets map[string]*target, args [][]byte) error {
	r, err := db.query(ctx, &query{sql: keysSQL, own: true, anyone: true, args: args, maxRows: maxColumns, maxBytes: maxCatalog})
	if err != nil {
		return err
	}
	keys := map[string][][]string{}
	r.each(func(v [][]byte) bool {
		var key []string
		if err = json.Unmarshal(v[2], &key); err != nil {
			return false
		}
		title := string(v[0]) + "." + string(v[1])
		keys[title] = append(keys[title], slices.Sorted(slices.Values(key)))
		return true
	})
	for title, t := range targets {
		for _, c := range slices.Concat(t.Read, t.Insert, t.Update, t.Key) {
			if _, ok := t.columns[c]; !ok {
				return fmt.Errorf("WriteOptions.Tables: there is no column %s in a table %q", strconv.Quote(c), title)
			}
		}
		if len(t.columns) == 0 {
			return fmt.Errorf("WriteOptions.Tables: there is no table %q", title)
		}
		key := slices.Sorted(slices.Values(t.Key))
		if len(key) > 0 && !slices.ContainsFunc(keys[title], func(k []string) bool { return slices.Equal(k, key) }) {
			return fmt.Errorf("WriteOptions.Tables: %q has no primary key or unique constraint of just the columns of Key", title)
		}
	}
	return err
}
