package pbtool

import (
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
)

// Documents to import become rows of valid JSON, no more than are allowed, or an
// error that quotes nothing of them.
func FuzzParseRows(f *testing.F) {
	for _, s := range []string{"", "a,b\n1,2\n", "\ufeffa\n'=1\n", `[{"a":1}]`, `[{"a":{"b":[1]}},{}]`, "{\"a\":1}\n{\"a\":2}", `[`, `{"a":1}{`, "a\n\"", "a,a\n1,2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, format := range []string{"csv", "json", "ndjson"} {
			rows, err := parseRows(format, text, 10)
			if (err == nil) == (len(rows) == 0) || len(rows) > 10 {
				t.Fatalf("%s: %d rows and error %v", format, len(rows), err)
			}
			for _, r := range rows {
				if b, err := json.Marshal(r); err != nil {
					t.Fatalf("%s: %s: %v", format, b, err)
				}
			}
		}
	})
}

// A cell comes back as the text that it was, and never begins as a formula.
func FuzzCell(f *testing.F) {
	for _, s := range []string{"", "=1", "'=1", "''=1", "'tis", "'", "+", "-1", "@a", "\t", "\r=", "plain", "\n", " =1", "\u00a0+1", "\ufeff@a", "\uff1d1", "' -1", "a=1", "a;=1", "a|=1", "a\"b", `\.`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		raw, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var want string
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		got := cell(raw)
		bare := strings.TrimLeftFunc(got, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) })
		begins := []rune(bare + " ")[0]
		if strings.ContainsRune("=+-@\uff1d\uff0b\uff0d\uff20", begins) || got != "" && strings.ContainsRune("\t\r\n", rune(got[0])) || uncell(got) != want {
			t.Fatalf("%q is written %q and comes back as %q", want, got, uncell(got))
		}
		var b strings.Builder
		writeLine(&b, []string{got, "x"})
		quoted := strings.HasPrefix(b.String(), `"`)
		line, err := csv.NewReader(strings.NewReader(b.String())).Read()
		if err != nil || len(line) != 2 || line[0] != strings.ReplaceAll(got, "\r\n", "\n") || !quoted && strings.ContainsAny(got, ";|\t") {
			t.Fatalf("%q is written %q and read %q, %v", got, b.String(), line, err)
		}
	})
}

// Whatever a server answers, what leaves is a page of JSON objects without secrets,
// or an error.
func FuzzTrim(f *testing.F) {
	for _, s := range []string{`{"items":[{"id":"a","password":"no"}],"totalItems":1}`, `{"items":[{"expand":{"a":[{"collectionName":"posts","tokenKey":"no"}]}}]}`, `{"items":[]}`, `{}`, `[`, `{"items":[{"\u0070assword":"no"}]}`} {
		f.Add(s)
	}
	c, err := newClient(Options{URL: "https://pb.example.com"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body string) {
		items, _, err := trim{c: c}.page([]byte(body), &Collection{Name: "posts"})
		if err != nil {
			return
		}
		for _, r := range items {
			var fields map[string]any
			if err := json.Unmarshal(r, &fields); err != nil {
				t.Fatalf("%s: %v", r, err)
			}
			for name := range fields {
				if isSecret(name) && !strings.Contains(name, ".") && !strings.Contains(name, ":") {
					t.Fatalf("%s has left", name)
				}
			}
		}
	})
}

// A cursor from outside adds comparisons with literals, or is refused.
func FuzzCursor(f *testing.F) {
	for _, s := range []string{"", "e30", "eyJpIjoiYSIsInYiOjF9", "eyJpIjoiYSIsInYiOiJcIiB8fCAxPTEifQ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, after string) {
		got, err := behind(after, []string{"-title"})
		if err != nil {
			return
		}
		rest, ok := strings.CutPrefix(got.text, "title < ")
		if !ok {
			t.Fatalf("got %s", got)
		}
		if rest[0] == '"' {
			_, rest = scan(t, rest)
			if !strings.HasPrefix(rest, " || (title = ") {
				t.Fatalf("got %s", got)
			}
		}
	})
}
