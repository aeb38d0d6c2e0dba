package mcpsec_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A hidden character inside a secret hides it from nothing, in no text that
// leaves.
func TestTextsAreStrippedBeforeTheyAreRedacted(t *testing.T) {
	t.Parallel()
	const split = "key correct-\u200bhorse-bat\u202etery end"
	f := newFixture(t, func(o *mcpsec.Options) { o.Secrets = []mcpsec.Secret{newSecret("correct-horse-battery")} },
		failing(func(context.Context) error { return &mcpsec.Error{Message: split, Rule: "x"} }),
		echo().WithGuards(func(context.Context, *mcpsec.Call) error { return &mcpsec.Error{Message: split} }))
	cs := f.connect(t)
	for _, name := range []string{"x", "echo"} {
		text, _ := call(t, cs, name, map[string]string{})
		if name == "echo" {
			text, _ = call(t, cs, name, echoIn{"x"})
		}
		if strings.Contains(text, "horse") || strings.ContainsAny(text, "\u200b\u202e") || !strings.Contains(text, "end") {
			t.Errorf("%s: got %q", name, text)
		}
	}
	if rec := f.audit.String(); strings.Contains(rec, "horse") || strings.Contains(rec, "200b") {
		t.Errorf("recorded %s", rec)
	}
}

func TestErrorTextsAreBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil, failing(func(context.Context) error { return &mcpsec.Error{Message: strings.Repeat("é", 1<<20)} }),
		echo().WithGuards(func(context.Context, *mcpsec.Call) error { return &mcpsec.Error{Message: strings.Repeat("é", 1<<20)} }))
	cs := f.connect(t)
	if text, _ := call(t, cs, "x", none{}); len(text) > 4<<10 {
		t.Errorf("%d bytes", len(text))
	}
	if text, _ := call(t, cs, "echo", echoIn{"x"}); len(text) > 4<<10 {
		t.Errorf("%d bytes", len(text))
	}
	if _, err := mcpsec.VerifyAuditLog(strings.NewReader(f.audit.String()), mcpsec.Secret{}); err != nil || len(f.audit.String()) > 8<<10 {
		t.Errorf("%v, %d bytes of records", err, len(f.audit.String()))
	}
}

type mapOut struct {
	M map[string]string `json:"m"`
	A any               `json:"a"`
}

// What two readers could read differently, or not at all, does not leave.
func TestUnsoundResultsAreRefused(t *testing.T) {
	t.Parallel()
	var deep any = "x"
	for range 600 {
		deep = []any{deep}
	}
	for name, out := range map[string]mapOut{
		"equal after stripping": {M: map[string]string{"status": "safe", "sta\u200btus": "evil"}},
		"too deep":              {A: deep},
	} {
		f := newFixture(t, nil, tool("x", func(context.Context, none) (mapOut, error) { return out, nil }))
		if text, isErr := call(t, f.connect(t), "x", none{}); !isErr || !strings.HasPrefix(text, "internal error") {
			t.Errorf("%s: got %.100q, error %t", name, text, isErr)
		}
	}
}

// A handler that ends its goroutine ends its call at once.
func TestGoexitEndsTheCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil, failing(func(context.Context) error { runtime.Goexit(); return nil }))
		cs := f.connect(t)
		start := time.Now()
		if text, isErr := call(t, cs, "x", none{}); !isErr || !strings.HasPrefix(text, "internal error") || time.Since(start) > 0 {
			t.Errorf("got %q after %s", text, time.Since(start))
		}
		if recs := f.records(t); recs[len(recs)-1]["outcome"] != "panicked" {
			t.Errorf("recorded %v", recs)
		}
		cs.Close()
		<-f.served
	})
}

// A sink that does not answer refuses calls, and does not hang them.
func TestStuckAuditDoesNotHang(t *testing.T) {
	t.Parallel()
	for name, from := range map[string]int64{"decision": 1, "outcome": 2} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release, ran := make(chan struct{}), false
				var n atomic.Int64
				f := newFixture(t, func(o *mcpsec.Options) {
					o.Limits.Timeout = time.Second
					o.Audit = sink{o.Audit, func() bool {
						if n.Add(1) >= from {
							<-release
						}
						return false
					}}
				}, tool("x", func(context.Context, none) (echoOut, error) { ran = true; return echoOut{"private"}, nil }))
				cs := f.connect(t)
				if text, isErr := call(t, cs, "x", none{}); !isErr || strings.Contains(text, "private") {
					t.Errorf("got %q, error %t", text, isErr)
				}
				close(release)
				synctest.Wait()
				if ran != (from == 2) {
					t.Errorf("ran: %t", ran)
				}
				cs.Close()
				<-f.served
			})
		})
	}
}

// A flood of refusals is counted, not written line by line.
func TestFloodOfRefusalsIsCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil, echo())
		r := f.dial(t)
		for range 1000 {
			r.send(`{"jsonrpc":"2.0","method":"a"}`)
		}
		synctest.Wait()
		if n := len(f.records(t)); n > 60 {
			t.Errorf("%d records", n)
		}
		time.Sleep(2 * time.Second)
		r.send(`{"jsonrpc":"2.0","method":"a"}`)
		synctest.Wait()
		total := 0.0
		for _, rec := range f.records(t) {
			more, _ := rec["more"].(float64)
			total += 1 + more
		}
		if total != 1001 {
			t.Errorf("the records account for %v refusals, want 1001", total)
		}
	})
}

