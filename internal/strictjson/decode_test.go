package strictjson

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mcpsec/mcpsec-go/internal/racing"
)

type inner struct {
	Name string `json:"name"`
	N    int8   `json:"n"`
}

type input struct {
	ID    string            `json:"id"`
	Big   int64             `json:"big"`
	U     uint64            `json:"u"`
	F     float64           `json:"f"`
	B     bool              `json:"b"`
	P     *int              `json:"p"`
	At    time.Time         `json:"at"`
	Blob  []byte            `json:"blob"`
	Items []inner           `json:"items"`
	Map   map[string]string `json:"map"`
	Raw   json.RawMessage   `json:"raw"`
}

// inputShape is what package schema would compile for an input with small bounds.
func inputShape() *Shape {
	text := func(most int) *Shape {
		return &Shape{Kind: Text, Bounded: true, Max: most, TooMuch: "too long"}
	}
	list := func(s *Shape) *Shape { s.Bounded, s.Max, s.TooMuch = true, 3, "too many"; return s }
	return object("id", text(100), "big", &Shape{}, "u", &Shape{}, "f", &Shape{}, "b", &Shape{},
		"p", &Shape{Null: true}, "at", text(64), "blob", text(40),
		"items", list(&Shape{Kind: List, Elem: object("name", text(5), "n", &Shape{})}),
		"map", list(&Shape{Kind: Map, Key: text(8), Elem: text(5)}),
		"raw", &Shape{Kind: Raw, Null: true})
}

func object(members ...any) *Shape {
	s := &Shape{Kind: Object, Members: map[string]*Shape{}}
	for i := 0; i < len(members); i += 2 {
		m := members[i+1].(*Shape)
		m.Name = members[i].(string)
		s.Members[m.Name], s.Names = m, append(s.Names, m.Name)
	}
	return s
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ in, want string }{
		"unknown member":      {`{"hunter2":1}`, "unknown member; known are id, big,"},
		"nested unknown":      {`{"items":[{"hunter2":1}]}`, "items[0]: unknown member; known are name, n"},
		"case variant":        {`{"ID":"x"}`, "unknown member"},
		"duplicate":           {`{"id":"hunter2","id":"y"}`, "a member occurs twice"},
		"nested duplicate":    {`{"items":[{"n":1,"n":2}]}`, "items[0]: a member occurs twice"},
		"escaped duplicate":   {`{"id":"x","\u0069d":"y"}`, "a member occurs twice"},
		"duplicate in raw":    {`{"raw":{"a":1,"a":2}}`, "a member occurs twice"},
		"trailing data":       {`{"id":"x"} {}`, "not valid JSON"},
		"trailing comma":      {`{"id":"x",}`, "not valid JSON"},
		"invalid UTF-8":       {"{\"id\":\"\xff\"}", "not valid JSON"},
		"lone surrogate":      {`{"id":"\ud800"}`, "not valid JSON"},
		"null string":         {`{"id":null}`, "id: must not be null"},
		"null slice":          {`{"items":null}`, "items: must not be null"},
		"null element":        {`{"items":[{"n":1},null]}`, "items[1]: must not be null"},
		"null in map":         {`{"map":{"hunter2":null}}`, "map[*]: must not be null"},
		"null document":       {`null`, "must not be null"},
		"float for integer":   {`{"big":1.0}`, "big: must be an integer of 64 bits"},
		"exponent":            {`{"big":1e2}`, "big: must be an integer"},
		"integer as string":   {`{"big":"1"}`, "big: must be an integer"},
		"above int64":         {`{"big":9223372036854775808}`, "big: must be an integer"},
		"negative unsigned":   {`{"u":-1}`, "u: must be a non-negative integer"},
		"above int8":          {`{"items":[{"n":128}]}`, "items[0].n: must be an integer of 8 bits"},
		"number for string":   {`{"id":77}`, "id: must be a string"},
		"object for string":   {`{"id":{"hunter2":1}}`, "id: must be a string"},
		"string for array":    {`{"items":"hunter2"}`, "items: must be an array"},
		"array for object":    {`[]`, "must be an object"},
		"bad time":            {`{"at":"hunter2"}`, "at: must be a string in the form"},
		"bad base64":          {`{"blob":"hunter2!"}`, "blob: must be a base64 string"},
		"infinite":            {`{"f":1e999}`, "f: must be a number"},
		"wrong value in map":  {`{"map":{"hunter2":7}}`, "map[*]: must be a string"},
		"empty":               {``, "not valid JSON"},
		"single-quoted":       {`{'id':1}`, "not valid JSON"},
		"comment":             {`{/*x*/}`, "not valid JSON"},
		"not a number":        {`{"f":NaN}`, "not valid JSON"},
		"control character":   {"{\"id\":\"a\x01\"}", "not valid JSON"},
		"null byte in a name": {`{"id\u0000":"x"}`, "unknown member"},
		"too many elements":   {`{"items":[{},{},{},{}]}`, "items: too many"},
		"too many members":    {`{"map":{"a":"","b":"","c":"","d":""}}`, "map: too many"},
		"too long":            {`{"items":[{},{"name":"123456"}]}`, "items[1].name: too long"},
		"too long, escaped":   {`{"items":[{},{"name":"\u00311111\ud83d\ude00"}]}`, "items[1].name: too long"},
		"too long a key":      {`{"map":{"hunter2hunter2":""}}`, "map[*]: too long"},
		"too long in a map":   {`{"map":{"hunter2":"123456"}}`, "map[*]: too long"},
		"escaped name":        {`{"it\u0065ms":[{},{},{},{}]}`, "items: too many"},
		"before bad syntax":   {`{"items":[{},{},{},{},`, "items: too many"},
		"before a bad type":   {`{"big":"x","items":[{},{},{},{}]}`, "items: too many"},
		"unknown empty":       {`{"":1}`, "unknown member; known are id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var in input
			err := Decode([]byte(tc.in), &in, inputShape())
			if err == nil {
				t.Fatalf("accepted as %+v", in)
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %q, want %q in it", err, tc.want)
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "77") {
				t.Errorf("%q echoes the input", err)
			}
		})
	}
}

