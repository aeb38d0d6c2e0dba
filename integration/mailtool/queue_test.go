package mailtool

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mailtool"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/pgstate"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

var postgres pgtest.Shared

// TestMain also is the program of a worker, which this binary starts with
// MAIL_WORKER_DATABASE set.
func TestMain(m *testing.M) {
	if database := os.Getenv("MAIL_WORKER_DATABASE"); database != "" {
		if err := workerMain(database); err != nil {
			log.Fatal(err)
		}
		return
	}
	os.Exit(postgres.Main(m))
}

// workerMain sends what is due.
func workerMain(database string) error {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, database)
	if err != nil {
		return err
	}
	store, err := pgstate.New(ctx, pool, pgstate.Options{})
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(os.Getenv("MAIL_WORKER_PORT"))
	if err != nil {
		return err
	}
	der, err := base64.StdEncoding.DecodeString(os.Getenv("MAIL_WORKER_CERTIFICATE"))
	if err != nil {
		return err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	o := options(port)
	o.RootCAs = x509.NewCertPool()
	o.RootCAs.AddCert(cert)
	c, err := mailtool.New(queueOptions(o, store))
	if err != nil {
		return err
	}
	mcptest.Ready("")
	return c.RunQueue(ctx)
}

func queueOptions(o mailtool.Options, store *pgstate.Store) mailtool.Options {
	o.State = store
	o.Queue = mailtool.Queue{Documents: store, Keys: []mcpsec.Secret{redact.NewSecret("Ub7tq0Zs" + "Wn4vKx9cRj2m" + "Hd5yPg8eLa3f")}}
	return o
}

// newStore is a store of its own on PostgreSQL, and its administrator.
func newStore(t *testing.T) (*pgstate.Store, *pgx.Conn) {
	t.Helper()
	server := postgres.Server(t)
	url := server.URL(postgres.Database(t, ""), "")
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	if err := pgstate.Migrate(t.Context(), conn, "", server.Admin()); err != nil {
		t.Fatal(err)
	}
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	store, err := pgstate.New(t.Context(), pool, pgstate.Options{Log: slog.DiscardHandler})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store, conn
}

func scheduled(at time.Time, to string) args {
	return args{"at": at.UTC().Format(time.RFC3339), "message": letterTo(to)}
}

// worker starts a process that is killed.
func worker(t *testing.T, database string, port int) *mcptest.Replica {
	t.Helper()
	cert, _ := authority()
	r := &mcptest.Replica{Env: []string{"MAIL_WORKER_DATABASE=" + database, fmt.Sprintf("MAIL_WORKER_PORT=%d", port), "MAIL_WORKER_CERTIFICATE=" + base64.StdEncoding.EncodeToString(cert.Certificate[0])}}
	r.Start(t)
	return r
}

// until waits for what other processes and machines do.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: never", what)
		}
	}
}

func queueTools(c *mailtool.Client, templates *mailtool.Templates) []*mcpsec.Tool {
	return append(mailtool.QueueTools(c, templates), mailtool.LogTools(c)...)
}

// A worker is killed at a step of sending. Before DATA, another one sends the message;
// from then on it is unknown, and nobody sends it again.
func TestQueueWorkerIsKilled(t *testing.T) {
	t.Parallel()
	for step, want := range map[string]string{"connect": "sent", "RCPT": "sent", "DATA": "unknown", "end": "unknown"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			store, conn := newStore(t)
			w := newWire(t, failing(step, hang, true))
			o := queueOptions(options(w.port), store)
			s := serve(t, o, queueTools(newClient(t, o), nil)...)
			s.ok("mail_schedule", scheduled(time.Now().Add(2*time.Second), "bob@example.com"))
			killed := worker(t, conn.Config().ConnString(), w.port)
			until(t, step, func() bool { return w.stepped(step) > 0 })
			killed.Kill()
			if _, err := conn.Exec(t.Context(), "DELETE FROM mcpsec.claims"); err != nil { // the lease of the dead ends
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			second := newClient(t, o)
			ended := make(chan error, 1)
			go func() { ended <- second.RunQueue(ctx) }()
			until(t, "an outcome", func() bool { return strings.Contains(s.ok("mail_stats", args{}), `"outcome":"`+want+`"`) })
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			contents := 1
			if step == "DATA" {
				contents = 0
			}
			if n := len(w.contents()); n != contents {
				t.Errorf("%d contents were sent", n)
			}
			s.ok("mail_log", args{}, `"outcome":"`+want+`"`, `"to":["bob@example.com"]`)
			s.ok("mail_list_scheduled", args{}, `{"jobs":[]}`)
		})
	}
}

// Three workers on PostgreSQL, and the call itself, send a bulk together: each recipient
// gets one mail, signed and in an envelope of its own, and has one result.
func TestQueueOfReplicas(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	o := newOffice(t)
	opt := queueOptions(options(o.port), store)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 3)
	for range 3 {
		c := newClient(t, opt)
		go func() { ended <- c.RunQueue(ctx) }()
	}
	templates, err := mailtool.OpenTemplates(mailtool.TemplateOptions{FS: fstest.MapFS{"welcome.json": {Data: []byte(
		`{"name":"welcome","subject":"Hello {{.name}}","text":"q7canary-body for {{.name}}","variables":[{"name":"name","type":"text"}]}`)}}})
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, opt, queueTools(newClient(t, opt), templates)...)
	var list []args
	for i := range 40 {
		list = append(list, args{"to": fmt.Sprintf("p%d@example.com", i), "values": args{"name": fmt.Sprintf("q7canary-name-%d", i)}})
	}
	in := args{"template": "welcome", "recipients": list}
	first := s.ok("mail_send_bulk", in, `"done":true`)
	if again := s.ok("mail_send_bulk", in); again != first {
		t.Errorf("got %s after %s", again, first)
	}
	cancel()
	for range 3 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	var out struct {
		Results []struct {
			To, Status string
			MessageID  string `json:"message_id"`
		}
	}
	if err := json.Unmarshal([]byte(first), &out); err != nil {
		t.Fatal(err)
	}
	got := map[string]letter{}
	for _, l := range o.got() {
		got[strings.Join(l.rcpts, ",")] = l
	}
	for i, r := range out.Results {
		data := string(got[r.To].data)
		if r.Status != "sent" || !strings.Contains(data, "Message-ID: "+r.MessageID) || !strings.Contains(data, fmt.Sprintf("q7canary-name-%d\r\n", i)) || !strings.Contains(data, "To: "+r.To+"\r\n") {
			t.Errorf("%+v: %s", r, data)
		}
	}
	if len(out.Results) != 40 || len(o.got()) != 40 || len(got) != 40 {
		t.Errorf("%d results, %d mails to %d", len(out.Results), len(o.got()), len(got))
	}
	s.ok("mail_stats", args{}, `{"outcome":"sent","messages":40}`)
	if log := s.log.String(); strings.Contains(log, "q7canary") || strings.Contains(log, "p1@example.com") {
		t.Errorf("the record has more than it should: %s", log)
	}
}
