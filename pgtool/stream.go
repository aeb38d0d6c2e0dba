package pgtool

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A sink takes the rows of a statement one by one, while they come. The values are
// valid until row returns. After its first error it gets no more.
type sink interface {
	begin(fields []field) error
	row(values [][]byte) error
	pause() // between two slices
}

// slice is how many rows are asked for at a time. Between slices the server waits
// in the transaction, as long as its limits on that allow.
const slice = 500

var errLong = &mcpsec.Error{Message: "the export took longer than allowed; ask for less"}

// stream runs one query for the caller, on the server that it is for, and, if that one
// has not answered, once more on another.
func (db *DB) stream(ctx context.Context, q *query, s sink) (err error) {
	if err := db.bind(ctx, q); err != nil {
		return err
	}
	if db.replicas == nil {
		err = db.pool.stream(ctx, q, s, db.o.Timeout)
	} else {
		servers := db.replicas.order(q)
		o := &opened{sink: s}
		if err = servers[0].pool.stream(ctx, q, o, db.o.Timeout); len(servers) > 1 && ctx.Err() == nil && !o.begun && servers[0].failed(err) {
			err = servers[1].pool.stream(ctx, q, s, db.o.Timeout)
		}
	}
	if err == errStale {
		db.gate.stale.Store(true)
	}
	q.tenant.hide(reportedBy(err))
	return err
}

// opened is a sink that knows whether it has been given anything.
type opened struct {
	sink
	begun bool
}

func (o *opened) begin(fields []field) error {
	o.begun = true
	return o.sink.begin(fields)
}

// stream runs one query and hands its rows on without keeping them. All that holds
// for query holds here, and the whole may take as long as a statement.
func (p *pool) stream(ctx context.Context, q *query, s sink, timeout time.Duration) error {
	c, err := p.get(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err == errBusy:
		return err
	case err != nil:
		return &lostError{err}
	}
	limit := timeout + grace
	if c.shared && q.before != "" && q.before != sortsOnly {
		p.put(c)
		return errShared
	}
	if err := c.limit(limit); err != nil {
		go p.kill(c)
		return &lostError{err}
	}
	// Who takes the rows may hang, in a disk or a client: the server must not wait.
	hung := time.AfterFunc(limit+time.Second, func() { _ = c.pg.Conn().Close() })
	stop := context.AfterFunc(ctx, c.interrupt)
	err, taken := c.stream(q, s, time.Now().Add(timeout))
	if !stop() {
		hung.Stop()
		go p.kill(c)
		return context.Cause(ctx)
	}
	hung.Stop()
	if err == errStale || err == error(errStrayed) {
		go p.kill(c)
		return err
	}
	if reported := reportedBy(err); err != nil && (reported == nil || fatal(reported)) {
		go p.kill(c)
		if hungUp(err) {
			p.drop()
		}
		return lost(err)
	}
	c.spoilt = c.spoilt || q.spoils
	if c.finishBy("ROLLBACK") != nil {
		go p.kill(c)
	} else {
		go p.settleChange(c)
	}
	if err != nil {
		return err
	}
	return taken
}

// stream does all but the end of the transaction. An error that is not a
// *pgconn.PgError is of the connection; taken is that of the sink.
func (c *conn) stream(q *query, s sink, until time.Time) (err, taken error) {
	fields, err := c.openPortal(q)
	if err != nil {
		return err, nil
	}
	if taken = s.begin(fields); taken != nil {
		return nil, taken
	}
	for left := q.maxRows + 1; left > 0; left -= slice { // the one too many tells that there are more
		more, err, taken := c.fetch(s, len(fields), min(left, slice))
		switch {
		case err == nil && taken == nil && !more:
			return c.stillStreaming(q.tenant), nil
		case err != nil || taken != nil:
			return err, taken
		case time.Now().After(until):
			return nil, errLong
		}
		s.pause()
	}
	return nil, &mcpsec.Error{Message: fmt.Sprintf("the export has more than %d rows: ask for less", q.maxRows), Rule: "rows"}
}

// stillStreaming looks whether the transaction is still that of the tenant.
func (c *conn) stillStreaming(b *binding) error {
	if b == nil {
		return nil
	}
	c.sendStillBound(b)
	c.sync()
	if err := c.pg.Frontend().Flush(); err != nil {
		return fmt.Errorf("asking for the tenant: %w", err)
	}
	return c.still(c.stillBound(b))
}

// openPortal begins the transaction and binds the statement in it.
func (c *conn) openPortal(q *query) ([]field, error) {
	c.sendHead(q)
	c.sendStatement(q.sql, q.args)
	fe := c.pg.Frontend()
	fe.SendDescribe(&pgproto3.Describe{ObjectType: 'P'})
	c.sync()
	if err := fe.Flush(); err != nil {
		return nil, fmt.Errorf("sending the statement: %w", err)
	}
	var fields []field
	err := c.head(q)
	if err == nil {
		fields, err = c.described()
	}
	return fields, c.still(err)
}

// described reads what columns a portal has.
func (c *conn) described() ([]field, error) {
	for {
		m, err := c.receive()
		if err != nil {
			return nil, err
		}
		switch m := m.(type) {
		case *pgproto3.ParseComplete, *pgproto3.BindComplete:
		case *pgproto3.NoData:
			return nil, nil
		case *pgproto3.RowDescription:
			return fields(m), nil
		default:
			return nil, errProtocol
		}
	}
}

// still reads the end of a part of a transaction, which must be the one that we
// began. err is what came before.
func (c *conn) still(err error) error {
	if err != nil && (reportedBy(err) == nil || fatal(reportedBy(err))) {
		return err
	}
	status, readyErr := c.ready()
	switch {
	case readyErr != nil:
		return readyErr
	case err == nil && status != openStatus || err != nil && status != failedStatus:
		return errProtocol
	}
	return err
}

// fetch reads the next rows of the portal, and reports whether there are more.
func (c *conn) fetch(s sink, columns, n int) (more bool, err, taken error) {
	c.sendExecute(uint32(n))
	c.sync()
	if err := c.pg.Frontend().Flush(); err != nil {
		return false, fmt.Errorf("asking for rows: %w", err), nil
	}
	for end := false; !end && err == nil; {
		var m pgproto3.BackendMessage
		if m, err = c.receive(); err != nil {
			break
		}
		switch m := m.(type) {
		case *pgproto3.DataRow:
			if len(m.Values) != columns {
				return false, errProtocol, nil
			}
			if taken == nil {
				taken = s.row(m.Values)
			}
		case *pgproto3.PortalSuspended:
			more, end = true, true
		case *pgproto3.CommandComplete, *pgproto3.EmptyQueryResponse:
			end = true
		default:
			return false, errProtocol, nil
		}
	}
	return more, c.still(err), taken
}
