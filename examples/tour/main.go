// Tour shows in a minute what a hardened MCP server does. It starts a real
// PostgreSQL with the sample database in it, starts a server over it as a child
// process, and drives that with a real MCP client: honest calls first, then
// attacks, each with what the server answered and recorded. It needs no
// configuration, keeps nothing, and ends with status 1 if an attack got through.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/examples/embedpg"
	"github.com/mcpsec/mcpsec-go/examples/sampledb"
	"github.com/mcpsec/mcpsec-go/internal/pgserver"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		exit(serve(context.Background()))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := tour(ctx, newPrinter(os.Stdout), pgserver.Options{Log: os.Stderr, Download: true, Fetch: embedpg.Fetch})
	if ctx.Err() != nil {
		err = errors.New("stopped; everything that was started is gone again")
	}
	stop()
	exit(err)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "tour:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func tour(ctx context.Context, p *printer, o pgserver.Options) error {
	p.heading("1  A database")
	p.say("Starting PostgreSQL; the first time on a machine without it, it is fetched.")
	pg, err := pgserver.Start(ctx, o)
	if err != nil {
		return err
	}
	defer pg.Stop()
	urls, err := load(ctx, pg)
	if err != nil {
		return err
	}
	p.say("PostgreSQL %d runs, with a chain of record shops: 4,000 albums, 6,000 customers, 24,000 invoices.", pg.Version())
	p.say("The server will log in as mcp_reader, and to write as mcp_writer: roles made by the SQL that pgtool.SetupSQL prints.")

	dir, err := os.MkdirTemp("", "mcpsec-tour-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p.heading("2  A hardened MCP server over it, as a child process")
	s, err := startServer(ctx, urls, filepath.Join(dir, "audit.jsonl"))
	if err != nil {
		return err
	}
	defer s.close(ctx)
	if err := s.introduce(ctx, p); err != nil {
		return err
	}
	p.heading("3  Honest calls work")
	p.header()
	if err := s.each(ctx, p, honest); err != nil {
		return err
	}
	p.heading("4  Attacks do not")
	p.header()
	if err := s.each(ctx, p, attacks); err != nil {
		return err
	}
	if err := rawAttacks(ctx, p, urls, filepath.Join(dir, "raw.jsonl")); err != nil {
		return err
	}
	p.heading("5  Everything was recorded, and the record cannot be changed unseen")
	if err := s.checkAudit(p); err != nil {
		return err
	}
	connectAdvice(p)
	return nil
}

// passwordPrefix makes the password easy to look for where it must not be.
const passwordPrefix = "tour-"

// load makes the sample database and two roles, and returns the settings of the
// server for them.
func load(ctx context.Context, pg *pgserver.Server) (urls []string, err error) {
	const database = "records"
	if err := pg.CreateDatabase(ctx, database, ""); err != nil {
		return nil, err
	}
	conn, err := pgx.Connect(ctx, pg.URL(database, ""))
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	password := passwordPrefix + pg.Password()
	if err := sampledb.Load(ctx, conn); err != nil {
		return nil, err
	}
	_, err = conn.Exec(ctx, pgtool.SetupSQL(pgtool.SetupOptions{Database: database, Schemas: sampledb.Schemas})+
		pgtool.SetupSQL(pgtool.SetupOptions{Database: database, Tables: written})+
		"ALTER ROLE mcp_reader PASSWORD '"+password+"'; ALTER ROLE mcp_writer PASSWORD '"+password+"'")
	return []string{
		envURL + "=" + pg.URLAs(database, "mcp_reader", password),
		envWriter + "=" + pg.URLAs(database, "mcp_writer", password),
	}, err
}

// A server is the child process with the SDK's client on its streams.
type server struct {
	*mcp.ClientSession
	audit string
	seen  int    // audit records shown so far
	asked string // what the person was asked last
	log   *logBuffer
}

// logBuffer keeps what the child writes to standard error.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// child prepares this program as a server.
func child(ctx context.Context, urls []string, audit string, stderr io.Writer) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "serve")
	cmd.Env = append(append(os.Environ(), urls...), envAudit+"="+audit)
	cmd.Stderr = stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 3 * time.Second
	return cmd, nil
}

func startServer(ctx context.Context, urls []string, audit string) (*server, error) {
	s := &server{audit: audit, log: &logBuffer{}}
	cmd, err := child(ctx, urls, audit, s.log)
	if err != nil {
		return nil, err
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "tour-client", Version: "1.0.0"}, &mcp.ClientOptions{
		ElicitationHandler: func(_ context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			s.asked = req.Params.Message // a real client shows it, and the person ticks the box
			return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"confirm": true}}, nil
		},
	})
	s.ClientSession, err = client.Connect(ctx, &mcp.CommandTransport{Command: cmd}, nil)
	if err != nil {
		return nil, fmt.Errorf("starting the server: %w\n%s", err, s.log)
	}
	return s, nil
}

// close stops the server. After Ctrl-C, which a terminal sends to both, how it
// ended is of no interest.
func (s *server) close(ctx context.Context) {
	if err := s.Close(); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "tour: stopping the server:", err)
	}
}

func (s *server) introduce(ctx context.Context, p *printer) error {
	list, err := s.ListTools(ctx, nil)
	if err != nil {
		return err
	}
	p.say("It serves %d tools:", len(list.Tools))
	for _, t := range list.Tools {
		p.say("  %s", pad(t.Name, 18)+firstSentence(t.Description))
	}
	return nil
}
