package pgattack

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/pgserver"
	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/internal/sqllex"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/insecure"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// shop is the template of the databases.
const shop = "pgsql_shop"

var postgres = pgtest.Shared{
	Options: pgserver.Options{Settings: map[string]string{"shared_preload_libraries": "pg_stat_statements"}},
	Setup:   setup,
}

func TestMain(m *testing.M) { os.Exit(postgres.Main(m)) }

func setup(ctx context.Context, s *pgserver.Server) error {
	if err := s.CreateDatabase(ctx, shop, ""); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, s.URL(shop, ""))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if err := run(ctx, conn, s, "../pgsql/testdata/schema.sql"); err != nil {
		return err
	}
	for _, role := range []string{"mcp_reader", "mcp_hard"} {
		if _, err := conn.Exec(ctx, "ALTER ROLE "+role+" PASSWORD '"+s.Password()+"'"); err != nil {
			return err
		}
	}
	_, err = conn.Exec(ctx, "INSERT INTO shop.big SELECT g, repeat('p', 900) FROM generate_series(1, 57000) g")
	return err
}

// optional finds statements that need an extension, or a catalog that not every
// version has.
var optional = regexp.MustCompile(`CREATE EXTENSION|dblink|SERVER|FOREIGN|shop\.ft_|SUBSCRIPTION|pg_stat_statements`)

// run runs the statements of a file one by one.
func run(ctx context.Context, conn *pgx.Conn, s *pgserver.Server, file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	c := conn.Config()
	text := strings.NewReplacer("${PGPORT}", fmt.Sprint(c.Port), "${PGSOCKET}", socket(s), "${DB}", c.Database).Replace(string(b))
	return statements(ctx, conn, text)
}

func statements(ctx context.Context, conn *pgx.Conn, text string) error {
	tokens, err := sqllex.Scan(text)
	if err != nil {
		return err
	}
	from := 0
	for _, tok := range tokens {
		if !tok.Is(";") {
			continue
		}
		statement := text[from:tok.Pos]
		from = tok.End()
		if _, err := conn.Exec(ctx, statement); err != nil && !optional.MatchString(statement) {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// socket is the directory of the server's socket, where dblink logs in without
// a password.
func socket(s *pgserver.Server) string {
	u, err := url.Parse(s.SocketURL("", ""))
	if err != nil {
		return ""
	}
	return u.Query().Get("host")
}

// A stage is a database with everything that attacks need, and a client that
// attacks it.
type stage struct {
	name     string
	database string
	conn     *pgx.Conn // the superuser's
	options  pgtool.Options
	cs       *mcp.ClientSession
	fill     *strings.Replacer // of placeholders in statements
	called   chan struct{}     // by a connection to the listener
}

// stages are what the attacks are tried on.
var stages = []string{"superuser", "checked", "reader", "hardened"}

const application = "stage"

func newStage(t testing.TB, name string) *stage {
	t.Helper()
	return newStageWith(t, name, func(*pgtool.Options) {})
}

func newStageWith(t testing.TB, name string, change func(*pgtool.Options)) *stage {
	t.Helper()
	server := postgres.Server(t)
	s := &stage{name: name, database: postgres.Database(t, shop), called: make(chan struct{}, 100)}
	s.conn = postgres.Admin(t, s.database)
	o := pgtool.Options{Timeout: time.Second, MaxConns: 1}
	role := ""
	switch name {
	case "superuser", "checked":
		o.ServerCheck = name == "checked"
		o.Waive = []mcpsec.Waiver{insecure.OverprivilegedRole("the gates alone are under test")}
	case "reader":
		role = "mcp_reader"
	case "hardened":
		role = "mcp_hard"
		s.harden(t)
	}
	o.URL = redact.NewSecret(named(server.URL(s.database, role), application))
	change(&o)
	db, err := pgtool.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	s.options, s.cs = o, client(t, db)
	s.fill = strings.NewReplacer("{{PORT}}", fmt.Sprint(s.conn.Config().Port), "{{SOCK}}", socket(server), "{{DB}}", s.database,
		"{{SSRF}}", s.listen(t), "{{OUT}}", pgtest.Ask[string](t, s.conn, "SHOW data_directory"), "${PGDATA}", pgtest.Ask[string](t, s.conn, "SHOW data_directory"))
	return s
}

// reload opens the database anew, for what has been made meanwhile.
func (s *stage) reload(t testing.TB) {
	t.Helper()
	db, err := pgtool.Open(t.Context(), s.options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	s.cs = client(t, db)
}

// named adds the name of the application to a URL.
func named(address, name string) string {
	sep := "?"
	if strings.Contains(address, "?") {
		sep = "&"
	}
	return address + sep + "application_name=" + name
}

// harden runs what SetupSQL prints, for a role that exists, but for SELECT on all
// tables, and then more.
func (s *stage) harden(t testing.TB) {
	t.Helper()
	text := pgtool.SetupSQL(pgtool.SetupOptions{Database: s.database, Role: "mcp_hard", Schemas: []string{"shop"}})
	text = strings.NewReplacer("CREATE ROLE", "ALTER ROLE", "GRANT SELECT ON ALL TABLES", "-- ").Replace(text)
	if err := statements(t.Context(), s.conn, text); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), s.conn, postgres.Server(t), "testdata/harden.sql"); err != nil {
		t.Fatal(err)
	}
}

func client(t testing.TB, db *pgtool.DB) *mcp.ClientSession {
	t.Helper()
	cs, end := pipe(t, db)
	t.Cleanup(end)
	return cs
}

// pipe serves the tools of a database to a client, until end.
func pipe(t testing.TB, db *pgtool.DB) (cs *mcp.ClientSession, end func()) {
	t.Helper()
	impl := &mcp.Implementation{Name: "test", Version: "1.0.0"}
	srv, err := mcpsec.NewServer(impl, mcpsec.Options{
		Audit: mcpsec.NewAuditLog(discard{}), Limits: mcpsec.Limits{CallsPerSecond: 1e6},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Add(pgtool.ReadTools(db)...)
	ours, theirs := net.Pipe()
	go srv.ServeStream(context.WithoutCancel(t.Context()), theirs, theirs)
	cs, err = mcp.NewClient(impl, nil).Connect(t.Context(), &mcp.IOTransport{Reader: ours, Writer: ours}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return cs, func() { cs.Close() }
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// listen accepts connections that attacks are to make.
func (s *stage) listen(t testing.TB) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
			s.called <- struct{}{}
		}
	}()
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

// query calls pg_query and returns what the model reads.
func (s *stage) query(t testing.TB, sql string) (text string, failed bool) {
	t.Helper()
	res, err := s.cs.CallTool(t.Context(), &mcp.CallToolParams{Name: "pg_query", Arguments: map[string]any{"sql": sql}})
	if err != nil {
		t.Fatalf("%.200s: %v", sql, err)
	}
	return res.Content[0].(*mcp.TextContent).Text, res.IsError
}

// lines reads a corpus.
func lines[T any](t testing.TB, file string) (all []T) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		var v T
		if err := json.Unmarshal(in.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}
