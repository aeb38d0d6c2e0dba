package pgtool

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/mcpsec/mcpsec-go/internal/sqlcatalog"
	"github.com/mcpsec/mcpsec-go/internal/sqledit"
)

// The states of a session that a server reports when it is ready.
const (
	idleStatus   = 'I'
	openStatus   = 'T' // in a transaction
	failedStatus = 'E' // in one that has failed
)

// A query is one statement, its arguments in the text format, and its caps.
type query struct {
	sql      string
	own      bool // it is a constant of ours, not a caller's text
	anyone   bool // it shows no data, or nobody calls: no tenant
	primary  bool // a replica cannot answer it
	tenant   *binding
	spoils   bool     // it may leave something in the session that DISCARD ALL does not
	analyze  bool     // it may be EXPLAIN ANALYZE
	before   string   // a statement of ours that goes before it, and returns one row
	with     [][]byte // the arguments of before
	guard    [][]byte // arguments of sqlcatalog.GuardSQL, which goes before it
	offset   int      // how many characters of given are ours, before the caller's
	given    string   // sql before the edits
	edits    sqledit.Edits
	runs     string // what is run of sql, if it is a query or EXPLAIN ANALYZE of one
	spills   bool   // it could fill the disk
	sorts    bool   // its aggregates could sort
	args     [][]byte
	maxRows  int
	maxBytes int
	analysis *analysis // not nil: sql is analysed and not run
}

// A result is what a query returned: the rows lie one after the other in data,
// each value after its length, as on the wire. They are copied and not handed
// on while they come, so that no transaction waits for who uses them.
type result struct {
	fields []field
	data   []byte
	rows   int
	more   bool // rows were left out
}

type field struct {
	name string
	oid  uint32
}

// errProtocol means that the connection is not in the state it has to be in.
var errProtocol = errors.New("unexpected answer of the server")

// send writes the whole life of a transaction in one go. There are two points
// of synchronisation: what follows an error is skipped up to the next one, and
// ROLLBACK must not be. Every statement goes by the extended protocol, where
// the server takes no second one, and has no name, so that it is gone with the
// next.
func (c *conn) send(q *query) error {
	c.sendHead(q)
	fe := c.pg.Frontend()
	if q.analysis != nil {
		c.sendStatement(treeSettings, nil)
		c.sendExecute(0)
		fe.SendParse(&pgproto3.Parse{Query: q.sql})
	} else {
		c.sendStatement(q.sql, q.args)
		fe.SendDescribe(&pgproto3.Describe{ObjectType: 'P'})
		c.sendExecute(uint32(q.maxRows) + 1) // the one too many tells that there are more
		c.sendStillBound(q.tenant)
	}
	c.sync()
	c.sendStatement("ROLLBACK", nil)
	c.sendExecute(0)
	c.sendReset()
	if err := fe.Flush(); err != nil {
		return fmt.Errorf("sending the statement: %w", err)
	}
	return nil
}

// sendHead writes what goes before the statement of a transaction.
func (c *conn) sendHead(q *query) {
	if q.own {
		c.sendBegin("READ ONLY", c.ownPrologue)
	} else {
		c.sendBegin("READ ONLY", c.prologue)
	}
	c.sendBinding(q.tenant)
	if q.before != "" {
		c.sendStatement(q.before, q.with)
		c.sendExecute(0)
	}
	if q.guard != nil {
		c.sendStatement(sqlcatalog.GuardSQL, q.guard)
		c.sendExecute(0)
	}
}

// head reads the answers to sendHead.
func (c *conn) head(q *query) error {
	err := c.begun()
	if err == nil {
		err = c.bound(q.tenant)
	}
	if err == nil && q.before != "" {
		err = c.done("SELECT 1")
	}
	if err == nil && q.guard != nil {
		if err = c.done("SELECT 0"); err == errProtocol {
			err = errStale // it found a row
		}
	}
	return err
}

// sendStatement leaves the types of the arguments to the server.
func (c *conn) sendStatement(sql string, args [][]byte) {
	fe := c.pg.Frontend()
	fe.SendParse(&pgproto3.Parse{Query: sql})
	fe.SendBind(&pgproto3.Bind{Parameters: args})
}

