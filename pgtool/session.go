package pgtool

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mcpsec/mcpsec-go/internal/sqlcatalog"
	"github.com/mcpsec/mcpsec-go/internal/sqltree"
)

// oldest is the oldest server that is supported by its makers.
const oldest = 14

// A setting is a parameter of the session and the first version that has it.
type setting struct {
	name, value string
	since       int
}

// limits bound what a statement can do. They are start values of the session, to
// which ROLLBACK and DISCARD ALL return. What the version of the server must be
// known for, and in a session that others share all of them, each transaction sets.
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
		{"hash_mem_multiplier", "1", 0},             // what is hashed takes work_mem as well
		{"max_parallel_workers_per_gather", "0", 0}, // a portal that is read in part has none in any case
		{"geqo_effort", "1", 0},                     // planning dozens of joins does not look for a cancel
		{"row_security", "on", 0},                   // policies filter; off would raise an error instead
		{sqlcatalog.HeldSetting, "0", 0},
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
	{"default_transaction_isolation", "read committed", 0},
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
	o.hashKey(c.RuntimeParams)
	// A row that is larger than all that may be returned, to a caller or to our
	// own tools, need not be read.
	c.MaxProtocolMessageBodyLen = max(2*o.MaxBytes, maxCatalog) + 256<<10
	if o.ServerCheck {
		c.MaxProtocolMessageBodyLen = max(c.MaxProtocolMessageBodyLen, sqltree.MaxBytes)
	}
}

// A sessionError has a text that may be shown to the operator.
type sessionError struct{ text string }

func (e *sessionError) Error() string { return e.text }

// checkServer refuses a server that is too old, or whose texts are not text.
func checkServer(c *conn) error {
	if v := c.version(); v < oldest {
		return &sessionError{fmt.Sprintf("the server has version %d, which is older than %d", v, oldest)}
	}
	if c.pg.ParameterStatus("server_encoding") == "SQL_ASCII" {
		return &sessionError{"the database has the encoding SQL_ASCII, where the server does not check that text is text; a database with UTF8, or another real encoding, is needed"}
	}
	return nil
}

// tookSettings reports whether the session has those start values which the server
// tells, and which the reading of SQL and of values depends on.
func tookSettings(c *conn) bool {
	for name, want := range map[string]string{
		"client_encoding": "UTF8", "standard_conforming_strings": "on", "TimeZone": "UTC", "IntervalStyle": "iso_8601",
	} {
		if c.pg.ParameterStatus(name) != want {
			return false
		}
	}
	return true
}

// unstarted returns the settings that are no start values, as not every version has
// them.
func unstarted(limits []setting) []setting {
	return slices.DeleteFunc(slices.Clone(limits), func(s setting) bool { return s.since == 0 })
}

// prologue returns the statement that sets the limits for one transaction, or "" if
// there are none. It is read in a session that others may have changed.
func prologue(limits []setting, version int) string {
	sql, sep := "", "SELECT "
	for _, s := range limits {
		if s.since <= version {
			sql += sep + "pg_catalog.set_config(" + quoteText(s.name) + ", " + quoteText(s.value) + ", true)"
			sep = ", "
		}
	}
	return sql
}
