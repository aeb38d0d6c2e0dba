// Soak runs a hardened server under mixed load and faults, and watches that nothing
// grows:
//
//	go run ./integration/soak -for 10m -o docs
//
// The server is a process of its own, over HTTP, with PostgreSQL behind it. Some two
// hundred requests a second are honest calls, queries, denials, oversized and cancelled
// ones, clients that vanish or read nothing, a tool that panics, and webhooks; every few
// seconds all connections to the database are cut. Memory after a collection, goroutines,
// file descriptors and connections are written down, plotted, and judged: the last quarter
// of the run must not hold more than the second.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/mcpsec/mcpsec-go/examples/embedpg"
	"github.com/mcpsec/mcpsec-go/internal/pgserver"
)

func main() {
	length := flag.Duration("for", 10*time.Minute, "how long")
	out := flag.String("o", "", "`folder` for soak.md and its plots; printed without them by default")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := error(nil)
	if os.Getenv(envDatabase) != "" { // started by the run
		err = serveSoak(ctx)
	} else {
		err = soak(ctx, *length, *out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// soak runs it, writes it down, and fails when something grew.
func soak(ctx context.Context, length time.Duration, out string) error {
	pg, err := pgserver.Start(ctx, pgserver.Options{Log: os.Stderr, Download: true, Fetch: embedpg.Fetch})
	if err != nil {
		return err
	}
	defer pg.Stop()
	r, err := run(ctx, pg, os.Args[0], nil, length, os.Stderr)
	if err != nil {
		return err
	}
	if err := r.write(out); err != nil {
		return err
	}
	return r.verdict()
}
