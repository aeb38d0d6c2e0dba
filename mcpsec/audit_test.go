package mcpsec_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/slogtest"

	"encoding/json"

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
	for _, k := range []string{"call", "tool", "principal", "effect", "arg_bytes", "seq", "prev", "hash", "time"} {
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

func record(l *mcpsec.AuditLog, texts ...string) {
	for _, s := range texts {
		slog.New(l).Info(s, "n", len(s))
	}
}

func TestVerifyAuditLog(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	l := mcpsec.NewAuditLog(&b)
	record(l, "one", "two \"quoted\" \n line", "three", "four")
	good := strings.SplitAfter(b.String(), "\n")[:4]
	join := func(lines ...string) string { return strings.Join(lines, "") }
	other := func() string {
		var b bytes.Buffer
		record(mcpsec.NewAuditLog(&b), "another", "log")
		return b.String()
	}()
	for name, tc := range map[string]struct{ log, want string }{
		"intact":           {join(good...), ""},
		"empty":            {"", ""},
		"first removed":    {join(good[1:]...), "audit record 1: a record before it was removed"},
		"middle removed":   {join(good[0], good[1], good[3]), "audit record 3: a record before it was removed"},
		"reordered":        {join(good[0], good[2], good[1], good[3]), "audit record 2: a record before it was removed"},
		"repeated":         {join(good[0], good[0]), "audit record 2: a record before it was removed"},
		"edited":           {strings.Replace(join(good...), "three", "thre3", 1), "audit record 3: it was edited"},
		"edited last":      {strings.Replace(join(good...), "four", "f0ur", 1), "audit record 4: it was edited"},
		"edited time":      {strings.Replace(join(good...), `"time":"2`, `"time":"3`, 1), "audit record 1: it was edited"},
		"edited number":    {strings.Replace(join(good...), `"seq":2`, `"seq":9`, 1), "audit record 2: it was edited"},
		"edited hash":      {strings.Replace(join(good...), `"hash":"`, `"hash":"0`, 1), "audit record 1: not a record"},
		"added space":      {strings.Replace(join(good...), `,"level"`, `, "level"`, 1), "audit record 1: it was edited"},
		"foreign line":     {join(good[0], "hello\n", good[1]), "audit record 2: not a record"},
		"another log":      {join(good...) + other, "audit record 5: a record before it was removed"},
		"blank line":       {join(good[0], "\n", good[1]), "audit record 2: not a record"},
		"cut short":        {join(good[0], good[1][:20]), "after record 1: the last record was cut short"},
		"member after":     {strings.Replace(join(good...), "\"}\n", "\",\"x\":1}\n", 1), "audit record 1: not a record"},
		"carriage returns": {strings.ReplaceAll(join(good...), "\n", "\r\n"), "audit record 1: not a record"},
	} {
		head, err := mcpsec.VerifyAuditLog(strings.NewReader(tc.log), mcpsec.Secret{})
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tc.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tc.want)):
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		case name == "intact" && head != l.Head():
			t.Errorf("%s: got head %v, want %v", name, head, l.Head())
		}
	}
	// What no chain can see, the head does.
	if head, err := mcpsec.VerifyAuditLog(strings.NewReader(join(good[:3]...)), mcpsec.Secret{}); err != nil || head == l.Head() {
		t.Errorf("a log without its end: %v, %v", head, err)
	}
}

func TestOpenAuditLogGoesOn(t *testing.T) {
	t.Parallel()
	path, key := filepath.Join(t.TempDir(), "audit.jsonl"), newSecret("a key of the operator")
	open := func(key mcpsec.Secret) (*mcpsec.AuditLog, error) {
		l, err := mcpsec.OpenAuditLog(path, key)
		if err == nil {
			t.Cleanup(func() { l.Close() })
		}
		return l, err
	}
	mustOpen := func() *mcpsec.AuditLog {
		t.Helper()
		l, err := open(key)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	record(mustOpen(), "one", "two")
	record(mustOpen(), "three")
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	// A crash leaves half a record: it goes, and the chain goes on.
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(`{"seq":4,"pr`)
	f.Close()
	l := mustOpen()
	record(l, "four")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if head, err := mcpsec.VerifyAuditLog(bytes.NewReader(text), key); err != nil || head != l.Head() || head.Records != 4 {
		t.Errorf("got %v, %v", head, err)
	}
	for name, k := range map[string]mcpsec.Secret{"no key": {}, "another key": newSecret("some other key")} {
		if _, err := mcpsec.VerifyAuditLog(bytes.NewReader(text), k); err == nil {
			t.Errorf("%s: verifies", name)
		}
		if _, err := open(k); err == nil {
			t.Errorf("%s: opens", name)
		}
	}
	edited := bytes.Replace(text, []byte("three"), []byte("thr33"), 1)
	if err := os.WriteFile(path, edited, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open(key); err == nil {
		t.Error("an edited log opens")
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(after, edited) {
		t.Error("a refused log was changed")
	}
}

// tornWriter takes a part of one write, then works again.
type tornWriter struct {
	bytes.Buffer
	failAt, take, n int
}

func (w *tornWriter) Write(p []byte) (int, error) {
	if w.n++; w.n == w.failAt {
		n, _ := w.Buffer.Write(p[:min(w.take, len(p))])
		return n, io.ErrShortWrite
	}
	return w.Buffer.Write(p)
}

// A write that fails, even half-way, is an error once; the chain stays whole.
func TestAuditLogSurvivesAFailedWrite(t *testing.T) {
	t.Parallel()
	for _, take := range []int{0, 1, 50, 10_000} {
		w := &tornWriter{failAt: 2, take: take}
		l := mcpsec.NewAuditLog(w)
		failed := 0
		for range 4 {
			if err := l.Handle(t.Context(), slog.Record{Message: "m"}); err != nil {
				failed++
			}
		}
		head, err := mcpsec.VerifyAuditLog(bytes.NewReader(w.Bytes()), mcpsec.Secret{})
		if err != nil || head != l.Head() || failed != 1 {
			t.Errorf("take %d: %v, head %v, %d failed", take, err, head, failed)
		}
	}
}

func TestAuditLogIsConcurrent(t *testing.T) {
	t.Parallel()
	var b buffer
	l := mcpsec.NewAuditLog(&b)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { record(l, strings.Split(strings.Repeat("x ", 50), " ")...) })
	}
	wg.Wait()
	if head, err := mcpsec.VerifyAuditLog(strings.NewReader(b.String()), mcpsec.Secret{}); err != nil || head.Records != 8*51 {
		t.Errorf("got %v, %v", head, err)
	}
}

func TestAuditLogIsAHandler(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	slogtest.Run(t, func(*testing.T) slog.Handler {
		b.Reset()
		return mcpsec.NewAuditLog(&b)
	}, func(t *testing.T) map[string]any {
		var m map[string]any
		if err := json.Unmarshal(b.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		return m
	})
}

func FuzzVerifyAuditLog(f *testing.F) {
	var b bytes.Buffer
	record(mcpsec.NewAuditLog(&b), "one", "two", "three")
	good := b.String()
	f.Add(uint(10), byte('x'))
	f.Add(uint(len(good)-3), byte('"'))
	f.Fuzz(func(t *testing.T, at uint, c byte) {
		edited := []byte(good)
		i := at % uint(len(edited))
		if edited[i] == c {
			return
		}
		edited[i] = c
		head, err := mcpsec.VerifyAuditLog(bytes.NewReader(edited), mcpsec.Secret{})
		if err == nil && head.Records == 3 {
			t.Errorf("byte %d changed to %q unseen", i, c)
		}
	})
}
