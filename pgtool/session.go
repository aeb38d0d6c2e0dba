package pgtool

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// oldest is the oldest server that is supported by its makers.
const oldest = 14

// A setting is a parameter of the session and the first version that has it.
type setting struct {
	name, value string
	since       int
}

// limits bound what a statement can do. They are start values of the session,
// to which DISCARD ALL returns, and each transaction sets them again, so that
// neither depends on the other.
func (o Options) limits(searchPath string) []setting {
	ms := strconv.FormatInt(o.Timeout.Milliseconds(), 10)
	later := strconv.FormatInt((o.Timeout + grace).Milliseconds(), 10)
	return []setting{
		{"search_path", searchPath, 0},
		{"statement_timeout", ms, 0},
		{"lock_timeout", strconv.FormatInt(min(o.Timeout, lockLimit).Milliseconds(), 10), 0},
		{"idle_in_transaction_session_timeout", later, 0},
		{"transaction_timeout", later, 17},
		{"work_mem", "16MB", 0},
		{"max_parallel_workers_per_gather", "0", 0}, // a portal that is read in part has none in any case
		{"geqo_effort", "1", 0},                     // planning dozens of joins does not look for a cancel
		{"row_security", "on", 0},                   // policies filter; off would raise an error instead
	}
}

// formats decide how statements and values are read. They are start values of
// the session.
var formats = []setting{
	{"DateStyle", "ISO, YMD", 0},
	{"IntervalStyle", "iso_8601", 0},
	{"TimeZone", "UTC", 0},
	{"extra_float_digits", "1", 0}, // the shortest text that reads back as the same number
	{"bytea_output", "hex", 0},
	{"client_encoding", "UTF8", 0},
	{"standard_conforming_strings", "on", 0},
	{"default_transaction_read_only", "on", 0},
}

const (
	grace     = 5 * time.Second // beyond Options.Timeout, before stronger means
	lockLimit = 2 * time.Second
)

// startup gives a connection its settings from the first moment on.
func (o Options) startup(c *pgconn.Config) {
	name := c.RuntimeParams["application_name"]
	c.RuntimeParams = map[string]string{"application_name": name}
	for _, s := range append(o.limits(o.searchPath()), formats...) {
		if s.since == 0 {
			c.RuntimeParams[s.name] = s.value
		}
	}
	// A row that is larger than all that may be returned, to a caller or to our
	// own tools, need not be read.
	c.MaxProtocolMessageBodyLen = max(2*o.MaxBytes, maxCatalog) + 256<<10
}

// A sessionError has a text that may be shown to the operator.
type sessionError struct{ text string }

func (e *sessionError) Error() string { return e.text }

// checkSession refuses a server, or a pooler before it, that does not take the
// settings that the reading of SQL and of values depends on.
func checkSession(c *conn) error {
	if v := c.version(); v < oldest {
		return &sessionError{fmt.Sprintf("the server has version %d, which is older than %d", v, oldest)}
	}
	for name, want := range map[string]string{
		"client_encoding": "UTF8", "standard_conforming_strings": "on", "TimeZone": "UTC", "IntervalStyle": "iso_8601",
	} {
		if c.pg.ParameterStatus(name) != want {
			return &sessionError{"the server did not take the setting " + name + " of the session; poolers that share sessions are not supported"}
		}
	}
	if c.pg.ParameterStatus("server_encoding") == "SQL_ASCII" {
		return &sessionError{"the database has the encoding SQL_ASCII, where the server does not check that text is text; a database with UTF8, or another real encoding, is needed"}
	}
	return nil
}

// roleSQL asks whether the role has become, since Open looked at it, one that
// can do all: what Open asks for besides is too much for each connection.
const roleSQL = `
SELECT session_user = current_user AND NOT (rolsuper OR rolbypassrls OR rolreplication OR rolcreaterole AND $1 OR rolcreatedb)
FROM pg_roles WHERE rolname = session_user`

// checkRole makes a trip to ask roleSQL.
func (c *conn) checkRole(ctx context.Context, makesRoles bool) error {
	if err := c.limit(roleLimit); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, c.interrupt)
	r, err := c.run(&query{sql: roleSQL, own: true, args: [][]byte{[]byte(strconv.FormatBool(!makesRoles))}, maxRows: 1, maxBytes: 100})
	if err == nil && !c.settle() {
		err = errProtocol
	}
	if !stop() {
		return context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	fit := false
	r.each(func(v [][]byte) bool {
		fit = string(v[0]) == "t"
		return false
	})
	if !fit {
		return &sessionError{"the role can do more than when Open looked at it: it is not the one that logs in, or is a superuser, or has BYPASSRLS, REPLICATION, CREATEROLE or CREATEDB"}
	}
	return nil
}

// roleLimit is how long roleSQL may take.
const roleLimit = 5 * time.Second

// prologue returns the statement that sets the limits for one transaction.
func prologue(limits []setting, version int) string {
	sql, sep := "SELECT ", ""
	for _, s := range limits {
		if s.since <= version {
			sql += sep + "set_config(" + quoteText(s.name) + ", " + quoteText(s.value) + ", true)"
			sep = ", "
		}
	}
	return sql
}
