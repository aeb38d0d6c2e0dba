package pgattack

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

const (
	callers  = 100
	soakHeap = 64 << 20 // above what it was before
)

// soakFor is how long the soak takes: PGTOOL_SOAK, such as 5m.
func soakFor(t *testing.T) time.Duration {
	text := os.Getenv("PGTOOL_SOAK")
	if text == "" {
		return 5 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("PGTOOL_SOAK: %v", err)
	}
	return d
}

// TestSoak has a hundred callers at once, honest and hostile, and looks at what is
// left: in the database from another session, and in our process.
func TestSoak(t *testing.T) {
	s := newStage(t, "reader")
	s.options.MaxConns, s.options.Timeout = 8, time.Second
	s.options.Allow = []string{"pg_catalog.pg_settings", "pg_catalog.pg_prepared_statements", "pg_catalog.pg_cursors"} // to see what is left of the session
	s.options.URL = redact.NewSecret(named(postgres.Server(t).URL(s.database, "mcp_reader"), "soak"))
	baseHeap, baseRoutines := settled(), runtime.NumGoroutine()
	db, err := pgtool.Open(t.Context(), s.options)
	if err != nil {
		t.Fatal(err)
	}
	fresh := s.sessions(t, db)
	peak := watch()
	n := s.storm(t, db)
	if over := peak() - int64(baseHeap); over > soakHeap {
		t.Errorf("the heap grew by %d MB, want at most %d", over>>20, soakHeap>>20)
	} else {
		t.Logf("%d calls, %d of them honest, of which %d were answered; the heap grew by %d MB", n.all, n.honest, n.answered, over>>20)
	}
	if n.answered*2 < n.honest {
		t.Errorf("%d of %d honest calls were answered, want half at least", n.answered, n.honest)
	}
	if got := s.sessions(t, db); !slices.Equal(got, fresh) {
		t.Errorf("sessions are not as new: %.500q, want %.500q", got, fresh)
	}
	s.nothingIn(t, "FROM pg_stat_activity WHERE application_name = 'soak' AND (state <> 'idle' OR xact_start IS NOT NULL)")
	s.nothingIn(t, "FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.application_name = 'soak'")
	s.nothingIn(t, "FROM pg_class WHERE relpersistence = 't'")
	s.nothingIn(t, "FROM pg_prepared_xacts")
	s.nothingIn(t, "FROM (SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'soak') s WHERE n > 8")
	db.Close()
	s.nothingIn(t, "FROM pg_stat_activity WHERE application_name = 'soak'")
	for until := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > baseRoutines+2; runtime.Gosched() {
		if time.Now().After(until) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), baseRoutines)
		}
	}
	if left := int64(settled()) - int64(baseHeap); left > 8<<20 {
		t.Errorf("%d MB are left of the heap", left>>20)
	}
}

type calls struct{ all, honest, answered int64 }

// storm lets the callers call, a tenth of them through one client each.
func (s *stage) storm(t *testing.T, db *pgtool.DB) (n calls) {
	var good, bad []string
	for _, b := range lines[struct{ SQL string }](t, "../../internal/sqlgate/testdata/benign.jsonl") {
		good = append(good, b.SQL)
	}
	for _, a := range attacks(t) {
		bad = append(bad, s.fill.Replace(a.SQL))
	}
	bad = slices.Concat(bad, takers, fillers)
	ctx, cancel := context.WithTimeout(t.Context(), soakFor(t))
	defer cancel()
	var all sync.WaitGroup
	for range callers / 10 {
		cs, end := pipe(t, db)
		defer end()
		for c := range 10 {
			all.Go(func() {
				random := rand.New(rand.NewPCG(uint64(c), uint64(time.Now().UnixNano())))
				for ctx.Err() == nil {
					from, honest := good, random.IntN(4) > 0
					if !honest {
						from = bad
					}
					sql := from[random.IntN(len(from))]
					res, err := cs.CallTool(context.WithoutCancel(ctx), &mcp.CallToolParams{Name: "pg_query", Arguments: map[string]any{"sql": sql}})
					if err != nil && len(sql) < 20_000 {
						t.Errorf("%.200s: %v", sql, err)
					}
					atomic.AddInt64(&n.all, 1)
					if honest {
						atomic.AddInt64(&n.honest, 1)
						if err == nil && !res.IsError {
							atomic.AddInt64(&n.answered, 1)
						}
					}
				}
			})
		}
	}
	all.Wait()
	return n
}

