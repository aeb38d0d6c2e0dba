package mcpsec

import (
	"context"
	"fmt"
)

// OnResult lets a guard see what a call returns before anybody gets it: f gets the
// JSON text that is about to leave, without secrets and hidden characters, and must
// neither keep nor change it. An error withholds the result, as if the handler had
// returned it, although the call has run. Texts of errors are not shown to f, and a
// call that runs as one of several rounds shows what each round returns.
//
// OnResult must be called before the guard returns, and does nothing for a Call that no
// server has made.
func (c *Call) OnResult(f func(ctx context.Context, result []byte) error) {
	if c.after == nil || f == nil {
		return
	}
	c.after.mu.Lock()
	defer c.after.mu.Unlock()
	c.after.results = append(c.after.results, f)
}

// Note puts a text of a guard's into the record of the decision, as the member "note",
// whether the call is allowed, refused or asked about. It must not hold argument values
// or data. It is redacted and cut at 500 bytes; of several, each is there. Note does
// nothing for a Call that no server has made.
func (c *Call) Note(format string, args ...any) {
	if c.after == nil {
		return
	}
	c.after.mu.Lock()
	defer c.after.mu.Unlock()
	c.after.notes = append(c.after.notes, fmt.Sprintf(format, args...))
}

// watched shows a result to the guards that have asked for it.
func (r *run) watched(ctx context.Context, res *result) error {
	r.after.mu.Lock()
	list := r.after.results
	r.after.mu.Unlock()
	for _, f := range list {
		if err := f(ctx, res.json); err != nil {
			return err
		}
	}
	return nil
}

func (h *hooks) noted() []string {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.notes
}
