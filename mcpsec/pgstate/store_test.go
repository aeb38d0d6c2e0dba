package pgstate_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/statetest"
	"github.com/mcpsec/mcpsec-go/mcpsec/pgstate"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// conformance runs tests one after the other, since they share connections.
func conformance(t *testing.T, run func(*testing.T, statetest.Harness)) {
	database := postgres.Database(t, "")
	conn, pool := admin(t, database), newPool(t, database, nil)
	run(t, func(t *testing.T, test func(*testing.T, statetest.Fixture)) {
		s, c := stillStore(t, database, conn, pool)
		test(t, statetest.Fixture{Once: s, Limiter: s, Now: c.now, Pass: func(d time.Duration) { c.pass(t, d) }})
	})
}

func TestStoreIsOnce(t *testing.T) {
	t.Parallel()
	conformance(t, statetest.Run)
}

func TestStoreIsLimiter(t *testing.T) {
	t.Parallel()
	conformance(t, statetest.RunLimiter)
}

// Three replicas, each with a pool of its own, take of one allowance and claim one
// key at one moment.
func TestReplicasShare(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var taken, claimed atomic.Int64
	var wg sync.WaitGroup
	for range 3 {
		s := w.store(t)
		for range 20 {
			wg.Go(func() {
				for i := range 5 {
					wait, err := s.Take(t.Context(), "k", 3, state.Allowance{Limit: 100, Per: 300 * 24 * time.Hour})
					if err != nil {
						t.Error(err)
					} else if wait == 0 {
						taken.Add(3)
					}
					if c, err := s.Claim(t.Context(), fmt.Sprintf("k%d", i), time.Hour); err != nil {
						t.Error(err)
					} else if c.Status == state.Taken {
						claimed.Add(1)
					}
				}
			})
		}
	}
	wg.Wait()
	if taken.Load() != 99 || claimed.Load() != 5 {
		t.Errorf("%d taken, want 99; %d claimed, want 5", taken.Load(), claimed.Load())
	}
}

// The time is the database's: one that goes back fills nothing, and the program's
// own is not asked.
func TestDatabaseClock(t *testing.T) {
	t.Parallel()
	if holds(strings.ToLower(pgstate.DatabaseClock), "$", "now()") || !holds(pgstate.DatabaseClock, "pg_catalog.clock_timestamp()") {
		t.Errorf("the clock is %s", pgstate.DatabaseClock)
	}
	w := newWorld(t)
	s, c := stillStore(t, w.database, w.admin, newPool(t, w.database, nil))
	minute := state.Allowance{Limit: 1, Per: time.Minute}
	today := state.Allowance{Limit: 1, Per: 24 * time.Hour, Calendar: true}
	take := func(key string, a state.Allowance, want time.Duration) {
		t.Helper()
		if wait, err := s.Take(t.Context(), key, 1, a); err != nil || wait != want {
			t.Errorf("%s: got %v, %v, want %v", key, wait, err, want)
		}
	}
	take("minute", minute, 0)
	take("today", today, 0)
	c.pass(t, -10*time.Minute)
	take("minute", minute, 11*time.Minute)
	take("today", today, 24*time.Hour+10*time.Minute)
	c.pass(t, 11*time.Minute)
	take("minute", minute, 0)
	take("today", today, 24*time.Hour-time.Minute)
}

// The real clock fills what it should, roughly.
func TestRealClock(t *testing.T) {
	t.Parallel()
	s := newWorld(t).store(t)
	a := state.Allowance{Limit: 1, Per: 100 * time.Millisecond}
	if wait, err := s.Take(t.Context(), "k", 1, a); err != nil || wait != 0 {
		t.Fatal(wait, err)
	}
	for range 100_000 {
		wait, err := s.Take(t.Context(), "k", 1, a)
		if err != nil || wait > a.Per {
			t.Fatal(wait, err)
		}
		if wait == 0 {
			return
		}
	}
	t.Error("it never filled up")
}

