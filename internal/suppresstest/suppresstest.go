// Package suppresstest holds what every [suppress.Store] must do, as tests that each
// implementation runs. It protects those who asked for no more mail from stores that
// promise the same and differ.
package suppresstest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mailtool/suppress"
)

// Run runs all tests against empty stores that are made by open.
func Run(t *testing.T, open func(t *testing.T) suppress.Store) {
	for name, test := range map[string]func(*testing.T, suppress.Store){
		"what is added is there":      added,
		"the weightier reason stays":  weightier,
		"what is removed is gone":     removed,
		"addresses are exact":         exact,
		"lists go on where they end":  listed,
		"what is out of bounds":       refused,
		"an ended context":            ended,
		"of fifty one changes it":     race,
		"a complaint wins every race": raceOfReasons,
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) { test(t, open(t)) })
	}
}

var moment = time.Date(2026, 3, 28, 1, 2, 3, 456789000, time.UTC)

func entry(address string, r suppress.Reason) suppress.Entry {
	return suppress.Entry{Address: address, Reason: r, Time: moment, Source: "postmark", Detail: "HardBounce"}
}

func add(t *testing.T, s suppress.Store, e suppress.Entry, want bool) {
	t.Helper()
	if got, err := s.Add(t.Context(), e); err != nil || got != want {
		t.Fatalf("adding: got %v, %v, want %v", got, err, want)
	}
}

// check wants the entry of an address; nil for none.
func check(t *testing.T, s suppress.Store, address string, want *suppress.Entry) {
	t.Helper()
	got, ok, err := s.Check(t.Context(), address)
	if err != nil || ok != (want != nil) || want != nil && got != *want || want == nil && got != (suppress.Entry{}) {
		t.Fatalf("got %+v, %v, %v, want %+v", got, ok, err, want)
	}
}

func added(t *testing.T, s suppress.Store) {
	check(t, s, "ann@example.com", nil)
	e := entry("ann@example.com", suppress.HardBounce)
	add(t, s, e, true)
	add(t, s, e, false)
	check(t, s, e.Address, &e)
	check(t, s, "bob@example.com", nil)

	e = suppress.Entry{Address: "x@example.com", Reason: suppress.Manual, Time: moment.Add(999).In(time.FixedZone("", 3600)), Source: "Ünï"}
	add(t, s, e, true)
	e.Time = moment
	check(t, s, e.Address, &e)
}

func weightier(t *testing.T, s suppress.Store) {
	order := []suppress.Reason{suppress.Bounces, suppress.Manual, suppress.HardBounce, suppress.Unsubscribe, suppress.Complaint}
	for i, r := range order {
		if r.Weight() != i+1 {
			t.Errorf("%s weighs %d", r, r.Weight())
		}
		e := entry("ann@example.com", r)
		e.Time, e.Detail = moment.Add(time.Duration(i)*time.Hour), string(r)
		add(t, s, e, true)
		check(t, s, e.Address, &e)
		for _, less := range order[:i+1] {
			other := entry("ann@example.com", less)
			other.Source = "other"
			add(t, s, other, false)
			check(t, s, e.Address, &e)
		}
	}
}

func removed(t *testing.T, s suppress.Store) {
	e := entry("ann@example.com", suppress.Complaint)
	add(t, s, e, true)
	for _, r := range []suppress.Reason{suppress.Manual, suppress.HardBounce, "", "made up"} {
		if got, err := s.Remove(t.Context(), e.Address, r); err != nil || got {
			t.Errorf("removing for %q: got %v, %v", r, got, err)
		}
		check(t, s, e.Address, &e)
	}
	for _, want := range []bool{true, false} {
		if got, err := s.Remove(t.Context(), e.Address, e.Reason); err != nil || got != want {
			t.Errorf("removing: got %v, %v, want %v", got, err, want)
		}
	}
	check(t, s, e.Address, nil)
	less := entry("ann@example.com", suppress.Bounces)
	add(t, s, less, true)
	check(t, s, e.Address, &less)
}

func exact(t *testing.T, s suppress.Store) {
	for _, a := range []string{"a@example.com", "a%@example.com", "a_@example.com", "aa@example.com", `a'--@example.com`, `a\@example.com`, "a@example.com.example.com"} {
		add(t, s, entry(a, suppress.Manual), true)
	}
	for _, a := range []string{"ab@example.com", "a@example_com", "a@example.com.example"} {
		check(t, s, a, nil)
	}
}

