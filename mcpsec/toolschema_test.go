package mcpsec_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type reachIn struct {
	Phone string `json:"phone" validate:"max=20"`
	Email string `json:"email" validate:"max=20"`
	N     int64  `json:"n"`
}

func reach(schema string) *mcpsec.Tool {
	return mcpsec.NewTool(mcpsec.ToolSpec{Name: "reach", Description: "For tests.", Effect: mcpsec.Read, InputSchema: json.RawMessage(schema)},
		func(_ context.Context, in reachIn) (echoOut, error) { return echoOut{in.Phone + in.Email}, nil })
}

const oneOfTwo = `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","$defs":{"text":{"type":"string","minLength":2}},
	"properties":{"phone":{"$ref":"#/$defs/text"},"email":{"$ref":"#/$defs/text"},"n":{"type":"integer","maximum":9}},
	"anyOf":[{"required":["phone"]},{"required":["email"]}],"additionalProperties":false}`

// A schema that was written by hand is shown as it is, and enforced beside the
// rules of the type, without echo.
func TestInputSchema(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil, reach(oneOfTwo))
	cs := f.connect(t)
	list, err := cs.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := json.Marshal(list.Tools[0].InputSchema)
	if err != nil || !strings.Contains(string(shown), `"anyOf":[{"required":["phone"]},{"required":["email"]}]`) || !strings.Contains(string(shown), `"$defs":{"text"`) {
		t.Errorf("shown %s, %v", shown, err)
	}
	for args, want := range map[string]string{
		`{"phone":"123"}`:                   `{"text":"123"}`,
		`{"email":"a@b","n":9}`:             `{"text":"a@b"}`,
		`{}`:                                "invalid arguments: they do not fit the tool's schema",
		`{"phone":"S"}`:                     "invalid arguments: they do not fit the tool's schema",
		`{"phone":"123","n":10}`:            "invalid arguments: they do not fit the tool's schema",
		`{"phone":"123456789012345678901"}`: "invalid arguments: phone: must be at most 20 characters",
		`{"phone":"123","fax":"1"}`:         "invalid arguments: unknown member",
	} {
		if text, _ := call(t, cs, "reach", json.RawMessage(args)); !strings.HasPrefix(text, want) || strings.Contains(text, "S3CRET") {
			t.Errorf("%s: got %s, want %s", args, text, want)
		}
	}
}

// A schema that would tell the model what does not hold, or that nobody can read
// in one way, is refused at start.
func TestInputSchemaRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ schema, want string }{
		"no JSON":            {`{"type":`, "reading JSON"},
		"two texts":          {`{"type":"object","additionalProperties":false} {}`, "more behind it"},
		"two members":        {`{"type":"object","type":"object","additionalProperties":false}`, "reading JSON"},
		"no object":          {`{"type":"array"}`, "must be an object"},
		"open":               {`{"type":"object"}`, "must be an object"},
		"open by a schema":   {`{"type":"object","additionalProperties":{"type":"string"}}`, "must be an object"},
		"an unknown member":  {`{"type":"object","additionalProperties":false,"properties":{"fax":{}}}`, `no member "fax"`},
		"an older dialect":   {`{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","additionalProperties":false}`, "2020-12"},
		"a name":             {`{"$id":"https://x.io/a","type":"object","additionalProperties":false}`, "$id"},
		"a reference abroad": {`{"type":"object","additionalProperties":false,"properties":{"phone":{"$ref":"https://x.io/s"}}}`, "InputSchema"},
		"a dead reference":   {`{"type":"object","additionalProperties":false,"properties":{"phone":{"$ref":"#/$defs/x"}}}`, "InputSchema"},
		"hidden text":        {`{"type":"object","additionalProperties":false,"description":"a\u202eb"}`, "invisible"},
		"deep":               {`{"type":"object","additionalProperties":false,"properties":{"phone":` + strings.Repeat(`{"not":`, 40) + "{}" + strings.Repeat("}", 40) + `}}`, "32 levels"},
		"long":               {`{"type":"object","additionalProperties":false,"description":"` + strings.Repeat("x", 33<<10) + `"}`, "32768 bytes"},
		"a bad pattern":      {`{"type":"object","additionalProperties":false,"properties":{"phone":{"pattern":"("}}}`, "InputSchema"},
	} {
		func() {
			defer func() {
				if got, _ := recover().(string); !strings.Contains(got, tc.want) {
					t.Errorf("%s: got %q, want %q", name, got, tc.want)
				}
			}()
			reach(tc.schema)
		}()
	}
}

// Undecoded JSON may hold a number that is no float64.
func TestInputSchemaTakesAnyNumber(t *testing.T) {
	t.Parallel()
	type in struct {
		V json.RawMessage `json:"v" mcpsec:"any"`
	}
	f := newFixture(t, nil, mcpsec.NewTool(mcpsec.ToolSpec{
		Name: "number", Description: "For tests.", Effect: mcpsec.Read,
		InputSchema: json.RawMessage(`{"type":"object","properties":{"v":{"type":["number","array"],"maximum":9,"items":{"type":"number"}}},"additionalProperties":false}`),
	}, func(_ context.Context, in in) (echoOut, error) { return echoOut{string(in.V)}, nil }))
	cs := f.connect(t)
	for args, want := range map[string]string{
		`{"v":-1e400}`:      `{"text":"-1e400"}`,
		`{"v":[1,1e400]}`:   `{"text":"[1,1e400]"}`,
		`{"v":1e400}`:       "invalid arguments: they do not fit the tool's schema",
		`{"v":[1,{"a":2}]}`: "invalid arguments: they do not fit the tool's schema",
	} {
		if text, _ := call(t, cs, "number", json.RawMessage(args)); text != want {
			t.Errorf("%s: got %s, want %s", args, text, want)
		}
	}
}
