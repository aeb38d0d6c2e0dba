package pgtool

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/sqlcatalog"
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
