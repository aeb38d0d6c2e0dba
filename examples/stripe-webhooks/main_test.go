package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/examples/internal/stripesign"
	"github.com/mcpsec/mcpsec-go/examples/internal/tour"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

// The guide shows every step, and ends with an error if one went wrong.
func TestGuide(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := guide(t.Context(), tour.NewPrinter(&out)); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{"1,900 cents", "api_version=2023-10-16", "The secret is rolled", "dead_letter", "stale", "Replay", "All as promised"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not shown", want)
		}
	}
	if strings.Contains(out.String(), "✗") || strings.Contains(out.String(), "whsec_") {
		t.Errorf("got\n%s", out.String())
	}
}

// What is not as promised is an error.
func TestGuideNotices(t *testing.T) {
	t.Parallel()
	s := &stage{p: tour.NewPrinter(io.Discard), shop: newShop(), log: new(logBuffer)}
	secret := newSecret()
	w, err := stripetool.NewWebhook(s.shop.options([]mcpsec.Secret{secret}, true, slog.New(slog.NewTextHandler(s.log, nil)))) // of live mode, by mistake
	if err != nil {
		t.Fatal(err)
	}
	s.receiver = w
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + ln.Addr().String() + "/webhooks/stripe"
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- serve(ctx, ln, s) }()
	if err := s.genuine(secret); err != nil {
		t.Error(err)
	}
	stop()
	if err := <-served; err != nil || len(s.wrong) == 0 {
		t.Errorf("got %v, and nothing was noticed: %v", err, s.wrong)
	}
}

// As a receiver it takes its secret from the environment, and listens on one path.
func TestRun(t *testing.T) {
	secret := newSecret()
	t.Setenv("STRIPE_WEBHOOK_SECRET", "")
	if err := run(t.Context(), "127.0.0.1:0", false); err == nil || !strings.Contains(err.Error(), "STRIPE_WEBHOOK_SECRET") {
		t.Errorf("without a secret: %v", err)
	}
	if err := run(t.Context(), "", true); err == nil {
		t.Error("-live alone is taken")
	}
	t.Setenv("STRIPE_WEBHOOK_SECRET", secret.Reveal())
	w, err := fromEnv(false)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, ln, w) }()
	body := paid("1").body()
	for path, want := range map[string]int{"/webhooks/stripe": 200, "/": 404} {
		r, err := request("http://"+ln.Addr().String()+path, body, stripesign.Header(secret, time.Now(), body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: got %d, want %d", path, res.StatusCode, want)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
