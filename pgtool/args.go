package pgtool

import (
	"encoding"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// textArgs writes arguments in the text format, whose types the server infers
// from the statement.
func textArgs(args []any) ([][]byte, error) {
	if len(args) > maxArgs {
		return nil, fmt.Errorf("more than %d arguments", maxArgs)
	}
	out := make([][]byte, len(args))
	for i, a := range args {
		if a == nil {
			continue // NULL
		}
		text, err := textArg(a)
		if err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
		out[i] = []byte(text)
	}
	return out, nil
}

const maxArgs = 1_000

func textArg(a any) (string, error) {
	switch a := a.(type) {
	case string:
		return a, nil
	case json.Number:
		return a.String(), nil
	case bool:
		return strconv.FormatBool(a), nil
	case int:
		return strconv.Itoa(a), nil
	case int32:
		return strconv.FormatInt(int64(a), 10), nil
	case int64:
		return strconv.FormatInt(a, 10), nil
	case float64:
		return strconv.FormatFloat(a, 'g', -1, 64), nil
	case []byte:
		return `\x` + hex.EncodeToString(a), nil
	case time.Time:
		return a.Format(time.RFC3339Nano), nil
	case encoding.TextMarshaler:
		text, err := a.MarshalText()
		return string(text), err
	}
	return "", errors.New("not a string, bool, int, int32, int64, float64, []byte, time.Time, json.Number or encoding.TextMarshaler")
}

// scalarArgs takes arguments that came as JSON, exactly as they are written.
func scalarArgs(raw []json.RawMessage) ([][]byte, error) {
	out := make([][]byte, len(raw))
	for i, r := range raw {
		switch {
		case len(r) == 0 || r[0] == '[' || r[0] == '{':
			return nil, &mcpsec.Error{Message: fmt.Sprintf("params[%d] must be a string, number, boolean or null", i)}
		case r[0] == 'n':
		case r[0] == '"':
			var s string
			if err := json.Unmarshal(r, &s); err != nil {
				return nil, fmt.Errorf("params[%d]: %w", i, err)
			}
			out[i] = []byte(s)
		default:
			out[i] = r
		}
	}
	return out, nil
}
