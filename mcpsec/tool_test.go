package mcpsec_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// refuses runs build and returns what it panicked with.
func refuses(build func()) (text string) {
	defer func() {
		if p := recover(); p != nil {
			text = fmt.Sprint(p)
		}
	}()
	build()
	return ""
}

// A declaration that cannot be right is a failure at start that names the tool.
// (P9, P38)
func TestNewToolRefuses(t *testing.T) {
	t.Parallel()
	type hidden struct {
		A string `json:"a" jsonschema:"ok\u202Etxt"`
	}
	type unknown struct {
		A string `json:"a" validate:"reqired"`
	}
	good := mcpsec.ToolSpec{Name: "x", Description: "d", Effect: mcpsec.Read}
	spec := func(change func(*mcpsec.ToolSpec)) func() {
		s := good
		change(&s)
		return func() {
			mcpsec.NewTool(s, func(context.Context, none) (echoOut, error) { return echoOut{}, nil })
		}
	}
	for name, tc := range map[string]struct {
		build func()
		want  string
	}{
		"good":                {spec(func(*mcpsec.ToolSpec) {}), ""},
		"no name":             {spec(func(s *mcpsec.ToolSpec) { s.Name = "" }), "the name must be"},
		"space in the name":   {spec(func(s *mcpsec.ToolSpec) { s.Name = "a b" }), "the name must be"},
		"hidden in the name":  {spec(func(s *mcpsec.ToolSpec) { s.Name = "a\u200bb" }), "the name must be"},
		"line in the name":    {spec(func(s *mcpsec.ToolSpec) { s.Name = "a\n" }), "the name must be"},
		"endless name":        {spec(func(s *mcpsec.ToolSpec) { s.Name = strings.Repeat("a", 129) }), "the name must be"},
		"no description":      {spec(func(s *mcpsec.ToolSpec) { s.Description = "" }), "a description is required"},
		"bidi description":    {spec(func(s *mcpsec.ToolSpec) { s.Description = "a\u202Eb" }), "invisible"},
		"tags in description": {spec(func(s *mcpsec.ToolSpec) { s.Description = "a\U000E0041" }), "invisible"},
		"hidden title":        {spec(func(s *mcpsec.ToolSpec) { s.Title = "a\u2066" }), "invisible"},
		"invalid UTF-8":       {spec(func(s *mcpsec.ToolSpec) { s.Description = "a\xff" }), "invisible"},
		"no effect":           {spec(func(s *mcpsec.ToolSpec) { s.Effect = 0 }), "an Effect is required"},
		"unknown effect":      {spec(func(s *mcpsec.ToolSpec) { s.Effect = 9 }), "an Effect is required"},
		"map input": {func() {
			mcpsec.NewTool(good, func(context.Context, map[string]any) (echoOut, error) { return echoOut{}, nil })
		}, "input: type map"},
		"any input": {func() {
			mcpsec.NewTool(good, func(context.Context, any) (echoOut, error) { return echoOut{}, nil })
		}, "input: type interface"},
		"hidden field text": {func() {
			mcpsec.NewTool(good, func(context.Context, hidden) (echoOut, error) { return echoOut{}, nil })
		}, "invisible"},
		"unknown rule": {func() {
			mcpsec.NewTool(good, func(context.Context, unknown) (echoOut, error) { return echoOut{}, nil })
		}, "reqired"},
		"string output": {func() { mcpsec.NewTool(good, func(context.Context, none) (string, error) { return "", nil }) }, "output: type string"},
		"slice output":  {func() { mcpsec.NewTool(good, func(context.Context, none) ([]int, error) { return nil, nil }) }, "output: type []int"},
		"any output":    {func() { mcpsec.NewTool(good, func(context.Context, none) (any, error) { return nil, nil }) }, "output: type interface"},
		"nil handler":   {func() { mcpsec.NewTool[none, echoOut](good, nil) }, "a handler is required"},
		"renamed badly": {func() { echo().WithName("a b") }, "the name must be"},
	} {
		got := refuses(tc.build)
		if tc.want == "" && got != "" || !strings.Contains(got, tc.want) || tc.want != "" && !strings.HasPrefix(got, "mcpsec: tool ") {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func TestAddRefusesDuplicates(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil, echo())
	if got := refuses(func() { f.Add(echo()) }); got != `mcpsec: tool "echo": added twice` {
		t.Errorf("got %q", got)
	}
	f.Add(echo().WithName("echo2"))
	if text, _ := call(t, f.connect(t), "echo2", echoIn{"x"}); !strings.Contains(text, "x") {
		t.Errorf("got %q", text)
	}
}

func TestNewServerRefuses(t *testing.T) {
	good := func() mcpsec.Options { return mcpsec.Options{Audit: mcpsec.NewAuditLog(&strings.Builder{})} }
	with := func(change func(*mcpsec.Options)) mcpsec.Options { o := good(); change(&o); return o }
	for name, tc := range map[string]struct {
		impl *mcp.Implementation
		o    mcpsec.Options
		want string
	}{
		"good":          {impl, good(), ""},
		"no name":       {&mcp.Implementation{Version: "1"}, good(), "Implementation"},
		"nil":           {nil, good(), "Implementation"},
		"hidden name":   {&mcp.Implementation{Name: "a\u200b", Version: "1"}, good(), "invisible"},
		"no audit":      {impl, mcpsec.Options{}, "Options.Audit is required"},
		"deaf audit":    {impl, mcpsec.Options{Audit: slog.DiscardHandler}, "must record level info"},
		"unknown mode":  {impl, with(func(o *mcpsec.Options) { o.Mode = 9 }), "Options.Mode"},
		"short secret":  {impl, with(func(o *mcpsec.Options) { o.Secrets = []mcpsec.Secret{newSecret("abc")} }), "Options.Secrets[0] is too short"},
		"empty secret":  {impl, with(func(o *mcpsec.Options) { o.Secrets = []mcpsec.Secret{{}} }), "Options.Secrets[0] is too short"},
		"hidden advice": {impl, with(func(o *mcpsec.Options) { o.Instructions = "a\u202e" }), "invisible"},
	} {
		_, err := mcpsec.NewServer(tc.impl, tc.o)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
	t.Setenv("MCPGODEBUG", "disablecompleteparamsvalidation=1")
	if _, err := mcpsec.NewServer(impl, good()); err == nil || !strings.Contains(err.Error(), "MCPGODEBUG") {
		t.Errorf("MCPGODEBUG: got %v", err)
	}
}

// Bounds are visible to the model, hints are true, and the order is fixed.
func TestDefinition(t *testing.T) {
	t.Parallel()
	spec := mcpsec.ToolSpec{Name: "b", Title: "B", Description: "Does b.", Effect: mcpsec.Write, Labels: mcpsec.Egress}
	f := newFixture(t, func(o *mcpsec.Options) { o.Mode = mcpsec.Write },
		mcpsec.NewTool(spec, func(context.Context, shapeIn) (echoOut, error) { return echoOut{}, nil }), echo().WithName("a"))
	list, err := f.connect(t).ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(list.Tools)
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"annotations":{"destructiveHint":false,"idempotentHint":true,"openWorldHint":false,"readOnlyHint":true},"description":"For tests.",` +
		`"inputSchema":{"additionalProperties":false,"properties":{"text":{"maxLength":100,"minLength":1,"type":"string"}},"required":["text"],"type":"object"},` +
		`"name":"a","outputSchema":{"properties":{"text":{"type":"string"}},"required":["text"],"type":"object"}},` +
		`{"annotations":{"destructiveHint":false,"idempotentHint":false,"openWorldHint":true,"readOnlyHint":false},"description":"Does b.",` +
		`"inputSchema":{"additionalProperties":false,"properties":{"count":{"type":"integer"},"key":{"maxLength":4096,"type":"string"},` +
		`"lines":{"items":{"maxLength":4096,"type":"string"},"maxItems":100,"type":"array"},"note":{"maxLength":4096,"type":"string"},"order":{"maxLength":4096,"type":"string"}},"type":"object"},` +
		`"name":"b","outputSchema":{"properties":{"text":{"type":"string"}},"required":["text"],"type":"object"},"title":"B"}]`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
