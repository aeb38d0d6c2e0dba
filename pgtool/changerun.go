package pgtool

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
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
	tenant   string   // the mark of whose data it is
	effects  *effects // of statements that define things
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
func (o *outcome) digest() string { return strconv.Itoa(o.affected) + " " + o.does() + " " + o.tenant }

func reportedBy(err error) *pgconn.PgError {
	var reported *pgconn.PgError
	errors.As(err, &reported)
	return reported
}

// deferredSQL makes constraints and triggers that wait for COMMIT run before it:
// what they do is counted, their errors come while all can be undone, and
// statement_timeout holds for them, as it does not in COMMIT.
const deferredSQL = "SET CONSTRAINTS ALL IMMEDIATE"

// sendChange writes the first part of a transaction, which ends when its outcome
// is known and nothing is committed.
func (c *conn) sendChange(ch *change, most int) error {
	c.sendBegin("READ WRITE", c.prologue)
	c.sendStatement(countsSQL, nil)
	c.sendExecute(0)
	c.sendBinding(ch.tenant)
	c.sendStatement(ch.sql, ch.args)
	c.pg.Frontend().SendDescribe(&pgproto3.Describe{ObjectType: 'P'})
	if ch.returning {
		c.sendExecute(uint32(most) + 1) // the statement has run as a whole before the first row
	} else {
		c.sendExecute(0)
	}
	c.sendStatement(deferredSQL, nil)
	c.sendExecute(0)
	c.sendStillBound(ch.tenant)
	c.sendStatement(countsSQL, nil)
	c.sendExecute(0)
	c.sync()
	if err := c.pg.Frontend().Flush(); err != nil {
		return fmt.Errorf("sending the statement: %w", err)
	}
	return nil
}

// runChange does all but the end of the transaction. As with run, an error that is
// a *pgconn.PgError leaves the connection in a failed transaction.
func (c *conn) runChange(ch *change, q *query, most int) (*outcome, error) {
	c.spoilt = c.spoilt || ch.spoils
	if err := c.sendChange(ch, most); err != nil {
		return nil, err
	}
	o, err := c.readChange(ch, q, most)
	if reported := reportedBy(err); reported != nil && !ch.written {
		reported.Position = 0 // in a statement that the model has not seen
	} else if reported != nil && reported.Position > 0 {
		reported.Position = int32(ch.edits.Origin(ch.given, int(reported.Position)))
	}
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

func (c *conn) readChange(ch *change, q *query, most int) (*outcome, error) {
	o, before := &outcome{}, &outcome{}
	if err := c.begun(); err != nil {
		return nil, err
	}
	if err := c.readCounts(before); err != nil {
		return nil, err
	}
	if err := c.bound(ch.tenant); err != nil {
		return nil, err
	}
	if err := c.readAffected(o, q, most); err != nil {
		return nil, err
	}
	if err := c.done("SET CONSTRAINTS"); err != nil {
		return nil, err
	}
	if err := c.stillBound(ch.tenant); err != nil {
		return nil, err
	}
	if err := c.readCounts(o); err != nil {
		return nil, err
	}
	o.subtract(before.tables)
	if ch.tenant != nil {
		o.tenant = ch.tenant.mark
	}
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
