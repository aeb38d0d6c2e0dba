package main

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mcpsec/mcpsec-go/examples/embedpg"
	"github.com/mcpsec/mcpsec-go/internal/pgserver"
	"github.com/mcpsec/mcpsec-go/mcpsec/pgstate"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// compareState measures the shared state beside one statement that does nothing.
func compareState(ctx context.Context, b *book, o settings) error {
	pg, err := pgserver.Start(ctx, pgserver.Options{Log: os.Stderr, Download: true, Fetch: embedpg.Fetch})
	if err != nil {
		return err
	}
	defer pg.Stop()
	store, pool, err := openState(ctx, pg, "bench_state")
	if err != nil {
		return err
	}
	defer pool.Close()
	var n atomic.Int64
	bare := func() error {
		var one int
		return pool.QueryRow(ctx, "SELECT 1").Scan(&one)
	}
	fmt.Fprint(b, "\n## Shared state\n\n`pgstate` on PostgreSQL on this machine, from one caller, beside a round trip for `SELECT 1`.\n\n| what | round trip | pgstate | ratio |\n| --- | ---: | ---: | ---: |\n")
	for _, p := range []piece{
		{"take", "taking from an allowance", "", bare, func() error {
			_, err := store.Take(ctx, "key", 1, state.Allowance{Limit: 1e6, Per: time.Second})
			return err
		}},
		{"claim", "claiming a key that is new, and completing it", "", bare, func() error {
			c, err := store.Claim(ctx, fmt.Sprint("key", n.Add(1)), time.Hour)
			if err != nil {
				return err
			}
			return store.Complete(ctx, c, []byte("ok"), time.Hour)
		}},
	} {
		var floor, hard []sample
		for i := range o.rounds + 1 {
			x, err1 := repeat(p.bare)
			y, err2 := repeat(p.hard)
			if err1 != nil || err2 != nil {
				return fmt.Errorf("%s: %v, %v", p.name, err1, err2)
			}
			if i > 0 {
				floor, hard = append(floor, x), append(hard, y)
			}
		}
		micros := func(s sample) float64 { return s.micros }
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", p.name, short(median(pick(floor, micros))), short(median(pick(hard, micros))), ratio(floor, hard, micros))
	}
	return nil
}

// openState makes a database with the tables of pgstate.
func openState(ctx context.Context, pg *pgserver.Server, name string) (*pgstate.Store, *pgxpool.Pool, error) {
	if err := pg.CreateDatabase(ctx, name, ""); err != nil {
		return nil, nil, err
	}
	conn, err := pgx.Connect(ctx, pg.URL(name, ""))
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "CREATE ROLE "+name+" LOGIN PASSWORD '"+pg.Password()+"'"); err != nil {
		return nil, nil, err
	}
	if err := pgstate.Migrate(ctx, conn, "mcpsec", name); err != nil {
		return nil, nil, err
	}
	pool, err := pgxpool.New(ctx, pg.URLAs(name, name, pg.Password()))
	if err != nil {
		return nil, nil, err
	}
	store, err := pgstate.New(ctx, pool, pgstate.Options{})
	return store, pool, err
}
