package guard_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/guard"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

func allow(t *testing.T, g mcpsec.Guard, tool, principal string) {
	t.Helper()
	if err := g(t.Context(), &mcpsec.Call{Tool: tool, Principal: mcpsec.Principal{ID: principal}}); err != nil {
		t.Errorf("%s by %s was refused: %v", tool, principal, err)
	}
}

func deny(t *testing.T, g mcpsec.Guard, tool, principal, rule string) {
	t.Helper()
	err := g(t.Context(), &mcpsec.Call{Tool: tool, Principal: mcpsec.Principal{ID: principal}})
	var e *mcpsec.Error
	if !errors.As(err, &e) || e.Rule != rule {
		t.Errorf("%s by %s: got %v, want a refusal by %s", tool, principal, err, rule)
	}
}

func TestAllow(t *testing.T) {
	t.Parallel()
	names := []string{"a", "b"}
	g := guard.Allow(names...)
	names[0] = "x"
	allow(t, g, "a", "p")
	allow(t, g, "b", "p")
	for _, tool := range []string{"x", "A", "a ", "", "ab"} {
		deny(t, g, tool, "p", "allow")
	}
	deny(t, guard.Allow(), "a", "p", "allow")
}

func TestRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := new(state.Memory)
		day := state.Allowance{Limit: 3, Per: 24 * time.Hour, Calendar: true}
		minute := state.Allowance{Limit: 2, Per: time.Minute}
		perDay, perMinute := guard.Rate(store, day), guard.Rate(store, minute)
		for range 2 {
			allow(t, perDay, "a", "p")
			allow(t, perMinute, "a", "p")
		}
		deny(t, perMinute, "a", "p", "rate")
		allow(t, perMinute, "b", "p")
		allow(t, perMinute, "a", "q")
		allow(t, perMinute, "a", "b p") // no two of tool and principal are one key
		allow(t, perMinute, "a", "b p")
		allow(t, perDay, "a", "p")
		deny(t, perDay, "a", "p", "rate")
		time.Sleep(30 * time.Second)
		allow(t, perMinute, "a", "p")
		deny(t, guard.Rate(store, day), "a", "p", "rate") // an equal guard shares
		time.Sleep(24 * time.Hour)
		allow(t, perDay, "a", "p")
	})
}

// broken is a store that cannot count.
type broken struct{ err error }

func (b broken) Take(context.Context, string, int64, state.Allowance) (time.Duration, error) {
	return 0, b.err
}

func TestBrokenLimiterRefuses(t *testing.T) {
	t.Parallel()
	cause := errors.New("connection to db-4711 lost")
	a := state.Allowance{Limit: 100_000, Per: time.Hour}
	for rule, g := range map[string]mcpsec.Guard{"rate": guard.Rate(broken{cause}, a), "work": guard.Work(broken{cause}, a)} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := g(ctx, &mcpsec.Call{Tool: "a"})
		var e *mcpsec.Error
		if !errors.As(err, &e) || e.Rule != rule || strings.Contains(e.Message, "4711") || !errors.Is(err, cause) {
			t.Errorf("%s: got %v", rule, err)
		}
	}
	f := serveTool(t, guard.Rate(broken{cause}, a), time.Second, func(context.Context) {})
	f.call(t, "not allowed: the call could not be counted: retry later")
	if !strings.Contains(f.log.String(), "4711") {
		t.Errorf("the log does not tell the cause: %s", f.log.String())
	}
}

func TestWrongProgramPanics(t *testing.T) {
	t.Parallel()
	store, good := new(state.Memory), state.Allowance{Limit: 1, Per: time.Hour}
	for name, f := range map[string]func(){
		"empty name":     func() { guard.Allow("a", "") },
		"no limiter":     func() { guard.Rate(nil, good) },
		"no allowance":   func() { guard.Rate(store, state.Allowance{}) },
		"no work":        func() { guard.Work(store, state.Allowance{}) },
		"no work store":  func() { guard.Work(nil, good) },
		"too much work":  func() { guard.Work(store, state.Allowance{Limit: 1 << 53, Per: time.Hour}) },
		"negative limit": func() { guard.Rate(store, state.Allowance{Limit: -1, Per: time.Hour}) },
	} {
		func() {
			defer func() {
				if p := recover(); p == nil || !strings.HasPrefix(p.(string), "guard: ") {
					t.Errorf("%s: got %v", name, p)
				}
			}()
			f()
		}()
	}
}

