package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/pocketbase/pocketbase/core"
)

var errUnknown = errors.New("nobody knows whether it was done, and it must not be sent again")

// try does what a step is, unless that was done already: during is the step's state
// meanwhile, and then the one afterwards.
func (k *kind[T]) try(ctx context.Context, f *flow, i int, a act[T], during, then string) error {
	e := &f.Steps[i]
	switch {
	case e.State == then:
		return nil
	case a.remote == nil:
		return k.locally(f, i, a, then)
	case e.State == unknown, e.State == during && time.Since(e.Since) > a.again:
		return k.note(f, i, unknown, errUnknown)
	case e.State != during:
		e.State, e.Since, e.Tries = during, time.Now().UTC(), 0
	}
	before := map[string]string{trying: open, undoing: done}[during]
	e.Tries++
	if err := k.j.save(f); err != nil {
		return err // what is not recorded is not tried
	}
	k.j.pass(e.Step + " recorded")
	var d T
	if err := json.Unmarshal(f.Data, &d); err != nil {
		return err
	}
	err := a.remote(ctx, f.ID+"-"+e.Step+"-"+during, &d)
	k.j.pass(e.Step + " sent")
	var final *refusal
	switch {
	case err == nil:
	case errors.As(err, &final), errors.Is(err, errNotDone):
		return k.note(f, i, before, err)
	case a.again == never:
		return k.note(f, i, unknown, err)
	default:
		return err // it stays on record as sent
	}
	data, err := json.Marshal(d)
	if err != nil {
		return err
	}
	f.Data = data
	defer k.j.pass(e.Step + " done")
	return k.note(f, i, then, nil)
}

// note records a step's state, and returns err if that succeeds.
func (k *kind[T]) note(f *flow, i int, state string, err error) error {
	f.Steps[i].State = state
	return errors.Join(k.j.save(f), err)
}

// locally does an act in the transaction that records it. An act that there is none of is
// done.
func (k *kind[T]) locally(f *flow, i int, a act[T], then string) error {
	next := *f
	next.Steps = slices.Clone(f.Steps)
	next.Steps[i].State = then
	err := k.j.app.RunInTransaction(func(tx core.App) error {
		if a.local != nil {
			var d T
			if err := json.Unmarshal(f.Data, &d); err != nil {
				return err
			}
			if err := a.local(tx, &d); err != nil {
				return err
			}
			data, err := json.Marshal(d)
			if err != nil {
				return err
			}
			next.Data = data
		}
		return next.save(tx, false)
	})
	if err != nil {
		return err
	}
	*f = next
	k.j.pass(f.Steps[i].Step + " done")
	return nil
}