// Guards get copies: they can change nothing that others rely on.
func TestGuardsCannotRewriteTheCall(t *testing.T) {
	t.Parallel()
	scopes := []string{"read"}
	f := newFixture(t, func(o *mcpsec.Options) {
		o.Principal = mcpsec.Principal{ID: "ada", Scopes: scopes}
		o.Guards = []mcpsec.Guard{func(_ context.Context, c *mcpsec.Call) error {
			c.Principal.Scopes[0] = "admin"
			c.ID, c.Tool, c.Effect, c.Principal.ID, c.Args = `","x":"`, "innocent", mcpsec.Destroy, "root", echoIn{"forged"}
			return nil
		}, func(_ context.Context, c *mcpsec.Call) error {
			if c.Principal.ID != "ada" || c.Tool != "echo" || c.Args.(echoIn).Text != "x" {
				return &mcpsec.Error{Message: "the first guard forged the call"}
			}
			return nil
		}}
	}, echo().WithGuards(), tool("who", func(ctx context.Context, _ echoIn) (echoOut, error) { return echoOut{}, nil }))
	cs := f.connect(t)
	for range 2 {
		if text, isErr := call(t, cs, "echo", echoIn{"x"}); isErr || text != `{"text":"x"}` {
			t.Errorf("got %q", text)
		}
	}
	if rec := f.audit.String(); strings.Contains(rec, "innocent") || strings.Contains(rec, "root") || scopes[0] != "read" {
		t.Errorf("recorded %s, scopes %v", rec, scopes)
	}
}

// panicky panics wherever a handler can.
type panicky struct{ slog.Handler }

func (panicky) Enabled(context.Context, slog.Level) bool { panic("boom") }

func TestPanickingLogDoesNotEndTheProcess(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *mcpsec.Options) { o.Log = panicky{o.Log} }, failing(func(context.Context) error { panic("boom") }), echo())
	cs := f.connect(t)
	call(t, cs, "x", none{})
	if text, isErr := call(t, cs, "echo", echoIn{"x"}); isErr {
		t.Errorf("got %q", text)
	}
}

// Other requests take of the same allowance, and made-up cursors are not
// decoded.
func TestListsAreBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *mcpsec.Options) { o.Limits.CallsPerSecond = 3 }, echo())
	r := f.dial(t)
	if got := r.ask(`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"aGVsbG8="}}`); !strings.Contains(got, "-32602") {
		t.Errorf("a cursor: got %s", got)
	}
	busy := 0
	for range 20 {
		if strings.Contains(r.ask(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`), "4290") {
			busy++
		}
	}
	if busy < 10 {
		t.Errorf("%d of 20 lists were refused", busy)
	}
}

func TestLimitsCannotBeSwitchedOff(t *testing.T) {
	t.Parallel()
	nan := 0.0
	for name, l := range map[string]mcpsec.Limits{
		"tiny rate":        {CallsPerSecond: 1e-10},
		"huge rate":        {CallsPerSecond: 1e12},
		"NaN":              {CallsPerSecond: nan / nan},
		"negative rate":    {CallsPerSecond: -1},
		"negative timeout": {Timeout: -1},
		"deep":             {MaxDepth: 100_000},
		"negative confirm": {Confirm: -1},
		"endless confirm":  {Confirm: 24*time.Hour + 1},
	} {
		if _, err := mcpsec.NewServer(impl, mcpsec.Options{Audit: mcpsec.NewAuditLog(&strings.Builder{}), Limits: l}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if got := refuses(func() { newFixture(t, nil, nil) }); !strings.Contains(got, "tool 0 is nil") {
		t.Errorf("a nil tool: got %q", got)
	}
	if got := refuses(func() { echo().WithGuards(nil) }); !strings.Contains(got, "a guard is nil") {
		t.Errorf("a nil guard: got %q", got)
	}
}

// A client that reads no answers does not keep the process alive.
func TestRunEndsDespiteDeafClient(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no SIGTERM")
	}
	for name, stop := range map[string]func(*process){
		"EOF":     func(p *process) { p.in.Close() },
		"SIGTERM": func(p *process) { p.cmd.Process.Signal(syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startChild(t)
			p.send(p.toolCall(1, "big")) // more than a pipe holds
			p.awaitStderr("big-started")
			stop(p)
			for range p.lines { // its standard error ends with the process
			}
			p.br.Reset(strings.NewReader(""))
			state, err := p.cmd.Process.Wait()
			if err != nil || !state.Exited() {
				t.Errorf("%v, %v", state, err)
			}
		})
	}
}

// A tool that is not served looks like one that does not exist.
func TestUnknownToolTellsNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil, mcpsec.NewTool(mcpsec.ToolSpec{Name: "hidden", Description: "Writes.", Effect: mcpsec.Write},
		func(context.Context, none) (echoOut, error) { return echoOut{}, nil }))
	cs := f.connect(t)
	var texts []string
	for _, name := range []string{"hidden", "absent"} {
		_, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: name})
		texts = append(texts, fmt.Sprint(err))
	}
	if texts[0] != texts[1] {
		t.Errorf("got %q", texts)
	}
}

// A secret at the cut of a logged value, or escaped in it, is masked whole.
func TestLoggedValuesAreRedactedBeforeTheyAreCut(t *testing.T) {
	t.Parallel()
	const secret = `pässwort-"geheim"-2026`
	f := newFixture(t, func(o *mcpsec.Options) { o.Secrets = []mcpsec.Secret{newSecret(secret)} },
		tool("x", func(context.Context, shapeIn) (echoOut, error) { return echoOut{}, nil }))
	cs := f.connect(t)
	for _, pad := range []int{0, 185, 195} {
		call(t, cs, "x", shapeIn{Order: strings.Repeat("x", pad) + secret, Lines: []string{}})
	}
	if rec := f.audit.String(); strings.Contains(rec, "swort") || strings.Contains(rec, "geheim") || !strings.Contains(rec, "order=") {
		t.Errorf("recorded %s", rec)
	}
}
