package pbtool

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

func TestBind(t *testing.T) {
	t.Parallel()
	type status string
	when := time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.FixedZone("", 3600))
	allow := func(want string, f Filter, err error) {
		t.Helper()
		if err != nil || f.String() != want {
			t.Errorf("got %s and error %v, want %s", f, err, want)
		}
	}
	deny := func(why string, f Filter, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), why) || f.String() != "" {
			t.Errorf("got %q and error %v, want %q", f, err, why)
		}
	}
	one := func(v any) map[string]any { return map[string]any{"v": v} }

	f, err := Bind("", nil)
	allow("", f, err)
	f, err = Bind("a = {:v} && (b ~ 'x{y' || c={:v})", one("q"))
	allow(`a = "q" && (b ~ 'x{y' || c="q")`, f, err)
	for _, tc := range []struct {
		v    any
		want string
	}{
		{"x", `"x"`}, {status("x"), `"x"`}, {nil, "null"}, {true, "true"}, {7, "7"}, {uint8(7), "7"}, {-1.5, "-1.5"}, {json.Number("1e3"), "1000"},
		{1e-7, "0.0000001"}, {when, `"2026-01-02 02:04:05.006Z"`}, {`a"b\`, `"a\"b\\"`}, {"{:v}", `"{:v}"`}, {"\n\t\u2028'", "\"\n\t\u2028'\""},
	} {
		f, err := Bind("a = {:v}", one(tc.v))
		allow("a = "+tc.want, f, err)
	}
	for _, v := range []any{"a\x00b", "\xff", math.NaN(), math.Inf(1), int64(1) << 53, uint64(math.MaxUint64), []string{"a"}, struct{}{}, map[string]any{}, json.Number("0x"), 1e300} {
		if f, err := Bind("a = {:v}", one(v)); err == nil || f.text != "" {
			t.Errorf("%v: got %s", v, f)
		}
	}
	// What a value holds is never read again.
	f, err = Bind("a = {:v} && b = {:w}", map[string]any{"v": "{:w}", "w": `" || 1=1 //`})
	allow(`a = "{:w}" && b = "\" || 1=1 //"`, f, err)

	f, err = Bind("a = '{:v}'", one("x"))
	deny("in quotes", f, err)
	f, err = Bind(`a = "x\"" && b = {:v}`, one("x"))
	deny("backslash", f, err)
	f, err = Bind("a = {:v} // all", one("x"))
	deny("comment", f, err)
	f, err = Bind("a = {:v}", nil)
	deny("no value", f, err)
	f, err = Bind("a = 1", one("x"))
	deny("no placeholder", f, err)
	f, err = Bind("a = {:v", one("x"))
	deny("is written", f, err)
	f, err = Bind("a = {v}", one("x"))
	deny("is written", f, err)
	for _, tpl := range []func() (Filter, error){
		func() (Filter, error) { return Bind("a = 1{:v}", one(2)) },
		func() (Filter, error) { return Bind("a = {:v}2", one(2)) },
		func() (Filter, error) { return Bind("a{:v} = 2", one(2)) },
		func() (Filter, error) { return Bind("a = 'x'{:v}", one(2)) },
		func() (Filter, error) { return Bind("a = {:v}{:v}", one(2)) },
		func() (Filter, error) { return Bind("@collection.{:v} = 2", one(2)) },
	} {
		f, err = tpl()
		deny("touches", f, err)
	}
	f, err = Bind("a = 'x", nil)
	deny("not closed", f, err)
	f, err = Bind("(a = 1", nil)
	deny("not closed", f, err)
	f, err = Bind("a = 1) || (b = 1", nil)
	deny("do not match", f, err)
	f, err = Bind("a = {:v}", one(strings.Repeat("x", maxFilter)))
	deny("longer than", f, err)
	f, err = Bind("a = 'a\x00'", nil)
	deny("NUL", f, err)
}

func TestFilterAnd(t *testing.T) {
	t.Parallel()
	a, err := Bind("a = 1 || b = 2", nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Bind("c = {:v}", map[string]any{"v": `\`})
	if err != nil {
		t.Fatal(err)
	}
	if got := a.And(b); got.text != `(a = 1 || b = 2) && (c = "\\")` || got.exprs != 3 || !got.backslash {
		t.Errorf("got %+v", got)
	}
	if (Filter{}).And(a) != a || a.And(Filter{}) != a {
		t.Error("the zero Filter is not every record")
	}
}

func parseWhere(t *testing.T, text string) Where {
	t.Helper()
	var w Where
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWhere(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`[]`:                                                              ``,
		`[{"field":"a","op":"eq","value":"x"}]`:                           `a = "x"`,
		`[{"field":"a","op":"eq","value":null}]`:                          `a = null`,
		`[{"field":"a","op":"ne","value":true}]`:                          `a != true`,
		`[{"field":"a.b:lower","op":"ge","value":-1.50}]`:                 `a.b:lower >= -1.5`,
		`[{"field":"a","op":"lt","value":1e2,"any":true}]`:                `a ?< 100`,
		`[{"field":"a","op":"lt","value":1,"not":true}]`:                  `a >= 1`,
		`[{"field":"a","op":"empty"}]`:                                    `a = ""`,
		`[{"field":"a","op":"empty","not":true}]`:                         `a != ""`,
		`[{"field":"a","op":"in","value":["x",1]}]`:                       `(a = "x" || a = 1)`,
		`[{"field":"a","op":"in","value":["x",1],"not":true}]`:            `(a != "x" && a != 1)`,
		`[{"field":"a","op":"contains","value":"50_"}]`:                   `a ~ "50_"`,
		`[{"field":"a","op":"contains","value":"50%"}]`:                   `a ~ "%50\\%%"`,
		`[{"field":"a","op":"starts","value":"a_\\"}]`:                    `a ~ "a\\_\\\\%"`,
		`[{"field":"a","op":"ends","value":"\"x","any":true,"not":true}]`: `a ?!~ "%\"x"`,
		`[{"field":"a","op":"eq","value":1,"or":[{"field":"b","op":"eq","value":2}]},{"field":"c","op":"empty"}]`: `(a = 1 || b = 2) && c = ""`,
	} {
		if f, err := parseWhere(t, text).Filter(); err != nil || f.String() != want {
			t.Errorf("%s: got %s and error %v, want %s", text, f, err, want)
		}
	}
	for _, text := range []string{
		`[{"field":"","op":"eq","value":"x"}]`, `[{"field":"@request.auth.id","op":"eq","value":"x"}]`, `[{"field":"@collection.users.id","op":"eq","value":"x"}]`,
		`[{"field":"a = 1 || a","op":"eq","value":"x"}]`, `[{"field":"a//","op":"eq","value":"x"}]`, `[{"field":"a\n","op":"eq","value":"x"}]`, `[{"field":"a:each:lower","op":"eq","value":"x"}]`,
		`[{"field":"password","op":"eq","value":"x"}]`, `[{"field":"author.tokenKey","op":"eq","value":"x"}]`, `[{"field":"PASSWORD:lower","op":"eq","value":"x"}]`,
		`[{"field":"a","op":"=","value":"x"}]`, `[{"field":"a","op":"","value":"x"}]`, `[{"field":"a","op":"eq"}]`, `[{"field":"a","op":"eq","value":["x"]}]`, `[{"field":"a","op":"eq","value":{"x":1}}]`,
		`[{"field":"a","op":"empty","value":1}]`, `[{"field":"a","op":"in","value":[]}]`, `[{"field":"a","op":"in","value":"x"}]`, `[{"field":"a","op":"in","value":[["x"]]}]`,
		`[{"field":"a","op":"contains","value":1}]`, `[{"field":"a","op":"starts","value":""}]`, `[{"field":"a","op":"eq","value":9007199254740993}]`, `[{"field":"a","op":"eq","value":1e999}]`,
		`[{"field":"a","op":"eq","value":"\u0000"}]`, `[{"field":"a","op":"eq","value":"\ud800"}]`,
		`[{"field":"a","op":"eq","value":"x","or":[{"field":"@","op":"eq","value":"x"}]}]`,
	} {
		if f, err := parseWhere(t, text).Filter(); err == nil {
			t.Errorf("%s: got %s", text, f)
		} else if strings.Contains(err.Error(), "9007") {
			t.Errorf("%s: the error quotes the value: %v", text, err)
		}
	}
	// One that no JSON was decoded to is no way in either.
	for _, raw := range []string{`true || 1=1`, `null || 1=1`, `false)`, `"a" || "b" = "b"`, `1 || 1=1`, `tru`, ` "a"`, `-`} {
		for _, op := range []string{"eq", "contains", "empty", "in"} {
			if f, err := (Where{{Condition: Condition{Field: "a", Op: op, Value: json.RawMessage(raw)}}}).Filter(); err == nil {
				t.Errorf("%s %s: got %s", op, raw, f)
			}
		}
	}
	if _, err := parseWhere(t, `[{"field":"a","op":"in","value":[1`+strings.Repeat(",1", maxIn)+`]}]`).Filter(); err == nil {
		t.Error("more values than are allowed")
	}
	many := strings.Repeat(`,{"field":"a","op":"eq","value":1}`, maxTerms+1)[1:]
	if _, err := parseWhere(t, "["+many+"]").Filter(); err == nil {
		t.Error("more terms than are allowed")
	}
	in := `{"field":"a","op":"in","value":[1` + strings.Repeat(",1", maxIn-1) + `]}`
	if _, err := parseWhere(t, "["+in+","+in+","+in+","+in+","+in+"]").Filter(); err == nil {
		t.Error("more comparisons than PocketBase takes")
	}
}

// What is bound is one literal, however the value was chosen: read by the rules of
// PocketBase's scanner it is the value again, and nothing is left over.
func FuzzBind(f *testing.F) {
	for _, s := range []string{"", "x", `\`, `"`, `\"`, `" || 1=1 //`, "{:w}", "\n//", `\u0001`, "\u2028", "'\\'"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, v, w string) {
		got, err := Bind("a = {:v} && b = {:w}", map[string]any{"v": v, "w": w})
		if err != nil {
			return
		}
		rest := strings.TrimPrefix(got.text, "a = ")
		back, rest := scan(t, rest)
		if back != v {
			t.Fatalf("%q came back as %q", v, back)
		}
		back, rest = scan(t, strings.TrimPrefix(rest, " && b = "))
		if back != w || rest != "" {
			t.Fatalf("%q came back as %q, before %q", w, back, rest)
		}
	})
}

// scan reads one text as fexpr 0.6 does.
func scan(t *testing.T, s string) (text, rest string) {
	t.Helper()
	var out []rune
	escaped := false
	rs := []rune(s)
	for i, r := range rs {
		switch {
		case i == 0:
			if r != '"' {
				t.Fatalf("no text: %q", s)
			}
		case r == 0:
			t.Fatalf("a NUL: %q", s)
		case escaped:
			if r != '\\' && r != '"' {
				t.Fatalf("an escape that is not ours: %q", s)
			}
			escaped, out = false, append(out, r)
		case r == '\\':
			escaped = true
		case r == '"':
			return string(out), string(rs[i+1:])
		default:
			out = append(out, r)
		}
	}
	t.Fatalf("not closed: %q", s)
	return "", ""
}
