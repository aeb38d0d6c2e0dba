package pbtool

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// maxExpand is how deep records are expanded.
const maxExpand = 4

// A trim decides what of PocketBase's records may leave.
type trim struct {
	c    *Client
	keep map[string]bool // what the caller has asked for; nil: all
	seen map[string]bool // what was decided of the fields of the page's records
}

// page reads a list's answer in one pass.
func (t trim) page(body []byte, k *Collection) (items []json.RawMessage, total int, err error) {
	total = -1
	d := jsontext.NewDecoder(bytes.NewBuffer(body))
	if err := open(d, '{'); err != nil {
		return nil, 0, err
	}
	out := make([]byte, 0, len(body))
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, 0, errAnswer
		}
		switch name.String() {
		case "items":
			if items, out, err = t.list(d, out, k); err != nil {
				return nil, 0, err
			}
		case "totalItems":
			n, err := d.ReadToken()
			if err != nil || n.Kind() != '0' {
				return nil, 0, errAnswer
			}
			if total, err = strconv.Atoi(n.String()); err != nil {
				return nil, 0, errAnswer
			}
		default:
			if d.SkipValue() != nil {
				return nil, 0, errAnswer
			}
		}
	}
	if items == nil {
		return nil, 0, errAnswer
	}
	return items, total, nil
}

func (t trim) list(d *jsontext.Decoder, out []byte, k *Collection) ([]json.RawMessage, []byte, error) {
	items := []json.RawMessage{}
	t.seen = map[string]bool{}
	if err := open(d, '['); err != nil {
		return nil, nil, err
	}
	for d.PeekKind() == '{' {
		from := len(out)
		var err error
		if out, err = t.record(d, out, k, t.keep, 0); err != nil {
			return nil, nil, err
		}
		items = append(items, out[from:len(out):len(out)])
	}
	if tok, err := d.ReadToken(); err != nil || tok.Kind() != ']' {
		return nil, nil, errAnswer
	}
	return items, out, nil
}

// record writes what may leave of the record that d is before. At the top, its
// collection is known already.
func (t trim) record(d *jsontext.Decoder, out []byte, k *Collection, keep map[string]bool, depth int) ([]byte, error) {
	if err := open(d, '{'); err != nil {
		return nil, err
	}
	out = append(out, '{')
	first := len(out)
	for d.PeekKind() != '}' {
		quoted, err := d.ReadValue()
		if err != nil {
			return nil, errAnswer
		}
		from := len(out)
		if from > first {
			out = append(out, ',')
		}
		out = append(append(out, quoted...), ':')
		name := out[len(out)-1-len(quoted) : len(out)-1]
		value, err := d.ReadValue()
		if err != nil {
			return nil, errAnswer
		}
		switch {
		case string(name) == `"expand"`:
			if value, err = t.expand(value, depth+1); err != nil {
				return nil, err
			}
			if value == nil {
				out = out[:from]
				continue
			}
		case !t.leaves(name, k, keep, depth):
			out = out[:from]
			continue
		}
		out = append(out, value...)
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, errAnswer
	}
	return append(out, '}'), nil
}

// leaves reports whether a field may, by its name in quotes. All records of a page are of
// one collection: what was decided of the first one's is true of all.
func (t trim) leaves(quoted []byte, k *Collection, keep map[string]bool, depth int) bool {
	if depth == 0 && t.seen != nil {
		if yes, ok := t.seen[string(quoted)]; ok {
			return yes
		}
	}
	name, err := text(quoted)
	var yes bool
	switch {
	case err != nil, name == "collectionId", name == "expand": // which PocketBase does not write with escapes
	case name == "collectionName":
		yes = depth > 0
	default:
		yes = k.shows(name) && (keep == nil || keep[name])
	}
	if depth == 0 && t.seen != nil {
		t.seen[string(quoted)] = yes
	}
	return yes
}

// expand writes what may leave of expanded records: those of collections that may
// be used, by their own fields.
func (t trim) expand(raw jsontext.Value, depth int) ([]byte, error) {
	if depth > maxExpand || raw.Kind() != '{' {
		return nil, nil
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(raw))
	if err := open(d, '{'); err != nil {
		return nil, err
	}
	out := []byte{'{'}
	for d.PeekKind() != '}' {
		tok, err := d.ReadToken()
		if err != nil {
			return nil, errAnswer
		}
		name := tok.String()
		value, err := d.ReadValue()
		if err != nil {
			return nil, errAnswer
		}
		got, err := t.related(value, depth)
		if err != nil {
			return nil, err
		}
		if got == nil {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		if out, err = jsontext.AppendQuote(out, name); err != nil {
			return nil, errAnswer
		}
		out = append(append(out, ':'), got...)
	}
	if len(out) == 1 {
		return nil, nil
	}
	return append(out, '}'), nil
}

// related writes one expanded record or a list of them, or nothing.
func (t trim) related(raw jsontext.Value, depth int) ([]byte, error) {
	if raw.Kind() == '{' {
		return t.one(raw, depth)
	}
	values, err := elements(raw)
	if err != nil {
		return nil, nil
	}
	out := []byte{'['}
	for _, v := range values {
		got, err := t.one(jsontext.Value(v), depth)
		if err != nil {
			return nil, err
		}
		if got == nil {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, got...)
	}
	if len(out) == 1 {
		return nil, nil
	}
	return append(out, ']'), nil
}

func (t trim) one(raw jsontext.Value, depth int) ([]byte, error) {
	var of struct {
		Name string `json:"collectionName"`
	}
	if json.Unmarshal(raw, &of) != nil {
		return nil, nil
	}
	k, err := t.c.collection(of.Name)
	if err != nil {
		return nil, nil
	}
	return t.record(jsontext.NewDecoder(bytes.NewBuffer(raw)), nil, k, nil, depth)
}

func open(d *jsontext.Decoder, kind jsontext.Kind) error {
	if tok, err := d.ReadToken(); err != nil || tok.Kind() != kind {
		return errAnswer
	}
	return nil
}
