package pgstate_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mcpsec/mcpsec-go/internal/pgserver"
	"github.com/mcpsec/mcpsec-go/mcpsec/pgstate"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// A database that crashes has kept what was claimed, and forgives each allowance one
// limit. The Store goes on when the database is back.
func TestCrash(t *testing.T) {
	t.Parallel()
	postgres.Server(t) // or the test is skipped
	server, err := pgserver.Start(t.Context(), pgserver.Options{Settings: map[string]string{"restart_after_crash": "on"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Stop() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, server.URL("", ""))
	if err != nil {
		t.Fatal(err)
	}
	if err := pgstate.Migrate(ctx, conn, "", server.Admin()); err != nil {
		t.Fatal(err)
	}
	config, err := pgxpool.ParseConfig(server.URL("", ""))
	if err != nil {
		t.Fatal(err)
	}
	config.MaxConns = 1 // one dead session, so one call that fails
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s := newStore(t, pool, "")
	a := state.Allowance{Limit: 10, Per: 300 * 24 * time.Hour}
	use := func() {
		t.Helper()
		if wait, err := s.Take(ctx, "k", 10, a); err != nil || wait != 0 {
			t.Errorf("taking all: got %v, %v", wait, err)
		}
		if wait, err := s.Take(ctx, "k", 1, a); err != nil || wait == 0 {
			t.Errorf("taking more: got %v, %v", wait, err)
		}
	}
	use()
	claim, err := s.Claim(ctx, "k", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Complete(ctx, claim, []byte("paid"), time.Hour); err != nil {
		t.Fatal(err)
	}
	crash(ctx, t, conn, server.URL("", ""))
	for {
		if c, err := s.Claim(ctx, "k", time.Hour); err == nil {
			if c.Status != state.Done || string(c.Result) != "paid" {
				t.Errorf("after the crash: got %v", c)
			}
			break
		}
		if ctx.Err() != nil {
			t.Fatal("the database does not come back")
		}
	}
	use()
	if c, err := s.Claim(ctx, "other", time.Hour); err != nil || c.Fence <= claim.Fence {
		t.Errorf("the fence after %d is %d, %v", claim.Fence, c.Fence, err)
	}
}

// crash kills the process of one session, upon which the server ends all the others
// and recovers as after a power cut. It returns when that is done.
func crash(ctx context.Context, t *testing.T, conn *pgx.Conn, url string) {
	t.Helper()
	witness, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	backend, err := os.FindProcess(int(conn.PgConn().PID()))
	if err != nil {
		t.Fatal(err)
	}
	if err := backend.Kill(); err != nil {
		t.Fatal(err)
	}
	for witness.Ping(ctx) == nil { // until the server has noticed
	}
	for ctx.Err() == nil { // until it lets anyone in again
		if again, err := pgx.Connect(ctx, url); err == nil {
			again.Close(ctx)
			return
		}
	}
}
