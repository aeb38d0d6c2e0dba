package pgtool

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mcpsec/mcpsec-go/internal/waive"
)

// Before the server may be a pooler, such as PgBouncer, that gives a session to
// another client between two transactions. There nothing may rely on what the
// session is like, nor leave anything in it: every setting is made by each
// transaction, for itself. In doubt a connection is taken for such a one.

// connect makes a connection with the settings of a session as its start values,
// or, where a pooler refuses these, without.
func (p *pool) connect(ctx context.Context) (pg *pgconn.PgConn, lean bool, err error) {
	config, err := p.config.fresh(ctx)
	if err != nil {
		return nil, false, err
	}
	if !p.lean.Load() {
		pg, err = pgconn.ConnectConfig(ctx, config)
		if !refusesSettings(err) {
			return pg, false, err
		}
	}
	config = config.Copy()
	config.RuntimeParams = maps.Clone(config.RuntimeParams)
	maps.DeleteFunc(config.RuntimeParams, func(name, _ string) bool { return !slices.Contains(poolerKnows, name) })
	if pg, err = pgconn.ConnectConfig(ctx, config); err == nil {
		p.lean.Store(true)
	}
	return pg, true, err
}

// poolerKnows are the start values that every pooler takes.
var poolerKnows = []string{"application_name", "client_encoding"}

func refusesSettings(err error) bool {
	reported := reportedBy(err)
	return reported != nil && slices.Contains([]string{"08P01", "42704", "22023"}, reported.Code)
}

// share prepares a connection for a pooler. What decides on whose names are meant
// comes first, and so does who the session is.
func (db *DB) share(c *conn) {
	all := func(searchPath string) string {
		return prologue(slices.Concat(db.o.limits(searchPath), formats, []setting{{"role", "none", 0}}), c.version())
	}
	c.prologue, c.ownPrologue, c.inForce = all(db.o.searchPath()), all(ownSearchPath), nil
}

// probeSQL looks at a new connection: whether the role has become, since Open
// looked at it, one that can do all (what Open asks for besides is too much for
// each connection); whether it is the one that logs in; which process this is; and which of the settings $1 are not as
// the transaction has set them to $2. Of the two sides the left one is read first.
const probeSQL = `
SELECT (SELECT NOT (rolsuper OR rolbypassrls OR rolreplication OR rolcreaterole AND $3 OR rolcreatedb) FROM pg_roles WHERE rolname = session_user),
	session_user = current_user, pg_backend_pid(), has_function_privilege('pg_catalog.pg_advisory_unlock_all()', 'EXECUTE'),
	(` + inForceSQL + `), (SELECT count(*) FROM unnest($1::text[], $2::text[]) AS s(k, v) WHERE current_setting(s.k) <> set_config(s.k, s.v, true))`

// inForceSQL returns the settings $1 as they are.
const inForceSQL = `SELECT string_agg(current_setting(s.k, true), E'\n' ORDER BY s.i) FROM unnest($1::text[]) WITH ORDINALITY AS s(k, i)`

// A probe is what probeSQL returns.
type probe struct {
	fit, login, unlocks bool
	pid                 uint32
	inForce             []string // the settings
}

// probe makes a first trip in the way that fits a pooler, as one may be there.
func (c *conn) probe(ctx context.Context, settings []setting, makesRoles bool) (probe, error) {
	var names, values []string
	for _, s := range settings {
		names, values = append(names, s.name), append(values, s.value)
	}
	p, differ := probe{}, false
	err := c.look(ctx, probeSQL, [][]byte{textArray(names), textArray(values), []byte(strconv.FormatBool(!makesRoles))}, func(v [][]byte) {
		p.fit, p.login, p.pid, p.unlocks = string(v[0]) == "t", string(v[1]) == "t", parseOID(v[2]), string(v[3]) == "t"
		p.inForce, differ = strings.Split(string(v[4]), "\n"), string(v[5]) != "0"
	})
	if reported := reportedBy(err); reported != nil && reported.Code == "08P01" {
		return probe{}, &sessionError{"a pooler before the server takes no transactions: its pool_mode must be transaction or session"}
	}
	if err == nil && differ {
		err = &sessionError{"a transaction does not keep the settings that it makes: the server, or a pooler before it, is not fit"}
	}
	return p, err
}

