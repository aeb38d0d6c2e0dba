package mcpsec_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// calls counts how many of n calls of echo on one of the servers in turn pass.
func calls(t *testing.T, n int, servers ...*mcp.ClientSession) (passed int) {
	t.Helper()
	for i := range n {
		if _, isErr := call(t, servers[i%len(servers)], "echo", echoIn{"x"}); !isErr {
			passed++
		}
	}
	return passed
}

// Two replicas that share a store have one rate between them; a server of another
// name has its own.
func TestReplicasShareTheRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := new(state.Memory)
		share := func(o *mcpsec.Options) {
			o.State, o.Limits.CallsPerSecond, o.Principal.ID = store, 10, "x local"
		}
		one, two := newFixture(t, share, echo()), newFixture(t, share, echo())
		a, b := one.connect(t), two.connect(t)
		time.Sleep(10 * time.Second)
		if got := calls(t, 60, a, b); got != 20 {
			t.Errorf("%d of a burst of 20 passed", got)
		}
		time.Sleep(500 * time.Millisecond)
		if got := calls(t, 60, b, a); got != 5 {
			t.Errorf("after half a second %d passed, want 5", got)
		}
		srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "test x", Version: "1.0.0"},
			mcpsec.Options{Audit: mcpsec.NewAuditLog(new(mcptest.Buffer)), Log: slog.DiscardHandler, State: store, Limits: mcpsec.Limits{CallsPerSecond: 10}})
		if err != nil {
			t.Fatal(err)
		}
		srv.Add(echo())
		other := fixture{Server: srv, served: make(chan error, 1)}
		c := other.connect(t)
		time.Sleep(time.Second)
		if got := calls(t, 20, c); got != 20 {
			t.Errorf("of another server %d passed, want 20", got)
		}
		for _, cs := range []*mcp.ClientSession{a, b, c} {
			cs.Close()
		}
		<-one.served
		<-two.served
		<-other.served
	})
}

// A limiter of a user's own.
type limiter struct {
	state.Memory
	take func(context.Context) (time.Duration, error)
}

func (l *limiter) Take(ctx context.Context, _ string, _ int64, _ state.Allowance) (time.Duration, error) {
	return l.take(ctx)
}

// Who was told to wait is refused without asking again until then, and nobody else
// is: a flood costs the others nothing.
func TestFloodDoesNotReachTheState(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		var wait atomic.Int64
		l := &limiter{take: func(context.Context) (time.Duration, error) { asked.Add(1); return time.Duration(wait.Load()), nil }}
		f := newFixture(t, func(o *mcpsec.Options) { o.State = l }, echo())
		cs := f.connect(t)
		wait.Store(int64(time.Second))
		before := asked.Load()
		for range 100 {
			if text, isErr := call(t, cs, "echo", echoIn{"x"}); !isErr || !strings.HasPrefix(text, "too many calls: retry in 1001 ms") {
				t.Errorf("got %q", text)
			}
		}
		time.Sleep(time.Second - time.Nanosecond)
		if got := calls(t, 100, cs); got != 0 || asked.Load() != before+1 {
			t.Errorf("%d passed, asked %d times, want once", got, asked.Load()-before)
		}
		time.Sleep(time.Nanosecond)
		wait.Store(0)
		if got := calls(t, 10, cs); got != 10 || asked.Load() != before+11 {
			t.Errorf("%d passed, asked %d times", got, asked.Load()-before)
		}
		cs.Close()
		<-f.served
	})
}

