package pgtool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// counts are the rows of one table that a transaction has touched, whether by the
// statement or by a trigger or a cascade of it.
type counts struct {
	Table    string `json:"table"`
	Inserted int    `json:"inserted"`
	Updated  int    `json:"updated"`
	Deleted  int    `json:"deleted"`
}

func (c counts) sum() int { return c.Inserted + c.Updated + c.Deleted }

// countsSQL asks for the counts of this transaction, and of those before whose
// numbers the server has not yet put away: what counts is the difference. It also
// asks what names the transaction, and the server process that it is in: a number
// of a transaction that was lost in a crash is given out again.
const countsSQL = `
SELECT coalesce((SELECT json_agg(json_build_object('table', schemaname || '.' || relname,
		'inserted', n_tup_ins, 'updated', n_tup_upd, 'deleted', n_tup_del) ORDER BY schemaname, relname)
	FROM pg_stat_xact_user_tables WHERE n_tup_ins + n_tup_upd + n_tup_del > 0), '[]'),
	pg_current_xact_id_if_assigned()::text, ` + epochSQL

const epochSQL = `pg_postmaster_start_time()::text || (SELECT string_agg(pid::text, ' ' ORDER BY pid)
	FROM pg_stat_activity WHERE datid IS NULL AND usesysid IS NULL)`

// An outcome is what a change did, or would do.
type outcome struct {
	result
	affected int
	tables   []counts
	xid      string // empty if the transaction has written nothing
	epoch    string
}

// alone reports whether the change touched only what its own count says.
func (o *outcome) alone(c *change) bool {
	return len(o.tables) == 0 || len(o.tables) == 1 && o.tables[0].Table == c.table && o.tables[0].sum() == o.affected && !strings.HasPrefix(c.verb, "inserts or")
}

// does tells the counts in one line.
func (o *outcome) does() string {
	parts := []string{}
	for _, t := range o.tables {
		var n []string
		for _, p := range []struct {
			n    int
			what string
		}{{t.Inserted, " inserted"}, {t.Updated, " updated"}, {t.Deleted, " deleted"}} {
			if p.n > 0 {
				n = append(n, strconv.Itoa(p.n)+p.what)
			}
		}
		parts = append(parts, t.Table+" "+strings.Join(n, ", "))
	}
	return strings.Join(parts, "; ")
}

// digest is what must be the same when a person has said yes.
func (o *outcome) digest() string { return strconv.Itoa(o.affected) + " " + o.does() }

func reportedBy(err error) *pgconn.PgError {
	var reported *pgconn.PgError
	errors.As(err, &reported)
	return reported
}

const (
	commitLimit  = 15 * time.Second // for an answer to COMMIT
	resolveLimit = 5 * time.Second  // to find out what became of one without
)

// deferredSQL makes constraints and triggers that wait for COMMIT run before it:
// what they do is counted, their errors come while all can be undone, and
// statement_timeout holds for them, as it does not in COMMIT.
const deferredSQL = "SET CONSTRAINTS ALL IMMEDIATE"

// sendChange writes the first part of a transaction, which ends when its outcome
// is known and nothing is committed.
func (c *conn) sendChange(ch *change, most int) error {
	for _, sql := range []string{"BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE", c.prologue, countsSQL} {
		c.sendStatement(sql, nil)
		c.sendExecute(0)
	}
	c.sendStatement(ch.sql, ch.args)
	c.pg.Frontend().SendDescribe(&pgproto3.Describe{ObjectType: 'P'})
	if ch.returning {
		c.sendExecute(uint32(most) + 1) // the statement has run as a whole before the first row
	} else {
		c.sendExecute(0)
	}
	for _, sql := range []string{deferredSQL, countsSQL} {
		c.sendStatement(sql, nil)
		c.sendExecute(0)
	}
	fe := c.pg.Frontend()
	fe.SendSync(&pgproto3.Sync{})
	if err := fe.Flush(); err != nil {
		return fmt.Errorf("sending the statement: %w", err)
	}
	return nil
}

