// Stripe-webhooks receives Stripe's events. Without an argument it shows what that is
// worth: it starts the receiver on this machine, sends it genuine and forged events from
// a signer of its own, prints what became of each, and ends with status 1 if that is not
// what was promised. It needs no configuration and no account.
//
// As a receiver of real events, to be copied, behind a proxy that has a certificate:
//
//	STRIPE_WEBHOOK_SECRET=whsec_… go run ./examples/stripe-webhooks -listen 127.0.0.1:4242
//
// Its path is /webhooks/stripe. The endpoint at Stripe must have the API version
// 2023-10-16:
//
//	stripe webhook_endpoints create -d api_version=2023-10-16 -d url=https://shop.example.com/webhooks/stripe \
//	  -d "enabled_events[]=invoice.paid" -d "enabled_events[]=customer.subscription.updated" -d "enabled_events[]=customer.subscription.deleted"
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mcpsec/mcpsec-go/examples/internal/tour"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

func main() {
	listen := flag.String("listen", "", "`address` to receive real events at, such as 127.0.0.1:4242")
	live := flag.Bool("live", false, "with -listen: the events are of live mode")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, *listen, *live)
	if err != nil {
		fmt.Fprintln(os.Stderr, "stripe-webhooks:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, listen string, live bool) error {
	if listen == "" {
		if live {
			return errors.New("-live is of no use without -listen")
		}
		return guide(ctx, tour.NewPrinter(os.Stdout))
	}
	w, err := fromEnv(live)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	slog.Info("listening", "address", ln.Addr().String(), "live", live)
	return serve(ctx, ln, w)
}

// fromEnv makes the receiver of an endpoint of yours.
func fromEnv(live bool) (*stripetool.Webhook, error) {
	secret, err := redact.SecretFromEnv("STRIPE_WEBHOOK_SECRET")
	if err != nil {
		return nil, err
	}
	return stripetool.NewWebhook(newShop().options([]mcpsec.Secret{secret}, live, nil))
}

// serve answers until ctx ends, and lets handlers come to their end then.
func serve(ctx context.Context, ln net.Listener, w http.Handler) error {
	mux := http.NewServeMux()
	mux.Handle("/webhooks/stripe", w)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	return srv.Shutdown(end)
}
