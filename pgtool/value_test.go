package pgtool

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAppendValue(t *testing.T) {
	t.Parallel()
	ts := &types{m: map[uint32]typ{70000: {name: "mood[]", kind: arrayKind, elem: 70001, delim: ','}, 70002: {kind: arrayKind, elem: 603, delim: ';'}}}
	for _, test := range []struct {
		oid        uint32
		text, want string
	}{
		{16, "t", `true`}, {16, "f", `false`}, {16, "true", `"true"`},
		{23, "-5", `-5`}, {23, "05", `"05"`}, {23, "", `""`}, {23, "1,2", `"1,2"`}, {21, "x", `"x"`},
		{20, "9007199254740993", `"9007199254740993"`}, {1700, "1.50", `"1.50"`}, {26, "26", `"26"`},
		{701, "1e+300", `1e+300`}, {701, "0.1", `0.1`}, {701, "NaN", `"NaN"`}, {700, "-Infinity", `"-Infinity"`}, {701, "1.", `"1."`}, {701, "1e", `"1e"`}, {701, ".5", `".5"`}, {701, "0x1", `"0x1"`},
		{114, `{"a": [1, 2.50]}`, `{"a": [1, 2.50]}`}, {114, `{"a":1,"a":2}`, `"{\"a\":1,\"a\":2}"`}, {3802, `{`, `"{"`}, {3802, `1 2`, `"1 2"`}, {3802, ``, `""`},
		{114, "{\n\t\"a\" :\r[1, 2.50, 12345678901234567890, \"x  \\n\\u00e9\"]}", `{"a":[1,2.50,12345678901234567890,"x  \n\u00e9"]}`}, {199, "{\"[1,\n2]\"}", `[[1,2]]`},
		{114, strings.Repeat("[", 32) + strings.Repeat("]", 32), strings.Repeat("[", 32) + strings.Repeat("]", 32)},
		{114, strings.Repeat("[", 33) + strings.Repeat("]", 33), `"` + strings.Repeat("[", 33) + strings.Repeat("]", 33) + `"`},
		{17, `\x00ff`, `"AP8="`}, {17, `\000`, `"\\000"`}, {17, `\xzz`, `"\\xzz"`}, {17, `\x0`, `"\\x0"`},
		{1184, "2024-01-31 12:00:00+00", `"2024-01-31T12:00:00Z"`}, {1184, "2024-01-31 12:00:00.5+05:30", `"2024-01-31T12:00:00.5+05:30"`},
		{1184, "2024-01-31 12:00:00-08", `"2024-01-31T12:00:00-08:00"`}, {1184, "1890-01-31 12:00:00+00:19:32", `"1890-01-31 12:00:00+00:19:32"`},
		{1184, "0044-03-15 12:00:00+00 BC", `"0044-03-15 12:00:00+00 BC"`}, {1184, "12024-01-01 00:00:00+00", `"12024-01-01 00:00:00+00"`},
		{1184, "infinity", `"infinity"`}, {1114, "2024-01-31 12:00:00", `"2024-01-31T12:00:00"`}, {1184, "", `""`},
		{25, "a\xffb", `"a` + "\uFFFD" + `b"`}, {25, "\u2028", "\"\u2028\""}, {99999, "x", `"x"`},
		{1007, "{1,NULL,3}", `[1,null,3]`}, {1007, "[0:1]={1,2}", `[1,2]`}, {1007, "{{1},{2}}", `[[1],[2]]`}, {1007, "{}", `[]`},
		{1009, `{"a\"b","NULL",NULL,"","\\"}`, `["a\"b","NULL",null,"","\\"]`}, {70000, "{sad}", `["sad"]`}, {70002, "{(1,2);(3,4)}", `["(1,2)","(3,4)"]`},
		{1007, "{1,2", `"{1,2"`}, {1007, "1}", `"1}"`}, {1007, "{1}}", `"{1}}"`}, {1007, "{,}", `"{,}"`}, {1007, "[1", `"[1"`}, {1009, `{"a`, `"{\"a"`}, {1009, `{"a"b}`, `"{\"a\"b}"`},
		{1007, "{{{{{{{1}}}}}}}", `"{{{{{{{1}}}}}}}"`},
	} {
		if got := string(ts.appendValue(nil, test.oid, []byte(test.text))); got != test.want {
			t.Errorf("%d %q: got %s, want %s", test.oid, test.text, got, test.want)
		}
	}
	if got := string(ts.appendValue(nil, 25, nil)); got != "null" {
		t.Errorf("NULL: got %s", got)
	}
}

