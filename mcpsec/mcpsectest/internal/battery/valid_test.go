package battery

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestValid(t *testing.T) {
	t.Parallel()
	for schema, want := range map[string]string{
		`{"type":"string"}`:                                 `"a"`,
		`{"type":"string","minLength":3}`:                   `"aaa"`,
		`{"type":"string","maxLength":0}`:                   `null`,
		`{"type":"string","enum":["x","y"]}`:                `"x"`,
		`{"type":"string","default":"d"}`:                   `"d"`,
		`{"type":"string","examples":["e"]}`:                `"e"`,
		`{"const":7}`:                                       `7`,
		`{"type":"string","format":"email"}`:                `"a@example.com"`,
		`{"type":"string","pattern":"^[0-9]+$"}`:            `"1"`,
		`{"type":"string","pattern":"^zz$"}`:                `null`,
		`{"type":"string","pattern":"("}`:                   `null`,
		`{"type":["null","string"]}`:                        `"a"`,
		`{"type":"integer","minimum":5}`:                    `5`,
		`{"type":"integer","maximum":-5}`:                   `-5`,
		`{"type":"integer","exclusiveMinimum":5}`:           `6`,
		`{"type":"number","multipleOf":10}`:                 `10`,
		`{"type":"boolean"}`:                                `false`,
		`{"type":"array","items":{"type":"string"}}`:        `[]`,
		`{"type":"array","minItems":2,"items":{"const":1}}`: `[1,1]`,
		`{"anyOf":[{"type":"null"},{"type":"boolean"}]}`:    `false`,
		`{"type":"object","required":["sql"],"properties":{"sql":{"type":"string"},"more":{"type":"string"}}}`: `{"sql":"SELECT 1"}`,
		`{"type":"object","required":["x"]}`: `null`,
		`{}`:                                 `null`,
		`{"type":"array","minItems":1000000000000,"items":{"const":1}}`: `null`,
	} {
		m, _ := decode([]byte(schema)).(map[string]any)
		if got := encode(valid(m, 0)); got != want {
			t.Errorf("%s: got %s, want %s", schema, got, want)
		}
	}
}

// A schema comes from the server under test: it may ask for anything.
func FuzzValid(f *testing.F) {
	f.Add(strings.Repeat(`{"type":"array","minItems":100,"items":`, 8) + `{"const":1}` + strings.Repeat("}", 8))
	f.Add(`{"type":"object","required":["a"],"properties":{"a":{"type":"integer","minimum":1e300,"multipleOf":-1}}}`)
	f.Add(`{"type":"string","minLength":-1,"maxLength":-1,"pattern":"a{1000}"}`)
	f.Fuzz(func(t *testing.T, schema string) {
		m, _ := decode([]byte(schema)).(map[string]any)
		if n := len(encode(valid(m, 0))); n > maxValue+2*len(schema)+20_000 {
			t.Errorf("a value of %d bytes", n)
		}
		for _, b := range beyond(property{"p", m, typeOf(m)}) {
			if n := len(encode(b.value)); n > 2<<20 {
				t.Errorf("%s: a value of %d bytes", b.rule, n)
			}
		}
	})
}

func TestVerbs(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"delete_order": "delete", "deleteOrder": "delete", "shop_delete_order": "delete", "shop-purge": "purge", "list_deleted": "list", "get_updates": "get",
		"check_send_limit": "check", "preview_delete": "preview", "order_lookup": "lookup", "post_list": "list", "DropTable": "drop", "updates": "", "latest": "", "": "",
	} {
		if got := verb(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	for description, want := range map[string]bool{"Deletes a note.": true, "Delete a note.": true, "Shows what was deleted.": false, "Read notes, or delete them.": false, "": false} {
		if got := (Tool{Name: "note", Description: description}).writes(); got != want {
			t.Errorf("%q: got %v", description, got)
		}
	}
}

// Which tools are called is what makes a run safe.
func TestCallable(t *testing.T) {
	t.Parallel()
	const reads = `,"annotations":{"readOnlyHint":true}`
	for _, tt := range []struct {
		tool string
		call []string
		want bool
	}{
		{`{"name":"look"` + reads + `}`, nil, true},
		{`{"name":"look"}`, nil, false},
		{`{"name":"look","annotations":{"readOnlyHint":"true"}}`, nil, false},
		{`{"name":"look","annotations":{"destructiveHint":false}}`, nil, false},
		{`{"name":"delete_all"` + reads + `}`, nil, false},
		{`{"name":"all","description":"Deletes all."` + reads + `}`, nil, false},
		{`{"name":"delete_all"}`, []string{"delete_all"}, true},
		{`{"name":"delete_all"}`, []string{"delete"}, false},
		{`{"name":"delete_all"}`, []string{"*"}, true},
	} {
		p := &Probe{Options: Options{Call: map[string]json.RawMessage{}}}
		for _, name := range tt.call {
			p.Options.Call[name] = nil
		}
		if got := p.newTool(json.RawMessage(tt.tool)).Callable; got != tt.want {
			t.Errorf("%s with %v: got %v", tt.tool, tt.call, got)
		}
	}
}

func TestBounded(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a\n\tb": "a b", "a\x1b[2Jb": "a [2Jb", "\u202egnp": "gnp", "a\xffb": "a\ufffdb", strings.Repeat("[", 100): "[[[…(100 times)",
		strings.Repeat("ab", 200): strings.Repeat("ab", 150) + " …",
	} {
		if got := bounded(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func FuzzBounded(f *testing.F) {
	f.Add(strings.Repeat("\u2028é", 200))
	f.Add("\xff\xfe" + strings.Repeat("\U0001F600", 100))
	f.Fuzz(func(t *testing.T, text string) {
		got := bounded(text)
		bad := func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufeff' || r >= 0x202a && r <= 0x202e }
		if len(got) > 310 || slices.ContainsFunc([]rune(got), bad) || strings.ToValidUTF8(got, "") != got {
			t.Errorf("got %q", got)
		}
	})
}
