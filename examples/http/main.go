// Http is the quickstart over HTTP, with bearer tokens from the environment:
//
//	HTTP_TOKENS="ada=$(openssl rand -hex 32)" go run ./examples/http
//
// It listens on this machine only. For others to reach it, it needs a
// certificate (HTTPOptions.TLS) or a proxy that has one (BehindProxy), and the
// name they know it by (Hosts).
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/auth"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

type lookupIn struct {
	ID int `json:"id" validate:"required,min=1,max=99999" jsonschema:"the order's number"`
}

type order struct {
	Status string `json:"status"`
	Total  string `json:"total" jsonschema:"in EUR"`
}

var orders = map[int]order{1: {"shipped", "19.00"}, 2: {"open", "49.50"}}

func lookup(_ context.Context, in lookupIn) (order, error) {
	if o, ok := orders[in.ID]; ok {
		return o, nil
	}
	return order{}, &mcpsec.Error{Message: "there is no such order: ask for 1 or 2"}
}

// verifier knows whose the tokens of a list are: "name=token,name=token".
func verifier(list mcpsec.Secret) (mcpsec.TokenVerifier, error) {
	var keys []auth.Key
	for entry := range strings.SplitSeq(list.Reveal(), ",") {
		name, token, ok := strings.Cut(entry, "=")
		if !ok {
			return nil, errors.New("HTTP_TOKENS must be name=token,name=token")
		}
		keys = append(keys, auth.Key{Name: name, Secret: redact.NewSecret(token)})
	}
	return auth.Keys(keys...)
}

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`address` to listen at, or unix:path")
	flag.Parse()
	if err := run(*addr); err != nil {
		log.Fatal(err)
	}
}

func run(addr string) error {
	tokens, err := redact.SecretFromEnv("HTTP_TOKENS")
	if err != nil {
		return err
	}
	verify, err := verifier(tokens)
	if err != nil {
		return err
	}
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "http", Version: "1.0.0"}, mcpsec.Options{
		Audit: slog.NewJSONHandler(os.Stderr, nil), // see OpenAuditLog for a log that can be verified
	})
	if err != nil {
		return err
	}
	srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{
		Name: "order_lookup", Description: "Fetch one order by its number.", Effect: mcpsec.Read,
	}, lookup))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return srv.ListenAndServe(ctx, addr, mcpsec.HTTPOptions{Verifier: verify})
}
