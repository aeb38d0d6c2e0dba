package mcpsec

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/strictjson"
)

// A run is one call on its way through the pipeline. Its worker and the one who
// waits for it may both end it: the lock decides who did, and only that one
// records and answers.
type run struct {
	server *Server
	op     *operation
	req    *mcp.CallToolRequest
	call   Call
	round  int     // of questions to a person, from 1
	yes    *assent // that a person has given to this call while it waited
	inputs inputs  // what the client has answered so far
	stray  bool    // answers came without a state, and answer nothing
	after  hooks
	took   time.Duration // by the handler
	done   chan *result

	mu       sync.Mutex // guards the fields below, inputs, call.shape and call.assent
	refused  bool       // the decision will be that it does not run, or not yet
	needs    []need     // what the handler asks for
	decided  bool       // the decision is made
	over     bool       // somebody answers
	reported time.Time  // the last progress notification
	highest  float64
	logged   int // messages to the client
}

// serve takes one call through the pipeline, and once more after a person
// has said yes to the question that it raised, or after the client has answered
// its handler: all is decided anew then, so that nothing that has changed
// meanwhile goes unseen. A client that can repeat the call itself is given the
// question instead.
func (s *Server) serve(ctx context.Context, o *operation, req *mcp.CallToolRequest) *result {
	if before := s.beforeCall.Load(); before != nil {
		(*before)()
	}
	raw := req.Params.Arguments
	if len(raw) == 0 {
		raw = json.RawMessage("{}")
	}
	call := Call{
		ID: rand.Text(), Method: o.method, Tool: o.spec.Name, noun: o.noun, Effect: o.spec.Effect, Labels: o.spec.Labels,
		Principal: s.principalOf(ctx), bytes: len(raw),
	}
	var yes *assent
	var in inputs
	for round := 1; ; {
		call.start = time.Now()
		r := &run{server: s, op: o, req: req, yes: yes, inputs: in, round: round, done: make(chan *result, 1), call: call}
		r.call.after = &r.after
		res := r.pass(ctx, raw)
		switch in = r.inputsSoFar(); {
		case res.ask == nil || res.ask.way == byRetry:
			return res
		case res.ask.needs != nil:
			if in, res = r.fetch(ctx, res.ask); res != nil {
				return res
			}
		default:
			round++
			if yes, res = r.ask(ctx, res.ask); yes == nil {
				return res
			}
		}
	}
}

// pass takes the call through the pipeline, whose order is fixed: admission,
// decoding, guards, record, handler, result, record. It answers at the deadline
// at the latest, even when the handler does not heed it.
func (r *run) pass(ctx context.Context, raw json.RawMessage) *result {
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, callKey{}, r), r.op.timeout(r.server))
	defer cancel()
	go r.work(ctx, raw)
	return r.wait(ctx)
}

func (o *operation) timeout(s *Server) time.Duration {
	if o.spec.Timeout > 0 {
		return o.spec.Timeout
	}
	return s.limits.Timeout
}

// admit finds a place for the call, or refuses it at once: a queue would only
// hide the overload and grow.
func (r *run) admit(ctx context.Context) *failure {
	s, o, id := r.server, r.op, r.call.Principal.ID
	switch wait, err := s.rate(ctx, id); {
	case err != nil && ctx.Err() != nil:
		return r.ended(ctx, false)
	case err != nil:
		return refused("rate", "the call could not be counted: retry later")
	case wait != 0:
		return refused("rate", fmt.Sprintf("too many calls: retry in %d ms", wait.Milliseconds()+1))
	}
	if !s.running.enter(s.limits.MaxConcurrent) {
		return busy()
	}
	if !s.callers.enter(id, s.limits.MaxConcurrentPerPrincipal) {
		s.running.leave()
		return busy()
	}
	if n := o.spec.MaxConcurrent; n > 0 && !o.running.enter(n) {
		s.callers.leave(id)
		s.running.leave()
		return busy()
	}
	return nil
}

func busy() *failure {
	return refused("busy", "too many calls at once: wait for answers, then retry")
}

// leave gives the call's place back.
func (r *run) leave() {
	if r.op.spec.MaxConcurrent > 0 {
		r.op.running.leave()
	}
	r.server.callers.leave(r.call.Principal.ID)
	r.server.running.leave()
}

// work decides on the call, runs it, and hands over the answer. Its place is
// free before the answer is out, so that the next call finds it; a handler that
// was left behind keeps its place until it returns.
func (r *run) work(ctx context.Context, raw json.RawMessage) {
	growStack()
	f, taken := r.admit(ctx), false
	admitted := f == nil
	defer func() {
		p := recover()
		if admitted {
			r.leave()
		}
		if p != nil || !taken {
			r.abort(ctx, p)
		}
	}()
	res := r.take(ctx, raw, f)
	taken = true
	if admitted {
		r.leave()
		admitted = false
	}
	r.done <- res
}

