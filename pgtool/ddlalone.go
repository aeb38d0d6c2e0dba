package pgtool

import (
	"context"

	"github.com/mcpsec/mcpsec-go/internal/sqlddl"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// What makes or drops an index CONCURRENTLY is several transactions of the server's.
// It cannot be tried and rolled back, and when it fails, what there is has to be
// looked at: it can leave an index that is INVALID, which every write keeps up to
// date and no query uses.

// indexSQL tells the state of an index of this name, and what it is on: valid,
// invalid, or no row. The path of $1 is that of the statement.
const indexSQL = `
WITH path AS (SELECT s, ord FROM unnest($1::text[]) WITH ORDINALITY AS p(s, ord))
SELECT CASE WHEN i.indisvalid AND i.indisready THEN 'valid' ELSE 'INVALID' END, format('%I.%I', n.nspname, c.relname), format('%I.%I', tn.nspname, t.relname),
	greatest(t.reltuples, pg_stat_get_live_tuples(t.oid), 0)::int8::text, (t.relpages::int8 * current_setting('block_size')::int8 / 1024)::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN path ON path.s = n.nspname
	JOIN pg_index i ON i.indexrelid = c.oid JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace
WHERE c.relname = $2 ORDER BY path.ord LIMIT 1`

// onSQL tells the table that an index is to be made on, in the form of indexSQL.
const onSQL = `
WITH path AS (SELECT s, ord FROM unnest($1::text[]) WITH ORDINALITY AS p(s, ord))
SELECT '', format('%I.', n.nspname), format('%I.%I', n.nspname, t.relname),
	greatest(t.reltuples, pg_stat_get_live_tuples(t.oid), 0)::int8::text, (t.relpages::int8 * current_setting('block_size')::int8 / 1024)::text
FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace JOIN path ON path.s = n.nspname
WHERE t.relname = $2 AND t.relkind IN ('r', 'm') ORDER BY path.ord LIMIT 1`

// An indexState is a row of these.
type indexState struct{ state, index, table, rows, kib string }

func (m *Migrator) index(ctx context.Context, sql, schema, name string) (*indexState, error) {
	path := m.o.Schemas
	if schema != "" {
		path = []string{schema}
	}
	r, err := m.db.query(ctx, &query{sql: sql, own: true, args: [][]byte{textArray(path), []byte(name)}, maxRows: 1, maxBytes: 4 << 10})
	if err != nil {
		return nil, err
	}
	var s *indexState
	r.each(func(v [][]byte) bool {
		s = &indexState{string(v[0]), string(v[1]), string(v[2]), string(v[3]), string(v[4])}
		return false
	})
	return s, nil
}

// found tells of the index that is dropped, or the table that one is made on.
func (m *Migrator) found(ctx context.Context, x *sqlddl.IndexName) (*indexState, error) {
	if x.Drops {
		return m.index(ctx, indexSQL, x.Schema, x.Name)
	}
	s, err := m.index(ctx, onSQL, x.Schema, x.Table)
	if s != nil {
		s.index += quoteIdent(x.Name)
	}
	return s, err
}

// planAlone tells what can be told without running it.
func (m *Migrator) planAlone(ctx context.Context, x *sqlddl.IndexName) (*effects, error) {
	s, err := m.found(ctx, x)
	switch {
	case err != nil:
		return nil, ddlError(ctx, err)
	case s == nil:
		return nil, &mcpsec.Error{Message: "there is no such table or index, or not one that CONCURRENTLY is for" + unchanged}
	}
	e := &effects{locks: []heldLock{{"SHARE UPDATE EXCLUSIVE", s.table}}}
	does := creates
	if x.Drops {
		does = drops
	}
	e.add(does, thing{kind: "index", title: s.index})
	e.warn("it cannot be rolled back, and was not tried; if it fails it can leave an index that is INVALID")
	e.warn("%s has about %s rows, %s KiB; reads and writes go on", s.table, s.rows, s.kib)
	return e, nil
}

// applyAlone runs it outside of a transaction. What became of it is what is there
// afterwards.
func (m *Migrator) applyAlone(ctx context.Context, sc *script, digest string) (applyOut, error) {
	e, err := m.planAlone(ctx, sc.alone)
	if err == nil {
		err = unchangedSince(e, digest)
	}
	if err != nil {
		return applyOut{}, err
	}
	texts, err := m.texts(sc)
	if err != nil {
		return applyOut{}, err
	}
	tag := "CREATE INDEX"
	if sc.alone.Drops {
		tag = "DROP INDEX"
	}
	ran := m.db.runAlone(ctx, m.o.IndexTimeout, m.o.alonePath(), texts[0], tag)
	note, ended := m.became(ctx, sc.alone, ran == nil)
	if ran != nil {
		out := aloneError(ctx, ran)
		out.Message += "; " + note
		return applyOut{}, out
	}
	if !ended {
		return applyOut{}, &mcpsec.Error{Message: note}
	}
	return applyOut{Done: true, Changes: e.changes, Note: note}, nil
}

// became says in words what is there of the index now.
func (m *Migrator) became(ctx context.Context, x *sqlddl.IndexName, ran bool) (text string, asMeant bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resolveLimit)
	defer cancel()
	schema := x.Schema
	var s *indexState
	err := error(nil)
	if !x.Drops && schema == "" {
		if s, err = m.index(ctx, onSQL, "", x.Table); s != nil {
			schema = m.schemaOf(s.index)
		}
	}
	if err == nil {
		s, err = m.index(ctx, indexSQL, schema, x.Name)
	}
	switch {
	case err != nil:
		return "what became of the index is not known: look at it before you do anything else", false
	case s == nil && x.Drops:
		return "the index is not there", true
	case s == nil:
		return "there is no such index now", false
	case s.state != "valid" && !ran:
		return "index " + s.index + " is there and INVALID, or still being built: every write keeps it up to date, and no query uses it. When nothing works on it any more, drop it", false
	case s.state != "valid":
		return "an index " + s.index + " was there before and is INVALID: drop it first", false
	}
	return "index " + s.index + " is there and valid", !x.Drops
}

// schemaOf is the listed schema that a title of onSQL begins with.
func (m *Migrator) schemaOf(title string) string {
	for _, s := range m.o.Schemas {
		if quoteIdent(s)+"." == title || quoteName(s)+"." == title {
			return s
		}
	}
	return ""
}

// alonePath is the search_path of a text: that which new objects go to comes first.
func (o DDLOptions) alonePath() string {
	path := ""
	for _, s := range o.Schemas {
		path += quoteName(s) + ", "
	}
	return path + "pg_temp"
}
