package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/examples/sampledb"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/auth"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

const (
	envDatabase = "SOAK_DATABASE_URL"
	envLeak     = "SOAK_LEAK" // set: a tool keeps what it should not, to see that it is noticed
)

// The keys of the test. They have to look random, and nothing is behind them.
const hookKey = "b5Xn8RtQ2wLz6JcVf9KmDs4HyGp7Ta3E"

// callerToken is the key of one of the callers.
func callerToken(i int) string { return fmt.Sprintf("q7Zt2LmX9vKd4RwYc8NbHs5JfGa3Pe%02d", i) }

const maxCallers = 16

type textIn struct {
	Text string `json:"text" validate:"required,max=1000"`
}

type textOut struct {
	Text string `json:"text"`
}

// A stat is what the server says of itself after a collection.
type stat struct {
	Heap       uint64 `json:"heap"`
	Goroutines int    `json:"goroutines"`
}

// serveSoak serves until its standard input ends. It tells its addresses, and its state
// for each line that it is given.
func serveSoak(ctx context.Context) error {
	srv, err := soakServer(ctx)
	if err != nil {
		return err
	}
	var keys []auth.Key
	for i := range maxCallers {
		keys = append(keys, auth.Key{Name: fmt.Sprint("caller-", i), Secret: redact.NewSecret(callerToken(i))})
	}
	verify, err := auth.Keys(keys...)
	if err != nil {
		return err
	}
	stripe, err := webhook.Stripe(redact.NewSecret(hookKey))
	if err != nil {
		return err
	}
	receiver := webhook.NewReceiver(stripe, nil, func(context.Context, webhook.Event) error { return nil }, webhook.Options{Log: slog.New(slog.DiscardHandler)})
	web, err1 := net.Listen("tcp", "127.0.0.1:0")
	hooks, err2 := net.Listen("tcp", "127.0.0.1:0")
	if err1 != nil || err2 != nil {
		return fmt.Errorf("listening: %v, %v", err1, err2)
	}
	hookServer := &http.Server{Handler: receiver, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: 10 * time.Second}
	go hookServer.Serve(hooks) // ends with the process
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	fmt.Println(web.Addr(), hooks.Addr())
	go func() {
		defer cancel()
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			debug.FreeOSMemory()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			_ = json.NewEncoder(os.Stdout).Encode(stat{Heap: m.HeapAlloc, Goroutines: runtime.NumGoroutine()})
		}
	}()
	return srv.Serve(ctx, web, mcpsec.HTTPOptions{Verifier: verify})
}

func soakServer(ctx context.Context) (*mcpsec.Server, error) {
	audit, err := os.CreateTemp("", "soak-audit-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(audit.Name()); err != nil { // gone with the process
		return nil, err
	}
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "soak", Version: "1.0.0"}, mcpsec.Options{
		Audit: mcpsec.NewAuditLog(audit), Log: slog.NewTextHandler(io.Discard, nil), Limits: mcpsec.Limits{CallsPerSecond: 10_000},
	})
	if err != nil {
		return nil, err
	}
	url, err := redact.SecretFromEnv(envDatabase)
	if err != nil {
		return nil, err
	}
	db, err := pgtool.Open(ctx, pgtool.Options{URL: url, Schemas: sampledb.Schemas, MaxConns: 8})
	if err != nil {
		return nil, err
	}
	srv.Add(pgtool.ReadTools(db)...)
	srv.Add(
		mcpsec.NewTool(mcpsec.ToolSpec{Name: "echo", Description: "Echo.", Effect: mcpsec.Read},
			func(_ context.Context, in textIn) (textOut, error) {
				if os.Getenv(envLeak) != "" {
					go func(held []byte) { select {} }(make([]byte, 64<<10))
				}
				return textOut(in), nil
			}),
		mcpsec.NewTool(mcpsec.ToolSpec{Name: "panics", Description: "Panic.", Effect: mcpsec.Read},
			func(context.Context, textIn) (textOut, error) { panic("on purpose") }),
		mcpsec.NewTool(mcpsec.ToolSpec{Name: "slow", Description: "Wait.", Effect: mcpsec.Read, Timeout: 300 * time.Millisecond},
			func(ctx context.Context, in textIn) (textOut, error) {
				<-ctx.Done()
				return textOut{}, ctx.Err()
			}),
	)
	return srv, nil
}
