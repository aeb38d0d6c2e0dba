package suppress

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// New returns the [Store] that keeps its entries in d, under keys of its own: a
// pgstate.Store shares them among replicas. Without d they are in this process's
// memory, and forgotten with it.
func New(d state.Documents) Store {
	if d == nil {
		d = new(state.Memory)
	}
	return list{d}
}

// prefix is that of all keys of the list.
const prefix = "mail suppressed "

type list struct{ d state.Documents }

// errBusy says that others have changed an entry all the time.
var errBusy = errors.New("others change the entry all the time")

// change writes what decide makes of an entry, for as long as others are quicker.
func (l list) change(ctx context.Context, address string, decide func(old Entry, ok bool) (next Entry, change bool)) (bool, error) {
	for range 100 {
		d, err := l.d.Get(ctx, prefix+address)
		if err != nil {
			return false, err
		}
		old, err := read(d)
		if err != nil {
			return false, err
		}
		next, change := decide(old, d.Version != 0)
		switch {
		case !change:
			return false, nil
		case next == Entry{}:
			err = l.d.Delete(ctx, d)
		default:
			if d.Value, err = json.Marshal(next); err == nil {
				_, err = l.d.Put(ctx, d, 0)
			}
		}
		if !errors.Is(err, state.ErrLost) {
			return err == nil, err
		}
	}
	return false, errBusy
}

// Add implements [Store].
func (l list) Add(ctx context.Context, e Entry) (bool, error) {
	err := e.Check()
	if err != nil {
		return false, fmt.Errorf("suppressing an address: %w", err)
	}
	e.Time = e.Time.UTC().Truncate(time.Microsecond)
	ok, err := l.change(ctx, e.Address, func(old Entry, _ bool) (Entry, bool) { return e, old.Reason.Weight() < e.Reason.Weight() })
	if err != nil {
		return false, fmt.Errorf("suppressing an address: %w", err)
	}
	return ok, nil
}

// Remove implements [Store].
func (l list) Remove(ctx context.Context, address string, r Reason) (bool, error) {
	err := CheckAddress(address)
	if err == nil {
		var ok bool
		ok, err = l.change(ctx, address, func(old Entry, ok bool) (Entry, bool) { return Entry{}, ok && old.Reason == r })
		if err == nil {
			return ok, nil
		}
	}
	return false, fmt.Errorf("removing a suppression: %w", err)
}

// Check implements [Store].
func (l list) Check(ctx context.Context, address string) (Entry, bool, error) {
	err := CheckAddress(address)
	var d state.Document
	if err == nil {
		d, err = l.d.Get(ctx, prefix+address)
	}
	var e Entry
	if err == nil {
		e, err = read(d)
	}
	if err != nil {
		return Entry{}, false, fmt.Errorf("looking a suppression up: %w", err)
	}
	return e, d.Version != 0, nil
}

// List implements [Store].
func (l list) List(ctx context.Context, after string, n int) ([]Entry, error) {
	if err := CheckList(after, n); err != nil {
		return nil, fmt.Errorf("listing suppressions: %w", err)
	}
	out := []Entry{}
	for len(out) < n {
		page, err := l.d.List(ctx, prefix, prefix+after, min(n-len(out), state.MaxListed))
		if err != nil {
			return nil, fmt.Errorf("listing suppressions: %w", err)
		}
		for _, d := range page {
			e, err := read(d)
			if err != nil {
				return nil, fmt.Errorf("listing suppressions: %w", err)
			}
			out, after = append(out, e), e.Address
		}
		if len(page) == 0 {
			break
		}
	}
	return out, nil
}

// read reads an entry, and the zero Entry of no document.
func read(d state.Document) (Entry, error) {
	if d.Version == 0 {
		return Entry{}, nil
	}
	var e Entry
	if err := json.Unmarshal(d.Value, &e); err != nil || e.Check() != nil || d.Key != prefix+e.Address {
		return Entry{}, errors.New("an entry is not as it should be")
	}
	return e, nil
}
