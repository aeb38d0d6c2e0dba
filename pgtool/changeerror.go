package pgtool

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mcpsec/mcpsec-go/internal/sqlgate"
	"github.com/mcpsec/mcpsec-go/internal/sqlwrite"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// changeError is modelError for a change, which says what became of the data.
func changeError(ctx context.Context, err error) error {
	var unknown *unknownError
	var model *mcpsec.Error
	if errors.As(err, &unknown) {
		return &mcpsec.Error{Message: "the connection was lost while the change was made final, and whether it took effect is not known: read the rows before you do anything else", Err: unknown.cause}
	}
	var tenant *tenantError
	if reported := reportedBy(err); reported != nil && !errors.As(err, &tenant) {
		text := changeStateText(reported)
		if defines := (*statementError)(nil); errors.As(err, &defines) {
			text = stateText(reported) // of what is there a Migrator knows
		}
		var row *rowError
		if errors.As(err, &row) {
			text = fmt.Sprintf("row %d: %s", row.row, text)
		}
		return &mcpsec.Error{Message: text + unchanged, Err: errors.New(logText(reported))}
	}
	if err = modelError(err); errors.As(err, &model) {
		return &mcpsec.Error{Message: model.Message + unchanged, Rule: model.Rule, Err: model.Err}
	}
	if ctx.Err() != nil { // the pipeline would say that nobody knows
		return &mcpsec.Error{Message: "the call was ended before the change was made final" + unchanged, Err: err}
	}
	return err
}

func changeStateText(reported *pgconn.PgError) string {
	switch own := changeStates[reported.Code]; {
	case heldTooMuch(reported):
		return heldText
	case absent[reported.Code] != "": // what the gate says of what exists
		return (&sqlgate.Refusal{Reason: absent[reported.Code], Pos: int(reported.Position)}).Error()
	case own != "":
		return own + " (SQLSTATE " + reported.Code + ")"
	}
	return stateText(reported)
}

var absent = map[string]string{"42P01": sqlwrite.NoTable, "42703": sqlwrite.NoColumn}

const unchanged = "; nothing was changed"

// changeStates are texts for errors that mean something else, or more, when a row
// is written.
var changeStates = map[string]string{
	"22001": "a value is too long for its column",
	"22P02": "a value cannot be read as the type of its column",
	"23502": "a column needs a value",
	"23503": "a row that this one refers to does not exist, or others refer to this one",
	"23505": "there is a row with the same key, or other value that must be unique",
	"23514": "a value breaks a rule of the table",
	"23P01": "a row is in conflict with another one",
	"25006": "the database takes no changes now",
	"25P04": "the change took longer than allowed",
	"428C9": "a column gets its value from the database and takes no other",
	"42501": "permission denied, or a row that row security does not allow",
	"42883": "the type of a column has no such operator",
	"21000": "two of the rows have the same key",
	"44000": "a value breaks a rule of the table",
	"P0001": "the table refuses the change",
}
