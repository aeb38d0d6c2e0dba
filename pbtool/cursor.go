package pbtool

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// A cursor is the last record of a page: its id, and the value that it is sorted
// by. It comes back from the caller and is nothing but two values of a filter.
type cursor struct {
	ID    string          `json:"i"`
	Value json.RawMessage `json:"v,omitempty"`
}

const maxCursor = 1_000

var errCursor = errors.New("after must be the next of an answer, with the same sort; it excludes page, and sort has one field then")

// keyset makes q go on behind in.After, and be such that one can go on behind its
// page: sorted by one field at most, and by id. It reports whether it is.
func (c *Client) keyset(k *Collection, q *Query, in listIn) (bool, error) {
	fits := len(in.Sort) <= 1 && in.Page <= 1
	for _, f := range in.Sort {
		field := strings.TrimPrefix(f, "-")
		fits = fits && fieldName().MatchString(field) && !slices.ContainsFunc(in.Fields, func(p string) bool { return strings.HasPrefix(p, field+":") })
		if fits && len(in.Fields) > 0 && !slices.Contains(q.Fields, field) {
			q.Fields = append(slices.Clone(q.Fields), field)
		}
		if fits && field != "id" {
			q.Sort = []string{f, "id"}
		}
	}
	if in.After == "" {
		return fits, nil
	}
	if !fits || in.Page != 0 {
		return false, badArgument(errCursor)
	}
	f, err := behind(in.After, in.Sort)
	if err != nil {
		return false, badArgument(errCursor)
	}
	q.Filter = q.Filter.And(f)
	return true, nil
}

// behind is the filter of the records that come after a cursor.
func behind(after string, sort []string) (Filter, error) {
	var cur cursor
	raw, err := base64.RawURLEncoding.DecodeString(after)
	if err != nil || json.Unmarshal(raw, &cur) != nil || !recordID().MatchString(cur.ID) {
		return Filter{}, errCursor
	}
	id, err := quote(cur.ID)
	if err != nil {
		return Filter{}, errCursor
	}
	if len(sort) == 0 || sort[0] == "id" {
		return Filter{text: "id > " + id, exprs: 1}, nil
	}
	field, op := sort[0], ">"
	if strings.HasPrefix(field, "-") {
		field, op = field[1:], "<"
	}
	if field == "id" {
		return Filter{text: "id < " + id, exprs: 1}, nil
	}
	v, err := scalar(cur.Value)
	if err != nil || v == "null" {
		return Filter{}, errCursor
	}
	text := field + " " + op + " " + v + " || (" + field + " = " + v + " && id > " + id + ")"
	return Filter{text, 3, hasBackslash([]string{v})}, nil
}

// next is the cursor of a page's last record, or empty if it can have none.
func next(last json.RawMessage, sort []string) string {
	var fields map[string]json.RawMessage
	var cur cursor
	if json.Unmarshal(last, &fields) != nil || json.Unmarshal(fields["id"], &cur.ID) != nil {
		return ""
	}
	if len(sort) > 0 {
		if field := strings.TrimPrefix(sort[0], "-"); field != "id" {
			cur.Value = fields[field]
			if _, err := scalar(cur.Value); err != nil || string(cur.Value) == "null" {
				return ""
			}
		}
	}
	raw, err := json.Marshal(cur)
	if err != nil || len(raw) > maxCursor {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}
