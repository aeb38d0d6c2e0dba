package mcpsec

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// afterTimeout is how long a function of [Call.After] may take.
const afterTimeout = 5 * time.Second

// hooks is what guards have left to be done: when a call is over, with its result, and
// in its record.
type hooks struct {
	mu      sync.Mutex
	list    []func(context.Context, time.Duration)
	results []func(context.Context, []byte) error
	notes   []string
}

// After lets a guard settle what it has reserved: f runs once when it is certain what
// became of the call. It gets the time that the handler took, which is 0 if the
// handler did not run: another guard refused, the call could not be recorded, or it
// was given up before. Of a handler that is left behind at its deadline it gets the
// time when that has returned, late.
//
// All of a call's functions run, the last one first and before the call is answered,
// each with a context of its own that the call's end does not cancel and that ends
// after 5 seconds. A panic in one is logged. Only the end of the process keeps them
// from running. After must be called before the guard returns, and does nothing for
// a Call that no server has made.
func (c *Call) After(f func(ctx context.Context, took time.Duration)) {
	if c.after == nil || f == nil {
		return
	}
	c.after.mu.Lock()
	defer c.after.mu.Unlock()
	c.after.list = append(c.after.list, f)
}

// pop returns the last function that has not begun, or nil.
func (h *hooks) pop() func(context.Context, time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := len(h.list) - 1
	if last < 0 {
		return nil
	}
	f := h.list[last]
	h.list = h.list[:last]
	return f
}

// settle runs what is left to be done.
func (r *run) settle(ctx context.Context) {
	for f := r.after.pop(); f != nil; f = r.after.pop() {
		r.runAfter(ctx, f)
	}
}

func (r *run) runAfter(ctx context.Context, f func(context.Context, time.Duration)) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			r.server.log.ErrorContext(ctx, "a function of Call.After panicked", "call", r.call.ID, "tool", r.call.Tool, "error", fmt.Sprint(p))
		}
	}()
	f(ctx, r.took)
}
