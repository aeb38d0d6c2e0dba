package statetest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// RunDocuments runs all tests of Documents against the stores that the harness makes.
func RunDocuments(t *testing.T, h Harness) {
	for name, test := range map[string]func(*testing.T, Fixture){
		"what was put is there":             putAndGet,
		"another version changes nothing":   otherVersion,
		"versions never come again":         versionsGrow,
		"one of fifty writes":               oneWriter,
		"a document is kept for its time":   documentEnds,
		"one that has left makes room":      documentAfter,
		"lists are in order and end":        listed,
		"lists are bounded by bytes":        listedBytes,
		"documents out of bounds are told":  documentBounds,
		"an ended context writes nothing":   endedDocumentContext,
		"keys of documents are exact":       exactDocuments,
		"values are copies":                 documentCopies,
		"documents are not keys of once":    notClaims,
		"a deleted document can be deleted": deletedOnce,
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) { h(t, test) })
	}
}

func put(t *testing.T, f Fixture, key, value string, version uint64, keep time.Duration) state.Document {
	t.Helper()
	d, err := f.Documents.Put(t.Context(), state.Document{Key: key, Value: []byte(value), Version: version}, keep)
	if err != nil || d.Key != key || d.Version == 0 || string(d.Value) != value {
		t.Fatalf("putting: got %+v, %v", d, err)
	}
	return d
}

func get(t *testing.T, f Fixture, key, want string) state.Document {
	t.Helper()
	d, err := f.Documents.Get(t.Context(), key)
	if err != nil || d.Key != key || string(d.Value) != want || (d.Version == 0) != (want == "") {
		t.Fatalf("getting %q: got %+v, %v, want %q", key, d, err, want)
	}
	return d
}