// runChange does all but the end of the transaction. As with run, an error that is
// a *pgconn.PgError leaves the connection in a failed transaction.
func (c *conn) runChange(ch *change, q *query, most int) (*outcome, error) {
	if err := c.sendChange(ch, most); err != nil {
		return nil, err
	}
	o, err := c.readChange(q, most)
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

func (c *conn) readChange(q *query, most int) (*outcome, error) {
	o, before := &outcome{}, &outcome{}
	if err := c.done("BEGIN"); err != nil {
		return nil, err
	}
	if err := c.done("SELECT 1"); err != nil {
		return nil, err
	}
	if err := c.readCounts(before); err != nil {
		return nil, err
	}
	if err := c.readAffected(o, q, most); err != nil {
		return nil, err
	}
	if err := c.done("SET CONSTRAINTS"); err != nil {
		return nil, err
	}
	if err := c.readCounts(o); err != nil {
		return nil, err
	}
	o.subtract(before.tables)
	return o, nil
}

// subtract takes away what was counted before.
func (o *outcome) subtract(before []counts) {
	for i := range o.tables {
		for _, b := range before {
			if t := &o.tables[i]; b.Table == t.Table {
				t.Inserted, t.Updated, t.Deleted = t.Inserted-b.Inserted, t.Updated-b.Updated, t.Deleted-b.Deleted
			}
		}
	}
	o.tables = slices.DeleteFunc(o.tables, func(t counts) bool { return t.sum() == 0 })
}

func (c *conn) readCounts(o *outcome) error {
	for {
		m, err := c.receive()
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *pgproto3.ParseComplete, *pgproto3.BindComplete:
		case *pgproto3.DataRow:
			if len(m.Values) != 3 || json.Unmarshal(m.Values[0], &o.tables) != nil {
				return errProtocol
			}
			o.xid, o.epoch = string(m.Values[1]), string(m.Values[2])
		case *pgproto3.CommandComplete:
			return nil
		default:
			return errProtocol
		}
	}
}

// readAffected reads the answer to the change: the rows that it returns, as far as
// the caps allow, and how many there were.
func (c *conn) readAffected(o *outcome, q *query, most int) error {
	for {
		m, err := c.receive()
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *pgproto3.ParseComplete, *pgproto3.BindComplete, *pgproto3.NoData:
		case *pgproto3.RowDescription:
			o.fields = fields(m)
		case *pgproto3.DataRow:
			if len(m.Values) != len(o.fields) {
				return errProtocol
			}
			o.more = o.more || !o.add(m.Values, q)
		case *pgproto3.PortalSuspended:
			o.affected = most + 1
			return nil
		case *pgproto3.CommandComplete:
			tag := string(m.CommandTag) // such as UPDATE 3 and INSERT 0 3
			o.affected, err = strconv.Atoi(tag[strings.LastIndexByte(tag, ' ')+1:])
			if err != nil {
				return errProtocol
			}
			return nil
		default:
			return errProtocol
		}
	}
}

// finishBy ends the transaction by COMMIT or ROLLBACK, and reports whether it did so.
// It is not interrupted: what becomes of a COMMIT must be known.
func (c *conn) finishBy(tag string) error {
	if err := c.limit(commitLimit); err != nil {
		return err
	}
	c.sendStatement(tag, nil)
	c.sendExecute(0)
	fe := c.pg.Frontend()
	fe.SendSync(&pgproto3.Sync{})
	c.sendStatement("DISCARD ALL", nil)
	c.sendExecute(0)
	fe.SendSync(&pgproto3.Sync{})
	if err := fe.Flush(); err != nil {
		return fmt.Errorf("ending the transaction: %w", err)
	}
	return c.done(tag)
}

// rest reads what follows the end of the transaction, and reports whether the
// session is as new.
func (c *conn) rest() bool {
	if c.limit(settleLimit) != nil {
		return false
	}
	if status, err := c.ready(); err != nil || status != idleStatus {
		return false
	}
	if c.done("DISCARD ALL") != nil {
		return false
	}
	status, err := c.ready()
	return err == nil && status == idleStatus && c.limit(0) == nil
}

// settleChange gives the connection back after the end of its transaction.
func (p *pool) settleChange(c *conn) {
	c.trips++
	switch {
	case !c.rest():
		p.kill(c)
	case c.trips >= maxTrips:
		p.retire(c)
	default:
		p.put(c)
	}
}

// A verdict looks at what a change would do, and returns an error to undo it.
type verdict func(*outcome) error

// errUndone makes a change end in ROLLBACK that nothing is wrong with.
var errUndone = errors.New("rolled back")

// transact runs a change and commits it if the verdict is nil. Only if the error
// is errUnknown may something have changed.
func (w *Writer) transact(ctx context.Context, ch *change, judge verdict) (*outcome, error) {
	p := w.db.pool
	c, err := p.get(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err == errBusy:
		return nil, err
	case err != nil:
		return nil, &lostError{err}
	}
	stop := context.AfterFunc(ctx, c.interrupt)
	o, err := w.runLimited(c, ch)
	if !stop() { // the end of ctx may have cut off any message
		go p.kill(c)
		return nil, context.Cause(ctx)
	}
	reported := reportedBy(err)
	if err != nil && (reported == nil || fatal(reported)) {
		go p.kill(c)
		if hungUp(err) {
			p.drop()
		}
		return nil, lost(err)
	}
	if err == nil {
		err = judge(o)
	}
	if err != nil {
		if c.finishBy("ROLLBACK") != nil {
			go p.kill(c)
		} else {
			go p.settleChange(c)
		}
		return o, err
	}
	return o, w.commit(ctx, c, o)
}

