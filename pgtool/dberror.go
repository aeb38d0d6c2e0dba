package pgtool

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/mcpsec/mcpsec-go/internal/sqlcatalog"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// modelError turns an error of a statement into what a model may read: a fixed
// text, a SQLSTATE of PostgreSQL's own and the position in its own text. The
// server's words quote values of rows that a policy or a view hides, so they are
// a cause for the log.
func modelError(err error) error {
	var reported *pgconn.PgError
	var tenant *tenantError
	var lost *lostError
	var large *pgproto3.ExceededMaxBodyLenErr
	switch {
	case errors.As(err, &reported) && heldTooMuch(reported):
		return &mcpsec.Error{Message: heldText, Err: errors.New(logText(reported))}
	case errors.As(err, &tenant):
		return &mcpsec.Error{Message: "not allowed: the database does not accept whose data this call may use", Rule: "tenant", Err: errors.New(tenant.Error())}
	case errors.As(err, &reported):
		return &mcpsec.Error{Message: stateText(reported), Err: errors.New(logText(reported))}
	case errors.Is(err, errClosed):
		return &mcpsec.Error{Message: "the database connection is closed", Err: err}
	case errors.As(err, &large):
		return &mcpsec.Error{Message: "a row is too large: name fewer columns, or cut long values with left(column, 200)", Err: err}
	case errors.As(err, &lost):
		return &mcpsec.Error{Message: "the database cannot be reached now, or has ended the connection; try again once, then report it", Err: err}
	}
	return err // the end of the call's context, for the pipeline
}

// heldTooMuch reports whether it is our own condition that has failed. Whoever makes
// a statement fail with these words gets a hint that is wrong, and no more.
func heldTooMuch(e *pgconn.PgError) bool {
	return e.Code == "22P02" && strings.Contains(e.Message, sqlcatalog.HeldMark)
}

var heldText = fmt.Sprintf("aggregates, arrays and recursion of this statement hold more than %d MB, or %d MB where it also casts or takes apart values: gather fewer or smaller values, "+
	"json_agg instead of jsonb_agg, or sum or count them", sqlcatalog.MaxHeld>>20, sqlcatalog.MaxRecast>>20)

func tooLarge(err error) bool {
	var large *pgproto3.ExceededMaxBodyLenErr
	return errors.As(err, &large)
}

func stateText(e *pgconn.PgError) string {
	var parts []string
	if states[e.Code] != "" || known[e.Code] {
		parts = append(parts, "SQLSTATE "+e.Code)
	}
	if e.Position > 0 {
		parts = append(parts, fmt.Sprintf("at character %d", e.Position))
	}
	if parts == nil {
		return meaning(e.Code)
	}
	return meaning(e.Code) + " (" + strings.Join(parts, ", ") + ")"
}

// meaning is the text for a SQLSTATE, or for its class.
func meaning(code string) string {
	if text := states[code]; text != "" {
		return text
	}
	if len(code) == 5 {
		if text := classes[code[:2]]; text != "" {
			return text
		}
	}
	return "the database reports an error"
}

// known are PostgreSQL's own SQLSTATEs. A function can raise any five letters,
// also those of a secret: RAISE ... USING ERRCODE = upper(left(secret, 5)).
var known = func() map[string]bool {
	m := map[string]bool{}
	for _, code := range strings.Fields(`
01000 01003 01004 01006 01007 01008 0100C 01P01 02000 02001 03000 08000 08001 08003 08004 08006 08007 08P01 09000 0A000 0B000
0F000 0F001 0L000 0LP01 0P000 0Z000 0Z002 10608 20000 21000 22000 22001 22002 22003 22004 22005 22007 22008 22009 2200B 2200C
2200D 2200F 2200G 2200H 2200L 2200M 2200N 2200S 2200T 22010 22011 22012 22013 22014 22015 22016 22018 22019 2201B 2201E 2201F
2201G 2201W 2201X 22021 22022 22023 22024 22025 22026 22027 2202E 2202G 2202H 22030 22031 22032 22033 22034 22035 22036 22037
22038 22039 2203A 2203B 2203C 2203D 2203E 2203F 2203G 22P01 22P02 22P03 22P04 22P05 22P06 23000 23001 23502 23503 23505 23514
23P01 24000 25000 25001 25002 25003 25004 25005 25006 25007 25008 25P01 25P02 25P03 25P04 26000 27000 28000 28P01 2B000 2BP01
2D000 2F000 2F002 2F003 2F004 2F005 34000 38000 38001 38002 38003 38004 39000 39001 39004 39P01 39P02 39P03 3B000 3B001 3D000
3F000 40000 40001 40002 40003 40P01 42000 42501 42601 42602 42611 42622 42701 42702 42703 42704 42710 42712 42723 42725 42803
42804 42809 42830 42846 42883 428C9 42939 42P01 42P02 42P03 42P04 42P05 42P06 42P07 42P08 42P09 42P10 42P11 42P12 42P13 42P14
42P15 42P16 42P17 42P18 42P19 42P20 42P21 42P22 44000 53000 53100 53200 53300 53400 54000 54001 54011 54023 55000 55006 55P02
55P03 55P04 57000 57014 57P01 57P02 57P03 57P04 57P05 58000 58030 58P01 58P02 72000 F0000 F0001 HV000 HV001 HV002 HV004 HV005
HV006 HV007 HV008 HV009 HV00A HV00B HV00C HV00D HV00J HV00K HV00L HV00M HV00N HV00P HV00Q HV00R HV010 HV014 HV021 HV024 HV090
HV091 P0000 P0001 P0002 P0003 P0004 XX000 XX001 XX002`) {
		m[code] = true
	}
	return m
}()

