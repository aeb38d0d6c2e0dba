package battery

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// changed says which members of a definition differ, with what they were and are.
func changed(before, after []byte) string {
	const most = 3
	var parts []string
	diff("", decode(before), decode(after), func(path, was, is string) {
		parts = append(parts, fmt.Sprintf("%s was %s and is %s", path, was, is))
	})
	if len(parts) > most {
		parts = append(parts[:most], fmt.Sprintf("%d more", len(parts)-most))
	}
	return strings.Join(parts, "; ")
}

// diff visits what differs, as deep down as it can be told.
func diff(path string, a, b any, see func(path, was, is string)) {
	x, isMap := a.(map[string]any)
	y, both := b.(map[string]any)
	switch {
	case reflect.DeepEqual(a, b):
	case isMap && both:
		names := map[string]any{}
		for _, m := range []map[string]any{x, y} {
			for name := range m {
				names[name] = nil
			}
		}
		for _, name := range sortedKeys(names) {
			was, had := x[name]
			is, has := y[name]
			switch at := strings.TrimPrefix(path+"."+name, "."); {
			case !had:
				see(at, "not there", excerpt(printed(is), 0))
			case !has:
				see(at, excerpt(printed(was), 0), "gone")
			default:
				diff(at, was, is, see)
			}
		}
	default:
		was, is := printed(a), printed(b)
		from := common(was, is)
		if path == "" {
			path = "the text"
		}
		see(path, excerpt(was, from), excerpt(is, from))
	}
}

// printed is a value as a report may show it: what nobody sees is escaped.
func printed(v any) string {
	if s, ok := v.(string); ok {
		return strconv.Quote(s)
	}
	return strings.Trim(strconv.Quote(encode(v)), `"`)
}

// common is how far two texts are the same.
func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	for n > 0 && n < len(a) && !utf8.RuneStart(a[n]) {
		n--
	}
	return n
}

// excerpt is the part of a text around where it begins to differ.
func excerpt(s string, from int) string {
	const lead, most = 20, 60
	begin := max(0, from-lead)
	for begin > 0 && !utf8.RuneStart(s[begin]) {
		begin--
	}
	end := min(len(s), begin+most)
	for end < len(s) && !utf8.RuneStart(s[end]) {
		end--
	}
	out := s[begin:end]
	if begin > 0 {
		out = "…" + out
	}
	if end < len(s) {
		out += "…"
	}
	return out
}
