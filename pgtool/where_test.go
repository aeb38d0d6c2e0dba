package pgtool

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mcpsec/mcpsec-go/internal/sqllex"
)

func TestIdent(t *testing.T) {
	t.Parallel()
	for _, parts := range [][]string{{}, {""}, {"a", ""}, {"a\x00b"}, {"a\nb"}, {strings.Repeat("x", 64)}, {"\xff"}} {
		if i, err := NewIdent(parts...); err == nil {
			t.Errorf("%q: got %s", parts, i)
		}
	}
	i, err := NewIdent(`a"; DROP TABLE x; --`, "B.c")
	if err != nil || i.String() != `"a""; DROP TABLE x; --"."B.c"` {
		t.Errorf("got %s, %v", i, err)
	}
}

var whereColumns = []Column{{"id", "int8"}, {"name", "text"}, {"tags", "text[]"}, {"meta", "jsonb"}, {`we"ird`, "bool"}, {"own", "citext"}}

func TestWhereBuild(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ where, sql, args string }{
		{`[{"column":"id","op":"eq","value":9007199254740993}]`, `("id" OPERATOR(pg_catalog.=) $3)`, `9007199254740993`},
		{`[{"column":"id","op":"lt","value":"1","or":[{"column":"name","op":"ilike","value":"%a"}]}]`, `(("id" OPERATOR(pg_catalog.<) $3) OR ("name" OPERATOR(pg_catalog.~~*) $4))`, `1|%a`},
		{`[{"column":"own","op":"is_null","not":true}]`, `(NOT ("own" IS NULL))`, ``},
		{`[{"column":"id","op":"between","value":[1,2]}]`, `(("id" OPERATOR(pg_catalog.>=) $3) AND ("id" OPERATOR(pg_catalog.<=) $4))`, `1|2`},
		{`[{"column":"name","op":"in","value":["a","b"],"not":true}]`, `(NOT ("name" OPERATOR(pg_catalog.=) ANY ($3)))`, `{"a","b"}`},
		{`[{"column":"tags","op":"has","value":"a"},{"column":"tags","op":"contains","value":["a","b"]}]`, `($3 OPERATOR(pg_catalog.=) ANY ("tags")) AND ("tags" OPERATOR(pg_catalog.@>) $4)`, `a|{"a","b"}`},
		{`[{"column":"meta","op":"contains","value":{"a": 1}}]`, `("meta" OPERATOR(pg_catalog.@>) $3)`, `{"a": 1}`},
		{`[{"column":"we\"ird","op":"ne","value":true},{"column":"id","op":"not_null"}]`, `("we""ird" OPERATOR(pg_catalog.<>) $3) AND ("id" IS NOT NULL)`, `t`},
	} {
		var w Where
		if err := json.Unmarshal([]byte(test.where), &w); err != nil {
			t.Fatal(err)
		}
		sql, args, err := w.Build(whereColumns, 3)
		if err != nil || sql != test.sql || strings.Join(args, "|") != test.args {
			t.Errorf("%s:\n got %s %q %v\nwant %s %s", test.where, sql, args, err, test.sql, test.args)
		}
	}
}

func TestWhereRefuses(t *testing.T) {
	t.Parallel()
	for _, where := range []string{
		`[]`, `[{}]`, `[{"column":"id","op":"eq","value":1,"or":[{}]}]`, `[{"column":"nosuch","op":"eq","value":1}]`,
		`[{"column":"ID","op":"eq","value":1}]`, `[{"column":"id","op":"="}]`, `[{"column":"id","op":"","value":1}]`, `[{"column":"id","op":"eq"}]`,
		`[{"column":"id","op":"eq","value":null}]`, `[{"column":"id","op":"eq","value":[1]}]`, `[{"column":"id","op":"eq","value":true}]`,
		`[{"column":"id","op":"between","value":[1]}]`, `[{"column":"id","op":"between","value":[1,2,3]}]`, `[{"column":"id","op":"in","value":[]}]`, `[{"column":"id","op":"in","value":1}]`,
		`[{"column":"id","op":"like","value":"1"}]`, `[{"column":"id","op":"has","value":1}]`, `[{"column":"name","op":"contains","value":"x"}]`, `[{"column":"own","op":"eq","value":"x"}]`,
		`[{"column":"name","op":"is_null","value":1}]`, `[{"column":"name","op":"eq","value":"\u0000"}]`, `[{"column":"tags","op":"has","value":null}]`, `[{"column":"tags","op":"in","value":[["a"]]}]`, `[{"column":"name","op":"in","value":["a",null]}]`,
	} {
		var w Where
		if err := json.Unmarshal([]byte(where), &w); err != nil {
			t.Fatal(err)
		}
		if sql, _, err := w.Build(whereColumns, 1); err == nil {
			t.Errorf("%s: got %s", where, sql)
		}
	}
}

// FuzzWhere looks for a condition that changes the form of the statement: whatever
// it holds, the text is made of names in quotes, parameters and words of ours.
func FuzzWhere(f *testing.F) {
	f.Add(`[{"column":"id","op":"eq","value":1,"or":[{"column":"name","op":"in","value":["a"],"not":true}]}]`)
	f.Add(`[{"column":"we\"ird","op":"ne","value":true}]`)
	f.Add(`[{"column":"tags","op":"contains","value":["\"","\\"]},{"column":"meta","op":"contains","value":{"'":"--"}}]`)
	ours := map[string]bool{"and": true, "or": true, "not": true, "is": true, "null": true, "any": true, "operator": true, "pg_catalog": true}
	f.Fuzz(func(t *testing.T, where string) {
		var w Where
		if json.Unmarshal([]byte(where), &w) != nil {
			return
		}
		sql, args, err := w.Build(whereColumns, 1)
		if err != nil {
			return
		}
		tokens, err := sqllex.Scan(sql)
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		params := 0
		for _, tok := range tokens {
			switch {
			case tok.Kind == sqllex.Param:
				params++
			case tok.Kind == sqllex.Word && !ours[tok.Value], tok.Kind == sqllex.String, tok.Kind == sqllex.Number, tok.Is(";"):
				t.Fatalf("%s: %s", sql, tok.Text)
			}
		}
		if params != len(args) {
			t.Fatalf("%s: %d parameters for %d values", sql, params, len(args))
		}
	})
}

// FuzzJSONArg writes a value and reads it again, of every kind.
func FuzzJSONArg(f *testing.F) {
	for _, s := range []string{`1`, `"x"`, `["a",null,["b"]]`, `{"a":1}`, `true`, `null`, `"AQ=="`, `[]`, `[[]]`, `"2024-01-01T00:00:00Z"`} {
		f.Add(s)
	}
	ts := &types{}
	f.Fuzz(func(t *testing.T, raw string) {
		if !json.Valid([]byte(raw)) || strings.TrimSpace(raw) != raw || !utf8.ValidString(raw) {
			return
		}
		for name, oid := range oids {
			text, err := ts.jsonArg(oid, []byte(raw))
			if err != nil || text == nil {
				continue
			}
			if strings.ContainsRune(string(text), 0) {
				t.Fatalf("%s: a U+0000 in %q", name, text)
			}
			if kind := builtin[oid].kind; kind == arrayKind || kind == byteaKind {
				again, err := ts.jsonArg(oid, ts.appendValue(nil, oid, text))
				if err != nil || string(again) != string(text) {
					t.Fatalf("%s: %s became %s, then %s: %v", name, raw, text, again, err)
				}
			}
		}
	})
}