func (c *conn) sendExecute(maxRows uint32) {
	c.pg.Frontend().SendExecute(&pgproto3.Execute{MaxRows: maxRows})
}

// sync writes a point of synchronisation.
func (c *conn) sync() {
	c.pg.Frontend().SendSync(&pgproto3.Sync{})
	c.unanswered++
}

// receive returns the next message that answers something. An error report of
// the server becomes a *pgconn.PgError.
func (c *conn) receive() (pgproto3.BackendMessage, error) {
	for {
		m, err := c.pg.Frontend().Receive()
		if err != nil {
			return nil, fmt.Errorf("reading from the server: %w", err)
		}
		switch m := m.(type) {
		case *pgproto3.NoticeResponse:
			if c.notice != nil {
				c.notice(m)
			}
		case *pgproto3.ParameterStatus, *pgproto3.NotificationResponse:
		case *pgproto3.ErrorResponse:
			return nil, pgconn.ErrorResponseToPgError(m)
		case *pgproto3.ReadyForQuery:
			c.unanswered--
			return m, nil
		default:
			return m, nil
		}
	}
}

// done reads the answer to a statement of ours, up to its tag.
func (c *conn) done(tag string) error {
	_, err := c.answer(tag, false)
	return err
}

// row is done for a statement of one row, which it returns.
func (c *conn) row(tag string) (values [][]byte, err error) { return c.answer(tag, true) }

func (c *conn) answer(tag string, keep bool) (values [][]byte, err error) {
	for {
		m, err := c.receive()
		if err != nil {
			return nil, err
		}
		switch m := m.(type) {
		case *pgproto3.ParseComplete, *pgproto3.BindComplete:
		case *pgproto3.DataRow:
			if !keep {
				continue
			}
			values = make([][]byte, len(m.Values))
			for i, v := range m.Values {
				values[i] = bytes.Clone(v)
			}
		case *pgproto3.CommandComplete:
			if string(m.CommandTag) != tag {
				return nil, errProtocol
			}
			return values, nil
		default:
			return nil, errProtocol
		}
	}
}

// ready reads to the next point of synchronisation and returns the state there.
// It drops what the caller did not want to read.
func (c *conn) ready() (status byte, err error) {
	for {
		m, err := c.receive()
		if err != nil {
			return 0, err
		}
		if m, ok := m.(*pgproto3.ReadyForQuery); ok {
			return m.TxStatus, nil
		}
	}
}

// run sends a query and reads its result. An error that is a *pgconn.PgError
// leaves the connection to settle; after any other it has to be killed.
func (c *conn) run(q *query) (*result, error) {
	if err := c.send(q); err != nil {
		return nil, err
	}
	r := &result{}
	err := c.head(q)
	if err == nil && q.analysis != nil {
		return r, c.analyse(q.analysis)
	}
	if err == nil {
		err = c.read(q, r)
	}
	if err == nil {
		err = c.stillBound(q.tenant)
	}
	return r, err
}

// analyse reads what the server makes of a statement that is not run.
func (c *conn) analyse(a *analysis) error {
	if err := c.done("SELECT 1"); err != nil {
		return err
	}
	c.notice = a.add
	defer func() { c.notice = nil }()
	m, err := c.receive()
	if err != nil {
		return err
	}
	if _, ok := m.(*pgproto3.ParseComplete); !ok {
		return errProtocol
	}
	return nil
}

// read reads the answer to the caller's statement into r, as far as the caps
// allow.
func (c *conn) read(q *query, r *result) error {
	for {
		m, err := c.receive()
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *pgproto3.ParseComplete, *pgproto3.BindComplete, *pgproto3.NoData:
		case *pgproto3.RowDescription:
			r.fields = fields(m)
		case *pgproto3.DataRow:
			if len(m.Values) != len(r.fields) {
				return errProtocol
			}
			if r.more = r.more || !r.add(m.Values, q); r.more && q.tenant == nil {
				return nil // settle deals with the rest
			}
		case *pgproto3.CommandComplete, *pgproto3.PortalSuspended, *pgproto3.EmptyQueryResponse:
			return nil
		default:
			return errProtocol
		}
	}
}

