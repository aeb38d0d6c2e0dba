package mcpsec_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type none struct{}

// failing makes a tool whose handler does what the test says.
func failing(h func(context.Context) error) *mcpsec.Tool {
	return tool("x", func(ctx context.Context, _ none) (echoOut, error) { return echoOut{}, h(ctx) })
}

type bomb struct{ V string }

func (bomb) MarshalText() ([]byte, error) { panic("boom hunter2") }

type bombOut struct {
	B bomb `json:"b"`
}

// A panic anywhere ends its call and nothing else. (P1, P2, P3)
func TestPanicsDoNotEndTheProcess(t *testing.T) {
	t.Parallel()
	panicking := mcpsec.Guard(func(context.Context, *mcpsec.Call) error { panic("boom hunter2") })
	var nilMap map[string]int
	for name, tl := range map[string]*mcpsec.Tool{
		"handler":       failing(func(context.Context) error { panic("boom hunter2") }),
		"nil map":       failing(func(context.Context) error { nilMap["hunter2"] = 1; return nil }),
		"panic of nil":  failing(func(context.Context) error { panic(error(nil)) }),
		"guard":         failing(func(context.Context) error { return nil }).WithGuards(panicking),
		"marshaller":    tool("x", func(context.Context, none) (bombOut, error) { return bombOut{bomb{"x"}}, nil }),
		"nil result":    tool("x", func(context.Context, none) (*echoOut, error) { return nil, nil }),
		"error's text":  failing(func(context.Context) error { return panickingError{} }),
		"unmarshalable": tool("x", func(context.Context, none) (floatOut, error) { return floatOut{math.NaN()}, nil }),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil, tl, echo())
			cs := f.connect(t)
			text, isErr := call(t, cs, "x", none{})
			if !isErr || !strings.HasPrefix(text, "internal error (call ") {
				t.Errorf("got %q, error %t", text, isErr)
			}
			if text, _ := call(t, cs, "echo", echoIn{"still here"}); !strings.Contains(text, "still here") {
				t.Errorf("afterwards: got %q", text)
			}
			id := strings.TrimSuffix(strings.TrimPrefix(text, "internal error (call "), ")")
			if log := f.log.String(); !strings.Contains(log, id) {
				t.Errorf("the log does not name call %s: %s", id, log)
			}
		})
	}
}

type panickingError struct{}

func (panickingError) Error() string { panic("boom hunter2") }

type floatOut struct {
	F float64 `json:"f"`
}

// A panic's stack is in the log, under the call's id.
func TestPanicIsLoggedWithStack(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil, failing(func(context.Context) error { panic("boom") }))
	call(t, f.connect(t), "x", none{})
	if log := f.log.String(); !strings.Contains(log, "boom") || !strings.Contains(log, "pipeline_test.go") {
		t.Errorf("got %s", log)
	}
}

// Only the text of an *Error reaches the model. (P4, P5, P7)
func TestOnlyErrorTextsReachTheModel(t *testing.T) {
	t.Parallel()
	leak := errors.New("dial postgres://app:hunter2@db: open /etc/shadow: permission denied")
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"plain":        {leak, "internal error (call "},
		"wrapped":      {fmt.Errorf("fetching: %w", leak), "internal error (call "},
		"joined":       {errors.Join(leak, leak), "internal error (call "},
		"ours":         {&mcpsec.Error{Message: "no such order", Err: leak}, "no such order"},
		"ours wrapped": {fmt.Errorf("hunter2: %w", &mcpsec.Error{Message: "no such order"}), "no such order"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil, failing(func(context.Context) error { return tc.err }))
			text, isErr := call(t, f.connect(t), "x", none{})
			if !isErr || !strings.HasPrefix(text, tc.want) || strings.Contains(text, "hunter2") {
				t.Errorf("got %q, error %t, want %q", text, isErr, tc.want)
			}
			if rec := f.audit.String(); strings.Contains(rec, "hunter2") {
				t.Errorf("the audit log holds the cause: %s", rec)
			}
		})
	}
}

