package redact

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// minRegister is the length from which an exact value is looked for.
const minRegister = 6

// Register makes the Redactor find the exact value of s, and its URL-, base64-,
// JSON- and hex-encoded forms, wherever they stand. It reports whether the
// value is looked for from now on: one of less than six bytes, or one that is
// a part of [Mask], is not, because it would be met in ordinary text and
// masking it there would tell what it is.
//
// Register is safe for concurrent use with all methods. It costs about as much
// as redacting a megabyte; register secrets at start, not per call.
func (r *Redactor) Register(s Secret) bool {
	value := s.Reveal()
	if len(value) < minRegister || strings.Contains(Mask, value) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.table.Store(r.current().with(func(t *table) {
		for _, form := range forms(value) {
			t.addExact(form)
		}
	}))
	return true
}

func (t *table) addExact(text string) {
	for i := range t.lits {
		if t.lits[i].kind == kindExact && t.lits[i].text == text {
			return
		}
	}
	t.add(literal{text: text, kind: kindExact})
	t.exact = true
}

// forms returns value and the ways in which it is commonly encoded.
func forms(value string) []string {
	list := []string{
		value,
		url.QueryEscape(value), url.PathEscape(value), lowerEscapes(url.QueryEscape(value)),
		url.UserPassword("", value).String()[1:],
		hex.EncodeToString([]byte(value)), strings.ToUpper(hex.EncodeToString([]byte(value))),
		strings.Trim(fmt.Sprint([]byte(value)), "[]"),
		inQuotes(value),
	}
	quoted, plain := jsonForms(value)
	list = append(list, quoted, plain)
	return append(list, base64Forms(value)...)
}

// jsonForms returns value inside a JSON string, with and without the escapes
// that encoding/json adds for HTML.
func jsonForms(value string) (escaped, plain string) {
	text, err := json.Marshal(value)
	if err != nil {
		return value, value // a string always marshals
	}
	escaped = string(text[1 : len(text)-1])
	return escaped, strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(escaped)
}

// base64Forms returns the middle of value's base64 at each of the three
// alignments it may have in a longer text, in both alphabets: the bytes at the
// edges depend on the neighbours.
func base64Forms(value string) (list []string) {
	for shift := range 3 {
		padded := append(make([]byte, shift), value...)
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := encoding.EncodeToString(padded)
			if shift == 0 {
				list = append(list, text)
			}
			if text = text[(shift*8+5)/6 : len(padded)*8/6]; len(text) >= minRegister {
				list = append(list, text)
			}
		}
	}
	return list
}

func inQuotes(s string) string {
	q := strconv.Quote(s)
	return q[1 : len(q)-1]
}

func lowerEscapes(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			b[i+1], b[i+2] = lowered(b[i+1]), lowered(b[i+2])
		}
	}
	return string(b)
}

// addKeys makes t know the user's key names.
func (t *table) addKeys(names []string) {
	for _, name := range names {
		f := fold(name)
		if f.n == 0 {
			panic(fmt.Sprintf("redact: key name %q has no letter or digit", name))
		}
		t.keys = append(t.keys, string(f.text()))
		t.add(literal{text: f.longestWord(), fold: true, kind: kindKey})
	}
}

// longestWord returns the part of the name to look for in a text: however its
// words are joined, each of them is there as it is.
func (f *folded) longestWord() string {
	from, best := 0, ""
	for i := 1; i <= f.n; i++ {
		if i == f.n || f.starts(i) {
			if i-from > len(best) {
				best = string(f.buf[from:i])
			}
			from = i
		}
	}
	return best
}