func listed(t *testing.T, s suppress.Store) {
	var want []string
	for i := range 25 {
		a := fmt.Sprintf("%c%d@example.com", "a_-.z"[i%5], i)
		want = append(want, a)
		add(t, s, entry(a, suppress.Manual), true)
	}
	slices.Sort(want) // by bytes, whatever a database's locale says
	var got []string
	for after := ""; ; {
		page, err := s.List(t.Context(), after, 10)
		if err != nil || page == nil {
			t.Fatalf("got %v, %v", page, err)
		}
		for _, e := range page {
			if e != entry(e.Address, suppress.Manual) {
				t.Errorf("got %+v", e)
			}
			got = append(got, e.Address)
		}
		if len(page) < 10 {
			break
		}
		after = page[9].Address
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	// What has changed since is seen.
	add(t, s, entry("!0@example.com", suppress.Manual), true)
	if _, err := s.Remove(t.Context(), want[0], suppress.Manual); err != nil {
		t.Fatal(err)
	}
	if page, err := s.List(t.Context(), "", 2); err != nil || len(page) != 2 || page[0].Address != "!0@example.com" || page[1].Address != want[1] {
		t.Errorf("got %v, %v", page, err)
	}
	if page, err := s.List(t.Context(), "a15", 1); err != nil || len(page) != 1 || page[0].Address != "a15@example.com" {
		t.Errorf("got %v, %v", page, err)
	}
}

func refused(t *testing.T, s suppress.Store) {
	long := strings.Repeat("x", 201)
	for name, change := range map[string]func(*suppress.Entry){
		"no address":    func(e *suppress.Entry) { e.Address = "" },
		"no domain":     func(e *suppress.Entry) { e.Address = "ann@" },
		"no local part": func(e *suppress.Entry) { e.Address = "@example.com" },
		"two":           func(e *suppress.Entry) { e.Address = "a@b@example.com" },
		"upper case":    func(e *suppress.Entry) { e.Address = "Ann@example.com" },
		"a space":       func(e *suppress.Entry) { e.Address = "ann @example.com" },
		"a line":        func(e *suppress.Entry) { e.Address = "ann@example.com\n" },
		"NUL":           func(e *suppress.Entry) { e.Address = "ann\x00@example.com" },
		"not ASCII":     func(e *suppress.Entry) { e.Address = "ann@exämple.com" },
		"long":          func(e *suppress.Entry) { e.Address = strings.Repeat("a", 250) + "@example.com" },
		"no reason":     func(e *suppress.Entry) { e.Reason = "" },
		"made up":       func(e *suppress.Entry) { e.Reason = "spam" },
		"no time":       func(e *suppress.Entry) { e.Time = time.Time{} },
		"far future":    func(e *suppress.Entry) { e.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"no source":     func(e *suppress.Entry) { e.Source = "" },
		"long source":   func(e *suppress.Entry) { e.Source = long },
		"source line":   func(e *suppress.Entry) { e.Source = "a\nb" },
		"long detail":   func(e *suppress.Entry) { e.Detail = long },
		"detail NUL":    func(e *suppress.Entry) { e.Detail = "\x00" },
		"detail bytes":  func(e *suppress.Entry) { e.Detail = "\xff" },
		"detail escape": func(e *suppress.Entry) { e.Detail = "\x1b[2J" },
	} {
		e := entry("ann@example.com", suppress.Complaint)
		change(&e)
		if ok, err := s.Add(t.Context(), e); err == nil || ok {
			t.Errorf("%s: added", name)
		} else if e.Address != "" && strings.Contains(err.Error(), e.Address) {
			t.Errorf("%s: the error holds the address", name)
		}
		if e.Address == "ann@example.com" {
			check(t, s, e.Address, nil)
			continue
		}
		if _, ok, err := s.Check(t.Context(), e.Address); err == nil || ok {
			t.Errorf("%s: checked", name)
		}
		if ok, err := s.Remove(t.Context(), e.Address, e.Reason); err == nil || ok {
			t.Errorf("%s: removed", name)
		}
	}
	for _, n := range []int{-1, 0, suppress.MaxList + 1} {
		if page, err := s.List(t.Context(), "", n); err == nil || page != nil {
			t.Errorf("a list of %d", n)
		}
	}
	if _, err := s.List(t.Context(), "a\x00", 1); err == nil {
		t.Error("a list after NUL")
	}
}

func ended(t *testing.T, s suppress.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := entry("ann@example.com", suppress.Complaint)
	_, err := s.Add(ctx, e)
	errs := []error{err}
	_, err = s.Remove(ctx, e.Address, e.Reason)
	errs = append(errs, err)
	_, ok, err := s.Check(ctx, e.Address)
	errs = append(errs, err)
	_, err = s.List(ctx, "", 1)
	for _, err := range append(errs, err) {
		if !errors.Is(err, context.Canceled) || ok {
			t.Errorf("got %v, %v", ok, err)
		}
	}
	check(t, s, e.Address, nil)
}

func race(t *testing.T, s suppress.Store) {
	var changed atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			ok, err := s.Add(t.Context(), entry("ann@example.com", suppress.Complaint))
			if err != nil {
				t.Error(err)
			}
			if ok {
				changed.Add(1)
			}
		})
	}
	wg.Wait()
	if changed.Load() != 1 {
		t.Errorf("%d changed it, want 1", changed.Load())
	}
}

func raceOfReasons(t *testing.T, s suppress.Store) {
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			r := suppress.Bounces
			if i == 20 {
				r = suppress.Complaint
			}
			if _, err := s.Add(t.Context(), entry("ann@example.com", r)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	e := entry("ann@example.com", suppress.Complaint)
	check(t, s, e.Address, &e)
}
