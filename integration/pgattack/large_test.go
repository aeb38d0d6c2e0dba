package pgattack

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/internal/sqlcatalog"
	"github.com/mcpsec/mcpsec-go/internal/sqlgate"
)

// crowd makes many objects, as large applications have.
const crowd = `DO $$ BEGIN
	FOR i IN 1..%d LOOP EXECUTE format('CREATE TABLE public.crowd_%%s (id int PRIMARY KEY, name text, at timestamptz, note text)', i); END LOOP;
	FOR i IN 1..%d LOOP EXECUTE format('CREATE VIEW public.crowd_view_%%s AS SELECT c.id, upper(c.name) AS name, d.note FROM public.crowd_%%s c JOIN public.crowd_1 d USING (id) WHERE c.at < now()', i, i); END LOOP;
	FOR i IN 1..%d LOOP EXECUTE format('CREATE FUNCTION public.crowd_fn_%%s(int) RETURNS int LANGUAGE sql AS ''SELECT $1''', i); END LOOP;
END $$`

// BenchmarkLargeCatalog measures the gate in a database with 5,000 tables and 20,000
// functions: reading the catalog, finding out that it has not changed, and deciding
// on a statement that was not seen before.
func BenchmarkLargeCatalog(b *testing.B) {
	name := postgres.Database(b, shop)
	conn := postgres.Admin(b, name)
	for i := range 5 { // a transaction holds a lock for each object
		pgtest.Exec(b, conn, "SET search_path = public")
		sql := fmt.Sprintf(crowd, 1000, 100, 4000)
		if i > 0 {
			pgtest.Exec(b, conn, fmt.Sprintf("CREATE SCHEMA s%d", i))
			sql = strings.ReplaceAll(sql, "public.", fmt.Sprintf("s%d.", i))
		}
		pgtest.Exec(b, conn, sql)
	}
	pgtest.Exec(b, conn, "ANALYZE")
	o := &oracle{conn: conn}
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			o.load(b)
		}
	})
	b.Run("server's part of load", func(b *testing.B) {
		for b.Loop() {
			pgtest.Ask[int64](b, conn, "SELECT count(*) FROM ("+sqlcatalog.SQL+") x")
		}
	})
	b.Run("stamp", func(b *testing.B) {
		for b.Loop() {
			pgtest.Ask[string](b, conn, sqlcatalog.StampSQL)
		}
	})
	snapshot := o.load(b)
	type sample struct{ SQL string }
	benign := lines[sample](b, "../../internal/sqlgate/testdata/benign.jsonl")
	b.Run("new statement", func(b *testing.B) {
		bytes := 0
		for i := 0; b.Loop(); i++ {
			sql := benign[i%len(benign)].SQL
			bytes += len(sql)
			if st, err := sqlgate.Check(sql, sqlgate.Options{}); err == nil {
				_, _ = snapshot.Check(st)
			}
		}
		b.ReportMetric(float64(bytes)/float64(b.N), "bytes/statement")
	})
	b.Run("memory", func(b *testing.B) {
		var before, after runtime.MemStats
		for b.Loop() {
			runtime.GC()
			runtime.ReadMemStats(&before)
			s := o.load(b)
			runtime.GC()
			runtime.ReadMemStats(&after)
			runtime.KeepAlive(s)
		}
		b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/(1<<20), "MB/snapshot")
	})
}
