package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/pocketbase/dbx"

	"github.com/mcpsec/mcpsec-go/examples/internal/bank"
	"github.com/mcpsec/mcpsec-go/examples/internal/mailbox"
	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

var postgres pgtest.Shared

func TestMain(m *testing.M) {
	if os.Getenv(envChild) != "" {
		os.Exit(child())
	}
	os.Exit(postgres.Main(m))
}

// A world is a backend with servers around it, and clients.
type world struct {
	t    *testing.T
	s    services
	bank *bank.Bank
	box  *mailbox.Box
	db   *pgx.Conn // as superuser
	b    *backend
	url  string

	tokens map[string]mcpsec.Secret
	mu     sync.Mutex
	asked  []string // what the person was asked
	no     bool     // what they say
}

// newServices starts what a backend works with.
func newServices(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, s: services{Data: t.TempDir(), Audit: slog.NewJSONHandler(io.Discard, nil), Log: slog.New(slog.DiscardHandler)}}
	pg := postgres.Server(t)
	var err error
	if w.bank, err = bank.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.bank.Close)
	if w.box, err = mailbox.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.box.Close() })
	database := postgres.Database(t, "")
	if err := preparePostgres(t.Context(), pg, database, &w.s); err != nil {
		t.Fatal(err)
	}
	if w.db, err = pgx.Connect(t.Context(), pg.URL(database, "")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.db.Close(context.Background()) })
	w.s.Mail = mailOptions(w.box.Port, w.box.CA, w.box.Password)
	useBank(w.bank.URL, w.bank.CA, &w.s)
	return w
}

// newWorld serves, too.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := newServices(t)
	w.open()
	srv, err := w.b.server()
	if err != nil {
		t.Fatal(err)
	}
	verify, err := w.b.verifier()
	if err != nil {
		t.Fatal(err)
	}
	if w.tokens, err = w.b.pb.hire(); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.url = "http://" + ln.Addr().String() + "/mcp"
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- srv.Serve(ctx, ln, mcpsec.HTTPOptions{Verifier: verify}) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return w
}

// open opens the backend, which may have been closed before.
func (w *world) open() {
	w.t.Helper()
	b, err := openBackend(w.t.Context(), w.s)
	if err != nil {
		w.t.Fatal(err)
	}
	w.b = b
	w.t.Cleanup(b.close)
}

type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

// client is the SDK's, of a role, with a person.
func (w *world) client(role string) *mcp.ClientSession {
	w.t.Helper()
	c := mcp.NewClient(&mcp.Implementation{Name: "c", Version: "1"}, &mcp.ClientOptions{
		ElicitationHandler: func(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.asked = append(w.asked, r.Params.Message)
			if w.no {
				return &mcp.ElicitResult{Action: "decline"}, nil
			}
			return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"confirm": true}}, nil
		},
	})
	cs, err := c.Connect(w.t.Context(), &mcp.StreamableClientTransport{Endpoint: w.url, HTTPClient: &http.Client{Transport: bearer(w.tokens[role].Reveal())}}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = cs.Close() })
	return cs
}

// call calls a tool as a role, and returns its answer's text and what the person was asked.
func (w *world) call(role, tool string, args map[string]any) (text string, failed bool, asked string) {
	w.t.Helper()
	w.mu.Lock()
	w.asked = nil
	w.mu.Unlock()
	res, err := w.client(role).CallTool(w.t.Context(), &mcp.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		return err.Error(), true, ""
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return res.Content[0].(*mcp.TextContent).Text, res.IsError, strings.Join(w.asked, "\n")
}

// must is a call that has to succeed, decoded.
func (w *world) must(role, tool string, args map[string]any) (out answer) {
	w.t.Helper()
	text, failed, _ := w.call(role, tool, args)
	if failed {
		w.t.Fatalf("%s: %s", tool, text)
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		w.t.Fatalf("%s: %v: %s", tool, err, text)
	}
	return out
}

// An answer has the members of all tools' answers that tests look at.
type answer struct {
	User, Subscription, Refund, ID, Status, Plan string
	Flow                                         progress
	Payments                                     []payment
	Flows                                        []flow
}

// Sums are how much there is of what, on all servers, and how far flows came.
type sums struct {
	Users, Customers, Subscriptions, Payments, Refunds, Letters, Events int
	Half                                                                string // states of the flows that are not done with
}

func (w *world) sums() (s sums) {
	w.t.Helper()
	count := func(collection string) int {
		n, err := w.b.pb.CountRecords(collection)
		if err != nil {
			w.t.Fatal(err)
		}
		return int(n)
	}
	s = sums{
		Users: count("users"), Customers: w.bank.Count("customer"), Subscriptions: w.bank.Count("subscription"), Refunds: w.bank.Count("refund"),
		Payments: count("payments"), Letters: len(w.box.Letters()),
	}
	if err := w.db.QueryRow(w.t.Context(), "SELECT count(*) FROM analytics.events").Scan(&s.Events); err != nil {
		w.t.Fatal(err)
	}
	half, err := w.b.half(50)
	if err != nil {
		w.t.Fatal(err)
	}
	var states []string
	for _, f := range half {
		at := f.Kind + " " + f.State
		for _, e := range f.Steps {
			if e.State != done {
				at += ", " + e.Step + " " + e.State
				break
			}
		}
		states = append(states, strings.TrimSpace(at))
	}
	slices.Sort(states)
	s.Half = strings.Join(states, "; ")
	return s
}

func (w *world) want(when string, want sums) {
	w.t.Helper()
	if got := w.sums(); got != want {
		w.t.Errorf("%s:\n got %+v\nwant %+v", when, got, want)
	}
}

// flowOf is the first flow of a kind in a state.
func (w *world) flowOf(kind, state string) string {
	w.t.Helper()
	r, err := w.b.pb.FindFirstRecordByFilter("flows", "kind = {:kind} && state = {:state}", dbx.Params{"kind": kind, "state": state})
	if err != nil {
		w.t.Fatalf("no flow %s is %s: %v", kind, state, err)
	}
	return r.Id
}

// receive delivers an event as Stripe does, and returns the status.
func (w *world) receive(e bank.Event, secret mcpsec.Secret) int {
	w.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	web := &http.Server{Handler: w.b.hooks}
	go func() { _ = web.Serve(ln) }()
	defer web.Close()
	status, err := e.Deliver(w.t.Context(), "http://"+ln.Addr().String()+"/", secret)
	if err != nil {
		w.t.Fatal(err)
	}
	return status
}
