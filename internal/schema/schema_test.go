package schema

import (
	"encoding/json"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/mcpsec/mcpsec-go/internal/strictjson"
)

type line struct {
	SKU   string  `json:"sku" validate:"required,alphanum,max=20" jsonschema:"stock number"`
	Count int     `json:"count" validate:"required,min=1,max=99"`
	Price float64 `json:"price" validate:"gte=0"`
}

type order struct {
	ID       string            `json:"id" validate:"required,uuid" jsonschema:"the order's id."`
	Status   string            `json:"status" validate:"omitempty,oneof=open paid 'on hold'"`
	Paid     *time.Time        `json:"paid_at" validate:"required_if=Status paid" jsonschema:"when it was paid"`
	Note     string            `json:"note"`
	Mail     *string           `json:"mail" validate:"omitempty,email"`
	Password string            `json:"password" validate:"max=64"`
	Repeat   string            `json:"repeat" validate:"eqfield=Password"`
	Lines    []line            `json:"lines" validate:"required,max=5"`
	Tags     []string          `json:"tags" validate:"unique"`
	Labels   map[string]string `json:"labels" validate:"max=3,dive,keys,lowercase,max=8,endkeys,max=16"`
	Level    int8              `json:"level"`
	Port     uint16            `json:"port" validate:"omitempty,gt=1023"`
	Rank     int               `json:"rank" validate:"oneof=1 2 3"`
	Agree    bool              `json:"agree" validate:"required"`
	Blob     []byte            `json:"blob" validate:"max=30"`
	Day      string            `json:"day" validate:"omitempty,datetime=2006-01-02"`
	Host     netip.Addr        `json:"host"`
	Raw      json.RawMessage   `json:"raw" mcpsec:"any"`
	Vec      [2]float64        `json:"vec"`
	Nested   struct {
		A string `json:"a" validate:"required"`
		B *int   `json:"b" validate:"required"`
	} `json:"nested"`
}

// valid holds every member, so that a test can spoil one.
const valid = `{"id":"0c8bf0c5-6a1e-4a9b-8a4e-3f1f3a0d8f01","status":"open","note":"n","mail":"a@example.com",
"password":"x","repeat":"x","lines":[{"sku":"A1","count":1,"price":0}],"tags":["a","b"],"labels":{"k":"v"},
"level":-128,"port":1024,"rank":2,"agree":true,"blob":"aGk=","day":"2026-01-02","host":"10.0.0.1","raw":{"x":1},
"vec":[1,2],"nested":{"a":"x","b":0}}`