func putAndGet(t *testing.T, f Fixture) {
	get(t, f, "k", "")
	d := put(t, f, "k", "one", 0, 0)
	if got := get(t, f, "k", "one"); got.Version != d.Version {
		t.Errorf("got version %d, want %d", got.Version, d.Version)
	}
	d = put(t, f, "k", "two", d.Version, 0)
	get(t, f, "k", "two")
	f.Pass(400 * day)
	get(t, f, "k", "two")
	if err := f.Documents.Delete(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	get(t, f, "k", "")
}

func otherVersion(t *testing.T, f Fixture) {
	d := put(t, f, "k", "one", 0, 0)
	for _, version := range []uint64{0, d.Version - 1, d.Version + 1, 1<<64 - 1} {
		_, err := f.Documents.Put(t.Context(), state.Document{Key: "k", Value: []byte("x"), Version: version}, 0)
		lost(t, err)
		lost(t, f.Documents.Delete(t.Context(), state.Document{Key: "k", Version: version}))
	}
	_, err := f.Documents.Put(t.Context(), state.Document{Key: "none", Value: []byte("x"), Version: 1}, 0)
	lost(t, err)
	get(t, f, "none", "")
	get(t, f, "k", "one")
}

func versionsGrow(t *testing.T, f Fixture) {
	var last uint64
	for range 5 {
		d := put(t, f, "k", "v", 0, 0)
		e := put(t, f, "k", "v", d.Version, 0)
		if d.Version <= last || e.Version <= d.Version {
			t.Fatalf("got versions %d, %d after %d", d.Version, e.Version, last)
		}
		last = e.Version
		if err := f.Documents.Delete(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

func oneWriter(t *testing.T, f Fixture) {
	var version uint64
	for range 3 { // the first, and later ones
		var won atomic.Int64
		var next atomic.Uint64
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				if d, err := f.Documents.Put(t.Context(), state.Document{Key: "k", Value: fmt.Append(nil, i), Version: version}, 0); err == nil {
					won.Add(1)
					next.Store(d.Version)
				} else {
					lost(t, err)
				}
			})
		}
		wg.Wait()
		if version = next.Load(); won.Load() != 1 {
			t.Errorf("%d have written, want 1", won.Load())
		}
	}
}

func documentEnds(t *testing.T, f Fixture) {
	d := put(t, f, "k", "v", 0, time.Hour)
	f.Pass(time.Hour - time.Microsecond)
	get(t, f, "k", "v")
	f.Pass(time.Microsecond)
	get(t, f, "k", "")
	if list, err := f.Documents.List(t.Context(), "", "", 10); err != nil || len(list) != 0 {
		t.Errorf("got %v, %v", list, err)
	}
	_, err := f.Documents.Put(t.Context(), d, time.Hour)
	lost(t, err)
	lost(t, f.Documents.Delete(t.Context(), d))
}

func documentAfter(t *testing.T, f Fixture) {
	d := put(t, f, "k", "v", 0, time.Hour)
	f.Pass(time.Hour)
	if e := put(t, f, "k", "w", 0, 0); e.Version <= d.Version {
		t.Errorf("got version %d after %d", e.Version, d.Version)
	}
	f.Pass(2 * day)
	e := get(t, f, "k", "w")
	put(t, f, "k", "x", e.Version, time.Hour) // it may be kept for less than before
	f.Pass(time.Hour)
	get(t, f, "k", "")
}

func keysOf(t *testing.T, f Fixture, prefix, after string, limit int) []string {
	t.Helper()
	list, err := f.Documents.List(t.Context(), prefix, after, limit)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, d := range list {
		if string(d.Value) != d.Key || d.Version == 0 {
			t.Errorf("got %+v", d)
		}
		keys = append(keys, d.Key)
	}
	return keys
}

func listed(t *testing.T, f Fixture) {
	for _, key := range []string{"b/2", "a", "b/10", "b/é", "b", "c/1", "b/", "B/1", "b/\U0010ffff"} {
		put(t, f, key, key, 0, 0)
	}
	for _, test := range []struct {
		prefix, after string
		limit         int
		want          []string
	}{
		{"", "", 100, []string{"B/1", "a", "b", "b/", "b/10", "b/2", "b/é", "b/\U0010ffff", "c/1"}},
		{"b/", "", 100, []string{"b/", "b/10", "b/2", "b/é", "b/\U0010ffff"}},
		{"b/", "", 2, []string{"b/", "b/10"}},
		{"b/", "b/10", 2, []string{"b/2", "b/é"}},
		{"b/", "b/1", 1, []string{"b/10"}},
		{"b/", "b/\U0010ffff", 2, nil},
		{"b/", "a", 1, []string{"b/"}},
		{"b/", "c", 1, nil},
		{"d", "", 1, nil},
		{"", "b/2", 2, []string{"b/é", "b/\U0010ffff"}},
	} {
		if got := keysOf(t, f, test.prefix, test.after, test.limit); !slices.Equal(got, test.want) {
			t.Errorf("%q after %q: got %q, want %q", test.prefix, test.after, got, test.want)
		}
	}
}

func listedBytes(t *testing.T, f Fixture) {
	large := strings.Repeat("x", state.MaxDocument)
	for i := range 6 {
		put(t, f, fmt.Sprint("k", i), large, 0, 0)
	}
	var got []int
	for after := ""; ; {
		list, err := f.Documents.List(t.Context(), "k", after, 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		got, after = append(got, len(list)), list[len(list)-1].Key
	}
	if !slices.Equal(got, []int{4, 2}) {
		t.Errorf("got %v documents of 1 MiB", got)
	}
}

func documentBounds(t *testing.T, f Fixture) {
	for why, d := range map[string]state.Document{
		"no key": {}, "a long key": {Key: strings.Repeat("k", state.MaxKey+1)}, "a control character": {Key: "a\nb"}, "no UTF-8": {Key: "a\xff"},
		"a long value": {Key: "k", Value: make([]byte, state.MaxDocument+1)},
	} {
		if _, err := f.Documents.Put(t.Context(), d, 0); err == nil {
			t.Errorf("%s: it was put", why)
		}
		if d.Value == nil {
			if _, err := f.Documents.Get(t.Context(), d.Key); err == nil {
				t.Errorf("%s: it was got", why)
			}
			if err := f.Documents.Delete(t.Context(), d); err == nil {
				t.Errorf("%s: it was deleted", why)
			}
		}
	}
	for _, keep := range []time.Duration{-1, 366*day + 1} {
		if _, err := f.Documents.Put(t.Context(), state.Document{Key: "k"}, keep); err == nil {
			t.Errorf("it is kept for %v", keep)
		}
	}
	for _, limit := range []int{-1, 0, state.MaxListed + 1} {
		if _, err := f.Documents.List(t.Context(), "", "", limit); err == nil {
			t.Errorf("%d were listed", limit)
		}
	}
	if _, err := f.Documents.List(t.Context(), "a\x00", "", 1); err == nil {
		t.Error("a prefix with NUL was taken")
	}
	put(t, f, strings.Repeat("k", state.MaxKey), strings.Repeat("v", state.MaxDocument), 0, 366*day)
}

func endedDocumentContext(t *testing.T, f Fixture) {
	d := put(t, f, "k", "v", 0, 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Documents.Put(ctx, state.Document{Key: "other"}, 0); err == nil {
		t.Error("it was put")
	}
	if err := f.Documents.Delete(ctx, d); err == nil {
		t.Error("it was deleted")
	}
	if _, err := f.Documents.Get(ctx, "k"); err == nil {
		t.Error("it was got")
	}
	if _, err := f.Documents.List(ctx, "", "", 1); err == nil {
		t.Error("it was listed")
	}
	get(t, f, "other", "")
	get(t, f, "k", "v")
}

func exactDocuments(t *testing.T, f Fixture) {
	keys := []string{"k", "K", "k ", " k", "ké", "ke\u0301", "%", "_", `\`, `k\`, "'"}
	for _, key := range keys {
		put(t, f, key, "of "+key, 0, 0)
	}
	for _, key := range keys {
		get(t, f, key, "of "+key)
	}
}

func documentCopies(t *testing.T, f Fixture) {
	value := []byte("one")
	d, err := f.Documents.Put(t.Context(), state.Document{Key: "k", Value: value}, 0)
	if err != nil {
		t.Fatal(err)
	}
	value[0], d.Value[0] = 'x', 'y'
	get(t, f, "k", "one").Value[0] = 'z'
	list, err := f.Documents.List(t.Context(), "", "", 1)
	if err != nil || !bytes.Equal(list[0].Value, []byte("one")) {
		t.Fatalf("got %v, %v", list, err)
	}
	list[0].Value[0] = 'z'
	get(t, f, "k", "one")
}

func notClaims(t *testing.T, f Fixture) {
	put(t, f, "k", "v", 0, 0)
	complete(t, f, claim(t, f, "k", state.Taken), "r")
	get(t, f, "k", "v")
}

func deletedOnce(t *testing.T, f Fixture) {
	d := put(t, f, "k", "v", 0, 0)
	var done atomic.Int64
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if f.Documents.Delete(t.Context(), d) == nil {
				done.Add(1)
			}
		})
	}
	wg.Wait()
	if done.Load() != 1 {
		t.Errorf("%d have deleted it", done.Load())
	}
}
