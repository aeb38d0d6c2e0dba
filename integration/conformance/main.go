// Command conformance serves what the official MCP conformance suites ask a
// server for, built with the public constructors of this module only. Its test
// runs the suites against it, and against the SDK's own server for comparison.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

func main() {
	addr := flag.String("http", "127.0.0.1:3001", "where to listen")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	srv, err := newServer(mcpsec.NewAuditLog(os.Stderr), slog.NewTextHandler(os.Stderr, nil))
	if err == nil {
		err = srv.ListenAndServe(ctx, *addr, httpOptions)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// httpOptions are the defaults, for this machine, with what older clients need.
var httpOptions = mcpsec.HTTPOptions{Sessions: true}

func newServer(audit, log slog.Handler) (*mcpsec.Server, error) {
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "everything", Version: "1.0.0"}, mcpsec.Options{
		Audit: audit, Log: log, Mode: mcpsec.Write, ClientLog: true,
	})
	if err != nil {
		return nil, err
	}
	srv.Add(contentTools()...)
	srv.Add(askingTools()...)
	srv.Add(changeTools(srv)...)
	srv.AddPrompt(prompts()...)
	srv.AddResource(resources()...)
	return srv, nil
}