func TestCauseIsLoggedRedacted(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *mcpsec.Options) { o.Secrets = []mcpsec.Secret{newSecret("correct-horse-battery")} },
		failing(func(context.Context) error { return errors.New("login with correct-horse-battery at db7 failed") }))
	call(t, f.connect(t), "x", none{})
	if log := f.log.String(); !strings.Contains(log, "at db7 failed") || strings.Contains(log, "correct-horse") {
		t.Errorf("got %s", log)
	}
}

type strictIn struct {
	ID   string  `json:"id" validate:"required,uuid"`
	N    int64   `json:"n"`
	Mode string  `json:"mode" validate:"omitempty,oneof=a b"`
	P    *string `json:"p"`
}

// Arguments are read in one way, and a refusal names path and rule, never the
// value. (P7, P8, P10, P11, P12, P40)
func TestArgumentsAreRefusedWithoutEcho(t *testing.T) {
	t.Parallel()
	ran := false
	f := newFixture(t, nil, tool("x", func(context.Context, strictIn) (echoOut, error) {
		ran = true
		return echoOut{}, nil
	}))
	cs := f.connect(t)
	const id = `"id":"0c8bf0c5-6a1e-4a9b-8a4e-3f1f3a0d8f01"`
	for name, tc := range map[string]struct{ args, want string }{
		"not a uuid":        {`{"id":"hunter2"}`, "id: must be a valid uuid"},
		"missing":           {`{}`, "id: is required"},
		"wrong type":        {`{"id":{"token":"hunter2"}}`, "id: must be a string"},
		"unknown":           {`{` + id + `,"hunter2":1}`, "unknown member; known are id, n, mode, p"},
		"case variant":      {`{` + id + `,"N":1}`, "unknown member"},
		"outside enum":      {`{` + id + `,"mode":"hunter2"}`, "mode: must be one of a b"},
		"float":             {`{` + id + `,"n":1.0}`, "n: must be an integer"},
		"above int64":       {`{` + id + `,"n":9223372036854775808}`, "n: must be an integer"},
		"null":              {`{` + id + `,"n":null}`, "n: must not be null"},
		"number as string":  {`{` + id + `,"n":"hunter2"}`, "n: must be an integer"},
		"array for object":  {`["hunter2"]`, "must be an object"},
		"string for object": {`"hunter2"`, "must be an object"},
	} {
		text, isErr := call(t, cs, "x", json.RawMessage(tc.args))
		if !isErr || !strings.HasPrefix(text, "invalid arguments: ") || !strings.Contains(text, tc.want) {
			t.Errorf("%s: got %q, error %t", name, text, isErr)
		}
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s: %q echoes the value", name, text)
		}
	}
	if ran {
		t.Error("the handler ran")
	}
	if strings.Contains(f.audit.String()+f.log.String(), "hunter2") {
		t.Error("a record holds the value")
	}
}

type bigIn struct {
	N int64  `json:"n"`
	U uint64 `json:"u"`
}

// The extremes of 64 bits survive both ways. (P12)
func TestIntegersAreExact(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil, tool("x", func(_ context.Context, in bigIn) (bigIn, error) { return in, nil }))
	r := f.dial(t)
	for _, args := range []string{
		`{"n":9007199254740993,"u":9007199254740993}`, `{"n":9223372036854775807,"u":18446744073709551615}`, `{"n":-9223372036854775808,"u":0}`,
	} {
		got := r.ask(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":` + args + `}}`)
		if !strings.Contains(got, `"structuredContent":`+args) {
			t.Errorf("%s: got %s", args, got)
		}
	}
}

// Guards see the value that the handler gets, the server's first, and the first
// refusal ends the call.
func TestGuards(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []string
	guard := func(name string, err error) mcpsec.Guard {
		return func(_ context.Context, c *mcpsec.Call) error {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, fmt.Sprintf("%s %s %v", name, c.Principal.ID, c.Args.(echoIn).Text))
			return err
		}
	}
	for name, tc := range map[string]struct {
		server, tool error
		want         string
	}{
		"all agree":      {nil, nil, ""},
		"server refuses": {&mcpsec.Error{Message: "not on Sundays"}, nil, "not allowed: not on Sundays"},
		"tool refuses":   {nil, &mcpsec.Error{Message: "not this one"}, "not allowed: not this one"},
		"plain error":    {nil, errors.New("ldap://hunter2 is down"), "not allowed"},
	} {
		seen = nil
		ran := false
		f := newFixture(t, func(o *mcpsec.Options) {
			o.Guards = []mcpsec.Guard{guard("server", tc.server)}
			o.Principal.ID = "ada"
		}, tool("x", func(context.Context, echoIn) (echoOut, error) { ran = true; return echoOut{}, nil }).WithGuards(guard("tool", tc.tool)))
		text, isErr := call(t, f.connect(t), "x", echoIn{"hi"})
		want := []string{"server ada hi", "tool ada hi"}
		if tc.server != nil {
			want = want[:1]
		}
		if fmt.Sprint(seen) != fmt.Sprint(want) {
			t.Errorf("%s: guards saw %q, want %q", name, seen, want)
		}
		if isErr != (tc.want != "") || ran == isErr || isErr && text != tc.want {
			t.Errorf("%s: got %q, error %t, ran %t", name, text, isErr, ran)
		}
	}
}