// abort ends a call after a panic in what surrounds the tool, or when a handler
// or guard has ended its goroutine. It trusts nothing that may have panicked.
func (r *run) abort(ctx context.Context, p any) {
	f := panicError(p, debug.Stack())
	if p == nil {
		f.cause = errors.New("the goroutine was ended by runtime.Goexit")
	}
	late := !r.enter(&r.over)
	if err := r.server.recordOutcome(ctx, &r.call, f, nil, late); err != nil {
		r.server.log.ErrorContext(ctx, "audit failed", "call", r.call.ID, "error", err)
	}
	f.log(ctx, r.server.log, &r.call)
	r.done <- &result{call: r.call.ID, labels: r.call.Labels, text: f.message(r.call.ID), code: f.code(), outcome: f.outcome, rule: f.rule}
}

// take is the pipeline after admission. It returns nil when the call has been
// given up meanwhile.
func (r *run) take(ctx context.Context, raw json.RawMessage, f *failure) *result {
	defer r.settle(ctx) // whatever ends it
	var in any
	if f == nil {
		in, f = r.decide(ctx, raw)
	}
	if f == nil && ctx.Err() != nil { // the guards took all the time there was
		f = r.ended(ctx, false)
	}
	if res := r.record(ctx, f); res != nil || f != nil {
		return res
	}
	if r.isOver() { // nobody waits any more: the tool must not run
		return nil
	}
	res, f := r.perform(ctx, in)
	r.settle(ctx) // its time counts, too
	return r.finish(ctx, res, f)
}

func (r *run) setShape(shape string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.call.shape = shape
}

// forRecord copies the call for a record that its worker does not write.
func (r *run) forRecord() *Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.call
	return &c
}

func (r *run) isOver() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.over
}

// decide decodes the arguments once and asks the guards, server's first.
func (r *run) decide(ctx context.Context, raw json.RawMessage) (in any, f *failure) {
	defer func() {
		if p := recover(); p != nil {
			in, f = nil, panicError(p, debug.Stack())
		}
	}()
	in, err := r.op.decode(raw)
	if err != nil {
		return nil, badArguments(err)
	}
	r.setShape(r.op.shape(in, r.server))
	missing := r.op.lacks(r.call.Principal)
	if c, ok := in.(chosen); ok && missing == nil {
		missing = c.tool.lacks(r.call.Principal)
	}
	if missing != nil {
		return nil, missingScopes(missing)
	}
	yes, f := r.answer(ctx, raw)
	if f != nil {
		return nil, f
	}
	w, f := r.guard(ctx, in)
	if f == nil {
		f = r.confirm(w, yes, raw)
	}
	return in, f
}

// guard asks the guards. One that wants a person to be asked does not keep the
// next from refusing.
func (r *run) guard(ctx context.Context, in any) (w wishes, f *failure) {
	for i, guards := range [2][]Guard{r.server.guards, r.op.spec.Guards} {
		own := i == 1
		for _, g := range guards {
			c := r.call // a copy for each: what one guard changes, nobody sees
			c.Args, c.Principal.Scopes = r.op.value(in), slices.Clone(c.Principal.Scopes)
			if err := g(ctx, &c); err != nil && !w.add(err, own, own && r.op.unconfirmed()) {
				return w, fromGuard(err)
			}
		}
	}
	return w, nil
}

func badArguments(err error) *failure {
	var e *strictjson.Error
	if errors.As(err, &e) {
		return refused("arguments", "invalid arguments: "+e.Error())
	}
	return &failure{outcome: outcomeRefused, rule: "arguments", cause: err}
}

func (r *run) failed(f *failure) *result {
	if f.question != nil {
		return &result{call: r.call.ID, ask: f.question, outcome: f.outcome, rule: f.rule}
	}
	return &result{
		call: r.call.ID, labels: r.call.Labels, text: r.server.clean(f.message(r.call.ID), maxErrorText),
		code: f.code(), wire: f.wire != 0, data: f.data, outcome: f.outcome, rule: f.rule,
	}
}

// record writes the decision down. It returns the answer of a call that ends
// here: refused, or allowed but not recorded. The record is written outside the
// lock, since a sink may block.
func (r *run) record(ctx context.Context, f *failure) *result {
	if f != nil && !r.enter(&r.refused) || !r.enter(&r.decided) {
		return nil
	}
	if err := r.server.recordDecision(ctx, &r.call, f, r.op.spec.Waive); err != nil {
		r.server.log.ErrorContext(ctx, "audit failed", "call", r.call.ID, "error", err)
		if f == nil || f.question != nil {
			f = refused("audit", "not allowed: the call could not be recorded (call "+r.call.ID+")")
		}
	}
	if f == nil || !r.enter(&r.over) {
		return nil
	}
	f.log(ctx, r.server.log, &r.call)
	return r.failed(f)
}