// FuzzAppendValue writes any text as any type: what comes out is one JSON value.
func FuzzAppendValue(f *testing.F) {
	for _, s := range []string{"{1,NULL,3}", `{"a\"b",{"c"}}`, "[0:1]={1}", `{"a": 1}`, "-1.5e+10", "2024-01-31 12:00:00+00", `\x00`, "t", "[2]"} {
		f.Add(uint16(1007), s)
		f.Add(uint16(3807), s)
	}
	ts := &types{}
	f.Fuzz(func(t *testing.T, oid uint16, text string) {
		got := ts.appendValue(nil, uint32(oid), []byte(text))
		if bytes.ContainsFunc(got, func(r rune) bool { return r < ' ' }) {
			t.Errorf("%d %q: got %q, with a line break", oid, text, got)
		}
		if !json.Valid(got) || !utf8.Valid(got) && utf8.ValidString(text) {
			t.Errorf("%d %q: got %q", oid, text, got)
		}
	})
}

// FuzzArray writes texts as an array, as the server does, and reads it back.
func FuzzArray(f *testing.F) {
	f.Add("a,b\"", "NULL", "{}")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		in := []string{a, b, c}
		text := append([]byte("[5:7]="), textArray(in)...)
		var out []string
		got := (&types{}).appendValue(nil, 1009, text)
		if err := json.Unmarshal(got, &out); err != nil {
			t.Fatalf("%q: %s: %v", in, got, err)
		}
		for i := range in {
			if utf8.ValidString(in[i]) && out[i] != in[i] {
				t.Errorf("got %q, want %q", out, in)
			}
		}
	})
}

func TestResultCaps(t *testing.T) {
	t.Parallel()
	q := &query{maxRows: 2, maxBytes: 100}
	r := &result{fields: make([]field, 2)}
	values := [][]byte{[]byte("abc"), nil}
	for i, want := range []bool{true, true, false} {
		if got := r.add(values, q); got != want {
			t.Errorf("row %d: got %v, want %v", i, got, want)
		}
	}
	r = &result{fields: make([]field, 2)}
	if r.add([][]byte{make([]byte, 90), make([]byte, 3)}, q) || !r.add([][]byte{make([]byte, 90), make([]byte, 2)}, q) {
		t.Error("the cap on bytes is not 100")
	}
	r = &result{fields: make([]field, 2)}
	r.add([][]byte{{}, nil}, q)
	r.each(func(v [][]byte) bool {
		if v[0] == nil || v[1] != nil {
			t.Errorf("got %v, want an empty text and a NULL", v)
		}
		return true
	})
}

func TestArgs(t *testing.T) {
	t.Parallel()
	got, err := textArgs([]any{"a", 1, int64(-2), 0.1, true, nil, []byte{0, 255}, json.Number("1e999")})
	if want := `a 1 -2 0.1 true  \x00ff 1e999`; err != nil || string(bytes.Join(got, []byte(" "))) != want || got[5] != nil {
		t.Errorf("got %q, %v, want %s", got, err, want)
	}
	if _, err := textArgs([]any{struct{}{}}); err == nil {
		t.Error("a struct is no argument")
	}
	if got, err = scalarArgs([]json.RawMessage{[]byte(`"\u00e9\n"`), []byte("12345678901234567890"), []byte("null"), []byte("false")}); err != nil ||
		string(bytes.Join(got, []byte("|"))) != "é\n|12345678901234567890||false" || got[2] != nil {
		t.Errorf("got %q, %v", got, err)
	}
	for _, raw := range []string{"[1]", `{"a":1}`, ""} {
		if _, err := scalarArgs([]json.RawMessage{[]byte(raw)}); err == nil {
			t.Errorf("%q: no error", raw)
		}
	}
}
