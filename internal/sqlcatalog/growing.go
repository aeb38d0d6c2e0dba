package sqlcatalog

import (
	"slices"

	"github.com/mcpsec/mcpsec-go/internal/sqllex"
)

// growing are more functions, and types, whose arguments decide: those that make
// much of little. They cannot be called as t.f, for want of a second argument.
var growing = map[string]func(c *checker, args []argument) string{
	"char": padded, "character": padded, "nchar": padded, "bpchar": padded, "bit": padded,
	"replace": pieces(2), "regexp_replace": pieces(2), "array_to_string": pieces(1), "concat_ws": pieces(0), "jsonb_pretty": pieces(0),
}

// padded demands a small length, which is the only argument of a type, or the
// second one of a call. The only one may as well be what is cast.
func padded(_ *checker, args []argument) string {
	if len(args) == 1 && len(args[0]) == 1 && args[0][0].Kind == sqllex.Number && !small(args[0][0]) {
		return padText
	}
	if len(args) > 1 && (len(args[1]) != 1 || !small(args[1][0])) {
		return padText
	}
	return ""
}

const maxPiece = 1_000 // bytes

// pieces demands that the argument n, which is put in many times, is not made long
// by the statement itself.
func pieces(n int) func(*checker, []argument) string {
	return func(_ *checker, args []argument) string {
		if n < len(args) && slices.ContainsFunc(args[n], lengthens) {
			return piecesText
		}
		return ""
	}
}

func lengthens(t sqllex.Token) bool {
	switch t.Value {
	case "repeat", "lpad", "rpad":
		return named(t)
	}
	return t.Kind == sqllex.String && len(t.Value) > maxPiece
}
