package mcpsec_test

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/insecure"
)

type textOut struct {
	Text string            `json:"text"`
	Tags []string          `json:"tags"`
	Map  map[string]string `json:"map"`
}

func returning(spec mcpsec.ToolSpec, out textOut) *mcpsec.Tool {
	spec.Name, spec.Description, spec.Effect = "x", "For tests.", mcpsec.Read
	return mcpsec.NewTool(spec, func(context.Context, none) (textOut, error) { return out, nil })
}

// Hidden characters leave in no result, and cannot split a secret.
func TestResultIsStrippedAndRedacted(t *testing.T) {
	t.Parallel()
	const secret = "correct-horse-battery"
	for name, tc := range map[string]struct{ in, want string }{
		"plain":                 {"a\tb\n\"q\" \\ é 東京 👨‍👩‍👧", "a\tb\n\"q\" \\ é 東京 👨‍👩‍👧"},
		"bidi":                  {"a\u202Eb", "ab"},
		"tags":                  {"ok\U000E0069\U000E0067", "ok"},
		"terminal escape":       {"\x1b[31mred\b\f", "[31mred"},
		"secret":                {"key " + secret + " end", ""},
		"secret, split":         {"key correct-\u200Bhorse-bat\u2060tery end", ""},
		"looks like an escape":  {`\u202e \\u202e`, `\u202e \\u202e`},
		"ends with a backslash": {"x\u202E\\", `x\`},
	} {
		f := newFixture(t, func(o *mcpsec.Options) { o.Secrets = []mcpsec.Secret{newSecret(secret)} },
			returning(mcpsec.ToolSpec{}, textOut{Text: tc.in, Tags: []string{tc.in}, Map: map[string]string{"k": tc.in}}))
		text, isErr := call(t, f.connect(t), "x", none{})
		var out textOut
		if err := json.Unmarshal([]byte(text), &out); err != nil || isErr {
			t.Fatalf("%s: %q: %v", name, text, err)
		}
		if strings.Contains(tc.in, "key ") {
			if strings.Contains(text, "horse") || !strings.Contains(text, "key ") || !strings.Contains(text, " end") {
				t.Errorf("%s: got %q", name, text)
			}
			continue
		}
		for _, got := range []string{out.Text, out.Tags[0], out.Map["k"]} {
			if got != tc.want {
				t.Errorf("%s: got %q, want %q", name, got, tc.want)
			}
		}
	}
}

func TestRawOutputIsWaivedAndRecorded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil, returning(mcpsec.ToolSpec{Waive: []mcpsec.Waiver{insecure.RawOutput("a test")}}, textOut{Text: "a\u202Eb"}))
	text, _ := call(t, f.connect(t), "x", none{})
	if !strings.Contains(text, "\u202E") {
		t.Errorf("got %q", text)
	}
	if !strings.Contains(f.audit.String(), `"waived_raw-output":"a test"`) || !strings.Contains(f.log.String(), "a test") {
		t.Error("the waiver is not recorded and logged")
	}
}

// A result over the limit is an error that says what to do. (P19)
func TestOversizedResult(t *testing.T) {
	t.Parallel()
	huge := textOut{Text: strings.Repeat("x", 1<<20)}
	for name, tc := range map[string]struct {
		spec mcpsec.ToolSpec
		want string
	}{
		"default":    {mcpsec.ToolSpec{}, "the result is larger than 262144 bytes: ask for less"},
		"tool's own": {mcpsec.ToolSpec{MaxResult: 100, Narrow: "lower limit"}, "the result is larger than 100 bytes: lower limit"},
	} {
		f := newFixture(t, nil, returning(tc.spec, huge))
		if text, isErr := call(t, f.connect(t), "x", none{}); !isErr || text != tc.want {
			t.Errorf("%s: got %.100q, error %t", name, text, isErr)
		}
	}
}

type counted struct{ n *int }

func (c counted) MarshalText() ([]byte, error) {
	*c.n++
	return bytes.Repeat([]byte("x"), 1000), nil
}

type countedOut struct {
	Items []counted `json:"items"`
}

// A huge result is not built to be thrown away: the encoder stops at the bound.
func TestOversizedResultIsNotBuilt(t *testing.T) {
	t.Parallel()
	n := 0
	f := newFixture(t, nil, tool("x", func(context.Context, none) (countedOut, error) {
		return countedOut{slices.Repeat([]counted{{&n}}, 100_000)}, nil
	}))
	if text, isErr := call(t, f.connect(t), "x", none{}); !isErr || !strings.HasPrefix(text, "the result is larger") {
		t.Errorf("got %.100q", text)
	}
	if n > 2000 {
		t.Errorf("%d of 100,000 elements were encoded for a bound of 256 KiB", n)
	}
}

// Our encoder writes what the SDK's would and adds the provenance.
func TestReplyHasTheSDKsForm(t *testing.T) {
	t.Parallel()
	bare := mcp.NewServer(impl, nil)
	bare.AddTool(&mcp.Tool{Name: "x", InputSchema: json.RawMessage(`{"type":"object"}`)},
		func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return &mcp.CallToolResult{
				Content:           []mcp.Content{&mcp.TextContent{Text: `{"text":"a \"quoted\" é","tags":[],"map":{}}`}},
				StructuredContent: json.RawMessage(`{"text":"a \"quoted\" é","tags":[],"map":{}}`),
			}, nil
		})
	f := newFixture(t, nil, returning(mcpsec.ToolSpec{Labels: mcpsec.Private | mcpsec.Untrusted}, textOut{Text: `a "quoted" é`}))
	ct, st := mcp.NewInMemoryTransports()
	if _, err := bare.Connect(t.Context(), st, nil); err != nil {
		t.Fatal(err)
	}
	want, err := mcp.NewClient(impl, nil).Connect(t.Context(), ct, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	params := &mcp.CallToolParams{Name: "x"}
	a, err := want.CallTool(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	b, err := f.connect(t).CallTool(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	if b.Meta["io.github.mcpsec/call"] == nil || !reflect.DeepEqual(b.Meta["io.github.mcpsec/labels"], []any{"private", "untrusted"}) {
		t.Errorf("provenance: got %v", b.Meta)
	}
	delete(b.Meta, "io.github.mcpsec/call")
	delete(b.Meta, "io.github.mcpsec/labels")
	if !reflect.DeepEqual(a, b) {
		t.Errorf("got  %+v\nwant %+v", b, a)
	}
}

// A result that breaks the schema which was shown for it is an internal error.
// (TOOL-10)
func TestResultsKeepToTheirSchema(t *testing.T) {
	t.Parallel()
	type sized struct {
		N int `json:"n" validate:"min=1,max=3"`
	}
	type wanted struct {
		N int `json:"n"`
	}
	cs := newFixture(t, nil, tool("sized", func(_ context.Context, in wanted) (*sized, error) {
		if in.N == 0 {
			return nil, nil
		}
		return &sized{in.N}, nil
	})).connect(t)
	for n, bad := range map[int]bool{0: true, 1: false, 3: false, 4: true, -1: true} {
		if text, isErr := call(t, cs, "sized", wanted{n}); isErr != bad || bad != strings.HasPrefix(text, "internal error") {
			t.Errorf("%d: got %s", n, text)
		}
	}
}