// Nothing of a key is in the tables, and rows have a fixed size.
func TestKeysAreHashed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.store(t)
	secret := strings.Repeat("customer-4711-", 30)
	if _, err := s.Take(t.Context(), secret, 1, state.Allowance{Limit: 1, Per: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Claim(t.Context(), secret, time.Minute); err != nil {
		t.Fatal(err)
	}
	rows := ask[string](t, w.admin, `SELECT string_agg(row, '') FROM (SELECT a::text AS row FROM mcpsec.allowances AS a UNION ALL SELECT c::text FROM mcpsec.claims AS c) AS r`)
	hex := fmt.Sprintf("%x", "customer")
	if holds(rows, "customer", hex) || len(rows) > 400 {
		t.Errorf("the tables hold %s", rows)
	}
}

// What a repeated request costs is a read: nobody can fill the log of the server by
// asking again for what is done.
func TestRepeatedClaimsWriteNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.store(t)
	c, err := s.Claim(t.Context(), "done", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Complete(t.Context(), c, []byte("ok"), time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Claim(t.Context(), "busy", time.Minute); err != nil {
		t.Fatal(err)
	}
	const state = `SELECT string_agg(xmin::text || '/' || xmax::text || '/' || ctid::text, ' ' ORDER BY key) FROM mcpsec.claims`
	before := ask[string](t, w.admin, state)
	for range 10 {
		for _, key := range []string{"done", "busy"} {
			if _, err := s.Claim(t.Context(), key, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
	}
	if after := ask[string](t, w.admin, state); after != before {
		t.Errorf("rows changed from %s to %s", before, after)
	}
}

// Whoever is a moment too late with a key is told that it is another's.
func TestClaimBehindAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, looker := w.store(t), admin(t, w.database)
	tx, err := w.admin.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `INSERT INTO mcpsec.claims (key, ends, leaves) VALUES (sha256('k'), 9e15, 9e15)`); err != nil {
		t.Fatal(err)
	}
	claims := make(chan state.Claim, 1)
	go func() {
		c, err := s.Claim(t.Context(), "k", time.Minute)
		if err != nil {
			t.Error(err)
		}
		claims <- c
	}()
	for !ask[bool](t, looker, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND usename = $1 AND wait_event_type = 'Lock')`, role) {
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := <-claims; c.Status != state.Busy || c.Left <= 0 {
		t.Errorf("got %+v, want busy", c)
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, c := stillStore(t, w.database, w.admin, newPool(t, w.database, nil))
	a := state.Allowance{Limit: 10, Per: time.Hour}
	claim := func(key string) state.Claim {
		t.Helper()
		c, err := s.Claim(t.Context(), key, 10*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	clean := func(want int64) {
		t.Helper()
		if n, err := s.Clean(t.Context()); err != nil || n != want {
			t.Errorf("deleted %d, %v, want %d", n, err, want)
		}
	}
	for i := range 5 {
		if _, err := s.Take(t.Context(), fmt.Sprint("a", i), 5, a); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Take(t.Context(), fmt.Sprint("a", i), 1, a); err != nil { // full in 36 minutes
			t.Fatal(err)
		}
	}
	if _, err := s.Take(t.Context(), "day", 1, state.Allowance{Limit: 10, Per: 24 * time.Hour, Calendar: true}); err != nil {
		t.Fatal(err)
	}
	if err := s.Complete(t.Context(), claim("done"), nil, 30*time.Minute); err != nil {
		t.Fatal(err)
	}
	open := claim("open")
	c.pass(t, 30*time.Minute-time.Microsecond)
	clean(0)
	c.pass(t, time.Microsecond)
	clean(1) // done
	c.pass(t, 6*time.Minute-time.Microsecond)
	clean(0)
	c.pass(t, time.Microsecond)
	clean(5)                                   // the allowances
	c.pass(t, 34*time.Minute-time.Microsecond) // an hour after the lease
	clean(0)
	if err := s.Complete(t.Context(), open, nil, time.Hour); err != nil {
		t.Error(err)
	}
	c.pass(t, 23*time.Hour)
	clean(2) // open and day
}

// Rows that a caller holds are passed over, and nobody waits.
func TestCleanSkipsWhatIsHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.store(t)
	exec(t, w.admin, `INSERT INTO mcpsec.claims (key, ends, leaves) SELECT sha256(i::text::bytea), 0, 0 FROM generate_series(1, 5000) AS i`)
	tx, err := w.admin.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT FROM mcpsec.claims LIMIT 100 FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Clean(t.Context()); err != nil || n != 4900 {
		t.Errorf("deleted %d, %v, want 4900", n, err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Clean(t.Context()); err != nil || n != 100 {
		t.Errorf("deleted %d, %v, want 100", n, err)
	}
}

// The server's role can use the tables and nothing else.
func TestRoleHasNoMoreRights(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store(t)
	pool := newPool(t, w.database, nil)
	for _, sql := range []string{
		`CREATE TABLE mcpsec.other (x int)`, `DROP TABLE mcpsec.claims`, `TRUNCATE mcpsec.claims`,
		`ALTER TABLE mcpsec.claims SET UNLOGGED`, `UPDATE mcpsec.version SET version = 2`, `CREATE INDEX ON mcpsec.allowances (wait)`,
	} {
		if _, err := pool.Exec(t.Context(), sql); err == nil || !holds(err.Error(), "42501") {
			t.Errorf("%s: got %v, want no permission", sql, err)
		}
	}
}

// Allowances that an unlogged table has lost are full, and no more.
func TestCrashForgivesOneLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.store(t)
	a := state.Allowance{Limit: 10, Per: 300 * 24 * time.Hour}
	for range 2 {
		if wait, err := s.Take(t.Context(), "k", 10, a); err != nil || wait != 0 {
			t.Fatal(wait, err)
		}
		if wait, err := s.Take(t.Context(), "k", 1, a); err != nil || wait == 0 {
			t.Fatal(wait, err)
		}
		exec(t, w.admin, `TRUNCATE mcpsec.allowances`) // what PostgreSQL does after a crash
	}
	for table, want := range map[string]string{"claims": "p", "allowances": "u"} {
		if got := ask[string](t, w.admin, `SELECT relpersistence::text FROM pg_class WHERE oid = ('mcpsec.' || $1)::regclass`, table); got != want {
			t.Errorf("%s: persistence %s, want %s", table, got, want)
		}
	}
}
