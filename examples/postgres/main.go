// Postgres serves a PostgreSQL database to a model: read only, unless further roles
// are named, that may write to listed tables, define what is in listed schemas, or
// look after it. See it work, without a database or any configuration:
//
//	go run ./examples/postgres -demo
//
// For a database of yours the settings are environment variables, or lines of the
// file that -config names; -help lists them. The least is
//
//	PGTOOL_DATABASE_URL=postgres://mcp_reader:PASSWORD@db.example.com/shop
//
// with a role that may read and nothing else. The error for any other role says how
// to make one. It speaks over standard input and output, or HTTP if
// PGTOOL_HTTP_ADDR is set. docs/postgres.md goes through all of it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os/signal"
	"syscall"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/config"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

func main() {
	file := flag.String("config", "", "`file` of NAME=value lines, for what the environment does not set")
	demo := flag.Bool("demo", false, "serve a sample database, which is started for it and gone afterwards")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "Serves a PostgreSQL database to a model.")
		flag.PrintDefaults()
		fmt.Fprint(flag.CommandLine.Output(), "\nSettings:\n"+config.Usage[Config](prefix))
	}
	flag.Parse()
	if flag.NArg() > 0 || *demo && *file != "" {
		log.Fatal("there are no arguments but -config with a file, or -demo: see -help")
	}
	start := func(ctx context.Context) error { return serveFile(ctx, *file) }
	if *demo {
		start = serveDemo
	}
	if err := start(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func serveFile(ctx context.Context, file string) error {
	cfg, err := config.LoadFile[Config](prefix, file)
	if err != nil {
		return err // all that is wrong, by the names of the settings
	}
	return serve(ctx, cfg)
}

func serve(ctx context.Context, cfg Config) error {
	defer config.Close(&cfg)
	dirs, err1 := cfg.dirs() // open as long as the program runs
	web, err2 := cfg.HTTP.options()
	if err := errors.Join(cfg.together(), err1, err2); err != nil {
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
	options, closeState, err := cfg.server(ctx, audit)
	if err != nil {
		return err
	}
	defer closeState()
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "postgres", Version: "1.0.0"}, options)
	if err != nil {
		return err
	}
	srv.AddResource(dirs.resources()...)
	return serveRoles(ctx, cfg, srv, dirs, web)
}

// serveRoles connects once for each role that is set, and serves until the end.
func serveRoles(ctx context.Context, cfg Config, srv *mcpsec.Server, dirs dirs, web mcpsec.HTTPOptions) error {
	db, err := pgtool.Open(ctx, cfg.reader())
	if err != nil {
		return err // names every fault of the role, and the SQL that makes a fit one
	}
	defer db.Close()
	srv.Add(cfg.readTools(db, dirs)...)
	srv.AddResource(pgtool.Resources(db)...)
	srv.AddPrompt(pgtool.Prompts(db)...)
	if !cfg.Write.URL.IsZero() {
		w, err := pgtool.OpenWriter(ctx, cfg.writer())
		if err != nil {
			return err
		}
		defer w.Close()
		srv.Add(cfg.writeTools(w, dirs)...)
	}
	if !cfg.Migrate.URL.IsZero() {
		m, err := pgtool.OpenMigrator(ctx, cfg.migrator())
		if err != nil {
			return err
		}
		defer m.Close()
		srv.Add(pgtool.DDLTools(m)...)
	}
	if !cfg.Admin.URL.IsZero() {
		a, err := pgtool.OpenAdmin(ctx, cfg.admin())
		if err != nil {
			return err
		}
		defer a.Close()
		srv.Add(pgtool.AdminTools(a)...)
	}
	if cfg.HTTP.Addr == "" {
		return srv.Run(ctx)
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return srv.ListenAndServe(ctx, cfg.HTTP.Addr, web)
}