func fields(m *pgproto3.RowDescription) []field {
	out := make([]field, len(m.Fields))
	for i, f := range m.Fields {
		out[i] = field{string(f.Name), f.DataTypeOID}
	}
	return out
}

// add copies a row, unless it is over a cap.
func (r *result) add(values [][]byte, q *query) bool {
	size := 0
	for _, v := range values {
		size += 4 + len(v)
	}
	if r.rows == q.maxRows || len(r.data)+size > q.maxBytes {
		return false
	}
	for _, v := range values {
		if v == nil {
			r.data = binary.BigEndian.AppendUint32(r.data, nullLength)
			continue
		}
		r.data = binary.BigEndian.AppendUint32(r.data, uint32(len(v)))
		r.data = append(r.data, v...)
	}
	r.rows++
	return true
}

const nullLength = 1<<32 - 1

// each calls f with the values of every row, until it returns false.
func (r *result) each(f func(values [][]byte) bool) {
	values := make([][]byte, len(r.fields))
	data := r.data
	for range r.rows {
		for i := range values {
			n := binary.BigEndian.Uint32(data)
			data = data[4:]
			if values[i] = nil; n != nullLength {
				values[i], data = data[:n:n], data[n:]
			}
		}
		if !f(values) {
			return
		}
	}
}

// settleLimit is how long the end of a transaction may take. Rows over a cap
// that are not there by then are not worth keeping the connection.
const settleLimit = time.Second

// settle reads the end of a trip, after run, and reports whether the session is
// as new: the transaction was still the one that we began, is gone, and so is
// everything else of the session.
func (c *conn) settle() bool {
	if c.limit(settleLimit) != nil {
		return false
	}
	if status, err := c.ready(); err != nil || status != openStatus && status != failedStatus {
		return false
	}
	return c.done("ROLLBACK") == nil && c.reset()
}

// query runs one query on a connection of the pool, which may be silent for as
// long as limit. The caller gets the result before the connection has settled.
func (p *pool) query(ctx context.Context, q *query, limit time.Duration) (*result, error) {
	c, err := p.get(ctx)
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err == errBusy {
		return nil, err
	}
	if err != nil {
		return nil, &lostError{err}
	}
	if c.shared && q.before != "" && q.before != sortsOnly {
		p.put(c)
		return nil, errShared
	}
	if err := c.limit(limit); err != nil {
		go p.kill(c)
		return nil, &lostError{err}
	}
	stop := context.AfterFunc(ctx, c.interrupt)
	r, err := c.run(q)
	interrupted := !stop()
	var reported *pgconn.PgError
	if alive := err == nil || err == errStale || errors.As(err, &reported) && !fatal(reported); interrupted || !alive {
		go p.kill(c)
		if !interrupted && hungUp(err) {
			p.drop() // after a restart the others are dead too
		}
	} else {
		c.spoilt = c.spoilt || q.spoils
		go p.finish(c)
	}
	switch {
	case err == nil || err == errStale || err == error(errStrayed) || reported != nil:
		return r, err
	case interrupted:
		return nil, context.Cause(ctx)
	}
	return nil, &lostError{err}
}

func (p *pool) finish(c *conn) {
	c.trips++
	switch {
	case !c.settle():
		p.kill(c)
	case c.spoilt || c.trips >= maxTrips:
		p.retire(c)
	default:
		p.put(c)
	}
}

// hungUp reports whether err, of run, means that the server has ended the
// session. Anything else, such as a row over the limit, or a statement that is
// silent for too long, says nothing about other sessions.
func hungUp(err error) bool {
	var reported *pgconn.PgError
	if errors.As(err, &reported) {
		return fatal(reported)
	}
	var network net.Error
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network) && !network.Timeout()
}

// fatal reports whether the server ends the session with this error.
func fatal(e *pgconn.PgError) bool {
	return e.SeverityUnlocalized == "FATAL" || e.SeverityUnlocalized == "PANIC" || e.Severity == "FATAL"
}

// A lostError is about the connection, not about the statement.
type lostError struct{ cause error }

func (e *lostError) Error() string {
	return "the connection to the database failed: " + e.cause.Error()
}
func (e *lostError) Unwrap() error { return e.cause }
