package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/pgstate"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

var postgres pgtest.Shared

// TestMain also is the program of a receiver, which this binary starts with
// RECEIVER_DATABASE set.
func TestMain(m *testing.M) {
	if database := os.Getenv("RECEIVER_DATABASE"); database != "" {
		if err := receive(database, os.Getenv("RECEIVER_FILE")); err != nil {
			log.Fatal(err)
		}
		return
	}
	os.Exit(postgres.Main(m))
}

var errDown = errors.New("what the handler needs is down")

// receive writes a line for each effect.
func receive(database, file string) error {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, database)
	if err != nil {
		return err
	}
	defer pool.Close()
	store, err := pgstate.New(ctx, pool, pgstate.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	effects, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	write := func(what, id string) error {
		_, err := fmt.Fprintf(effects, "%s %s\n", what, id)
		return err
	}
	type object struct {
		ID string `json:"id"`
	}
	w, err := stripetool.NewWebhook(stripetool.WebhookOptions{
		Secrets: []mcpsec.Secret{redact.NewSecret(endpointSecret)}, State: store, MaxFailures: 3, Receiver: webhook.Options{Log: slog.New(slog.DiscardHandler)},
		DeadLetter: func(_ context.Context, l stripetool.DeadLetter) error {
			return write(fmt.Sprint("dead after ", l.Failures), l.ID)
		},
		Handlers: []stripetool.WebhookHandler{
			stripetool.On("invoice.paid", func(_ context.Context, ev stripetool.WebhookEvent, _ object) error { return write("paid", ev.ID) }),
			stripetool.On("invoice.updated", func(_ context.Context, ev stripetool.WebhookEvent, _ object) error { return write("kept", ev.ID) }).InOrder(),
			stripetool.On("invoice.payment_failed", func(context.Context, stripetool.WebhookEvent, object) error { return errDown }),
		},
	})
	if err != nil {
		return err
	}
	ln, err := mcptest.Listen()
	if err != nil {
		return err
	}
	return http.Serve(ln, w)
}

// A process is a receiver that is killed and started again.
type process struct{ mcptest.Replica }

func (p *process) deliver(t *testing.T, payload string) int {
	t.Helper()
	s := signed(payload, time.Now())
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+p.Address, bytes.NewReader(s.Payload))
	if err != nil {
		t.Error(err)
		return 0
	}
	r.Header = http.Header{"Content-Type": {"application/json"}, "Stripe-Signature": {s.Header}}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer res.Body.Close()
	return res.StatusCode
}

func snapshot(id, eventType string, seconds int) string {
	return fmt.Sprintf(`{"id":%q,"object":"event","type":%q,"api_version":"2023-10-16","created":%d,"livemode":false,"data":{"object":{"id":"in_1","object":"invoice"}}}`, id, eventType, 1700000000+seconds)
}

// Two receivers that share PostgreSQL, killed and started anew: an event has its effect
// once, none is handled after a newer one, and failures are counted together.
func TestStripeEventsAcrossRestarts(t *testing.T) {
	t.Parallel()
	server := postgres.Server(t)
	database := server.URL(postgres.Database(t, ""), "")
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := pgstate.Migrate(t.Context(), conn, "", server.Admin()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "effects")
	processes := []*process{{}, {}}
	for _, p := range processes {
		p.Env = []string{"RECEIVER_DATABASE=" + database, "RECEIVER_FILE=" + file}
		p.Start(t)
	}
	restart := func() {
		for _, p := range processes {
			p.Kill()
			p.Start(t)
		}
	}
	want := func(i int, payload string, status int) {
		t.Helper()
		if got := processes[i].deliver(t, payload); got != status {
			t.Errorf("got %d, want %d", got, status)
		}
	}
	paid := snapshot("evt_1", "invoice.paid", 0)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			if status := processes[i%2].deliver(t, paid); status != 200 && status != 503 {
				t.Errorf("status %d", status)
			}
		})
	}
	wg.Wait()
	want(0, snapshot("evt_3", "invoice.updated", 3), 200)
	want(0, snapshot("evt_4", "invoice.payment_failed", 0), 500)
	want(1, snapshot("evt_4", "invoice.payment_failed", 0), 500)
	restart()
	for i := range 2 {
		want(i, paid, 200)
	}
	want(1, snapshot("evt_2", "invoice.updated", 2), 200) // is older, and left out
	want(0, snapshot("evt_4", "invoice.payment_failed", 0), 200)
	restart()
	want(1, snapshot("evt_4", "invoice.payment_failed", 0), 200)
	want(0, snapshot("evt_5", "invoice.updated", 5), 200)
	effects, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(effects); got != "paid evt_1\nkept evt_3\ndead after 3 evt_4\nkept evt_5\n" {
		t.Errorf("the effects are\n%s", got)
	}
}
