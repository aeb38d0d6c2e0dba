package pgstate

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// plain is an error of ours, whose text holds nothing of anybody else's.
type plain string

func (e plain) Error() string { return string(e) }

const unsure = "; whether it was carried out is not known"

// explain says what happened in words that hold no key, no address and no text of
// the server's: its details hold values, and pgx's hold host, user and database.
func explain(err error) error {
	var ours plain
	var server *pgconn.PgError
	switch {
	case errors.As(err, &ours):
		return ours
	case errors.As(err, &server):
		return plain(byCode(server.Code))
	case errors.Is(err, context.DeadlineExceeded):
		return plain("the database did not answer in time" + unsure)
	case errors.Is(err, pgx.ErrNoRows):
		return plain("the database answered nothing")
	case isConnectError(err):
		return plain("the database cannot be reached")
	}
	return plain("the connection to the database was lost" + unsure)
}

func isConnectError(err error) bool {
	var connect *pgconn.ConnectError
	return errors.As(err, &connect)
}

// byCode tells of a server's error by its SQLSTATE.
func byCode(code string) string {
	text := "the database refused"
	switch {
	case code == "42P01", code == "3F000", code == "42703":
		text = "the tables are not there as they should be: run pgstate.Migrate or pgstate.SetupSQL as the schema's owner"
	case code == "42501":
		text = "the role lacks rights: run the GRANT statements of pgstate.SetupSQL for it"
	case code == "25006":
		text = "the database is read-only: connect to the primary"
	case code == "57014":
		text = "the statement was cancelled by a timeout or by hand"
	case code == "40001", code == "40P01", code == "55P03":
		text = "others held the row for too long"
	case strings.HasPrefix(code, "57P"), strings.HasPrefix(code, "08"):
		text = "the server ended the connection" + unsure
	case strings.HasPrefix(code, "28"), code == "3D000":
		text = "the database does not let this role in"
	case strings.HasPrefix(code, "53"):
		text = "the database has no room: disk, memory or connections"
	}
	return text + " (SQLSTATE " + code + ")"
}
