// Tour shows in a minute what a hardened MCP server does. It starts a real
// PostgreSQL with the sample database in it, starts a server over it as a child
// process, and drives that with a real MCP client: honest calls first, then
// attacks, each with what the server answered and recorded. A chapter does the same
// for Stripe, with stripe-mock in its place, and one for mail, with an SMTP server in this
// process. It needs no configuration, keeps nothing,
// and ends with status 1 if an attack got through.
// -pocketbase shows the chapter on PocketBase, and nothing else.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/jackc/pgx/v5"

	"github.com/mcpsec/mcpsec-go/examples/embedpg"
	"github.com/mcpsec/mcpsec-go/examples/internal/tour"
	"github.com/mcpsec/mcpsec-go/examples/sampledb"
	"github.com/mcpsec/mcpsec-go/internal/pgserver"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

func main() {
	runAsChild()
	chapter := flag.Bool("pocketbase", false, "show the chapter on PocketBase, which takes a minute to compile the first time")
	flag.Parse()
	if flag.NArg() > 0 {
		exit(errors.New("there are no arguments but -pocketbase"))
	}
	p := tour.NewPrinter(os.Stdout)
	ctx, stop := tour.UntilStopped(context.Background(), p)
	var err error
	if *chapter {
		err = pocketbase(ctx, p, "go", os.Stdout)
	} else {
		err = guide(ctx, p, pgserver.Options{Log: os.Stderr, Download: true, Fetch: embedpg.Fetch})
	}
	if ctx.Err() != nil {
		err = errors.New("stopped; everything that was started is gone again")
	}
	stop()
	exit(err)
}

// runAsChild does not return if the program was started by itself: then it is one of
// its servers.
func runAsChild() {
	if len(os.Args) < 2 {
		return
	}
	switch ctx := context.Background(); os.Args[1] {
	case "serve":
		exit(serve(ctx))
	case "serve-stripe":
		exit(serveStripe(ctx, nil))
	case "bank":
		exit(serveBank())
	case serveMailArg:
		exit(serveMail(ctx))
	}
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "tour:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// contents are the chapters. The last one is shown on its own.
var contents = []string{
	"A database", "A hardened MCP server over it, as a child process", "Honest calls work", "Attacks do not",
	"Everything was recorded, and the record cannot be changed unseen", "Money at Stripe", "Mail", "Connect a real client", "PocketBase",
}

// pocketbaseCommand shows the last chapter.
const pocketbaseCommand = "go run ./examples/tour -pocketbase"

// heading begins a chapter.
func heading(p *tour.Printer, n int) { p.Heading(fmt.Sprintf("%d  %s", n, contents[n-1])) }

func showContents(p *tour.Printer) {
	p.Heading("Contents")
	for i, title := range contents {
		if i == len(contents)-1 {
			title += ", which has a database of its own: " + pocketbaseCommand
		}
		p.Say("  %d %s", i+1, title)
	}
}

func guide(ctx context.Context, p *tour.Printer, o pgserver.Options) error {
	showContents(p)
	heading(p, 1)
	p.Say("Starting PostgreSQL; the first time on a machine without it, it is fetched.")
	pg, err := pgserver.Start(ctx, o)
	if err != nil {
		return err
	}
	defer pg.Stop()
	urls, err := load(ctx, pg)
	if err != nil {
		return err
	}
	p.Say("PostgreSQL %d runs, with a chain of record shops: 4,000 albums, 6,000 customers, 24,000 invoices.", pg.Version())
	p.Say("The server will log in as mcp_reader, and to write as mcp_writer: roles made by the SQL that pgtool.SetupSQL prints.")

	dir, err := os.MkdirTemp("", "mcpsec-tour-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	heading(p, 2)
	audit := filepath.Join(dir, "audit.jsonl")
	cmd, err := child(ctx, urls, audit)
	if err != nil {
		return err
	}
	s, err := tour.Connect(ctx, cmd, audit)
	if err != nil {
		return err
	}
	defer s.Stop(ctx)
	if err := s.Introduce(ctx, p); err != nil {
		return err
	}
	heading(p, 3)
	p.Header()
	if err := s.Each(ctx, p, honest); err != nil {
		return err
	}
	heading(p, 4)
	p.Header()
	if err := s.Each(ctx, p, attacks); err != nil {
		return err
	}
	if err := rawAttacks(ctx, p, urls, filepath.Join(dir, "raw.jsonl")); err != nil {
		return err
	}
	heading(p, 5)
	if err := s.CheckAudit(p); err != nil {
		return err
	}
	if err := checkLog(p, s); err != nil {
		return err
	}
	heading(p, 6)
	if err := stripe(ctx, p, dir); err != nil {
		return err
	}
	heading(p, 7)
	if err := mail(ctx, p); err != nil {
		return err
	}
	connectAdvice(p)
	return nil
}

// passwordPrefix makes the password easy to look for where it must not be.
const passwordPrefix = "tour-"

// load makes the sample database and two roles, and returns the settings of the
// server for them.
func load(ctx context.Context, pg *pgserver.Server) (urls []string, err error) {
	const database = "records"
	if err := pg.CreateDatabase(ctx, database, ""); err != nil {
		return nil, err
	}
	conn, err := pgx.Connect(ctx, pg.URL(database, ""))
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	password := passwordPrefix + pg.Password()
	if err := sampledb.Load(ctx, conn); err != nil {
		return nil, err
	}
	_, err = conn.Exec(ctx, pgtool.SetupSQL(pgtool.SetupOptions{Database: database, Schemas: sampledb.Schemas})+
		pgtool.SetupSQL(pgtool.SetupOptions{Database: database, Tables: written})+
		"ALTER ROLE mcp_reader PASSWORD '"+password+"'; ALTER ROLE mcp_writer PASSWORD '"+password+"'")
	return []string{
		envURL + "=" + pg.URLAs(database, "mcp_reader", password),
		envWriter + "=" + pg.URLAs(database, "mcp_writer", password),
	}, err
}

// child prepares this program as a server.
func child(ctx context.Context, urls []string, audit string) (*exec.Cmd, error) {
	return tour.Self(ctx, []string{"serve"}, append(append(os.Environ(), urls...), envAudit+"="+audit))
}