// A fixture is a client of a server with one tool.
type fixture struct {
	*mcp.ClientSession
	mu  sync.Mutex
	log strings.Builder
}

func (f *fixture) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.log.Write(p)
}

func serveTool(t *testing.T, g mcpsec.Guard, timeout time.Duration, work func(context.Context), more ...mcpsec.Guard) *fixture {
	t.Helper()
	f := new(fixture)
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "test", Version: "1.0.0"}, mcpsec.Options{
		Audit: mcpsec.NewAuditLog(io.Discard), Log: slog.NewTextHandler(f, nil), Guards: append([]mcpsec.Guard{g}, more...),
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{Name: "work", Description: "For tests.", Effect: mcpsec.Read, Timeout: timeout},
		func(ctx context.Context, _ nothing) (answer, error) { work(ctx); return answer{"done"}, nil }))
	client, server := net.Pipe()
	served := make(chan struct{})
	go func() { defer close(served); srv.ServeStream(context.Background(), server, server) }()
	if f.ClientSession, err = mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1.0.0"}, nil).
		Connect(t.Context(), &mcp.IOTransport{Reader: client, Writer: client}, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close(); <-served })
	return f
}

func (f *fixture) call(t *testing.T, want string) {
	t.Helper()
	res, err := f.CallTool(context.Background(), &mcp.CallToolParams{Name: "work"})
	if err != nil {
		t.Error(err)
	} else if text := res.Content[0].(*mcp.TextContent).Text; !strings.HasPrefix(text, want) {
		t.Errorf("got %q, want %q", text, want)
	}
}

const done = `{"text":"done"}`

// left is how much of the budget is there, in milliseconds, found out by asking for it.
func left(t *testing.T, store *state.Memory, key string, a state.Allowance) (ms int64) {
	t.Helper()
	a.Limit *= 1000
	low, high := int64(0), a.Limit
	for low < high {
		mid := (low + high + 1) / 2
		wait, err := store.Take(t.Context(), key, mid, a)
		if err != nil {
			t.Fatal(err)
		}
		if wait == 0 {
			low = mid
			if _, err := store.Take(t.Context(), key, -mid, a); err != nil {
				t.Fatal(err)
			}
		} else {
			high = mid - 1
		}
	}
	return low / 1000
}

// Each call takes its timeout, and gives back what it did not use: with 10 s and a
// timeout of 4 s two run at once, and of short ones as many as there is time.
func TestWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := new(state.Memory)
		budget := state.Allowance{Limit: 10_000, Per: 24 * time.Hour, Calendar: true}
		const key = "guard work 10000/24h0m0s/true local"
		f := serveTool(t, guard.Work(store, budget), 4*time.Second, func(context.Context) { time.Sleep(time.Second) })
		f.call(t, done)
		if got := left(t, store, key, budget); got != 9000 {
			t.Errorf("after a second of work %d ms are left, want 9000", got)
		}
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { f.call(t, done) })
		}
		synctest.Wait() // both run
		f.call(t, "not allowed: the work budget is used up: retry in 23h59m59s")
		wg.Wait()
		for want := int64(6000); want >= 3000; want -= 1000 {
			f.call(t, done)
			if got := left(t, store, key, budget); got != want {
				t.Errorf("%d ms are left, want %d", got, want)
			}
		}
		f.call(t, "not allowed: the work budget is used up") // 3 s are there, 4 could be needed
		time.Sleep(24 * time.Hour)
		f.call(t, done)
	})
}