func TestDecodeIsExact(t *testing.T) {
	t.Parallel()
	var in input
	err := Decode([]byte(`{"id":"x","big":-9223372036854775808,"u":18446744073709551615,"p":null,"raw":{"n":9007199254740993,"x":null},"map":{}}`), &in, inputShape())
	if err != nil {
		t.Fatal(err)
	}
	if in.Big != math.MinInt64 || in.U != math.MaxUint64 || in.P != nil {
		t.Errorf("got %d, %d, %v", in.Big, in.U, in.P)
	}
	if string(in.Raw) != `{"n":9007199254740993,"x":null}` {
		t.Errorf("raw: got %s", in.Raw)
	}
	if err := Decode([]byte(`{"big":9007199254740993}`), &in, inputShape()); err != nil || in.Big != 9007199254740993 {
		t.Errorf("got %d, %v", in.Big, err)
	}
}

// What is refused for its size must not have been built. Not parallel: it
// measures.
func TestDecodeBuildsNothingTooLarge(t *testing.T) {
	doc := []byte(`{"items":[` + strings.Repeat("{},", 300_000) + `{}]}`)
	s := inputShape()
	var in input
	if n := testing.AllocsPerRun(5, func() {
		in = input{}
		if err := Decode(doc, &in, s); err == nil {
			t.Error("accepted")
		}
	}); n > 20 || cap(in.Items) > 0 {
		t.Errorf("%v allocations, %d elements", n, cap(in.Items))
	}
}

// Exactly as much as is allowed passes, however it is written.
func TestDecodeAtTheBounds(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{
		`{"items":[{"name":"äöüß€"},{"name":"\u00e4\u00f6\u00fc\u00df\u20ac"},{"name":"\ud83d\ude00😀😀😀\n"}]}`,
		` { "map" : { "äöüßäöüß" : "12345" , "b" : "" , "c" : "" } } `,
		`{}`, `{"items":[],"map":{}}`,
	} {
		var in input
		if err := Decode([]byte(doc), &in, inputShape()); err != nil {
			t.Errorf("%s: %v", doc, err)
		}
	}
}

// Decoding costs what the strings of the value take, and the check before it nothing.
func TestDecodeAllocates(t *testing.T) { // not parallel: it counts
	if racing.Enabled {
		t.Skip("the race detector allocates for itself")
	}
	shape := inputShape()
	for name, tc := range map[string]struct {
		f    func() error
		most float64
	}{
		"the check": {func() error { return walk(benchDoc, shape) }, 0},
		"all of it": {func() error { return Decode(benchDoc, new(input), shape) }, 3},
	} {
		if got := testing.AllocsPerRun(100, func() {
			if err := tc.f(); err != nil {
				t.Error(err)
			}
		}); got > tc.most {
			t.Errorf("%s: %v allocations, %v is the limit", name, got, tc.most)
		}
	}
}

var benchDoc = []byte(`{"id":"0c8bf0c5-6a1e-4a9b-8a4e-3f1f3a0d8f01","big":12,"u":7,"b":true,"items":[{"name":"a","n":1}],"at":"2026-01-02T03:04:05Z"}`)

func BenchmarkDecode(b *testing.B) {
	s := inputShape()
	b.Run("walk", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := walk(benchDoc, s); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var in input
			if err := Decode(benchDoc, &in, s); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func TestDepth(t *testing.T) {
	t.Parallel()
	nest := func(n int) []byte { return []byte(strings.Repeat("[", n) + strings.Repeat("]", n)) }
	for name, tc := range map[string]struct {
		in   []byte
		deep bool
	}{
		"at the limit":          {nest(64), false},
		"one over":              {nest(65), true},
		"brackets in a string":  {[]byte(`"` + strings.Repeat("[", 100) + `"`), false},
		"escaped quote":         {[]byte(`"\"` + strings.Repeat("[", 100) + `"`), false},
		"escaped backslash":     {[]byte(`"\\"` + strings.Repeat("[", 100)), true},
		"siblings do not count": {[]byte(strings.Repeat("[]", 100)), false},
	} {
		if got := Depth(tc.in, 64); got != tc.deep {
			t.Errorf("%s: got %t", name, got)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"id":"x","items":[{"name":"y","n":1}],"map":{"k":"v"},"p":null}`))
	f.Add([]byte(`{"it\u0065ms":[{},{},{},{}],"m\u0061p":{"\ud83d\ude00":""}}`))
	f.Add([]byte(`{"raw":[null,{"a":[]}],"at":"2026-01-02T03:04:05Z","blob":"aGk="}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var in, again input
		if Decode(data, &in, inputShape()) != nil {
			return
		}
		if len(in.Items) > 3 || len(in.Map) > 3 || utf8.RuneCountInString(in.ID) > 100 {
			t.Fatalf("accepted %q, which is over the bounds", data)
		}
		if !json.Valid(data) {
			t.Fatalf("accepted what encoding/json calls invalid: %q", data)
		}
		d := json.NewDecoder(strings.NewReader(string(data)))
		d.DisallowUnknownFields()
		if err := d.Decode(&again); err != nil {
			t.Fatalf("accepted %q, which encoding/json refuses: %v", data, err)
		}
		if in.ID != again.ID || in.Big != again.Big || in.U != again.U || len(in.Items) != len(again.Items) {
			t.Fatalf("%q: read as %+v and as %+v", data, in, again)
		}
	})
}
