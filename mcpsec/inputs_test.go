//lint:file-ignore SA1019 the protocol has deprecated it, and clients of both eras have it

package mcpsec

import (
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// An answer of one kind is none of another, whatever it looks like.
func TestAnswersHaveTheirKind(t *testing.T) {
	t.Parallel()
	texts := []mcp.Content{&mcp.TextContent{Text: "x"}}
	for kind, own := range map[capability]any{
		canElicit: &mcp.ElicitResult{Action: "accept"}, canSample: &mcp.CreateMessageWithToolsResult{Content: texts}, canRoots: &mcp.ListRootsResult{},
	} {
		for _, other := range []capability{canElicit, canSample, canRoots} {
			if _, ok := other.value(own); ok != (kind == other) {
				t.Errorf("%s for %s: %v", kind, other, ok)
			}
		}
	}
	for _, none := range []any{nil, (*mcp.ElicitResult)(nil), (*mcp.CreateMessageWithToolsResult)(nil), (*mcp.ListRootsResult)(nil)} {
		if _, ok := canElicit.value(none); ok {
			t.Errorf("%T is an answer", none)
		}
	}
}

// Whatever a client answers, a form is read or refused, and what is read keeps to
// its rules.
func FuzzForm(f *testing.F) {
	type form struct {
		Name string   `json:"name" validate:"required,max=5"`
		N    int64    `json:"n" validate:"min=1,max=9"`
		OK   *bool    `json:"ok"`
		Some []string `json:"some" validate:"max=2,dive,oneof=a b"`
	}
	fm, err := formOf(reflect.TypeFor[form]())
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		`{"action":"accept","content":{"name":"ada","n":3,"ok":true,"some":["a"]}}`, `{"action":"accept","content":{"name":"ada","n":1e0,"x":{}}}`,
		`{"action":"accept"}`, `{"action":"decline","content":null}`, `{"action":"accept","content":{"name":null,"n":"3","some":[null]}}`, `[]`, `null`, `1`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		var v form
		if fm.read(json.RawMessage(raw), &v) != nil {
			return
		}
		if v.Name == "" || utf8.RuneCountInString(v.Name) > 5 || v.N < 1 || v.N > 9 || len(v.Some) > 2 {
			t.Errorf("%s: read %+v", raw, v)
		}
	})
}