// A handler that ignores its context is answered for at the deadline. (P20)
func TestDeadline(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		effect mcpsec.Effect
		heeds  bool
		want   string
	}{
		"heeding read":   {mcpsec.Read, true, "the call did not end within 1s (call "},
		"deaf read":      {mcpsec.Read, false, "the call did not end within 1s (call "},
		"heeding write":  {mcpsec.Write, true, "the call did not end within 1s; whether it took effect is not known (call "},
		"deaf write":     {mcpsec.Write, false, "the call did not end within 1s; whether it took effect is not known (call "},
		"deaf guard":     {0, false, "the call did not end within 1s (call "},
		"heedless guard": {0, true, "the call did not end within 1s (call "},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				block := func(ctx context.Context) error {
					if tc.heeds {
						<-ctx.Done()
						return ctx.Err()
					}
					time.Sleep(time.Hour)
					return nil
				}
				spec := mcpsec.ToolSpec{Name: "x", Description: "Slow.", Effect: tc.effect, Timeout: time.Second}
				ran := false
				h := func(ctx context.Context, _ none) (echoOut, error) { ran = true; return echoOut{}, block(ctx) }
				if tc.effect == 0 {
					spec.Effect = mcpsec.Write
					spec.Guards = []mcpsec.Guard{func(ctx context.Context, _ *mcpsec.Call) error { block(ctx); return nil }}
				}
				f := newFixture(t, func(o *mcpsec.Options) { o.Mode = mcpsec.Write }, mcpsec.NewTool(spec, h))
				cs := f.connect(t)
				text, isErr := call(t, cs, "x", none{})
				if !isErr || !strings.HasPrefix(text, tc.want) {
					t.Errorf("got %q, error %t", text, isErr)
				}
				time.Sleep(2 * time.Hour)
				if tc.effect == 0 && ran {
					t.Error("the tool ran after its call was given up")
				}
				recs := f.records(t)
				if last := recs[len(recs)-1]; last["late"] == true { // the real end of a deaf handler
					recs = recs[:len(recs)-1]
				} else if !tc.heeds && tc.effect != 0 {
					t.Errorf("the late outcome is not recorded: %v", last)
				}
				if last := recs[len(recs)-1]; last["outcome"] != "timeout" && last["rule"] != "deadline" {
					t.Errorf("recorded %v", last)
				}
				cs.Close()
				<-f.served
			})
		})
	}
}