// look makes a trip of a new connection, for one row.
func (c *conn) look(ctx context.Context, sql string, args [][]byte, row func(values [][]byte)) error {
	if err := c.limit(probeLimit); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, c.interrupt)
	r, err := c.run(&query{sql: sql, own: true, args: args, anyone: true, maxRows: 1, maxBytes: 16 << 10})
	if err == nil && !c.settle() {
		err = errProtocol
	}
	if !stop() {
		return context.Cause(ctx)
	}
	if err == nil {
		r.each(func(v [][]byte) bool {
			row(v)
			return false
		})
	}
	return err
}

// started reports whether the session has its settings from its start, where they
// are to be as inForce, which a transaction has made.
func (db *DB) started(ctx context.Context, c *conn, settings []setting, inForce []string) (bool, error) {
	var names []string
	for _, s := range settings {
		names = append(names, s.name)
	}
	var now []string
	if err := c.look(ctx, inForceSQL, [][]byte{textArray(names)}, func(v [][]byte) { now = strings.Split(string(v[0]), "\n") }); err != nil {
		return false, err
	}
	if len(now) != len(settings) || len(inForce) != len(settings) {
		return false, errProtocol
	}
	for i, s := range settings {
		want := inForce[i]
		if s.name == "search_path" {
			want = db.o.searchPath()
		}
		if s.since == 0 && now[i] != want {
			return false, nil
		}
	}
	return true, nil
}

// probeLimit is how long probeSQL may take.
const probeLimit = 5 * time.Second

// checkConn refuses a new connection that is not as the first one was, and finds
// out whether the session is its own: the server says at the start which process
// will serve it, and a pooler that hides the process says another one.
func (db *DB) checkConn(ctx context.Context, c *conn) error {
	if err := checkServer(c); err != nil {
		return err
	}
	settings := slices.DeleteFunc(slices.Concat(db.o.limits(ownSearchPath), formats), func(s setting) bool { return s.since > c.version() })
	lean := c.shared
	c.shared, c.ownPrologue = true, prologue(settings, c.version())
	p, err := c.probe(ctx, settings, db.makesRoles)
	if err != nil {
		return err
	}
	c.unlocks = p.unlocks
	c.shared = lean || p.pid != c.pg.PID() || !tookSettings(c)
	if db.vetted.Load() && !(p.fit && (p.login || c.shared)) {
		return errRole
	}
	if !c.shared {
		c.ownPrologue = ""
		started, err := db.started(ctx, c, settings, p.inForce)
		if err != nil {
			return err
		}
		c.shared = !started
	}
	if !c.shared {
		late := unstarted(settings)
		c.prologue = prologue(late, c.version())
		c.ownPrologue = prologue(append(late, setting{"search_path", ownSearchPath, 0}), c.version())
		return nil
	}
	if db.unshared {
		return &sessionError{"behind a pooler a schema is not changed, and a database not looked after: connect to the server itself"}
	}
	db.share(c)
	if waive.Has(db.o.Waive, waive.AnySQL) {
		return &sessionError{"behind a pooler insecure.AnySQL is not safe: what a statement leaves in the session, others get"}
	}
	if db.o.hashes() {
		return &sessionError{"behind a pooler there is no place for the key of pgtool.Hashed; connect to the server, or to a pooler in session mode that takes all settings"}
	}
	return nil
}

var errRole = &sessionError{"the role can do more than when Open looked at it: it is not the one that logs in, or is a superuser, or has BYPASSRLS, REPLICATION, CREATEROLE or CREATEDB"}

// errShared is the refusal of what needs a session of its own.
var errShared = errors.New("the session is shared")

