package pgtool

import (
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// maxThings is how many objects a database may have of which a plan is made.
const maxThings = 100_000

// A statementError says in which statement of a text something went wrong.
type statementError struct {
	n   int // from 1
	err error
}

func (e *statementError) Error() string { return fmt.Sprintf("statement %d: %s", e.n, e.err) }
func (e *statementError) Unwrap() error { return e.err }

// ddlPath returns the statement that sets the search_path of a text. pg_catalog is
// before it, unnamed: named, it would be where new objects go.
func (o DDLOptions) ddlPath() string {
	return "SELECT pg_catalog.set_config('search_path', " + quoteText(o.alonePath()) + ", true)"
}

const backPath = "SELECT pg_catalog.set_config('search_path', '" + ownSearchPath + "', true)"

// sendDDL writes a transaction up to where it would be committed. What there is
// before and after it is read by statements of ours under a search_path of ours: a
// function that the text has made must not stand in for one of the server's. The
// transaction is REPEATABLE READ so that the difference is its own.
func (c *conn) sendDDL(path string, statements []string) error {
	plain := func(sql string) {
		c.sendStatement(sql, nil)
		c.sendExecute(0)
	}
	described := func(sql string, most uint32) {
		c.sendStatement(sql, nil)
		c.pg.Frontend().SendDescribe(&pgproto3.Describe{ObjectType: 'P'})
		c.sendExecute(most)
	}
	plain("BEGIN ISOLATION LEVEL REPEATABLE READ, READ WRITE")
	plain(c.ownPrologue)
	described(thingsSQL, maxThings)
	plain(path)
	for _, sql := range statements {
		plain(sql)
	}
	plain(backPath)
	described(thingsSQL, maxThings)
	described(heldSQL, maxThings)
	fe := c.pg.Frontend()
	c.sync()
	if err := fe.Flush(); err != nil {
		return fmt.Errorf("sending the statements: %w", err)
	}
	return nil
}

// runDDL does all but the end of the transaction, as runChange does.
func (m *Migrator) runDDL(c *conn, statements []string) (*outcome, error) {
	if err := c.limit(m.o.Timeout + grace + time.Second); err != nil {
		return nil, err
	}
	if err := c.sendDDL(m.o.ddlPath(), statements); err != nil {
		return nil, err
	}
	o, err := c.readDDL(len(statements))
	if err != nil && (reportedBy(err) == nil || fatal(reportedBy(err))) {
		return nil, err
	}
	status, readyErr := c.ready()
	if readyErr != nil {
		return nil, readyErr
	}
	if err == nil && status != openStatus || err != nil && status != failedStatus {
		return nil, errProtocol
	}
	return o, err
}

func (c *conn) readDDL(statements int) (*outcome, error) {
	var before, after, held result
	steps := []func() error{
		func() error { return c.done("BEGIN") },
		func() error { return c.done("SELECT 1") },
		func() error { return c.read(bounds, &before) },
		func() error { return c.done("SELECT 1") },
	}
	for i := range statements {
		steps = append(steps, func() error {
			if err := c.defined(); err != nil {
				return &statementError{i + 1, err}
			}
			return nil
		})
	}
	steps = append(steps,
		func() error { return c.done("SELECT 1") },
		func() error { return c.read(bounds, &after) },
		func() error { return c.read(bounds, &held) },
	)
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if before.rows >= maxThings || after.rows >= maxThings || before.more || after.more || held.more {
		return nil, errManyObjects
	}
	return effectsOf(&before, &after, &held)
}

// bounds are those of what thingsSQL returns.
var bounds = &query{maxRows: maxThings, maxBytes: 64 << 20}

// defined reads the answer to a statement that defines something.
func (c *conn) defined() error {
	for {
		m, err := c.receive()
		if err != nil {
			return err
		}
		switch m.(type) {
		case *pgproto3.ParseComplete, *pgproto3.BindComplete:
		case *pgproto3.CommandComplete:
			return nil
		default:
			return errProtocol
		}
	}
}

// thingsSQL lists what there is outside of PostgreSQL's own schemas: a key, the key
// of the relation that it belongs to, its kind and title, the number of its file, its
// rows and KiB as they are estimated, options of a view, and whether this transaction
// has written it.
const thingsSQL = `
WITH mine AS (SELECT (pg_current_xact_id_if_assigned()::text::numeric % 4294967296)::text AS xid), n AS (
	SELECT oid, nspname, nspacl, xmin FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
), c AS (
	SELECT c.oid, c.xmin, c.relkind, c.relfilenode, c.relpages, c.reltuples, c.reloptions, c.relispartition, format('%I.%I', n.nspname, c.relname) AS title
	FROM pg_class c JOIN n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'i', 'I', 'f')
), f AS (
	SELECT 'c' || c.oid AS key, coalesce('c' || i.indrelid, '') AS parent, CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
			WHEN 'i' THEN 'index' WHEN 'I' THEN 'index' WHEN 'f' THEN 'foreign table' ELSE 'table' END AS kind, c.title, c.relfilenode::text AS file,
		CASE WHEN c.relkind IN ('r', 'm') THEN greatest(c.reltuples, pg_stat_get_live_tuples(c.oid), 0)::int8::text ELSE '' END AS rows,
		CASE WHEN c.relkind IN ('r', 'm') THEN (c.relpages::int8 * current_setting('block_size')::int8 / 1024)::text ELSE '' END AS kib,
		CASE WHEN c.relkind = 'v' THEN coalesce(c.reloptions::text, '') ELSE '' END AS options, c.xmin
	FROM c LEFT JOIN pg_index i ON i.indexrelid = c.oid
	UNION ALL SELECT 'a' || a.attrelid || '.' || a.attnum, 'c' || a.attrelid, 'column', c.title || '.' || quote_ident(a.attname), '', '', '', '', a.xmin
		FROM c JOIN pg_attribute a ON a.attrelid = c.oid WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
	UNION ALL SELECT 'd' || d.oid, 'c' || d.adrelid, 'default', c.title || '.' || quote_ident(a.attname), '', '', '', '', d.xmin
		FROM c JOIN pg_attrdef d ON d.adrelid = c.oid JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
	UNION ALL SELECT 'k' || k.oid, 'c' || k.conrelid, 'constraint', quote_ident(k.conname) || ' on ' || c.title, '', '', '', '', k.xmin
		FROM c JOIN pg_constraint k ON k.conrelid = c.oid
	UNION ALL SELECT 'g' || g.oid, 'c' || g.tgrelid, 'trigger', quote_ident(g.tgname) || ' on ' || c.title, '', '', '', '', g.xmin
		FROM c JOIN pg_trigger g ON g.tgrelid = c.oid WHERE NOT g.tgisinternal
	UNION ALL SELECT 'p' || p.oid, 'c' || p.polrelid, 'policy', quote_ident(p.polname) || ' on ' || c.title, '', '', '', '', p.xmin
		FROM c JOIN pg_policy p ON p.polrelid = c.oid
	UNION ALL SELECT 'w' || w.oid, 'c' || w.ev_class, 'definition', quote_ident(w.rulename) || ' on ' || c.title, '', '', '', '', w.xmin FROM c JOIN pg_rewrite w ON w.ev_class = c.oid
	UNION ALL SELECT 'f' || p.oid, '', 'function', p.oid::regprocedure::text, '', '', '', '', p.xmin FROM n JOIN pg_proc p ON p.pronamespace = n.oid
	UNION ALL SELECT 't' || t.oid, '', 'type', t.oid::regtype::text, '', '', '', '', t.xmin FROM n JOIN pg_type t ON t.typnamespace = n.oid
		WHERE t.typtype IN ('e', 'd', 'r') OR t.typtype = 'c' AND EXISTS (SELECT 1 FROM pg_class x WHERE x.oid = t.typrelid AND x.relkind = 'c')
	UNION ALL SELECT 'k' || k.oid, 't' || k.contypid, 'constraint', quote_ident(k.conname) || ' on ' || k.contypid::regtype, '', '', '', '', k.xmin FROM n JOIN pg_constraint k ON k.connamespace = n.oid WHERE k.contypid <> 0
	UNION ALL SELECT 'e' || e.oid, 't' || e.enumtypid, 'enum value', quote_literal(e.enumlabel) || ' of ' || e.enumtypid::regtype, '', '', '', '', e.xmin
		FROM n JOIN pg_type t ON t.typnamespace = n.oid JOIN pg_enum e ON e.enumtypid = t.oid
	UNION ALL SELECT 'n' || n.oid, '', 'schema', quote_ident(n.nspname), '', '', '', '', n.xmin FROM n
	UNION ALL SELECT 'm' || d.classoid || '.' || d.objoid || '.' || d.objsubid, '', 'comment', 'on ' || pg_describe_object(d.classoid, d.objoid, d.objsubid), '', '', '', '', d.xmin
		FROM pg_description d WHERE d.objoid >= 16384
	UNION ALL SELECT 'r' || r.oid, '', 'role', quote_ident(r.rolname), '', '', '', '', NULL FROM pg_roles r
)
SELECT key, parent, kind, title, file, rows, kib, options, CASE WHEN f.xmin::text = mine.xid THEN 'y' ELSE '' END FROM f, mine`

// heldSQL tells which relations this transaction has locked, and what names it.
const heldSQL = `
SELECT 'c' || l.relation, l.mode, '', '' FROM pg_locks l
	WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.granted AND l.relation >= 16384
		AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
UNION ALL SELECT '', '', coalesce(pg_current_xact_id_if_assigned()::text, ''), ` + epochSQL
