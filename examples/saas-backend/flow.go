package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/pocketbase/pocketbase/core"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A kind is a kind of flow: its steps, in order, over a T that holds what it was begun
// with and what the steps find out.
//
// A step that fails may be tried again, by whoever makes the same call or resumes the
// flow, and that goes on where it stopped. A step that is refused for good has what was
// done before undone, the last first. A step that comes after the fact, such as a mail
// that tells of it, undoes nothing: it waits in the journal until it succeeds.
type kind[T any] struct {
	name  string
	j     *journal
	steps []step[T]
}

type step[T any] struct {
	name  string
	do    act[T]
	undo  act[T] // none if there is nothing to undo, or another step's undo does it
	after bool
}

// An act is what a step does, in PocketBase or elsewhere.
type act[T any] struct {
	local  func(tx core.App, d *T) error
	remote func(ctx context.Context, key string, d *T) error
	again  time.Duration // how long after the first time it may be sent again, when nobody knows what became of it
}

// here is an act in PocketBase. It is in one transaction with its record.
func here[T any](f func(tx core.App, d *T) error) act[T] { return act[T]{local: f} }

// there is an act at another server, which knows the key it is given and does it once,
// for as long as again says.
func there[T any](again time.Duration, f func(ctx context.Context, key string, d *T) error) act[T] {
	return act[T]{remote: f, again: again}
}

// How long acts may be sent again.
const (
	stripeKeys = 23 * time.Hour            // Stripe forgets its keys after 24 hours at the earliest
	always     = 10 * 365 * 24 * time.Hour // twice is as good as once
	never      = 0
)

// A refusal is final: it would be no other the next time. The model reads its text.
type refusal struct{ of *mcpsec.Error }

func (r *refusal) Error() string { return r.of.Message }

func (r *refusal) Unwrap() error { return r.of }

func refuse(message string, cause error) error {
	return &refusal{&mcpsec.Error{Message: message, Rule: "flow", Err: cause}}
}

// errNotDone is in the chain of an error that says that certainly nothing was done.
var errNotDone = errors.New("nothing was done")

// A resumer is a kind whose T is of no interest.
type resumer interface {
	resume(ctx context.Context, f *flow, again bool) error
}

// newKind makes a kind, for j to resume.
func newKind[T any](j *journal, name string, steps ...step[T]) *kind[T] {
	k := &kind[T]{name, j, steps}
	j.kinds[name] = k
	return k
}

// start begins a flow about what key names, or goes on with the one that there is. Of one
// that is done it returns what that one has found.
func (k *kind[T]) start(ctx context.Context, key string, in T) (out T, f *flow, err error) {
	giveBack, err := k.j.claim(ctx, flowID(k.name, key, 0))
	if err != nil {
		return out, nil, err
	}
	defer giveBack()
	args, err := json.Marshal(in)
	if err != nil {
		return out, nil, err
	}
	entries := make([]entry, len(k.steps))
	for i, s := range k.steps {
		entries[i].Step = s.name
	}
	if f, err = k.j.find(k.name, key, args, entries); err != nil {
		return out, nil, err
	}
	if err := k.run(ctx, f); err != nil {
		return out, f, err
	}
	return out, f, json.Unmarshal(f.Data, &out)
}

// resume goes on with a flow that the caller has claimed. Again says that a person wants
// steps sent again of which nobody knows what became of them.
func (k *kind[T]) resume(ctx context.Context, f *flow, again bool) error {
	before := open
	if f.State == undoing {
		before = done
	}
	for i := range f.Steps {
		if again && f.Steps[i].State == unknown {
			f.Steps[i].State = before
		}
	}
	return k.run(ctx, f)
}

func (k *kind[T]) run(ctx context.Context, f *flow) error {
	if f.State == undoing {
		return k.back(ctx, f)
	}
	left := false
	for i, s := range k.steps {
		err := k.try(ctx, f, i, s.do, trying, done)
		var final *refusal
		switch {
		case err == nil:
		case s.after:
			left = true
			k.j.log.Warn("a step waits", "flow", f.ID, "step", s.name, "error", err)
		case errors.As(err, &final):
			f.State, f.Reason = undoing, final.of.Message
			if err := k.j.save(f); err != nil {
				return stopped(f, s.name, err)
			}
			return errors.Join(k.back(ctx, f), err)
		default:
			return stopped(f, s.name, err)
		}
	}
	state := done
	if left {
		state = waiting
	}
	if f.State == state {
		return nil
	}
	f.State = state
	return k.j.save(f)
}

// back undoes what was done, the last first.
func (k *kind[T]) back(ctx context.Context, f *flow) error {
	for i, s := range slices.Backward(k.steps) {
		if e := f.Steps[i]; e.State != done && e.State != undoing && e.State != unknown {
			continue
		}
		if err := k.try(ctx, f, i, s.undo, undoing, undone); err != nil {
			return stopped(f, "undoing "+s.name, err)
		}
	}
	f.State = undone
	return k.j.save(f)
}

// stopped says how to go on.
func stopped(f *flow, step string, err error) error {
	return &mcpsec.Error{Message: "flow " + f.ID + " stopped at: " + step + ". It is recorded, and goes on where it stopped: by itself, by the same call, or by flow_resume", Rule: "stopped", Err: err}
}
