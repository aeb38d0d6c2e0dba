package pgtool

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	commitLimit  = 15 * time.Second // for an answer to COMMIT
	resolveLimit = 5 * time.Second  // to find out what became of one without
)

// finishBy ends the transaction by COMMIT or ROLLBACK, and reports whether it did so.
// It is not interrupted: what becomes of a COMMIT must be known.
func (c *conn) finishBy(tag string) error {
	if err := c.limit(commitLimit); err != nil {
		return err
	}
	c.sendStatement(tag, nil)
	c.sendExecute(0)
	if !c.shared {
		c.sync() // where a pooler would give the session away
	}
	c.sendReset()
	if err := c.pg.Frontend().Flush(); err != nil {
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
	if !c.shared {
		if status, err := c.ready(); err != nil || status != idleStatus {
			return false
		}
	}
	return c.reset()
}

// settleChange gives the connection back after the end of its transaction.
func (p *pool) settleChange(c *conn) {
	c.trips++
	switch {
	case !c.rest():
		p.kill(c)
	case c.spoilt || c.trips >= maxTrips:
		p.retire(c)
	default:
		p.put(c)
	}
}

// A verdict looks at what a change would do, and returns an error to undo it.
type verdict func(*outcome) error

// errUndone makes a change end in ROLLBACK that nothing is wrong with.
var errUndone = errors.New("rolled back")

// transact runs a change and commits it if the verdict is nil. With an error
// nothing has changed, unless it is an *unknownError.
func (w *Writer) transact(ctx context.Context, ch *change, judge verdict) (*outcome, error) {
	tenant, err := w.db.tenant(ctx)
	if err != nil {
		return nil, err
	}
	ch.tenant = tenant
	o, err := w.db.transact(ctx, func(c *conn) (*outcome, error) { return w.runLimited(c, ch) }, judge)
	tenant.hide(reportedBy(err))
	return o, err
}

// transact does what run has done, without the end of its transaction, as Writer's
// does.
func (db *DB) transact(ctx context.Context, run func(*conn) (*outcome, error), judge verdict) (*outcome, error) {
	p := db.pool
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
	o, err := run(c)
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
		err = db.judged(c, judge, o)
	}
	if err != nil {
		if c.finishBy("ROLLBACK") != nil {
			go p.kill(c)
		} else {
			go p.settleChange(c)
		}
		return o, err
	}
	return o, db.commit(ctx, c, o)
}

// judged asks for a verdict. If that panics, as types of the operator's may, the
// connection must not be lost to the pool.
func (db *DB) judged(c *conn, judge verdict, o *outcome) error {
	panicked := true
	defer func() {
		if panicked {
			go db.pool.kill(c)
		}
	}()
	err := judge(o)
	panicked = false
	return err
}

func lost(err error) error {
	if reportedBy(err) != nil || err == error(errStrayed) {
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
	if ch.rows != nil {
		return c.runRows(ch)
	}
	return c.runChange(ch, &query{maxRows: w.o.MaxRows, maxBytes: w.o.MaxBytes}, w.most(ch))
}

// commit commits, and finds out what became of it if the answer does not come.
func (db *DB) commit(ctx context.Context, c *conn, o *outcome) error {
	err := c.finishBy("COMMIT")
	reported := reportedBy(err)
	if reported != nil {
		reported.Position = 0 // in a trigger
	}
	switch {
	case err == nil, reported != nil && !fatal(reported): // a refused COMMIT is a ROLLBACK
		go db.pool.settleChange(c)
		return err
	}
	go db.pool.kill(c)
	db.pool.drop()
	return db.resolve(ctx, o, err)
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
func (db *DB) resolve(ctx context.Context, o *outcome, cause error) error {
	if o.xid == "" {
		return nil // it had nothing to commit
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resolveLimit)
	defer cancel()
	for pause := 20 * time.Millisecond; ; pause *= 2 {
		switch status, same := db.status(ctx, o); {
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
func (db *DB) status(ctx context.Context, o *outcome) (status string, same bool) {
	r, err := db.query(ctx, &query{sql: statusSQL, own: true, anyone: true, args: [][]byte{[]byte(o.xid)}, maxRows: 1, maxBytes: 4 << 10})
	if err != nil {
		return "", false
	}
	r.each(func(v [][]byte) bool {
		status, same = string(v[0]), o.epoch != "" && string(v[1]) == o.epoch
		return true
	})
	return status, same
}
