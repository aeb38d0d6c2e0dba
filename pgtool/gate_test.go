package pgtool

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/sqlcatalog"
	"github.com/mcpsec/mcpsec-go/internal/sqlgate"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// catalogOf returns a judge by a catalog with one function that is not allowed.
func catalogOf() *judge {
	return &judge{snapshot: sqlcatalog.New(func(yield func(sqlcatalog.Row) bool) {
		_ = yield(sqlcatalog.Row{Kind: 'n', Schema: "pg_catalog"}) && yield(sqlcatalog.Row{Kind: 'f', OID: 1, Schema: "pg_catalog", Name: "pg_sleep", Info: "v-1p"})
	}, sqlcatalog.Policy{})}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	j := catalogOf()
	for range 2 { // the second time from memory
		if v := j.on(request{sql: "SELECT 1; "}); v.err != nil || v.sql != "SELECT 1" || v.spoils {
			t.Errorf("got %+v", v)
		}
		if v := j.on(request{sql: "SELECT setseed(1)"}); v.err != nil || !v.spoils {
			t.Errorf("got %+v, want that it spoils", v)
		}
		for _, sql := range []string{"SELECT pg_sleep(1)", "DELETE FROM t", "SELECT 'x"} {
			if v := j.on(request{sql: sql}); v.err == nil {
				t.Errorf("%s: was allowed", sql)
			}
		}
	}
}

// TestJudgePasses remembers what the server was asked, and its refusals, but no error
// that may not be one the next time.
func TestJudgePasses(t *testing.T) {
	t.Parallel()
	j := catalogOf()
	for _, test := range []struct {
		err    error
		passed bool
		kept   bool // the error
	}{
		{&mcpsec.Error{Message: "a table does not exist"}, false, false},
		{&sqlgate.Refusal{Reason: "function f is not allowed"}, false, true},
		{nil, true, false},
	} {
		v := j.on(request{sql: "SELECT 1"})
		v.err = test.err
		j.pass(request{sql: "SELECT 1"}, v)
		if got := j.on(request{sql: "SELECT 1"}); got.passed != test.passed || (got.err != nil) != test.kept {
			t.Errorf("%v: got %+v", test.err, got)
		}
	}
	if j.pass(request{sql: "SELECT 2"}, sentence{}); len(j.known) != 1 {
		t.Error("a text that was forgotten is remembered without its size")
	}
}

// TestJudgeForgets bounds what is remembered.
func TestJudgeForgets(t *testing.T) {
	t.Parallel()
	j := catalogOf()
	long := "SELECT '" + strings.Repeat("x", 40_000) + "', "
	most := maxSQLText/len(long) + 1
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 2 * most {
				j.on(request{sql: fmt.Sprint(long, g, i)})
				j.mu.RLock()
				if len(j.known) > most {
					t.Errorf("%d statements are kept, want at most %d", len(j.known), most)
				}
				j.mu.RUnlock()
			}
		})
	}
	all.Wait()
}

func TestGateFresh(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		took, age time.Duration
		same      bool
		want      bool
	}{
		{0, 4 * time.Second, false, true},
		{0, 6 * time.Second, false, false},
		{0, 4 * time.Minute, true, true},
		{0, 6 * time.Minute, true, false},
		{time.Second, 9 * time.Second, false, true},
		{time.Second, 11 * time.Second, false, false},
		{time.Hour, 61 * time.Second, false, false},
	} {
		g := &gate{stamp: "a", took: test.took}
		stamp := map[bool]string{true: "a", false: "b"}[test.same]
		if got := g.fresh(stamp, test.age); got != test.want {
			t.Errorf("%+v: got %v", test, got)
		}
	}
}

// TestGateWaits lets calls go on while another one looks, but not for long, and not
// before anything is known.
func TestGateWaits(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		known, free bool
		ago         time.Duration
		want        error
	}{
		"alone":             {known: true, free: true, ago: time.Minute},
		"at first":          {want: context.Canceled},
		"just now":          {known: true, ago: time.Second, want: errOthersLook},
		"a while ago":       {known: true, ago: 6 * time.Second, want: context.Canceled},
		"alone, and at all": {free: true},
	} {
		g := &gate{turn: make(chan struct{}, 1)}
		if !test.free {
			g.turn <- struct{}{}
		}
		if test.known {
			g.judge.Store(catalogOf())
		}
		g.looked.Store(time.Now().Add(-test.ago).UnixNano())
		if err := g.enter(over); err != test.want {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
}

const usual = `SELECT c.name, o.total, row_number() OVER (PARTITION BY c.id ORDER BY o.created_at DESC) FROM shop.customers c JOIN shop.orders o ON o.customer_id = c.id
	WHERE o.created_at >= now() - interval '30 days' AND c.country IN ('DE', 'FR') AND lower(c.email) LIKE 'a%' ORDER BY 2 DESC LIMIT 20`

// BenchmarkGate is what the gates add to a statement.
func BenchmarkGate(b *testing.B) {
	b.Run("seen", func(b *testing.B) {
		j := catalogOf()
		b.ReportAllocs()
		for b.Loop() {
			if v := j.on(request{sql: usual}); v.err != nil {
				b.Fatal(v.err)
			}
		}
	})
	b.Run("new", func(b *testing.B) {
		j := catalogOf()
		b.ReportAllocs()
		for b.Loop() {
			if v := sentenceFor(request{sql: usual}, j.snapshot); v.err != nil {
				b.Fatal(v.err)
			}
		}
	})
}
