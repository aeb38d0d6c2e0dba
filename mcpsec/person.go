package mcpsec

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// An opinion is what asking a person has led to: a yes, or why not.
type opinion struct {
	by     string
	no     *failure
	inputs inputs // of a client that was asked for more than a yes
}

// ask asks a person while the client waits. The call holds no place of those
// that run meanwhile, only one of those that wait for people. It returns the yes,
// or the answer of the call.
func (r *run) ask(ctx context.Context, q *question) (*assent, *result) {
	said := r.opinion(ctx, func(ctx context.Context) opinion { return r.opinionBy(ctx, q) })
	if said.no == nil {
		r.noteYes(ctx, q.way)
		return &assent{way: q.way, by: said.by, question: q.digest}, nil
	}
	return nil, r.unanswered(ctx, said.no)
}

// unanswered records that a question has ended the call, and why.
func (r *run) unanswered(ctx context.Context, f *failure) *result {
	ctx = context.WithoutCancel(ctx)
	c := r.forRecord()
	c.start = time.Now()
	if err := r.server.recordDecision(ctx, c, f, r.op.spec.Waive); err != nil {
		r.server.log.ErrorContext(ctx, "audit failed", "call", r.call.ID, "error", err)
	}
	f.log(ctx, r.server.log, &r.call)
	return r.failed(f)
}

// opinion waits for what asking leads to, at most as long as a person may take.
func (r *run) opinion(ctx context.Context, asking func(context.Context) opinion) opinion {
	s := r.server
	leave, ok := s.enterWaiting(r.call.Principal.ID)
	if !ok {
		return opinion{no: refused("busy", "too many calls wait for a person's answer: wait for those, then retry")}
	}
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, callKey{}, r), s.limits.Confirm)
	defer cancel()
	done := make(chan opinion, 1)
	go func() {
		said := opinion{no: refused("confirmation", "not allowed: a person could not be asked")}
		said.no.cause = errors.New("the goroutine that asks was ended")
		defer func() {
			if p := recover(); p != nil {
				said = opinion{no: panicError(p, debug.Stack())}
			}
			leave()
			done <- said
		}()
		said = asking(ctx)
	}()
	select {
	case said := <-done:
		return said
	case <-ctx.Done(): // an Approver that does not heed it keeps its place
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return opinion{no: &failure{outcome: outcomeCancelled, rule: "cancelled", text: "the call was cancelled (call " + r.call.ID + ")"}}
	}
	return opinion{no: refused("confirmation", fmt.Sprintf("not allowed: nobody has answered within %s", s.limits.Confirm))}
}

// opinionBy asks, by the client or by the Approver.
func (r *run) opinionBy(ctx context.Context, q *question) opinion {
	unasked := func(text string, err error) opinion {
		f := refused("confirmation", text)
		f.cause = err
		return opinion{no: f}
	}
	if q.way == byElicitation {
		res, err := r.req.Session.Elicit(ctx, q.elicitation())
		if err != nil {
			return unasked("not allowed: the client did not answer the question as it was asked", err)
		}
		return opinion{no: verdict(res)}
	}
	by, yes, err := r.server.approver(ctx, q.forApprover(&r.call))
	switch {
	case err != nil:
		return unasked("not allowed: a person could not be asked", err)
	case !yes:
		f := refused("declined", "not allowed: the person who was asked said no")
		f.by = by
		return opinion{no: f}
	}
	return opinion{by: by}
}

// enterWaiting counts a call in that waits for a person, of which one caller
// has a quarter of the places that its running calls have: questions are slow,
// and each holds a request of the transport.
func (s *Server) enterWaiting(id string) (leave func(), ok bool) {
	if !s.waiting.enter(s.limits.MaxConcurrent) {
		return nil, false
	}
	if !s.askers.enter(id, max(1, s.limits.MaxConcurrentPerPrincipal/4)) {
		s.waiting.leave()
		return nil, false
	}
	return func() { s.askers.leave(id); s.waiting.leave() }, true
}