var states = map[string]string{
	"01000": "the database gives a warning",
	"0A000": "the database does not support this",
	"21000": "a subquery used as a value returned more than one row",
	"22001": "a value is too long for its type",
	"22003": "a number is out of range for its type",
	"22007": "a value cannot be read as a date or time",
	"22008": "a date or time is out of range",
	"22012": "division by zero",
	"22023": "an argument of a function is not valid",
	"22P02": "a value cannot be read as the type that is asked for; check casts and parameters",
	"22P03": "a value cannot be read as the type that is asked for",
	"25006": "the statement would change data: this tool only reads",
	"42501": "permission denied for a table, column, schema or function",
	"42601": "syntax error",
	"42702": "a column name is ambiguous: put the table's name or alias before it",
	"42703": "a column does not exist; pg_describe lists the columns",
	"42704": "a type or other object does not exist",
	"42723": "a function is ambiguous: add casts",
	"42725": "a function or operator is ambiguous: add casts",
	"42803": "a column must be in GROUP BY or in an aggregate",
	"42804": "types do not match: add a cast",
	"42809": "this object is of another kind",
	"42846": "there is no such cast",
	"42883": "there is no function or operator of this name for these types; add casts, or check the name",
	"42P01": "a table or view does not exist; pg_list_objects lists them, and a schema may be needed before the name",
	"42P02": "a parameter has no value in params",
	"42P08": "the type of a parameter is ambiguous: add a cast, as in $1::int",
	"42P10": "a column number in ORDER BY or GROUP BY does not exist",
	"42P18": "the type of a parameter is not clear: add a cast, as in $1::int",
	"08P01": "the number of params is not the number of parameters in the statement",
	"3F000": "a schema does not exist",
	"40001": "the statement ran into a concurrent change; try again",
	"40P01": "the statement ran into a deadlock; try again",
	"53100": "the database's disk is full",
	"53200": "the statement needs too much memory; ask for less",
	"53300": "the database has too many connections; try again later",
	"53400": "the statement needs more temporary disk space than allowed; ask for less",
	"54001": "the statement is too complex; make it simpler",
	"55P03": "a table is locked by another session; try again later",
	"57014": "the statement was cancelled: it took longer than allowed; ask for less, or use an index",
	"57P01": "the database is being shut down; try again later",
	"57P03": "the database is starting or shutting down; try again later",
}

var classes = map[string]string{
	"02": "there is no data",
	"08": "the connection to the database failed; try again",
	"20": "a CASE found no branch",
	"22": "a value does not fit its type",
	"23": "the statement breaks a constraint",
	"25": "the statement is not allowed in this transaction",
	"26": "there is no such prepared statement",
	"28": "the database does not accept the login",
	"2B": "other objects depend on it",
	"38": "a function failed",
	"39": "a function failed",
	"3B": "there is no such savepoint",
	"40": "the transaction failed; try again",
	"42": "the statement is not valid",
	"53": "the database lacks resources; ask for less, or try again later",
	"54": "the statement is beyond a limit of the database; make it simpler",
	"55": "an object is in use or not in the state it has to be in",
	"57": "the database ended the statement; try again later",
	"58": "the database has a system error",
	"P0": "a function failed",
	"XX": "the database has an internal error",
	"F0": "the database's configuration is faulty",
	"HV": "a foreign table cannot be read",
}

// logText is all that the server says, for the log.
func logText(e *pgconn.PgError) string {
	text := e.Error()
	for _, part := range [][2]string{{"detail", e.Detail}, {"hint", e.Hint}, {"where", e.Where}, {"internal query", e.InternalQuery}} {
		if part[1] != "" {
			text += "; " + part[0] + ": " + part[1]
		}
	}
	return text
}
