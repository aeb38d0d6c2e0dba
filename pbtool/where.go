package pbtool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// A Condition compares one field with a value.
type Condition struct {
	// Field is a field, or a path through relations as in author.name or
	// comments_via_post.text, with :lower behind it, or, if it has several values,
	// :each or :length: without, PocketBase compares with their JSON.
	Field string `json:"field" validate:"required,max=400"`
	// Op is eq, ne, lt, le, gt or ge; in, whose value is an array; contains, starts
	// or ends, for texts, which do not heed the case of A to Z; empty, without a
	// value.
	Op    string          `json:"op" validate:"required,oneof=eq ne lt le gt ge in contains starts ends empty"`
	Value json.RawMessage `json:"value" mcpsec:"any"`
	// Any wants one of a field's several values to fit, and not each.
	Any bool `json:"any"`
	// Not is the opposite operator.
	Not bool `json:"not"`
}

// A Term is a condition that must hold, or else one of Or.
type Term struct {
	Condition
	Or []Condition `json:"or" validate:"max=20"`
}

// A Where chooses the records for which each of its terms holds. Any formula can
// be written so, as an AND of ORs. One without terms is every record.
type Where []Term

// maxIn is how many values an in may have, maxTerms how many terms there may be.
const (
	maxIn    = 50
	maxTerms = 20
)

// Filter writes the Where in PocketBase's language. Fields have the form of names,
// and never begin with @; values are literals, as in [Bind]. Passwords and token
// keys cannot be asked for. Errors are fit for a model: they hold no values.
func (w Where) Filter() (Filter, error) { return w.filter(nil) }

// filter asks allowed about each field, if it is not nil.
func (w Where) filter(allowed func(field string) error) (Filter, error) {
	if len(w) > maxTerms {
		return Filter{}, fmt.Errorf("where has more than %d terms", maxTerms)
	}
	var f Filter
	terms := make([]string, len(w))
	for i, t := range w {
		var parts []string
		for _, c := range append([]Condition{t.Condition}, t.Or...) {
			text, n, err := c.write(allowed)
			if err != nil {
				return Filter{}, err
			}
			if f.exprs += n; f.exprs > maxExprs {
				return Filter{}, f.check()
			}
			parts = append(parts, text)
		}
		f.backslash = f.backslash || hasBackslash(parts)
		terms[i] = join(parts, "||")
	}
	f.text = strings.Join(terms, " && ")
	return f, f.check()
}

// operators has each with its opposite.
var operators = map[string][2]string{
	"eq": {"=", "!="}, "ne": {"!=", "="}, "lt": {"<", ">="}, "le": {"<=", ">"}, "gt": {">", "<="}, "ge": {">=", "<"},
	"contains": {"~", "!~"}, "starts": {"~", "!~"}, "ends": {"~", "!~"}, "in": {"=", "!="}, "empty": {"=", "!="},
}

// write returns the condition and how many comparisons it has.
func (c Condition) write(allowed func(string) error) (string, int, error) {
	if !fieldPath().MatchString(c.Field) || isSecret(c.Field) {
		return "", 0, errField
	}
	if allowed != nil {
		if err := allowed(c.Field); err != nil {
			return "", 0, err
		}
	}
	ops, ok := operators[c.Op]
	if !ok {
		return "", 0, errors.New("there is no such operator")
	}
	op := ops[0]
	if c.Not {
		op = ops[1]
	}
	if c.Any {
		op = "?" + op
	}
	switch c.Op {
	case "empty":
		if len(c.Value) > 0 && string(c.Value) != "null" {
			return "", 0, errors.New("empty takes no value")
		}
		return c.Field + " " + op + ` ""`, 1, nil
	case "in":
		return c.writeIn(op)
	case "contains", "starts", "ends":
		text, err := c.pattern()
		return c.Field + " " + op + " " + text, 1, err
	}
	text, err := scalar(c.Value)
	return c.Field + " " + op + " " + text, 1, err
}

var errField = errors.New("a field's name has letters, digits and underscores; a path has dots, and :lower, :length or :each at its end; passwords cannot be asked for")

func (c Condition) writeIn(op string) (string, int, error) {
	values, err := elements(c.Value)
	if err != nil || len(values) == 0 || len(values) > maxIn {
		return "", 0, fmt.Errorf("in needs a value that is an array of 1 to %d", maxIn)
	}
	parts := make([]string, len(values))
	for i, v := range values {
		text, err := scalar(v)
		if err != nil {
			return "", 0, err
		}
		parts[i] = c.Field + " " + op + " " + text
	}
	if c.Not {
		return join(parts, "&&"), len(parts), nil
	}
	return join(parts, "||"), len(parts), nil
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// pattern writes the value of contains, starts or ends. A pattern with a % of its
// own is taken as it is, and all else that means something in it is escaped. For
// contains the server does that itself, as long as the value has neither a % nor
// a backslash; that spares old servers a backslash that they cannot read.
func (c Condition) pattern() (string, error) {
	s, err := text(c.Value)
	switch {
	case err != nil || s == "":
		return "", fmt.Errorf("%s needs a value that is a text", c.Op)
	case c.Op == "contains" && !strings.ContainsAny(s, `%\`):
		return quote(s)
	}
	s = likeEscaper.Replace(s)
	if c.Op != "starts" {
		s = "%" + s
	}
	if c.Op != "ends" {
		s += "%"
	}
	return quote(s)
}

// scalar writes a JSON value that is neither an array nor an object.
func scalar(raw json.RawMessage) (string, error) {
	if len(raw) == 0 {
		return "", errors.New("a condition needs a value; empty is for those without")
	}
	switch {
	case string(raw) == "null" || string(raw) == "true" || string(raw) == "false":
		return string(raw), nil
	case raw[0] == '"':
		s, err := text(raw)
		if err != nil {
			return "", err
		}
		return quote(s)
	case raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9':
		return number(string(raw))
	}
	return "", errors.New("a value must be a string, number, boolean or null")
}

// text reads a JSON string. What stands for half of a surrogate pair is no text.
func text(raw json.RawMessage) (string, error) {
	b, err := jsontext.AppendUnquote(nil, []byte(raw))
	if err != nil || len(raw) == 0 || raw[0] != '"' || !utf8.Valid(b) {
		return "", errors.New("must be a text")
	}
	return string(b), nil
}

// elements splits a JSON array.
func elements(raw []byte) ([]json.RawMessage, error) {
	d := jsontext.NewDecoder(bytes.NewReader(raw))
	if tok, err := d.ReadToken(); err != nil || tok.Kind() != '[' {
		return nil, errors.New("must be an array")
	}
	var out []json.RawMessage
	for d.PeekKind() != ']' {
		v, err := d.ReadValue()
		if err != nil {
			return nil, errors.New("must be an array")
		}
		out = append(out, bytes.Clone(v))
	}
	return out, nil
}
