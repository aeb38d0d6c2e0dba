package pbtool

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
)

// What the schemas leave out for the sake of the model's context is enforced: each
// member refuses more than it takes, before anything is done.
func TestBoundsThatAreNotShown(t *testing.T) {
	t.Parallel()
	c := offline(t, Collection{Name: "posts", Write: []string{"title"}, Delete: true})
	all := slices.Concat(RecordReadTools(c), RecordWriteTools(c), SchemaReadTools(c), SchemaWriteTools(c), AdminTools(c, everythingAllowed(t)), FileTools(c), AuthTools(withOAuth(t)))
	session := mcptest.Serve(t, all...)
	list, _ := session.Tools()
	for _, tool := range list {
		shown := tool.InputSchema.(map[string]any)
		properties := shown["properties"].(map[string]any)
		for name, p := range properties {
			much := tooMuch(t, name, p.(map[string]any))
			if much == nil {
				continue
			}
			args := map[string]any{}
			for other, p := range properties {
				args[other] = little(other, p.(map[string]any))
			}
			args[name] = much
			params, err := json.Marshal(map[string]any{"name": tool.Name, "arguments": args})
			if err != nil {
				t.Fatal(err)
			}
			if got := string(session.Request("tools/call", string(params))); !strings.Contains(got, `"invalid arguments: `+name+": must be at most ") {
				t.Errorf("%s with too much %s: %.300s", tool.Name, name, got)
			}
		}
	}
}

// mostOf is what a member takes at most: characters, elements, members, or as a number. Where
// tools differ it is the largest.
var mostOf = map[string]int{
	"collection": 100, "id": 100, "copy_of": 100, "field": 100, "file": 255, "name": 255, "thumb": 12, "if_updated": 40, "after": 2000, "text": 262144,
	"data": 100, "set": 100, "add": 100, "remove": 100,
	"where": 20, "fields": 50, "expand": 20, "sort": 8, "group_by": 3, "aggregates": 10, "requests": 1000, "ops": 50, "plan": 64,
	"page": 10000, "min_level": 100, "since": 24, "to": 255, "secret": 100, "email": 255,
	"identity": 255, "password": 255, "passcode": 100, "token": 4096, "provider": 100, "code": 2000, "state": 500, "sign_in": 100,
}

// tooMuch is more than a member takes, nil for what has no bound of that kind.
func tooMuch(t *testing.T, name string, p map[string]any) any {
	t.Helper()
	most, ok := mostOf[name]
	if !ok && p["enum"] == nil && p["type"] != "boolean" && p["type"] != "object" && name != "limit" && name != "content" {
		t.Errorf("nothing is known of the bound of %s", name)
	}
	switch {
	case !ok:
		return nil
	case p["type"] == "array":
		return slices.Repeat([]any{element(name)}, most+1)
	case p["type"] == "object":
		m := map[string]any{}
		for i := range most + 1 {
			m["f"+strconv.Itoa(i)] = true
		}
		return m
	case p["type"] == "integer":
		return most + 1
	case name == "email":
		return strings.Repeat("x", most) + "@example.com"
	}
	return strings.Repeat("x", most+1)
}

func element(name string) any {
	switch name {
	case "where":
		return map[string]any{"field": "title", "op": "empty"}
	case "aggregates":
		return map[string]any{"fn": "count"}
	case "requests", "ops":
		return map[string]any{"op": "create", "collection": "posts"}
	}
	return "x"
}

// little is what all members of that kind take.
func little(name string, p map[string]any) any {
	if enum, ok := p["enum"].([]any); ok {
		return enum[0]
	}
	switch p["type"] {
	case "string":
		if name == "email" {
			return "a@example.com"
		}
		return "x"
	case "array":
		return []any{}
	case "integer":
		return 1
	case "boolean":
		return true
	}
	return map[string]any{"title": true}
}

// What is told as text is told as it is, and an error has none.
func TestAsText(t *testing.T) {
	t.Parallel()
	got, err := asText(map[string]string{"url": "https://x.example/?a=1&b=<2>"}, nil)
	if want := `{"url":"https://x.example/?a=1&b=<2>"}`; err != nil || got.Text != want {
		t.Errorf("got %q, %v, want %q", got.Text, err, want)
	}
	if got, err := asText(map[string]string{"a": "b"}, errAnswer); err != errAnswer || got.Text != "" {
		t.Errorf("got %q, %v of an error", got.Text, err)
	}
}
