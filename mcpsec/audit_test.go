package mcpsec_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// Every decision and outcome is recorded, refusals before the tool included.
func TestEveryDecisionIsRecorded(t *testing.T) {
	t.Parallel()
	refuse := mcpsec.Guard(func(context.Context, *mcpsec.Call) error { return &mcpsec.Error{Message: "no"} })
	ok := func(context.Context) error { return nil }
	for name, tc := range map[string]struct {
		tool *mcpsec.Tool
		line string
		want []string
	}{
		"ok":           {failing(ok), `"method":"tools/call","params":{"name":"x"}`, []string{"decision allowed", "outcome ok"}},
		"failed":       {failing(func(context.Context) error { return errors.New("x") }), `"method":"tools/call","params":{"name":"x"}`, []string{"decision allowed", "outcome failed handler"}},
		"tool's rule":  {failing(func(context.Context) error { return &mcpsec.Error{Message: "no", Rule: "statement"} }), `"method":"tools/call","params":{"name":"x"}`, []string{"decision allowed", "outcome refused statement"}},
		"guard's rule": {failing(ok).WithGuards(func(context.Context, *mcpsec.Call) error { return &mcpsec.Error{Message: "no", Rule: "hours"} }), `"method":"tools/call","params":{"name":"x"}`, []string{"decision refused hours"}},
		"panicked":     {failing(func(context.Context) error { panic("x") }), `"method":"tools/call","params":{"name":"x"}`, []string{"decision allowed", "outcome panicked panic"}},
		"guard":        {failing(ok).WithGuards(refuse), `"method":"tools/call","params":{"name":"x"}`, []string{"decision refused guard"}},
		"guard panics": {failing(ok).WithGuards(func(context.Context, *mcpsec.Call) error { panic("x") }), `"method":"tools/call","params":{"name":"x"}`, []string{"decision refused panic"}},
		"arguments":    {failing(ok), `"method":"tools/call","params":{"name":"x","arguments":{"a":1}}`, []string{"decision refused arguments"}},
		"unknown tool": {failing(ok), `"method":"tools/call","params":{"name":"hunter2"}`, []string{"decision refused unknown tool"}},
		"bad message":  {failing(ok), `"method":5`, []string{"decision refused message"}},
		"bad params":   {failing(ok), `"method":"tools/call","params":{"name":5}`, []string{"decision refused message"}},
		"bad meta":     {failing(ok), `"method":"tools/call","params":{"name":"x","_meta":5}`, []string{"decision refused message"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil, tc.tool)
			f.dial(t).ask(`{"jsonrpc":"2.0","id":1,` + tc.line + `}`)
			var got []string
			for _, r := range f.records(t) {
				parts := []string{r["msg"].(string)}
				for _, k := range []string{"decision", "outcome", "rule"} {
					if v, ok := r[k].(string); ok {
						parts = append(parts, v)
					}
				}
				got = append(got, strings.Join(parts, " "))
			}
			if strings.Join(got, "; ") != strings.Join(tc.want, "; ") {
				t.Errorf("recorded %q, want %q", got, tc.want)
			}
			if strings.Contains(f.audit.String(), "hunter2") {
				t.Error("the record quotes the request")
			}
		})
	}
}

type shapeIn struct {
	Order string   `json:"order" mcpsec:"log"`
	Note  string   `json:"note"`
	Lines []string `json:"lines"`
	Count int      `json:"count"`
	Key   string   `json:"key" mcpsec:"log"`
}

// Records hold the arguments' shape, and values of fields that ask for it.
func TestRecordHoldsShapeNotValues(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *mcpsec.Options) { o.Secrets = []mcpsec.Secret{newSecret("correct-horse-battery")} },
		tool("x", func(context.Context, shapeIn) (echoOut, error) { return echoOut{}, nil }))
	call(t, f.connect(t), "x", shapeIn{Order: "A-17", Note: "hunter2", Lines: []string{"hunter2"}, Count: 3, Key: "correct-horse-battery"})
	r := f.records(t)[0]
	args := r["args"].(string)
	if !strings.HasPrefix(args, `order="A-17" note=string/7 lines=list/1 count=int key=`) || strings.Contains(args, "horse") {
		t.Errorf("got %q", args)
	}
	for _, k := range []string{"call", "method", "tool", "principal", "effect", "arg_bytes", "seq", "prev", "hash", "time"} {
		if r[k] == nil {
			t.Errorf("no %s in %v", k, r)
		}
	}
}

// sink fails when told to.
type sink struct {
	slog.Handler
	fail func() bool
}

func (s sink) Handle(ctx context.Context, r slog.Record) error {
	if s.fail() {
		return errors.New("disk hunter2 is full")
	}
	return s.Handler.Handle(ctx, r)
}

// What cannot be recorded is refused, and an outcome that cannot be recorded
// withholds its result.
func TestFailingAuditRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		failFrom int64
		ran      bool
		want     string
	}{
		"decision": {1, false, "not allowed: the call could not be recorded"},
		"outcome":  {2, true, "the call has run, but its outcome could not be recorded, so its result is withheld"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int64
			ran := false
			f := newFixture(t, func(o *mcpsec.Options) {
				o.Audit = sink{o.Audit, func() bool { return n.Add(1) >= tc.failFrom }}
			}, tool("x", func(context.Context, none) (echoOut, error) { ran = true; return echoOut{"private"}, nil }))
			text, isErr := call(t, f.connect(t), "x", none{})
			if !isErr || !strings.HasPrefix(text, tc.want) || strings.Contains(text, "private") || strings.Contains(text, "hunter2") || ran != tc.ran {
				t.Errorf("got %q, error %t, ran %t", text, isErr, ran)
			}
		})
	}
}

// A sink that panics is a sink that fails.
func TestPanickingAuditDoesNotEndTheProcess(t *testing.T) {
	t.Parallel()
	var panics atomic.Bool
	panics.Store(true)
	f := newFixture(t, func(o *mcpsec.Options) {
		o.Audit = sink{o.Audit, func() bool {
			if panics.Load() {
				panic("boom")
			}
			return false
		}}
	}, echo())
	cs := f.connect(t)
	if text, isErr := call(t, cs, "echo", echoIn{"x"}); !isErr || !strings.HasPrefix(text, "not allowed: the call could not be recorded") {
		t.Errorf("got %q, error %t", text, isErr)
	}
	if _, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: "unknown"}); err == nil {
		t.Error("an unknown tool answered")
	}
	r := f.dial(t) // a refusal below the SDK is recorded on the reader's own goroutine
	if got := r.ask("garbage"); !strings.Contains(got, "-32700") {
		t.Errorf("got %s", got)
	}
	panics.Store(false)
	if text, isErr := call(t, cs, "echo", echoIn{"x"}); isErr {
		t.Errorf("afterwards: got %q", text)
	}
}
