package stripetool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/insecure"
	"github.com/mcpsec/mcpsec-go/mcpsec/pgstate"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

var postgres pgtest.Shared

const replicaVariable = "MCPSEC_TEST_STRIPE_REPLICA"

// replicaSettings are what a replica is told.
type replicaSettings struct {
	Database, Stripe string
	Unconfirmed      bool
	Caps             []stripetool.Cap // those of options, without
}

// replicaMain serves all tools over HTTP. The person it asks says yes.
func replicaMain(text string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var s replicaSettings
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	pool, err := pgxpool.New(ctx, s.Database)
	if err != nil {
		return err
	}
	defer pool.Close()
	store, err := pgstate.New(ctx, pool, pgstate.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	o := options(s.Stripe)
	o.State, o.Timeout, o.Log = store, 3*time.Second, slog.New(slog.DiscardHandler)
	if len(s.Caps) > 0 {
		o.Caps = s.Caps
	}
	if s.Unconfirmed {
		o.Waive = []mcpsec.Waiver{insecure.Unconfirmed("what is asked changes with each refund")}
	}
	sc, err := stripetool.New(o)
	if err != nil {
		return err
	}
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "replica", Version: "1"}, mcpsec.Options{
		Audit: mcpsec.NewAuditLog(os.Stderr), Log: slog.NewJSONHandler(os.Stderr, nil), Mode: mcpsec.Destroy, State: store,
		Limits:   mcpsec.Limits{CallsPerSecond: 100_000, MaxConcurrentPerPrincipal: 64},
		Approver: func(context.Context, mcpsec.Question) (string, bool, error) { return "tester", true, nil },
	})
	if err != nil {
		return err
	}
	srv.Add(stripetool.WriteTools(sc)...)
	ln, err := mcptest.Listen()
	if err != nil {
		return err
	}
	return srv.Serve(ctx, ln, mcpsec.HTTPOptions{Verifier: func(_ context.Context, token string) (mcpsec.Principal, error) {
		return mcpsec.Principal{ID: token}, nil
	}})
}

// A replica is a process of its own, and can be killed and started again.
type replica struct{ mcptest.Replica }

func startReplica(t *testing.T, s replicaSettings) *replica {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	r := &replica{}
	r.Env = []string{replicaVariable + "=" + string(text)}
	r.Start(t)
	return r
}

// errNoAnswer is said for a replica that has died.
var errNoAnswer = errors.New("no answer: call again")

// call calls a tool as one principal, whichever replica it is.
func (r *replica) call(tool, arguments string) (answer, error) {
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `","arguments":` + arguments + `}}`
	req, err := http.NewRequest(http.MethodPost, "http://"+r.Address+"/mcp", strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header = http.Header{
		"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"},
		"Authorization": {"Bearer alice"}, "Mcp-Protocol-Version": {"2025-11-25"},
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, errNoAnswer
	}
	defer resp.Body.Close()
	var m struct {
		Error  *struct{ Message string }
		Result struct {
			IsError bool
			Content []struct{ Text string }
		}
	}
	switch err := json.NewDecoder(resp.Body).Decode(&m); {
	case err != nil:
		return answer{}, errNoAnswer
	case m.Error != nil:
		return answer{m.Error.Message, true}, nil
	case len(m.Result.Content) != 1:
		return answer{}, fmt.Errorf("an answer has %d parts", len(m.Result.Content))
	}
	return answer{m.Result.Content[0].Text, m.Result.IsError}, nil
}

// A fleet is three replicas on one database and one bank, each with its own network
// to it.
type fleet struct {
	t        *testing.T
	bank     *bank
	database string
	replicas []*replica
	networks []*network
	fronts   []string // where the bank is, behind each network
}

func newFleet(t *testing.T, s replicaSettings) *fleet {
	t.Helper()
	server := postgres.Server(t)
	f := &fleet{t: t, bank: newBank(t), database: server.URL(postgres.Database(t, ""), "")}
	conn := f.admin()
	if err := pgstate.Migrate(t.Context(), conn, "", server.Admin()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		front := f.bank.front()
		n := newNetwork(t, front)
		s.Database, s.Stripe = f.database, n.url()
		f.fronts, f.networks = append(f.fronts, front.Listener.Addr().String()), append(f.networks, n)
		f.replicas = append(f.replicas, startReplica(t, s))
	}
	return f
}

func (f *fleet) admin() *pgx.Conn {
	f.t.Helper()
	conn, err := pgx.Connect(f.t.Context(), f.database)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// finish calls until there is an answer that does not say to call again, each time at
// the next replica, and returns it and how often that was.
func (f *fleet) finish(first int, arguments string) (answer, int) {
	for i := range 60 {
		a, err := f.replicas[(first+i)%len(f.replicas)].call(tool, arguments)
		switch {
		case err == nil && !(a.refused && strings.Contains(a.text, "again")):
			return a, i
		case err != nil && !errors.Is(err, errNoAnswer):
			return answer{err.Error(), true}, i
		}
	}
	return answer{"no end of calling again", true}, 60
}

// atOnce finishes n calls at one moment, spread over the replicas.
func (f *fleet) atOnce(n int, arguments func(i int) string) (answers []answer, again int) {
	answers, tries := make([]answer, n), make([]int, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { answers[i], tries[i] = f.finish(i, arguments(i)) })
	}
	wg.Wait()
	for _, n := range tries {
		again += n
	}
	return answers, again
}

// on makes the network fail in one direction: upstream is to the bank.
func (n *network) on(stream, kind, attributes string) {
	text := fmt.Sprintf(`{"name":%q,"type":%q,"stream":%q,"attributes":{%s}}`, stream+kind, kind, stream, attributes)
	if _, err := n.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
		n.t.Error(err)
	}
}
