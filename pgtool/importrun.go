package pgtool

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// A rowError is about one row of an import.
type rowError struct {
	row   int
	cause error
}

func (e *rowError) Error() string { return fmt.Sprintf("row %d: %v", e.row, e.cause) }
func (e *rowError) Unwrap() error { return e.cause }

// A batch of rows is sent before the answers to it are read: it must not be so
// large that both ends write and neither reads.
const (
	batchRows  = 100
	batchBytes = 64 << 10
)

// runRows is runChange for an import: one statement, run with each of the rows.
func (c *conn) runRows(ch *change) (*outcome, error) {
	o, before := &outcome{}, &outcome{}
	if err := c.beginRows(ch, before); err != nil {
		return nil, err
	}
	for done := 0; done < len(ch.rows); {
		n, err := c.sendRows(ch.rows[done:])
		if err == nil {
			err = c.readRows(o, done, n)
		}
		if err != nil {
			return nil, err
		}
		done += n
		ch.told(done)
	}
	if err := c.endRows(ch, o); err != nil {
		return nil, err
	}
	o.subtract(before.tables)
	if ch.tenant != nil {
		o.tenant = ch.tenant.mark
	}
	return o, nil
}

// beginRows begins the transaction and prepares the statement, without a name.
func (c *conn) beginRows(ch *change, before *outcome) error {
	c.sendBegin("READ WRITE", c.prologue)
	c.sendStatement(countsSQL, nil)
	c.sendExecute(0)
	c.sendBinding(ch.tenant)
	fe := c.pg.Frontend()
	fe.SendParse(&pgproto3.Parse{Query: ch.sql})
	if err := c.flushPart(); err != nil {
		return err
	}
	err := c.begun()
	if err == nil {
		err = c.readCounts(before)
	}
	if err == nil {
		err = c.bound(ch.tenant)
	}
	if err == nil {
		var m pgproto3.BackendMessage
		if m, err = c.receive(); err == nil {
			if _, ok := m.(*pgproto3.ParseComplete); !ok {
				return errProtocol
			}
		}
	}
	return c.stillHere(err)
}

func (c *conn) flushPart() error {
	c.sync()
	if err := c.pg.Frontend().Flush(); err != nil {
		return fmt.Errorf("sending rows: %w", err)
	}
	return nil
}

// stillHere is still, of an error whose position is in a statement of ours.
func (c *conn) stillHere(err error) error {
	if reported := reportedBy(err); reported != nil {
		reported.Position = 0
	}
	return c.still(err)
}

// sendRows sends a batch, and returns of how many rows.
func (c *conn) sendRows(rows [][][]byte) (n int, err error) {
	size := 0
	for ; n < len(rows) && n < batchRows && size < batchBytes; n++ {
		c.pg.Frontend().SendBind(&pgproto3.Bind{Parameters: rows[n]})
		c.sendExecute(0)
		for _, v := range rows[n] {
			size += len(v)
		}
	}
	return n, c.flushPart()
}

// readRows reads the answers to a batch of n rows, of which the first has number
// done.
func (c *conn) readRows(o *outcome, done, n int) error {
	var err error
	for i := 0; i < n && err == nil; i++ {
		var affected int
		if affected, err = c.readRow(); reportedBy(err) != nil {
			err = &rowError{done + i + 1, err}
		}
		o.affected += affected
	}
	if errors.Is(err, errProtocol) {
		return err
	}
	return c.stillHere(err)
}

func (c *conn) readRow() (affected int, err error) {
	for {
		m, err := c.receive()
		if err != nil {
			return 0, err
		}
		switch m := m.(type) {
		case *pgproto3.BindComplete:
		case *pgproto3.CommandComplete:
			if affected, err = strconv.Atoi(strings.TrimPrefix(string(m.CommandTag), "INSERT 0 ")); err != nil {
				return 0, errProtocol
			}
			return affected, nil
		default:
			return 0, errProtocol
		}
	}
}

// endRows runs what waits for COMMIT, and counts.
func (c *conn) endRows(ch *change, o *outcome) error {
	c.sendStatement(deferredSQL, nil)
	c.sendExecute(0)
	c.sendStillBound(ch.tenant)
	c.sendStatement(countsSQL, nil)
	c.sendExecute(0)
	if err := c.flushPart(); err != nil {
		return err
	}
	err := c.done("SET CONSTRAINTS")
	if err == nil {
		err = c.stillBound(ch.tenant)
	}
	if err == nil {
		err = c.readCounts(o)
	}
	return c.stillHere(err)
}
