package redact

import (
	"encoding/json"
	"strings"
)

// JSON is [Redactor.Bytes] for one JSON text: what comes out is valid JSON of
// the same structure, with the same bytes where nothing was masked. Secrets
// are found inside string tokens, also behind escapes (\u0070assword, :\/\/),
// and by the names of members, whose strings and numbers become the string
// [Mask]. Other numbers stay as they are, and so do objects under a secret
// name: their members are judged by their own. What is not valid JSON is
// treated as text.
func (r *Redactor) JSON(b []byte) []byte {
	t, s := r.current(), view(b)
	dirty := false
	for range passes {
		out, changed := redactJSON(t, s)
		if !changed {
			break
		}
		s, dirty = out, true
	}
	if !dirty {
		return b
	}
	return []byte(s)
}

func redactJSON(t *table, s string) (string, bool) {
	m := scanner{t: t, s: s, collect: true}
	m.scan()
	if !m.dirty && !strings.Contains(s, `\u00`) && !strings.Contains(s, `\/`) {
		return s, false
	}
	if !json.Valid([]byte(s)) {
		return redact(t, s)
	}
	w := walker{t: t, s: s, spans: m.spans, out: make([]byte, 0, len(s)+len(Mask))}
	w.walk()
	return view(w.out), w.dirty
}

// walker copies the tokens of a valid JSON text to out and masks those on
// which the spans lie.
type walker struct {
	t     *table
	s     string
	spans []span // in order; those before the current token are dropped
	out   []byte
	key   secrecy // of the member whose value is next, if its name was escaped
	dirty bool
}

func (w *walker) walk() {
	for i := 0; i < len(w.s); {
		switch c := w.s[i]; {
		case c == '"':
			end := stringEnd(w.s, i+1)
			w.text(i, end)
			i = end
		case c == '-' || is(c, digit):
			end := numberEnd(w.s, i)
			w.number(i, end)
			i = end
		default:
			if c == ',' || c == '{' || c == '[' {
				w.key = notSecret
			}
			w.out = append(w.out, c)
			i++
		}
	}
}

// text copies the string token [from, to), masked where it has to be.
func (w *walker) text(from, to int) {
	token := w.masked(from+1, to-1)
	if strings.IndexByte(token, '\\') < 0 {
		w.quote(token)
		return
	}
	var plain string
	if json.Unmarshal([]byte(`"`+token+`"`), &plain) != nil {
		w.quote(token)
		return
	}
	name := strings.HasPrefix(strings.TrimLeft(w.s[to:], " \t\r\n"), ":")
	out, dirty := redact(w.t, plain)
	switch {
	case !name && w.key != notSecret && secretValue(w.key, styleMember, true, plain):
		out, dirty = Mask, true
	case name:
		w.key = w.t.classify(plain)
	}
	if !dirty {
		w.quote(token)
		return
	}
	w.dirty = true
	escaped, plainer := jsonForms(out)
	if strings.Contains(token, `\u003`) || strings.Contains(token, `\u0026`) {
		plainer = escaped
	}
	w.quote(plainer)
}

func (w *walker) quote(token string) {
	if w.key != notSecret && strings.IndexByte(token, '\\') < 0 && secretValue(w.key, styleMember, true, token) {
		token, w.dirty = Mask, true
	}
	w.out = append(w.out, '"')
	w.out = append(w.out, token...)
	w.out = append(w.out, '"')
}

// masked returns the inside of a string token with its spans replaced, no
// escape cut in half.
func (w *walker) masked(from, to int) string {
	if w.next(from); len(w.spans) == 0 || w.spans[0].from >= to {
		return w.s[from:to]
	}
	var out []byte
	last := false
	for i := from; i < to; {
		end := i + unit(w.s, i)
		w.next(i)
		hit := len(w.spans) > 0 && w.spans[0].from < end
		switch {
		case !hit:
			out = append(out, w.s[i:end]...)
		case !last:
			out = append(out, Mask...)
		}
		last, i = hit, end
	}
	w.dirty = true
	return string(out)
}

// next drops the spans that end at or before i.
func (w *walker) next(i int) {
	for len(w.spans) > 0 && w.spans[0].to <= i {
		w.spans = w.spans[1:]
	}
}

// number copies the number [from, to), or puts a string in its place.
func (w *walker) number(from, to int) {
	w.next(from)
	hit := len(w.spans) > 0 && w.spans[0].from < to
	if !hit && !(w.key != notSecret && secretValue(w.key, styleMember, false, w.s[from:to])) {
		w.out = append(w.out, w.s[from:to]...)
		return
	}
	w.dirty = true
	w.out = append(w.out, `"`+Mask+`"`...)
}

// unit is the length of the byte or escape at i.
func unit(s string, i int) int {
	switch {
	case s[i] != '\\':
		return 1
	case s[i+1] == 'u':
		return 6
	}
	return 2
}

// stringEnd returns the end of the string whose inside starts at i.
func stringEnd(s string, i int) int {
	for s[i] != '"' {
		i += unit(s, i)
	}
	return i + 1
}

func numberEnd(s string, i int) int {
	for i < len(s) && strings.IndexByte("0123456789+-.eE", s[i]) >= 0 {
		i++
	}
	return i
}
