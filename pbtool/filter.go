package pbtool

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A Filter is a condition in PocketBase's language, made of a template or of a
// [Where]. The zero Filter is every record.
type Filter struct {
	text      string
	exprs     int
	backslash bool // a text in it has a backslash, which old servers cannot read
}

// String returns the filter as PocketBase reads it, values included: it is no text
// for a log.
func (f Filter) String() string { return f.text }

// And returns the filter of the records that are in both.
func (f Filter) And(g Filter) Filter {
	switch {
	case f.text == "":
		return g
	case g.text == "":
		return f
	}
	return Filter{"(" + f.text + ") && (" + g.text + ")", f.exprs + g.exprs, f.backslash || g.backslash}
}

// What PocketBase takes of a filter.
const (
	maxFilter = 3_500 // bytes
	maxExprs  = 200
	maxParens = 16 // ours: each is scanned anew
)

func (f Filter) check() error {
	switch {
	case len(f.text) > maxFilter:
		return fmt.Errorf("the filter is longer than %d bytes: use fewer or shorter values", maxFilter)
	case f.exprs > maxExprs:
		return fmt.Errorf("the filter has more than %d comparisons", maxExprs)
	}
	return nil
}

// A template is a constant of the program: a variable does not convert by itself.
type template string

// Bind makes a filter of a constant template, in which {:name} stands for a value:
//
//	pbtool.Bind("status = {:status} && total > {:least}", map[string]any{"status": s, "least": n})
//
// Values are strings, numbers, booleans, times and nil, and named types of these.
// They get in once, as one literal each: nothing in a value is read again, and the
// server compares with exactly the value. Those that no literal can hold are
// errors: a NUL, invalid UTF-8, NaN, infinities, integers beyond 2^53.
//
// A template is refused that has a backslash, a comment, a placeholder in quotes
// or next to a letter, digit or quote, or one without a value; so is a value
// without a placeholder. Errors hold no values.
func Bind(t template, values map[string]any) (Filter, error) {
	b := binder{values: values, used: map[string]bool{}}
	if err := b.bind(string(t)); err != nil {
		return Filter{}, fmt.Errorf("binding a filter: %w", err)
	}
	f := Filter{b.out.String(), b.exprs + 1, b.backslash}
	if strings.TrimSpace(f.text) == "" {
		f = Filter{}
	}
	if err := f.check(); err != nil {
		return Filter{}, fmt.Errorf("binding a filter: %w", err)
	}
	return f, nil
}

type binder struct {
	values    map[string]any
	used      map[string]bool
	out       strings.Builder
	exprs     int
	backslash bool
}

// bind goes over the template once. What it writes is never read again.
func (b *binder) bind(t string) error {
	if !utf8.ValidString(t) || strings.ContainsAny(t, "\x00\\") {
		return errors.New("the template has a NUL, a backslash or invalid UTF-8")
	}
	var quote byte
	depth := 0
	for i := 0; i < len(t); i++ {
		ch := t[i]
		switch {
		case quote != 0:
			if ch == quote {
				quote = 0
			}
			if strings.HasPrefix(t[i:], "{:") {
				return errors.New("a placeholder must not stand in quotes: it is a whole value")
			}
		case ch == '\'' || ch == '"':
			quote = ch
		case ch == '{':
			n, err := b.place(t, i)
			if err != nil {
				return err
			}
			i += n - 1
			continue
		case strings.HasPrefix(t[i:], "//"):
			return errors.New("the template has a comment, which would hide what follows")
		case strings.HasPrefix(t[i:], "&&") || strings.HasPrefix(t[i:], "||"):
			b.exprs++
		case ch == '(':
			depth++
		case ch == ')':
			depth--
		}
		if depth < 0 || depth > maxParens {
			return fmt.Errorf("parentheses do not match, or are more than %d deep", maxParens)
		}
		b.out.WriteByte(ch)
	}
	switch {
	case quote != 0 || depth != 0:
		return errors.New("a quote or parenthesis is not closed")
	case len(b.used) != len(b.values):
		return errors.New("a value has no placeholder")
	}
	return nil
}

// place writes the value of the placeholder at t[i:] and returns its length.
func (b *binder) place(t string, i int) (int, error) {
	name, _, ok := strings.Cut(strings.TrimPrefix(t[i:], "{:"), "}")
	if !ok || !strings.HasPrefix(t[i:], "{:") || !fieldName().MatchString(name) {
		return 0, errors.New("a placeholder is written {:name}")
	}
	n := len(name) + len("{:}")
	if i > 0 && strings.IndexByte(before, t[i-1]) < 0 || i+n < len(t) && strings.IndexByte(after, t[i+n]) < 0 {
		return 0, fmt.Errorf("placeholder %s touches another word: it would become a part of it", name)
	}
	v, ok := b.values[name]
	if !ok {
		return 0, fmt.Errorf("placeholder %s has no value", name)
	}
	b.used[name] = true
	text, err := literal(v)
	if err != nil {
		return 0, fmt.Errorf("the value of %s: %w", name, err)
	}
	b.backslash = b.backslash || strings.Contains(text, `\\`)
	b.out.WriteString(text)
	return n, nil
}

// What may stand before and after a placeholder.
const (
	before = " \t\r\n(,=~<>&|"
	after  = " \t\r\n),=!~<>?&|"
)

// literal writes a value as PocketBase reads it.
func literal(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "null", nil
	case time.Time:
		return quote(v.UTC().Format(dateLayout))
	case json.Number:
		return number(v.String())
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.String:
		return quote(r.String())
	case reflect.Bool:
		return strconv.FormatBool(r.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return number(strconv.FormatInt(r.Int(), 10))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return number(strconv.FormatUint(r.Uint(), 10))
	case reflect.Float32, reflect.Float64:
		return number(strconv.FormatFloat(r.Float(), 'g', -1, 64))
	}
	return "", errors.New("must be a string, number, boolean, time or nil")
}

// dateLayout is how PocketBase stores times, and so compares them as texts.
const dateLayout = "2006-01-02 15:04:05.000Z"

// maxExact is up to where a float64, which is what PocketBase's numbers are, holds
// every integer.
const maxExact = 1 << 53

// number writes a number without an exponent, which PocketBase does not read.
func number(text string) (string, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return "", errors.New("must be a finite number")
	}
	if math.Abs(f) >= maxExact && f == math.Trunc(f) {
		return "", errors.New("must be less than 2^53: beyond that PocketBase's numbers are not exact")
	}
	out := strconv.FormatFloat(f, 'f', -1, 64)
	if len(out) > 400 {
		return "", errors.New("has too many digits")
	}
	return out, nil
}

var escaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// quote writes a text. PocketBase decodes \\ and \" and leaves every other
// character as it is; a NUL ends its scanner's input.
func quote(s string) (string, error) {
	switch {
	case !utf8.ValidString(s):
		return "", errors.New("must be valid UTF-8")
	case strings.Contains(s, "\x00"):
		return "", errors.New("must not have a NUL")
	}
	return `"` + escaper.Replace(s) + `"`, nil
}

// join writes alternatives, or what must all hold.
func join(parts []string, op string) string {
	if len(parts) == 1 {
		return parts[0]
	}
	return "(" + strings.Join(parts, " "+op+" ") + ")"
}

// hasBackslash reports whether a literal of ours came from a text with one.
func hasBackslash(parts []string) bool {
	return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(p, `\\`) })
}
