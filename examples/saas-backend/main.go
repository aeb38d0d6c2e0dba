// Saas-backend is the backend of a service that people subscribe to: PocketBase has its
// users, Stripe their money, a mail server writes to them, and PostgreSQL counts. A model
// registers, subscribes, cancels and refunds for the staff, each within a role. See it
// work, without an account or any configuration:
//
//	go run ./examples/saas-backend -tour
//
// Without -tour it serves, over HTTP, to whoever has one of the tokens that it prints.
// All servers are embedded, or stand in for yours, and end with it.
//
// What is to be copied is how work over several servers is made whole. Read journal.go and
// flow.go, then a flow: register.go.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/mcpsec/mcpsec-go/examples/internal/bank"
	"github.com/mcpsec/mcpsec-go/examples/internal/tour"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/console"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`address` to serve MCP at")
	guided := flag.Bool("tour", false, "go through all flows, and end")
	flag.Parse()
	p := tour.NewPrinter(os.Stdout)
	ctx, stop := tour.UntilStopped(context.Background(), p)
	defer stop()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err == nil {
		os.Stdout = null // stripe-mock writes there
		err = run(ctx, p, *addr, *guided)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "saas-backend:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, p *tour.Printer, addr string, guided bool) error {
	if flag.NArg() > 0 {
		return errors.New("there are no arguments but -addr and -tour: see -help")
	}
	s := services{Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	if guided {
		s.Log = slog.New(slog.DiscardHandler) // what fails there is meant to
	}
	in, err := startStandins(ctx, &s)
	if err != nil {
		return err
	}
	defer in.stop()
	path := filepath.Join(in.dir, "audit.jsonl")
	audit, err := mcpsec.OpenAuditLog(path, mcpsec.Secret{})
	if err != nil {
		return err
	}
	defer audit.Close()
	s.Audit = audit
	watch, err := watchLog(ctx, path)
	if err != nil {
		return err
	}
	b, err := openBackend(ctx, s)
	if err != nil {
		return err
	}
	defer b.close()
	if guided {
		addr = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return b.serve(ctx, ln, in.bank, s.Webhooks, func(ctx context.Context, url string, tokens map[string]mcpsec.Secret) error {
		if guided {
			return (&guide{p: p, in: in, b: b, audit: path}).show(ctx, url, tokens)
		}
		printAdvice(p, url, path, tokens)
		p.Say("\nThe console shows what happens: %s", watch)
		<-ctx.Done()
		return nil
	})
}

// serve serves until do returns, which is told where MCP is, and the tokens of the roles.
func (b *backend) serve(ctx context.Context, ln net.Listener, sender *bank.Bank, secret mcpsec.Secret, do func(ctx context.Context, url string, tokens map[string]mcpsec.Secret) error) error {
	srv, err := b.server()
	if err != nil {
		return err
	}
	verify, err := b.verifier()
	if err != nil {
		return err
	}
	tokens, err := b.pb.hire()
	if err != nil {
		return err
	}
	hooks, err := net.Listen("tcp", "127.0.0.1:0") // apart: it is the one that strangers reach
	if err != nil {
		return err
	}
	web := &http.Server{Handler: b.hooks, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = web.Serve(hooks) }() // whose end is Close
	defer web.Close()
	ctx, stop := context.WithCancel(ctx)
	tended, served := make(chan struct{}), make(chan error, 1)
	go func() { b.tend(ctx); close(tended) }()
	go sender.Post(ctx, "http://"+hooks.Addr().String()+"/", secret)
	go func() {
		defer stop() // also when it does not serve at all
		served <- srv.Serve(ctx, ln, mcpsec.HTTPOptions{Verifier: verify})
	}()
	err = do(ctx, "http://"+ln.Addr().String()+"/mcp", tokens)
	stop()
	<-tended
	return errors.Join(err, <-served)
}

// watchLog serves the console, on a listener of its own, and returns where and how to log in.
func watchLog(ctx context.Context, audit string) (string, error) {
	token := rand.Text()
	c, err := console.New(console.Options{Log: audit, Token: redact.NewSecret(token), Title: "saas-backend"})
	if err != nil {
		return "", err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	web := &http.Server{Handler: c, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = web.Close() })
	go func() { _ = web.Serve(ln) }() // whose end is Close
	return fmt.Sprintf("http://%s, with the token %s", ln.Addr(), token), nil
}

func printAdvice(p *tour.Printer, url, audit string, tokens map[string]mcpsec.Secret) {
	p.Say("It serves MCP at %s, until Ctrl-C. The audit log is %s.\n\nTokens of the roles, which are good as long as it runs:\n", url, audit)
	for _, role := range []string{"support", "billing", "admin"} {
		p.Say("  export %s=%s", role, tokens[role].Reveal())
	}
	p.Say(`
What to do next, in another window, after these three lines:

  inspect() { npx @modelcontextprotocol/inspector --cli %s --transport http --header "Authorization: Bearer $1" "${@:2}"; }
  inspect $support --method tools/list
  inspect $support --method tools/call --tool-name user_register --tool-arg email=ann@example.com --tool-arg name=Ann
  inspect $admin --method tools/call --tool-name analytics_report --tool-arg days=1

Or name the address and a token to a client that can ask its person: what bills and what
refunds needs a yes. README.md has more; -tour shows all of it.`, url)
}