// sessions returns what every session of the pool knows of itself, each once.
func (s *stage) sessions(t *testing.T, db *pgtool.DB) (all []string) {
	t.Helper()
	const look = "SELECT json_object_agg(name, setting ORDER BY name), (SELECT count(*) FROM pg_prepared_statements WHERE name <> ''), (SELECT count(*) FROM pg_cursors WHERE name <> '') FROM pg_settings"
	var mu sync.Mutex
	var wait sync.WaitGroup
	for range 40 {
		wait.Go(func() {
			a, err := db.ReadOnly(t.Context(), look)
			if err != nil {
				t.Error(err)
				return
			}
			for r := range a.Rows {
				mu.Lock()
				all = append(all, string(r.AppendJSON(nil)))
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	slices.Sort(all)
	return slices.Compact(all)
}

// nothingIn waits until the database has no rows of the kind.
func (s *stage) nothingIn(t *testing.T, from string) {
	t.Helper()
	for until := time.Now().Add(30 * time.Second); pgtest.Ask[int64](t, s.conn, "SELECT count(*) "+from) > 0; {
		if time.Now().After(until) {
			t.Fatalf("there are rows %s: %s", from, pgtest.Ask[string](t, s.conn, "SELECT string_agg(to_json(x)::text, E'\n') FROM (SELECT * "+from+") x"))
		}
	}
}

// settled is the heap in use, once it is clear of garbage.
func settled() uint64 {
	runtime.GC()
	runtime.GC()
	return heap()
}

func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// watch returns a function that ends it and returns the largest heap since.
func watch() func() int64 {
	var most atomic.Int64
	over, done := make(chan struct{}), make(chan struct{})
	tick := time.NewTicker(time.Millisecond)
	go func() {
		defer close(done)
		for {
			select {
			case <-over:
				return
			case <-tick.C:
				most.Store(max(most.Load(), int64(heap())))
			}
		}
	}()
	return func() int64 {
		tick.Stop()
		close(over)
		<-done
		return most.Load()
	}
}

// TestLargestAnswer looks at the heap while one answer of the largest size that the
// options allow is read, made into JSON and sent, to a client that drops it.
func TestLargestAnswer(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(25)) // it is about what is held, and not about what a busy machine has not collected yet
	s := newStage(t, "reader")
	s.options.MaxRows, s.options.MaxBytes, s.options.Timeout = 10_000, 4<<20, 20*time.Second
	for _, sql := range []string{
		"SELECT pad, pad FROM shop.big", "SELECT repeat('\"', 10000) FROM generate_series(1, 5000)", "SELECT repeat(E'\\x01', 10000) FROM generate_series(1, 5000)", "SELECT g, g, g, g FROM generate_series(1, 10000) g",
		"SELECT string_agg(pad, '') FROM (SELECT pad FROM shop.big LIMIT 4000) s", "SELECT '' FROM generate_series(1, 10000)",
	} {
		db, err := pgtool.Open(t.Context(), s.options)
		if err != nil {
			t.Fatal(err)
		}
		ask, end := raw(t, db)
		ask("SELECT 1")
		base := settled()
		peak := watch()
		n := ask(sql)
		over := peak() - int64(base)
		t.Logf("%s: %d bytes, %d MB of the heap", sql, n, over>>20)
		if over > soakHeap {
			t.Errorf("%s: the heap grew by %d MB", sql, over>>20)
		}
		end()
		db.Close()
	}
}

// raw serves a database to a client that only counts the bytes of answers.
func raw(t *testing.T, db *pgtool.DB) (ask func(sql string) int64, end func()) {
	t.Helper()
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "test", Version: "1.0.0"}, mcpsec.Options{Audit: mcpsec.NewAuditLog(discard{})})
	if err != nil {
		t.Fatal(err)
	}
	srv.Add(pgtool.ReadTools(db)...)
	ours, theirs := net.Pipe()
	go srv.ServeStream(context.WithoutCancel(t.Context()), theirs, theirs)
	in := bufio.NewReader(ours)
	send := func(message string) {
		if _, err := io.WriteString(ours, message+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	answer := func() (n int64) {
		for {
			part, err := in.ReadSlice('\n')
			if n += int64(len(part)); err == nil {
				return n
			}
			if err != bufio.ErrBufferFull {
				t.Fatal(err)
			}
		}
	}
	send(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`)
	answer()
	send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return func(sql string) int64 {
		text, err := json.Marshal(sql)
		if err != nil {
			t.Fatal(err)
		}
		send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"pg_query","arguments":{"sql":` + string(text) + `}}}`)
		return answer()
	}, func() { ours.Close() }
}