// enter sets a stage of the call, unless the call is over.
func (r *run) enter(stage *bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return false
	}
	*stage = true
	return true
}

// perform runs the handler and encodes its result. A panic in either becomes a
// failure: the SDK would let it end the process.
func (r *run) perform(ctx context.Context, in any) (res *result, f *failure) {
	start := time.Now()
	defer func() {
		r.took = time.Since(start)
		if p := recover(); p != nil {
			res, f = nil, panicError(p, debug.Stack())
		}
	}()
	v, err := r.op.handle(ctx, in)
	if err == nil {
		res, err = r.encodeResult(v)
	}
	if err == nil {
		err = r.watched(ctx, res)
	}
	if err != nil {
		return nil, r.fromHandler(ctx, err)
	}
	return res, nil
}

// finish records how the call ended. An answer whose record fails is withheld.
// Of a call that was given up, the late outcome is recorded and nobody answered.
func (r *run) finish(ctx context.Context, res *result, f *failure) *result {
	late := !r.enter(&r.over)
	if f != nil && f.text == "" && (f.outcome == outcomeTimeout || f.outcome == outcomeCancelled) {
		f.text = r.ended(ctx, true).text
	}
	if err := r.server.recordOutcome(ctx, &r.call, f, res, late); err != nil {
		f = &failure{outcome: outcomeFailed, rule: "audit", cause: err,
			text: "the call has run, but its outcome could not be recorded, so its result is withheld (call " + r.call.ID + ")"}
	}
	if f == nil {
		return res
	}
	f.log(ctx, r.server.log, &r.call)
	return r.failed(f)
}

// linger is how long a call may take to return by itself after its context has
// ended, and a record to be written.
const linger = 100 * time.Millisecond

// wait returns the worker's answer, or gives the call up when its context ends
// and the worker does not.
func (r *run) wait(ctx context.Context) *result {
	select {
	case res := <-r.done:
		return res
	case <-ctx.Done():
	}
	if res := r.await(); res != nil {
		return res
	}
	r.mu.Lock()
	over, decided := r.over || r.refused, r.decided
	r.over = r.over || !r.refused // what is refused has no other end than that
	r.mu.Unlock()
	if over { // the worker ended it after all, and is about to answer, or its sink is stuck
		if res := r.await(); res != nil {
			return res
		}
		r.server.log.ErrorContext(ctx, "audit failed", "call", r.call.ID, "error", errSinkStuck)
		return r.failed(refused("audit", "the call could not be recorded in time (call "+r.call.ID+")"))
	}
	return r.giveUp(ctx, decided)
}

var errSinkStuck = errors.New("the sink does not answer")

// await waits for the worker a little longer.
func (r *run) await() *result {
	t := time.NewTimer(linger)
	defer t.Stop()
	select {
	case res := <-r.done:
		return res
	case <-t.C:
		return nil
	}
}

// giveUp records the end of a call without its worker, and does not wait long
// for the record: the sink may be what the worker is stuck in.
func (r *run) giveUp(ctx context.Context, decided bool) *result {
	f := r.ended(ctx, decided)
	call := r.forRecord()
	recorded := make(chan error, 1)
	go func() {
		if decided {
			recorded <- r.server.recordOutcome(ctx, call, f, nil, false)
		} else {
			recorded <- r.server.recordDecision(ctx, call, f, r.op.spec.Waive)
		}
	}()
	t := time.NewTimer(linger)
	defer t.Stop()
	var err error
	select {
	case err = <-recorded:
	case <-t.C:
		err = errSinkStuck
	}
	if err != nil {
		r.server.log.ErrorContext(ctx, "audit failed", "call", r.call.ID, "error", err)
	}
	r.server.log.WarnContext(ctx, "gave up a call that does not heed its context", "call", r.call.ID, r.call.noun, r.call.Tool)
	return r.failed(f)
}

// ended says that a call's context is over, and whether its effect is known.
func (r *run) ended(ctx context.Context, started bool) *failure {
	f := &failure{outcome: outcomeTimeout, rule: "deadline", text: fmt.Sprintf("the call did not end within %s", r.op.timeout(r.server))}
	if errors.Is(ctx.Err(), context.Canceled) {
		f = &failure{outcome: outcomeCancelled, rule: "cancelled", text: "the call was cancelled"}
	}
	if started && r.call.Effect != Read {
		f.text += "; whether it took effect is not known"
	}
	f.text += " (call " + r.call.ID + ")"
	return f
}