// The ends of a trip, after its transaction: what makes a session as new. Where it
// is shared the pooler must not lose the prepared statements that it counts on,
// which DISCARD ALL drops; the rest of that is done one by one.
var (
	ownEnd    = [][2]string{{"DISCARD ALL", "DISCARD ALL"}}
	sharedEnd = [][2]string{
		{"RESET ALL", "RESET"}, {"CLOSE ALL", "CLOSE CURSOR ALL"}, {"UNLISTEN *", "UNLISTEN"},
		{"DISCARD SEQUENCES", "DISCARD SEQUENCES"}, {"DISCARD TEMP", "DISCARD TEMP"},
	}
	unlockEnd = append(slices.Clone(sharedEnd), [2]string{"SELECT pg_catalog.pg_advisory_unlock_all()", "SELECT 1"})
)

func (c *conn) traces() [][2]string {
	switch {
	case !c.shared:
		return ownEnd
	case c.unlocks:
		return unlockEnd
	}
	return sharedEnd // who revokes the one revokes locking too; the gate lets no caller lock in any case
}

// sendReset writes the end of a trip. To the server it is in one go with the end
// of the transaction: a pooler gives the session away only after both.
func (c *conn) sendReset() {
	for _, s := range c.traces() {
		c.sendStatement(s[0], nil)
		c.sendExecute(0)
	}
	c.sync()
}

// reset reads the answers to sendReset.
func (c *conn) reset() bool {
	for _, s := range c.traces() {
		if c.done(s[1]) != nil {
			return false
		}
	}
	status, err := c.ready()
	return err == nil && status == idleStatus && c.limit(0) == nil
}

// sendBegin writes the start of a transaction. Where the session is shared, what
// others may have left in it does not count.
func (c *conn) sendBegin(mode, prologue string) {
	if c.shared {
		mode += ", ISOLATION LEVEL READ COMMITTED" // else a start value
	}
	c.sendStatement("BEGIN "+mode, nil)
	c.sendExecute(0)
	if c.shared {
		c.sendStatement("RESET ALL", nil)
		c.sendExecute(0)
	}
	if c.limiting = prologue != ""; c.limiting {
		c.sendStatement(prologue, nil)
		c.sendExecute(0)
	}
}

// begun reads the answers to sendBegin.
func (c *conn) begun() error {
	err := c.done("BEGIN")
	if err == nil && c.shared {
		err = c.done("RESET")
	}
	if err == nil && c.limiting {
		err = c.limited()
	}
	return err
}

// limited reads the answer to the prologue. Where the session is shared it must be
// the same every time: those are the settings that are in force.
func (c *conn) limited() error {
	if !c.shared {
		return c.done("SELECT 1")
	}
	values, err := c.row("SELECT 1")
	if err != nil {
		return err
	}
	if len(values) == 0 {
		return errProtocol
	}
	row := bytes.Join(values[1:], []byte{0}) // search_path, the first, is one of two
	if c.inForce == nil {
		c.inForce = row
	}
	if !bytes.Equal(c.inForce, row) {
		return errProtocol
	}
	return nil
}

// stopShared cancels what the server does for the connection, until all that was
// sent is answered, or nobody is there. Hanging up before would let the statement
// run on, as the pooler would hang up too, and its place in the pool be given away.
func (c *conn) stopShared(ctx context.Context) (gone bool) {
	for wait := 50 * time.Millisecond; ctx.Err() == nil && c.unanswered > 0; wait = min(2*wait, cancelEvery) {
		_ = c.pg.CancelRequest(ctx) // if none gets through, statement_timeout ends the statement
		until := time.Now().Add(wait)
		if end, ok := ctx.Deadline(); ok && end.Before(until) {
			until = end
		}
		_ = c.pg.Conn().SetReadDeadline(until)
		for c.unanswered > 0 && ctx.Err() == nil {
			_, err := c.receive()
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil && reportedBy(err) == nil {
				return true
			}
		}
	}
	return c.unanswered == 0
}