// Work that is refused by a later guard was not done; a handler that panics worked
// until then; one that is left behind keeps what it took until it returns, and what it
// used beyond is taken.
func TestWorkIsSettled(t *testing.T) {
	t.Parallel()
	budget := state.Allowance{Limit: 10_000, Per: 24 * time.Hour, Calendar: true}
	const key = "guard work 10000/24h0m0s/true local"
	for name, tc := range map[string]struct {
		work func(context.Context)
		more []mcpsec.Guard
		want string
		left int64
	}{
		"refused later":   {nil, []mcpsec.Guard{func(context.Context, *mcpsec.Call) error { return errors.New("no") }}, "not allowed", 10_000},
		"panicking guard": {nil, []mcpsec.Guard{func(context.Context, *mcpsec.Call) error { panic("no") }}, "internal error", 10_000},
		"panicking":       {func(context.Context) { time.Sleep(time.Second); panic("oh") }, nil, "internal error", 9_000},
		"until the end":   {func(ctx context.Context) { <-ctx.Done() }, nil, done, 6_000},
		"left behind":     {func(context.Context) { time.Sleep(7 * time.Second) }, nil, "the call did not end within 4s", 3_000},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := new(state.Memory)
				f := serveTool(t, guard.Work(store, budget), 4*time.Second, tc.work, tc.more...)
				f.call(t, tc.want)
				time.Sleep(10 * time.Second) // whoever was left behind is back
				if got := left(t, store, key, budget); got != tc.left {
					t.Errorf("%d ms are left, want %d", got, tc.left)
				}
			})
		})
	}
}

// What has filled up while a handler ran is not given back too.
func TestWorkIsNotGivenBackTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := new(state.Memory)
		budget := state.Allowance{Limit: 10_000, Per: 40 * time.Second}
		const key = "guard work 10000/40s/false local"
		f := serveTool(t, guard.Work(store, budget), 8*time.Second, func(context.Context) { time.Sleep(4 * time.Second) })
		f.call(t, done) // takes 8, of which 1 fills up, and uses 4: 3 go back
		if got := left(t, store, key, budget); got != 6_000 {
			t.Errorf("%d ms are left, want 6000", got)
		}

		calendar := state.Allowance{Limit: 10_000, Per: 10 * time.Second, Calendar: true}
		f = serveTool(t, guard.Work(store, calendar), 8*time.Second, func(context.Context) { time.Sleep(4 * time.Second) })
		time.Sleep(time.Until(time.Now().Truncate(10 * time.Second).Add(18 * time.Second)))
		var wg sync.WaitGroup
		wg.Go(func() { f.call(t, done) }) // takes 8 two seconds before the end, of which 4 go unused
		time.Sleep(3 * time.Second)
		if wait, err := store.Take(t.Context(), "guard work 10000/10s/true local", 5_000_000, state.Allowance{Limit: 10_000_000, Per: 10 * time.Second, Calendar: true}); err != nil || wait != 0 {
			t.Errorf("got %v, %v", wait, err)
		}
		wg.Wait()
		if got := left(t, store, "guard work 10000/10s/true local", calendar); got != 5_000 {
			t.Errorf("%d ms are left of the new time, want 5000", got)
		}
	})
}

// A budget that can never hold a call refuses it, and the log says why.
func TestWorkOfLongCalls(t *testing.T) {
	t.Parallel()
	f := serveTool(t, guard.Work(new(state.Memory), state.Allowance{Limit: 1000, Per: time.Hour}), 4*time.Second, func(context.Context) {})
	f.call(t, "not allowed: the work could not be counted")
	if !strings.Contains(f.log.String(), "lower ToolSpec.Timeout") {
		t.Errorf("the log says %s", f.log.String())
	}
	g := guard.Work(new(state.Memory), state.Allowance{Limit: 1000, Per: time.Hour})
	deny(t, g, "a", "without a deadline", "work")
}

// What has filled up is rounded up, and is all at most.
func TestFilled(t *testing.T) {
	t.Parallel()
	const year = 366 * 24 * time.Hour
	for _, tc := range []struct {
		limit  int64
		per, d time.Duration
		want   int64
	}{
		{10, time.Second, 100 * time.Millisecond, 1},
		{7, time.Second, 100 * time.Millisecond, 1},
		{7, time.Second, 0, 0},
		{7, time.Second, -time.Hour, 0},
		{7, time.Second, time.Second, 7},
		{7, time.Second, year, 7},
		{1 << 53, year, year - 1, 1 << 53},
		{1 << 53, year, year / 2, 1 << 52},
		{1 << 53, time.Microsecond, year, 1 << 53},
	} {
		if got := guard.Filled(state.Allowance{Limit: tc.limit, Per: tc.per}, tc.d); got != tc.want {
			t.Errorf("%d per %v in %v: got %d, want %d", tc.limit, tc.per, tc.d, got, tc.want)
		}
	}
}