func TestInputSchemaGolden(t *testing.T) {
	t.Parallel()
	p, err := Input(reflect.TypeFor[order]())
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(p.Schema, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile("testdata/order.json", got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/order.json")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("the schema changed (UPDATE=1 accepts it):\n%s", got)
	}
}

// Every spoiled member is refused by the check, with path and rule, and by the
// schema where the schema can say it.
func TestSchemaAndCheckAgree(t *testing.T) {
	t.Parallel()
	p, err := Input(reflect.TypeFor[order]())
	if err != nil {
		t.Fatal(err)
	}
	resolved, err := p.Schema.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	check := func(doc string) (check, schema error) {
		var in order
		var v any
		if err := json.Unmarshal([]byte(doc), &v); err != nil {
			t.Fatal(err)
		}
		if err := strictjson.Decode([]byte(doc), &in, p.Shape); err != nil {
			return err, resolved.Validate(v)
		}
		return p.Check(&in), resolved.Validate(v)
	}
	if c, s := check(valid); c != nil || s != nil {
		t.Fatalf("the valid document: check %v, schema %v", c, s)
	}
	const wordsOnly = true // the rule is told in the description only
	for name, tc := range map[string]struct {
		member, value, want string
		words               bool
	}{
		"missing required":  {"id", "", "id: is required", false},
		"empty required":    {"id", `""`, "id: is required", false},
		"not a uuid":        {"id", `"SECRET-1"`, "id: must be a valid uuid", wordsOnly},
		"outside the enum":  {"status", `"SECRET-1"`, "status: must be one of", false},
		"required when":     {"status", `"paid"`, "paid_at: required when status is paid", wordsOnly},
		"default bound":     {"note", `"` + strings.Repeat("é", DefaultMaxLength+1) + `"`, "note: must be at most 4096 characters", false},
		"pointer's rule":    {"mail", `"SECRET-1"`, "mail: must be a valid email", wordsOnly},
		"pointer's bound":   {"mail", `"a@` + strings.Repeat("x", 5000) + `.com"`, "mail: ", false},
		"equal fields":      {"repeat", `"SECRET-1"`, "repeat: must equal password", wordsOnly},
		"too many items":    {"lines", `[` + strings.Repeat(`{"sku":"A","count":1,"price":1},`, 5) + `{"sku":"A","count":1,"price":1}]`, "lines: must be at most 5 items", false},
		"missing list":      {"lines", "", "lines: is required", false},
		"inside an item":    {"lines", `[{"sku":"A","count":1,"price":1},{"sku":"SECRET-1","count":1,"price":1}]`, "lines[1].sku: must satisfy the rule alphanum", false},
		"item's number":     {"lines", `[{"sku":"A","count":100,"price":1}]`, "lines[0].count: must be at most 99", false},
		"zero required":     {"lines", `[{"sku":"A","count":0,"price":1}]`, "lines[0].count: is required", false},
		"negative":          {"lines", `[{"sku":"A","count":1,"price":-0.01}]`, "lines[0].price: must be at least 0", false},
		"not unique":        {"tags", `["SECRET-1","SECRET-1"]`, "tags: must not hold a value twice", false},
		"default item size": {"tags", `["` + strings.Repeat("x", DefaultMaxLength+1) + `"]`, "tags[0]: must be at most 4096", false},
		"default items":     {"tags", `[` + strings.Repeat(`"",`, DefaultMaxItems) + `"x"]`, "tags: ", false},
		"map size":          {"labels", `{"a":"","b":"","c":"","d":""}`, "labels: must be at most 3 items", false},
		"map key":           {"labels", `{"SECRET-1":""}`, "labels[*]: must satisfy the rule lowercase", wordsOnly},
		"map key's length":  {"labels", `{"a].x[0123456789":""}`, "labels[*]: must be at most 8", false},
		"map value":         {"labels", `{"a]":"` + strings.Repeat("x", 17) + `"}`, "labels[*]: must be at most 16", false},
		"exclusive minimum": {"port", `1023`, "port: must be more than 1023", false},
		"integer enum":      {"rank", `4`, "rank: must be one of 1 2 3", false},
		"integer enum zero": {"rank", "", "rank: must be one of 1 2 3", false},
		"must be true":      {"agree", `false`, "agree: is required", false},
		"bytes":             {"blob", `"` + strings.Repeat("A", 44) + `"`, "blob: must be at most 40 characters of base64", false},
		"date":              {"day", `"2026-13-01"`, "day: must be a time written like 2006-01-02", wordsOnly},
		"nested required":   {"nested", `{"b":1}`, "nested.a: is required", false},
		"required pointer":  {"nested", `{"a":"x"}`, "nested.b: is required", false},
		"missing object":    {"nested", "", "nested.a: is required", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var doc map[string]json.RawMessage
			if err := json.Unmarshal([]byte(valid), &doc); err != nil {
				t.Fatal(err)
			}
			if delete(doc, tc.member); tc.value != "" {
				doc[tc.member] = json.RawMessage(tc.value)
			}
			text, err := json.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			c, s := check(string(text))
			if c == nil || !strings.Contains(c.Error(), tc.want) {
				t.Errorf("check: got %v, want %q in it", c, tc.want)
			}
			if c != nil && (strings.Contains(c.Error(), "SECRET") || strings.Contains(c.Error(), "0123456789")) {
				t.Errorf("%v holds the value", c)
			}
			if s == nil && !tc.words {
				t.Errorf("the schema accepts %s", text)
			}
		})
	}
}

