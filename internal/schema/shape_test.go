package schema

import (
	"encoding/json"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/strictjson"
)

type generic[T any] struct {
	V T   `json:"v" validate:"required"`
	W []T `json:"w" validate:"dive,required"`
}

type bounds6 struct {
	List  []line                  `json:"list"`
	Grid  [][]string              `json:"grid" validate:"max=3,dive,max=2,dive,max=5"`
	Dict  map[string][]string     `json:"dict" validate:"max=2,dive,keys,max=4,endkeys,max=2,dive,max=3"`
	Less  []int                   `json:"less" validate:"lt=3"`
	Len   *[]int                  `json:"len" validate:"omitempty,len=2"`
	Vec   [2]float64              `json:"vec"`
	Raw   json.RawMessage         `json:"raw" mcpsec:"any"`
	Deep  *struct{ Text *string } `json:"deep"`
	Bytes []byte                  `json:"bytes" validate:"max=3"`
}

func (bounds6) doc(member, value string) []byte {
	return fmt.Appendf(nil, `{%q:%s}`, member, value)
}

// The bounds of the schema hold before the value is built, with its path.
func TestShapeBounds(t *testing.T) {
	t.Parallel()
	p, err := Input(reflect.TypeFor[bounds6]())
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ member, value, want string }{
		{"list", `[` + strings.Repeat(`{},`, DefaultMaxItems) + `{}]`, "list: must be at most 100 items"},
		{"list", `[` + strings.Repeat(`{},`, DefaultMaxItems-1) + `{}]`, ""},
		{"list", `[{"sku":"` + strings.Repeat("x", 21) + `"}]`, "list[0].sku: must be at most 20 characters"},
		{"list", `[{"no":1}]`, "list[0]: unknown member; known are sku, count, price"},
		{"list", `[null]`, "list[0]: must not be null"},
		{"grid", `[[],[],[],[]]`, "grid: must be at most 3 items"},
		{"grid", `[[],["a","b","c"]]`, "grid[1]: must be at most 2 items"},
		{"grid", `[[],["a","123456"]]`, "grid[1][1]: must be at most 5 characters"},
		{"dict", `{"a":[],"b":[],"c":[]}`, "dict: must be at most 2 items"},
		{"dict", `{"abcde":[]}`, "dict[*]: must be at most 4 characters"},
		{"dict", `{"a":["","",""]}`, "dict[*]: must be at most 2 items"},
		{"dict", `{"a":["","1234"]}`, "dict[*][1]: must be at most 3 characters"},
		{"less", `[1,2,3]`, "less: must be at most 2 items"},
		{"len", `[1,2,3]`, "len: must be at most 2 items"},
		{"len", `null`, ""},
		{"vec", `[1,2,3]`, "vec: must be at most 2 items"},
		{"raw", `[{},{},{},null]`, ""},
		{"raw", `null`, ""},
		{"deep", `{"Text":"` + strings.Repeat("x", DefaultMaxLength+1) + `"}`, "deep.Text: must be at most 4096 characters"},
		{"deep", `{"Text":null}`, ""},
		{"bytes", `"AAAAAAAA"`, "bytes: must be at most 4 characters of base64"},
		{"bytes", `"AAAA"`, ""},
	} {
		var v bounds6
		err := strictjson.Decode(v.doc(tc.member, tc.value), &v, p.Shape)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || err.Error() != tc.want) {
			t.Errorf("%s: got %v, want %q", tc.member, err, tc.want)
		}
	}
}

// A small text must not become a large value. Not parallel: it measures.
func TestNoAmplification(t *testing.T) {
	type in struct {
		Items []order `json:"items"`
	}
	p, err := Input(reflect.TypeFor[in]())
	if err != nil {
		t.Fatal(err)
	}
	doc := []byte(`{"items":[` + strings.Repeat("{},", 340_000) + `{}]}`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var v in
	err = strictjson.Decode(doc, &v, p.Shape)
	runtime.ReadMemStats(&after)
	refuse(t, "a flood of items", err, "items: must be at most 100 items")
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes of input took %d bytes of memory", len(doc), n)
	}
}

// The path of a violation survives type names that hold dots and brackets, and
// types without a name.
func TestPathsOfViolations(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		v    any
		want string
	}{
		"generic":        {&generic[string]{W: []string{"x", ""}}, "v: is required and must not be empty; w[1]: is"},
		"nested generic": {&generic[generic[string]]{V: generic[string]{V: "x", W: []string{""}}}, "v.w[0]: is required"},
		"no name": {&struct {
			A struct {
				B string `json:"b" validate:"required"`
			} `json:"a"`
		}{}, "a.b: is required"},
	} {
		p, err := Input(reflect.TypeOf(tc.v).Elem())
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Check(tc.v); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
		}
	}
}
