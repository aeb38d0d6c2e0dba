// Pocketbase serves a PocketBase server to a model: what its user may read and,
// where collections are listed for it, write. See it work, without a PocketBase or
// any configuration:
//
//	go run ./examples/pocketbase -tour
//
// That starts one in this process, with a small shop in it, and drives servers over
// it with clients, honestly and not. Without -tour it serves the shop, as its
// customer ann sees it, over standard input and output.
//
// For a PocketBase of yours -url has its address, and the rest are environment
// variables; -help lists them, and README.md explains them. The least is
//
//	PBTOOL_USER_IDENTITY=ann@example.com PBTOOL_USER_PASSWORD_FILE=/run/secrets/ann \
//		go run ./examples/pocketbase -url https://pb.example.com
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/examples/internal/tour"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/config"
	"github.com/mcpsec/mcpsec-go/pbtool"
)

func main() {
	url := flag.String("url", "", "`address` of a PocketBase of yours, as in https://pb.example.com")
	guided := flag.Bool("tour", false, "show what the server does, and what it does not let be done to it")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "Serves a PocketBase server to a model: one with a sample shop, unless -url names another.")
		flag.PrintDefaults()
		fmt.Fprint(flag.CommandLine.Output(), "\nSettings:\n"+config.Usage[Config](prefix))
	}
	flag.Parse()
	if err := start(context.Background(), *url, *guided); err != nil {
		log.Fatal(err)
	}
}

func start(ctx context.Context, url string, guided bool) error {
	switch {
	case flag.NArg() > 0 || guided && url != "":
		return errors.New("there are no arguments but -url with an address, or -tour: see -help")
	case guided:
		g := guide{p: tour.NewPrinter(os.Stdout), quiet: 400 * time.Millisecond, patience: 10 * time.Second}
		return g.show(ctx)
	case url != "":
		return serve(ctx, prefix+"URL="+url)
	case os.Getenv(prefix+"URL") != "":
		return serve(ctx)
	}
	return serveDemo(ctx)
}

// serve takes settings, and those of the environment beside them.
func serve(ctx context.Context, settings ...string) error {
	cfg, err := config.LoadFrom[Config](prefix, append(settings, os.Environ()...)) // the first of several counts
	if err != nil {
		return err // all that is wrong, by the names of the settings
	}
	defer config.Close(&cfg)
	if err := cfg.check(); err != nil {
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
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "pocketbase", Version: "1.0.0"}, cfg.server(audit))
	if err != nil {
		return err
	}
	pb, err := pbtool.Open(ctx, cfg.client())
	if err != nil {
		return err
	}
	cfg.add(srv, pb)
	return srv.Run(ctx)
}