func TestInputRefuses(t *testing.T) {
	t.Parallel()
	type loop struct {
		Next *struct{ L []any } `json:"n"`
	}
	type rec struct{ Kids []*rec }
	for name, tc := range map[string]struct {
		typ  any
		want string
	}{
		"map":           {map[string]string{}, "must be a struct"},
		"any member":    {loop{}, "accepts anything"},
		"slice":         {[]string{}, "must be a struct"},
		"scalar":        {"", "must be a struct"},
		"time":          {time.Time{}, "must be a struct"},
		"unbounded map": {struct{ M map[string]string }{}, "a map takes any member"},
		"map without key": {struct {
			M map[string]string `validate:"max=3"`
		}{}, "a map takes any member"},
		"integer keys": {struct {
			M map[int]string `validate:"max=3"`
		}{}, "keys must be strings"},
		"raw unasked": {struct{ R json.RawMessage }{}, "undecoded JSON"},
		"any asked": {struct {
			R any `mcpsec:"any"`
		}{}, "rounds large integers"},
		"recursion": {rec{}, "recursive"},
		"unknown rule": {struct {
			S string `validate:"reqired"`
		}{}, "Undefined validation function 'reqired'"},
		"unknown in dive": {struct {
			S []string `validate:"dive,emial"`
		}{}, "emial"},
		"empty rule": {struct {
			S string `validate:"max=3,"`
		}{}, "empty rule"},
		"check off": {struct {
			S string `validate:"-"`
		}{}, "switches the check off"},
		"typo in field": {struct {
			S string `validate:"required_if=Stauts x"`
		}{}, "there is no field Stauts"},
		"bound on bool": {struct {
			B bool `validate:"max=1"`
		}{}, "does not apply"},
		"word as bound": {struct {
			S string `validate:"max=ten"`
		}{}, "needs a whole number"},
		"word as number": {struct {
			N int `validate:"max=ten"`
		}{}, "needs a number"},
		"function": {struct{ F func() }{}, "has no JSON form"},
		"channel":  {struct{ C chan int }{}, "has no JSON form"},
		"complex":  {struct{ C complex128 }{}, "has no JSON form"},
		"own JSON": {struct{ S jsonschema.Schema }{}, "decodes its own JSON"},
		"keys misplaced": {struct {
			M map[string]string `validate:"keys,max=3,endkeys"`
		}{}, "right after dive"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Input(reflect.TypeOf(tc.typ))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q in it", err, tc.want)
			}
		})
	}
}

func TestOutputSchema(t *testing.T) {
	t.Parallel()
	type out struct {
		Rows  []map[string]any `json:"rows"`
		Total int64            `json:"total" validate:"gte=0" jsonschema:"all rows"`
		Next  *string          `json:"next"`
		Hint  string           `json:"hint,omitempty"`
		At    time.Time        `json:"at"`
	}
	p, err := Output(reflect.TypeFor[*out]())
	if err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(p.Schema)
	want := `{"type":"object","properties":{"rows":{"type":"array","items":{"type":"object","additionalProperties":{"description":"Any JSON value."}}},` +
		`"total":{"type":"integer","description":"all rows","minimum":0},"next":{"anyOf":[{"type":"string"},{"type":"null"}]},` +
		`"hint":{"type":"string"},"at":{"type":"string","format":"date-time"}},"required":["rows","total","next","at"]}`
	var g, w any
	json.Unmarshal(got, &g)
	json.Unmarshal([]byte(want), &w)
	if !reflect.DeepEqual(g, w) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if err := p.Check(&out{Total: -1}); err == nil {
		t.Error("an output that breaks its own rule passes")
	}
}

// The patterns and formats must not be stricter than the validator, or honest
// input that the schema refuses could never be sent.
func TestPatternsMatchValidator(t *testing.T) {
	t.Parallel()
	samples := []string{"", "a", "Z9", "0", "-1", "+1.5", "1.", ".5", "1e5", "0xFF", "ff", "g", "äö", "#fff", "#ffff", "#ff", "#12345678",
		"01ARZ3NDEKTSV4RRFFQ69G5FAV", "01arz3ndektsv4rrffq69g5fav", "01ARZ3NDEKTSV4RRFFQ69G5FAI", "+4915112345678", "4915112345678", "+0123456", "123456", "1234567", "+123456789012345", "+1234567890123456"}
	for name, pattern := range patterns {
		typ := reflect.StructOf([]reflect.StructField{{Name: "S", Type: reflect.TypeFor[string](), Tag: reflect.StructTag(`json:"s" validate:"` + name + `"`)}})
		p, err := Input(typ)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		res, err := p.Schema.Resolve(nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range samples {
			v := reflect.New(typ)
			v.Elem().Field(0).SetString(s)
			check := p.Check(v.Interface()) == nil
			schema := res.Validate(map[string]any{"s": s}) == nil
			if check != schema {
				t.Errorf("%s (%s) on %q: check %t, schema %t", name, pattern, s, check, schema)
			}
		}
	}
}

func FuzzParseTag(f *testing.F) {
	f.Add("required,max=3,dive,keys,max=8,endkeys,min=1,dive,oneof='a b' c|email")
	f.Add("endkeys")
	f.Fuzz(func(t *testing.T, s string) {
		tg, err := parseTag(s)
		if err != nil {
			return
		}
		again, err := parseTag(tg.String())
		if err != nil || again.String() != tg.String() {
			t.Errorf("%q: %q does not survive: %v", s, tg.String(), err)
		}
	})
}