func lost(err error) error {
	if reportedBy(err) != nil {
		return err
	}
	return &lostError{err}
}

// runLimit is how long a change may take up to COMMIT: for the statement and for
// what it has deferred, the server has limits of its own.
func (w *Writer) runLimit() time.Duration { return 2*w.o.Timeout + grace + time.Second }

func (w *Writer) runLimited(c *conn, ch *change) (*outcome, error) {
	if err := c.limit(w.runLimit()); err != nil {
		return nil, err
	}
	return c.runChange(ch, &query{maxRows: w.o.MaxRows, maxBytes: w.o.MaxBytes}, w.o.MaxAffected)
}

// commit commits, and finds out what became of it if the answer does not come.
func (w *Writer) commit(ctx context.Context, c *conn, o *outcome) error {
	err := c.finishBy("COMMIT")
	reported := reportedBy(err)
	switch {
	case err == nil, reported != nil && !fatal(reported): // a refused COMMIT is a ROLLBACK
		go w.db.pool.settleChange(c)
		return err
	}
	go w.db.pool.kill(c)
	w.db.pool.drop()
	return w.resolve(ctx, o, err)
}

// An unknownError says that nobody knows whether a change took effect.
type unknownError struct{ cause error }

func (e *unknownError) Error() string {
	return "the outcome of COMMIT is not known: " + e.cause.Error()
}
func (e *unknownError) Unwrap() error { return e.cause }

// statusSQL asks what became of a transaction.
const statusSQL = `SELECT pg_xact_status($1::text::xid8), ` + epochSQL

// resolve asks the server, on another connection, what became of a COMMIT. Its
// word counts only if it is the same server process without a crash between: a
// number that was lost in one is given out again. Aborted is aborted all the
// same, for then the number was not committed by anybody.
func (w *Writer) resolve(ctx context.Context, o *outcome, cause error) error {
	if o.xid == "" {
		return nil // it had nothing to commit
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resolveLimit)
	defer cancel()
	for pause := 20 * time.Millisecond; ; pause *= 2 {
		switch status, same := w.status(ctx, o); {
		case status == "aborted":
			return &lostError{cause}
		case status == "committed" && same:
			return nil
		case status == "committed":
			return &unknownError{cause}
		}
		select {
		case <-ctx.Done():
			return &unknownError{cause}
		case <-time.After(pause):
		}
	}
}

// status returns the state of the transaction, or "" if it cannot be had now.
func (w *Writer) status(ctx context.Context, o *outcome) (status string, same bool) {
	r, err := w.db.query(ctx, &query{sql: statusSQL, own: true, args: [][]byte{[]byte(o.xid)}, maxRows: 1, maxBytes: 4 << 10})
	if err != nil {
		return "", false
	}
	r.each(func(v [][]byte) bool {
		status, same = string(v[0]), o.epoch != "" && string(v[1]) == o.epoch
		return true
	})
	return status, same
}

// changeError is modelError for a change, which says what became of the data.
func changeError(ctx context.Context, err error) error {
	var unknown *unknownError
	var model *mcpsec.Error
	if errors.As(err, &unknown) {
		return &mcpsec.Error{Message: "the connection was lost while the change was made final, and whether it took effect is not known: read the rows before you do anything else", Err: unknown.cause}
	}
	if reported := reportedBy(err); reported != nil {
		copied := *reported
		copied.Position = 0 // in a statement that the model has not seen
		text := stateText(&copied)
		if own := changeStates[reported.Code]; own != "" {
			text = own + " (SQLSTATE " + reported.Code + ")"
		}
		return &mcpsec.Error{Message: text + unchanged, Err: errors.New(logText(reported))}
	}
	if err = modelError(err); errors.As(err, &model) {
		return &mcpsec.Error{Message: model.Message + unchanged, Rule: model.Rule, Err: model.Err}
	}
	if ctx.Err() != nil { // the pipeline would say that nobody knows
		return &mcpsec.Error{Message: "the call was ended before the change was made final" + unchanged, Err: err}
	}
	return err
}

const unchanged = "; nothing was changed"

// changeStates are texts for errors that mean something else, or more, when a row
// is written.
var changeStates = map[string]string{
	"22001": "a value is too long for its column",
	"22P02": "a value cannot be read as the type of its column",
	"23502": "a column needs a value",
	"23503": "a row that this one refers to does not exist, or others refer to this one",
	"23505": "there is a row with the same key, or other value that must be unique",
	"23514": "a value breaks a rule of the table",
	"23P01": "a row is in conflict with another one",
	"25006": "the database takes no changes now",
	"428C9": "a column gets its value from the database and takes no other",
	"42501": "permission denied, or a row that row security does not allow",
	"42883": "the type of a column has no such operator",
	"21000": "two of the rows have the same key",
	"44000": "a value breaks a rule of the table",
	"P0001": "the table refuses the change",
}