// What cannot be counted is refused: calls, lists, and all over HTTP. The cause is
// logged, a flood of it is not, and nobody else learns it.
func TestUncountedIsRefused(t *testing.T) {
	t.Parallel()
	for name, take := range map[string]func(context.Context) (time.Duration, error){
		"fails":    func(context.Context) (time.Duration, error) { return 0, errors.New("lost db-4711") },
		"panics":   func(context.Context) (time.Duration, error) { panic("lost db-4711") },
		"nonsense": func(context.Context) (time.Duration, error) { return -1, nil },
		"hangs": func(ctx context.Context) (time.Duration, error) {
			<-ctx.Done()
			return 0, errors.Join(errors.New("lost db-4711"), ctx.Err())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var down atomic.Bool
				l := &limiter{}
				l.take = func(ctx context.Context) (time.Duration, error) {
					if down.Load() {
						return take(ctx)
					}
					return 0, nil
				}
				ran := false
				f := newFixture(t, func(o *mcpsec.Options) { o.State = l },
					tool("x", func(context.Context, none) (echoOut, error) { ran = true; return echoOut{"ran"}, nil }))
				cs := f.connect(t)
				down.Store(true)
				text, isErr := call(t, cs, "x", none{})
				if ran || !isErr || strings.Contains(text, "db-4711") || name != "nonsense" && text != "the call could not be counted: retry later" {
					t.Errorf("ran %t, got %q, error %t", ran, text, isErr)
				}
				if _, err := cs.ListTools(t.Context(), nil); err == nil || strings.Contains(err.Error(), "db-4711") {
					t.Errorf("a list: got %v", err)
				}
				for range 200 {
					call(t, cs, "x", none{})
				}
				if strings.Contains(f.audit.String(), "db-4711") || !strings.Contains(f.audit.String(), `"rule":"rate"`) {
					t.Errorf("recorded: %s", f.audit.String())
				}
				if n := strings.Count(f.log.String(), "db-4711"); name != "nonsense" && (n == 0 || n > 100 && name != "hangs") {
					t.Errorf("logged %d times", n)
				}
				down.Store(false)
				if text, isErr := call(t, cs, "x", none{}); isErr {
					t.Errorf("afterwards: %s", text)
				}
				cs.Close()
				<-f.served
			})
		})
	}
}

func TestUncountedIsRefusedOverHTTP(t *testing.T) {
	t.Parallel()
	l := &limiter{take: func(context.Context) (time.Duration, error) { return 0, errors.New("lost db-4711") }}
	f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify}, func(o *mcpsec.Options) { o.State = l }, echo())
	for body, want := range map[string]int{"{": 503, listBody: 200, echoBody: 200, pingBody: 200} {
		res, answer := f.do(t, body, nil)
		if res.StatusCode != want && res.StatusCode != http.StatusInternalServerError || strings.Contains(answer, "db-4711") || strings.Contains(answer, `"tools"`) || strings.Contains(answer, `"structuredContent"`) {
			t.Errorf("%s: got %d %s", body, res.StatusCode, answer)
		}
	}
}

// A call whose client has gone while it was counted was cancelled, not refused.
func TestCancelledWhileCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var slow atomic.Bool
		l := &limiter{take: func(ctx context.Context) (time.Duration, error) {
			if slow.Load() {
				<-ctx.Done()
			}
			return 0, ctx.Err()
		}}
		f := newFixture(t, func(o *mcpsec.Options) { o.State = l }, echo())
		cs := f.connect(t)
		slow.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := cs.CallTool(ctx, &mcp.CallToolParams{Name: "echo", Arguments: echoIn{"x"}}); err == nil {
			t.Error("it was answered")
		}
		synctest.Wait()
		if !strings.Contains(f.audit.String(), `"rule":"cancelled"`) {
			t.Errorf("recorded: %s", f.audit.String())
		}
		cs.Close()
		<-f.served
	})
}

// Names that would not fit into a key are refused at start, not at each call.
func TestNamesFitIntoKeys(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*mcp.Implementation, *mcpsec.Options){
		"long server":       func(i *mcp.Implementation, _ *mcpsec.Options) { i.Name = strings.Repeat("n", 300) },
		"long principal":    func(_ *mcp.Implementation, o *mcpsec.Options) { o.Principal.ID = strings.Repeat("p", 257) },
		"control character": func(_ *mcp.Implementation, o *mcpsec.Options) { o.Principal.ID = "a\nb" },
		"no UTF-8":          func(_ *mcp.Implementation, o *mcpsec.Options) { o.Principal.ID = "\xff" },
	} {
		i, o := *impl, mcpsec.Options{Audit: mcpsec.NewAuditLog(new(mcptest.Buffer)), Log: slog.DiscardHandler}
		change(&i, &o)
		if _, err := mcpsec.NewServer(&i, o); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	f := newFixture(t, func(o *mcpsec.Options) { o.Principal.ID = strings.Repeat("ü", 128) }, echo())
	if text, isErr := call(t, f.connect(t), "echo", echoIn{"x"}); isErr {
		t.Error(text)
	}
}
