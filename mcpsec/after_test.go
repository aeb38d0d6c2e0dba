package mcpsec_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// events is what happened, in order.
type events struct {
	mu   sync.Mutex
	list []string
}

func (e *events) add(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, fmt.Sprintf(format, args...))
}

func (e *events) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.list, ", ")
}

// What a guard has reserved is settled once, whatever becomes of the call, and before
// its answer.
func TestAfter(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		handler func(context.Context)
		guard   func() error          // runs after the one that reserves
		hook    func(context.Context) // runs before the one that settles
		audit   bool                  // fails
		answer  string
		want    string
	}{
		"returns":         {handler: func(context.Context) { time.Sleep(time.Second) }, answer: `{"text":"ran"}`, want: "settled 1s, answered"},
		"fails":           {handler: func(context.Context) { panic(&mcpsec.Error{Message: "no"}) }, answer: "internal error", want: "settled 0s, answered"},
		"ends by itself":  {handler: func(context.Context) { runtime.Goexit() }, answer: "internal error", want: "settled 0s, answered"},
		"is late":         {handler: func(context.Context) { time.Sleep(5 * time.Second) }, answer: "the call did not end", want: "answered, settled 5s"},
		"is refused":      {guard: func() error { return errors.New("no") }, answer: "not allowed", want: "settled 0s, answered"},
		"panicking guard": {guard: func() error { panic("no") }, answer: "internal error", want: "settled 0s, answered"},
		"ending guard":    {guard: func() error { runtime.Goexit(); return nil }, answer: "internal error", want: "settled 0s, answered"},
		"late guard":      {guard: func() error { time.Sleep(5 * time.Second); return nil }, answer: "the call did not end", want: "answered, settled 0s"},
		"not recorded":    {audit: true, answer: "not allowed: the call could not be recorded", want: "settled 0s, answered"},
		"panicking hook":  {hook: func(context.Context) { panic("oh") }, answer: `{"text":"ran"}`, want: "settled 0s, answered"},
		"ending hook":     {hook: func(context.Context) { runtime.Goexit() }, answer: "internal error", want: "settled 0s, answered"},
		"slow hook":       {hook: func(ctx context.Context) { <-ctx.Done() }, answer: "the call did not end", want: "answered, settled 0s"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var seen events
				reserve := func(_ context.Context, c *mcpsec.Call) error {
					c.After(nil)
					c.After(func(ctx context.Context, took time.Duration) {
						if deadline, ok := ctx.Deadline(); ctx.Err() != nil || !ok || time.Until(deadline) != 5*time.Second || mcpsec.CallID(ctx) != c.ID {
							t.Errorf("the context ended: %v", ctx.Err())
						}
						seen.add("settled %v", took)
					})
					c.After(nil)
					if tc.hook != nil {
						c.After(func(ctx context.Context, _ time.Duration) { tc.hook(ctx) })
					}
					return nil
				}
				second := func(context.Context, *mcpsec.Call) error {
					if tc.guard != nil {
						return tc.guard()
					}
					return nil
				}
				f := newFixture(t, func(o *mcpsec.Options) {
					o.Limits.Timeout = 2 * time.Second
					o.Guards = []mcpsec.Guard{reserve, second}
					if tc.audit {
						o.Audit = sink{o.Audit, func() bool { return true }}
					}
				}, tool("x", func(ctx context.Context, _ none) (echoOut, error) {
					if tc.handler != nil {
						tc.handler(ctx)
					}
					return echoOut{"ran"}, nil
				}))
				cs := f.connect(t)
				text, _ := call(t, cs, "x", none{})
				seen.add("answered")
				if !strings.HasPrefix(text, tc.answer) {
					t.Errorf("got %q, want %q", text, tc.answer)
				}
				time.Sleep(10 * time.Second)
				if seen.String() != tc.want {
					t.Errorf("got %s, want %s", &seen, tc.want)
				}
				if strings.HasPrefix(name, "panicking hook") && !strings.Contains(f.log.String(), "Call.After") {
					t.Errorf("logged: %s", f.log.String())
				}
				cs.Close()
				<-f.served
			})
		})
	}
}

// The last reservation is settled first, and a Call of nobody's keeps none.
func TestAfterOrder(t *testing.T) {
	t.Parallel()
	var seen events
	guard := func(name string) mcpsec.Guard {
		return func(_ context.Context, c *mcpsec.Call) error {
			for i := range 2 {
				c.After(func(context.Context, time.Duration) { seen.add("%s%d", name, i) })
			}
			return nil
		}
	}
	f := newFixture(t, func(o *mcpsec.Options) { o.Guards = []mcpsec.Guard{guard("a"), guard("b")} }, echo())
	call(t, f.connect(t), "echo", echoIn{"x"})
	if seen.String() != "b1, b0, a1, a0" {
		t.Errorf("got %s", &seen)
	}
	new(mcpsec.Call).After(func(context.Context, time.Duration) { t.Error("it ran") })
}
