package pgtool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mcpsec/mcpsec-go/internal/sqlcatalog"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

func TestModelErrorHoldsNoText(t *testing.T) {
	t.Parallel()
	codes := []string{"", "x", "99999", "ZZ123", "22000", "42000", "P0001", "XX000"}
	for code := range states {
		codes = append(codes, code)
	}
	for code := range classes {
		codes = append(codes, code+"999")
	}
	for _, code := range codes {
		err := modelError(fmt.Errorf("wrapped: %w", &pgconn.PgError{
			Severity: canary, Code: code, Message: canary, Detail: canary, Hint: canary, Where: canary, InternalQuery: canary,
			SchemaName: canary, TableName: canary, ColumnName: canary, DataTypeName: canary, ConstraintName: canary, File: canary,
			Routine: canary, Position: 7, InternalPosition: 9,
		}))
		var e *mcpsec.Error
		if !errors.As(err, &e) {
			t.Fatalf("%s: got %T", code, err)
		}
		if strings.Contains(e.Message, canary) || !strings.Contains(e.Message, "at character 7)") || len(code) != 5 && strings.Contains(e.Message, "SQLSTATE") {
			t.Errorf("%s: got %s", code, e.Message)
		}
		if e.Err == nil || strings.Count(e.Err.Error(), canary) < 5 {
			t.Errorf("%s: the cause %v does not say what the server says", code, e.Err)
		}
	}
}

func TestModelError(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want string
	}{
		{&pgconn.PgError{Code: "42P01", Position: 15}, "a table or view does not exist; pg_list_objects lists them, and a schema may be needed before the name (SQLSTATE 42P01, at character 15)"},
		{&pgconn.PgError{Code: "57014"}, "the statement was cancelled: it took longer than allowed; ask for less, or use an index (SQLSTATE 57014)"},
		{&pgconn.PgError{Code: "2201B", Position: 3}, "a value does not fit its type (SQLSTATE 2201B, at character 3)"},
		{&pgconn.PgError{Code: "P0001"}, "a function failed (SQLSTATE P0001)"},
		// What a function has made up could be a piece of a secret.
		{&pgconn.PgError{Code: "22SEC", Position: 15}, "a value does not fit its type (at character 15)"},
		{&pgconn.PgError{Code: "42HUN"}, "the statement is not valid"},
		{&pgconn.PgError{Code: "HUNT3"}, "the database reports an error"},
		{&pgconn.PgError{Code: "longer than a code"}, "the database reports an error"},
		{&lostError{io.ErrUnexpectedEOF}, "the database cannot be reached now, or has ended the connection; try again once, then report it"},
		{&lostError{context.DeadlineExceeded}, "the database cannot be reached now, or has ended the connection; try again once, then report it"}, // of connecting
		{&lostError{errClosed}, "the database connection is closed"},
	} {
		var e *mcpsec.Error
		if err := modelError(test.err); !errors.As(err, &e) || e.Message != test.want {
			t.Errorf("%v:\n got %v\nwant %s", test.err, err, test.want)
		}
	}
	for _, err := range []error{context.Canceled, context.DeadlineExceeded} {
		var e *mcpsec.Error
		if got := modelError(err); errors.As(got, &e) || !errors.Is(got, err) {
			t.Errorf("%v: got %v, which the pipeline would not take for an ended call", err, got)
		}
	}
}

func TestHeldTooMuch(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		code, message string
		want          string
	}{
		{"22P02", `invalid input syntax for type boolean: "` + sqlcatalog.HeldMark + `"`, "hold more than 32 MB"},
		{"22P02", "ungültige Eingabe: »" + sqlcatalog.HeldMark + "«", "hold more than 32 MB"},
		{"22P02", `invalid input syntax for type boolean: "x"`, "a value cannot be read"},
		{"P0001", sqlcatalog.HeldMark, "a function failed"},
	} {
		if err := modelError(&pgconn.PgError{Code: test.code, Message: test.message}); !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %s: got %v, want %s", test.code, test.message, err, test.want)
		}
	}
}