// The client's cancellation reaches the handler. (P21)
func TestCancellation(t *testing.T) {
	t.Parallel()
	started, ended := make(chan struct{}), make(chan error, 1)
	f := newFixture(t, nil, failing(func(ctx context.Context) error {
		close(started)
		<-ctx.Done()
		ended <- ctx.Err()
		return ctx.Err()
	}))
	r := f.dial(t)
	r.send(`{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"x"}}`)
	<-started
	r.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}`)
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	r.read()
	if recs := f.records(t); recs[len(recs)-1]["outcome"] != "cancelled" {
		t.Errorf("recorded %v", recs[len(recs)-1])
	}
}

// Calls beyond a limit are refused at once, and their places come back. (P22)
func TestConcurrencyIsRefusedNotQueued(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]func(*mcpsec.Options, *mcpsec.ToolSpec){
		"server":    func(o *mcpsec.Options, _ *mcpsec.ToolSpec) { o.Limits.MaxConcurrent = 3 },
		"principal": func(o *mcpsec.Options, _ *mcpsec.ToolSpec) { o.Limits.MaxConcurrentPerPrincipal = 3 },
		"tool":      func(_ *mcpsec.Options, s *mcpsec.ToolSpec) { s.MaxConcurrent = 3 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := mcpsec.ToolSpec{Name: "x", Description: "Blocks.", Effect: mcpsec.Read}
			started, release := make(chan struct{}, 8), make(chan struct{})
			f := newFixture(t, func(o *mcpsec.Options) { limit(o, &spec) })
			f.Add(mcpsec.NewTool(spec, func(context.Context, none) (echoOut, error) {
				started <- struct{}{}
				<-release
				return echoOut{}, nil
			}))
			cs := f.connect(t)
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() { call(t, cs, "x", none{}) })
			}
			for range 3 {
				<-started
			}
			if text, isErr := call(t, cs, "x", none{}); !isErr || !strings.HasPrefix(text, "too many calls at once") {
				t.Errorf("the fourth: got %q, error %t", text, isErr)
			}
			close(release)
			wg.Wait()
			if text, isErr := call(t, cs, "x", none{}); isErr {
				t.Errorf("afterwards: got %q", text)
			}
		})
	}
}

// A place is free again before its answer is out.
func TestOneAfterTheOther(t *testing.T) {
	t.Parallel()
	spec := mcpsec.ToolSpec{Name: "x", Description: "One at a time.", Effect: mcpsec.Read, MaxConcurrent: 1}
	f := newFixture(t, func(o *mcpsec.Options) { o.Limits.CallsPerSecond = 1e6 },
		mcpsec.NewTool(spec, func(context.Context, none) (echoOut, error) { return echoOut{}, nil }))
	cs := f.connect(t)
	for range 500 {
		if text, isErr := call(t, cs, "x", none{}); isErr {
			t.Fatal(text)
		}
	}
}

func TestRateIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(o *mcpsec.Options) { o.Limits.CallsPerSecond = 2 }, echo())
		cs := f.connect(t)
		time.Sleep(10 * time.Second) // connecting takes of the allowance, too
		for i := range 4 {
			if text, isErr := call(t, cs, "echo", echoIn{"x"}); isErr {
				t.Errorf("call %d of the burst: %s", i, text)
			}
		}
		if text, isErr := call(t, cs, "echo", echoIn{"x"}); !isErr || !strings.HasPrefix(text, "too many calls: retry in 50") {
			t.Errorf("got %q, error %t", text, isErr)
		}
		time.Sleep(time.Second)
		for range 2 {
			if text, isErr := call(t, cs, "echo", echoIn{"x"}); isErr {
				t.Errorf("after a second: %s", text)
			}
		}
		if _, isErr := call(t, cs, "echo", echoIn{"x"}); !isErr {
			t.Error("a third call within the second passed")
		}
		cs.Close()
		<-f.served
	})
}

func TestModeBoundsEffects(t *testing.T) {
	t.Parallel()
	of := func(e mcpsec.Effect) *mcpsec.Tool {
		return mcpsec.NewTool(mcpsec.ToolSpec{Name: e.String(), Description: "For tests.", Effect: e},
			func(context.Context, none) (echoOut, error) { return echoOut{"ran"}, nil })
	}
	for mode, want := range map[mcpsec.Effect]string{
		0: "read", mcpsec.Read: "read", mcpsec.Write: "read write", mcpsec.Destroy: "destroy read write",
	} {
		f := newFixture(t, func(o *mcpsec.Options) { o.Mode = mode }, of(mcpsec.Read), of(mcpsec.Write), of(mcpsec.Destroy))
		cs := f.connect(t)
		list, err := cs.ListTools(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, tl := range list.Tools {
			names = append(names, tl.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("mode %v: lists %q, want %q", mode, got, want)
		}
		if mode == mcpsec.Destroy {
			if text, isErr := call(t, cs, "destroy", none{}); !isErr || !strings.Contains(text, "a person must confirm it first") {
				t.Errorf("an unconfirmed destroy: got %q, error %t", text, isErr)
			}
		} else if _, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: "destroy"}); err == nil {
			t.Errorf("mode %v: destroy ran", mode)
		}
	}
}
