// Stripe serves an account at Stripe to a model, over standard input and output: what
// is listed of it to read, and changes that are listed, which a person confirms. See
// it work, without an account or any configuration:
//
//	go run ./examples/tour
//
// The settings are environment variables; -help lists them. The least is a restricted
// key of Stripe's test mode, with permission to read:
//
//	STRIPETOOL_KEY_FILE=/run/secrets/stripe go run ./examples/stripe
//
// With refunds, of at most EUR 50.00 a call and EUR 200.00 a day:
//
//	STRIPETOOL_PERMISSIONS=refunds.create STRIPETOOL_CAPS="EUR 50.00/EUR 200.00"
package main

import (
	"context"
	"flag"
	"fmt"
	"log"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/config"
	"github.com/mcpsec/mcpsec-go/mcpsec/pgstate"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

func main() {
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "Serves an account at Stripe to a model.\n\nSettings:\n"+config.Usage[Config](prefix))
	}
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatal("there are no arguments: see -help")
	}
	if err := serve(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func serve(ctx context.Context) error {
	cfg, err := config.Load[Config](prefix)
	if err != nil {
		return err // all that is wrong, by the names of the settings
	}
	defer config.Close(&cfg)
	shared, done, err := cfg.state(ctx)
	if err != nil {
		return err
	}
	defer done()
	sc, err := stripetool.New(stripetool.Options{
		Key:         cfg.Key, // of the live mode only with Waive: []mcpsec.Waiver{insecure.LiveMode("why")}
		Account:     cfg.Account,
		Resources:   cfg.Resources,
		Permissions: cfg.Permissions.pairs,
		Caps:        cfg.Caps.list,
		State:       shared,
		URL:         cfg.URL,
	})
	if err != nil {
		return err
	}
	path, err := cfg.Audit.path()
	if err != nil {
		return err
	}
	audit, err := mcpsec.OpenAuditLog(path, cfg.Audit.Key)
	if err != nil {
		return err
	}
	defer audit.Close()
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "stripe", Version: "1.0.0"}, mcpsec.Options{
		Audit: audit, Mode: cfg.mode(), State: shared,
		Redactor: redact.New(redact.Options{Secrets: []mcpsec.Secret{cfg.Key, cfg.StateURL}}),
	})
	if err != nil {
		return err
	}
	srv.Add(stripetool.ReadTools(sc)...)
	srv.Add(stripetool.WriteTools(sc)...)
	return srv.Run(ctx)
}

// A store is what windows share.
type store interface {
	state.Store
	state.Documents
}

// state is what the caps count in. Every window of a client starts a server of its
// own: without a database each has the day's caps for itself.
func (c Config) state(ctx context.Context) (shared store, done func(), err error) {
	if c.StateURL.IsZero() {
		return new(state.Memory), func() {}, nil
	}
	pool, err := pgxpool.New(ctx, c.StateURL.Reveal())
	if err != nil {
		return nil, nil, fmt.Errorf("%sSTATE_URL is no URL of a PostgreSQL database", prefix) // pgx's error quotes it
	}
	s, err := pgstate.New(ctx, pool, pgstate.Options{})
	if err != nil {
		pool.Close()
		return nil, nil, err
	}
	return s, func() { s.Close(); pool.Close() }, nil
}
