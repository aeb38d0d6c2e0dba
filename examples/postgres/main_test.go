package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/docs"
	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec/config"
	"github.com/mcpsec/mcpsec-go/mcpsec/pgstate"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// key and password are put together, so that nobody takes them for real ones.
var (
	key      = strings.Join([]string{"9f1c4be07ad25386", "e14b7790cc3d58aa", "61f8d02b94e7357c"}, "")
	password = strings.Join([]string{"tern", "gull", "and", "heron"}, "-")
)

var postgres pgtest.Shared

const asProgram = "POSTGRES_EXAMPLE_RUNS"

// TestMain lets the test binary be the program.
func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(postgres.Main(m))
}

// command runs the program with settings of its own and none of the tests'.
func command(args []string, settings ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	for _, s := range os.Environ() {
		if !strings.HasPrefix(s, "PGTOOL_") {
			cmd.Env = append(cmd.Env, s)
		}
	}
	cmd.Env = append(append(cmd.Env, settings...), asProgram+"=1")
	return cmd
}

var impl = &mcp.Implementation{Name: "c", Version: "1"}

func yes(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
	return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"confirm": true}}, nil
}

// connect runs a program and connects a client to it, which says yes when it is
// asked.
func connect(t *testing.T, cmd *exec.Cmd) *mcp.ClientSession {
	t.Helper()
	if cmd.Stderr == nil {
		cmd.Stderr = t.Output()
	}
	cs, err := mcp.NewClient(impl, &mcp.ClientOptions{ElicitationHandler: yes}).Connect(t.Context(), &mcp.CommandTransport{Command: cmd}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cs.Close(); err != nil {
			t.Error(err)
		}
	})
	return cs
}

// bearer sends a token with each request.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

func call(t *testing.T, cs *mcp.ClientSession, tool, args string) (string, bool) {
	t.Helper()
	res, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: json.RawMessage(args)})
	if err != nil {
		t.Fatal(err)
	}
	return res.Content[0].(*mcp.TextContent).Text, res.IsError
}

var itemTables = []pgtool.Table{{Schema: "public", Name: "items", Read: []string{"id", "name"}, Update: []string{"name"}}}

// items makes a database with two roles, and returns their URLs.
func items(t *testing.T) (reader, writer string, conn *pgx.Conn) {
	t.Helper()
	srv, db := postgres.Server(t), postgres.Database(t, "")
	conn, err := pgx.Connect(t.Context(), srv.URL(db, ""))
	if err != nil {
		t.Fatal(err)
	}
	r, w := db+"_r", db+"_w"
	for _, sql := range []string{
		"CREATE TABLE items (id int PRIMARY KEY, name text, owner text); INSERT INTO items VALUES (7, 'seven', 'ada@example.org')",
		pgtool.SetupSQL(pgtool.SetupOptions{Database: db, Role: r}),
		pgtool.SetupSQL(pgtool.SetupOptions{Database: db, Role: w, Tables: itemTables}),
		"ALTER ROLE " + r + " PASSWORD '" + password + "'; ALTER ROLE " + w + " PASSWORD '" + password + "'",
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if _, err := conn.Exec(context.Background(), "DROP OWNED BY "+r+", "+w+"; DROP ROLE "+r+", "+w); err != nil {
			t.Error(err)
		}
		conn.Close(context.Background())
	})
	return srv.URLAs(db, r, password), srv.URLAs(db, w, password), conn
}

// dropRole ends a role with the test.
func dropRole(t *testing.T, conn *pgx.Conn, role string) {
	t.Cleanup(func() {
		if _, err := conn.Exec(context.Background(), "DROP OWNED BY "+role+" CASCADE; DROP ROLE "+role); err != nil {
			t.Error(err)
		}
	})
}

// Settings from the environment, over standard input and output.
func TestPostgres(t *testing.T) {
	t.Parallel()
	reader, _, _ := items(t)
	audit := filepath.Join(t.TempDir(), "audit.jsonl")
	cmd := command(nil, "PGTOOL_DATABASE_URL="+reader, "PGTOOL_AUDIT_FILE="+audit, "PGTOOL_PERSONAL_DATA=mask")
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stderr = log
	cs := connect(t, cmd)
	if text, isErr := call(t, cs, "pg_query", `{"sql":"SELECT name, owner FROM items WHERE id = $1","params":[7]}`); isErr || !strings.Contains(text, `"seven"`) || strings.Contains(text, "ada@") {
		t.Errorf("got %s", text)
	}
	if text, isErr := call(t, cs, "pg_query", `{"sql":"DROP TABLE items"}`); !isErr {
		t.Errorf("got %s", text)
	}
	if text, err := os.ReadFile(audit); err != nil || strings.Count(string(text), "\n") != 4 {
		t.Errorf("%v: the audit log is %s", err, text)
	}
	list, err := cs.ListTools(t.Context(), nil)
	if err != nil || len(list.Tools) == 0 {
		t.Fatal(err)
	}
	for _, tool := range list.Tools {
		if !tool.Annotations.ReadOnlyHint {
			t.Errorf("%s is served", tool.Name)
		}
	}
	cs.Close() // what is served is logged a moment after the start, or by then
	if text, err := os.ReadFile(log.Name()); err != nil || !strings.Contains(string(text), "mode=read ") || strings.Contains(string(text), password) {
		t.Errorf("%v: the log is %s", err, text)
	}
}

// listen starts a program that serves over HTTP. It returns what connects with a
// token, and what the program writes.
func listen(t *testing.T, cmd *exec.Cmd) (client func(token string) (*mcp.ClientSession, error), lines *bufio.Scanner) {
	t.Helper()
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, url := bufio.NewScanner(stderr), ""
	for url == "" && lines.Scan() {
		if m := regexp.MustCompile(`listening address=(\S+)`).FindStringSubmatch(lines.Text()); m != nil {
			url = "http://" + m[1] + "/mcp"
		}
	}
	return func(token string) (*mcp.ClientSession, error) {
		return mcp.NewClient(impl, &mcp.ClientOptions{ElicitationHandler: yes}).Connect(t.Context(),
			&mcp.StreamableClientTransport{Endpoint: url, HTTPClient: &http.Client{Transport: bearer(token)}}, nil)
	}, lines
}

// Settings from a file, secrets from files of their own, over HTTP, with a role that
// may write.
func TestPostgresFile(t *testing.T) {
	t.Parallel()
	reader, writer, conn := items(t)
	dir := t.TempDir()
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tables, err := json.Marshal(itemTables)
	if err != nil {
		t.Fatal(err)
	}
	// What replicas share is in a schema of its own, here of the same database.
	role := conn.Config().Database + "_s"
	setup, err := pgstate.SetupSQL("mcpsec", role)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "CREATE ROLE "+role+" LOGIN PASSWORD '"+password+"'; "+setup); err != nil {
		t.Fatal(err)
	}
	dropRole(t, conn, role)
	hash := sha256.Sum256([]byte(key))
	file := put("server.env", strings.Join([]string{
		"# a server for tests",
		"PGTOOL_DATABASE_URL_FILE=" + put("reader", reader+"\n"),
		"PGTOOL_TOOLS=read,inspect",
		"PGTOOL_WRITE_URL_FILE=" + put("writer", writer),
		"PGTOOL_WRITE_TABLES=" + string(tables),
		"PGTOOL_STATE_URL_FILE=" + put("state", postgres.Server(t).URLAs(conn.Config().Database, role, password)),
		"PGTOOL_STATE_SEAL_KEY_FILE=" + put("seal", key),
		"PGTOOL_HTTP_ADDR=192.0.2.1:1",
		"PGTOOL_HTTP_KEYS=ada=" + hex.EncodeToString(hash[:]),
		"PGTOOL_HTTP_SESSIONS=true",
		"PGTOOL_AUDIT_FILE=" + filepath.Join(dir, "audit.jsonl"),
	}, "\n"))
	cmd := command([]string{"-config", file}, "PGTOOL_HTTP_ADDR=127.0.0.1:0") // which wins
	client, lines := listen(t, cmd)
	if _, err := client("guess"); err == nil {
		t.Error("a wrong token is taken")
	}
	cs, err := client(key)
	if err != nil {
		t.Fatal(err)
	}
	if text, isErr := call(t, cs, "pg_update", `{"table":"public.items","set":{"name":"eight"},"where":[{"column":"id","op":"eq","value":7}]}`); isErr {
		t.Errorf("got %s", text)
	}
	var name string
	if err := conn.QueryRow(t.Context(), "SELECT name FROM items").Scan(&name); err != nil || name != "eight" {
		t.Errorf("got %q, %v", name, err)
	}
	var shared int
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM mcpsec.allowances").Scan(&shared); err != nil || shared == 0 {
		t.Errorf("no rates are shared: %v", err)
	}
	if text, isErr := call(t, cs, "pg_health", `{}`); isErr {
		t.Errorf("got %s", text)
	}
	if err := cs.Close(); err != nil {
		t.Error(err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
		if strings.Contains(lines.Text(), password) || strings.Contains(lines.Text(), key) {
			t.Errorf("written: %s", lines.Text())
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the end: %v", err)
	}
}

// A wrong configuration is told at once and in full, and nothing of its values.
func TestPostgresRefuses(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "server.env")
	if err := os.WriteFile(file, []byte("PGTOOL_WRITE_URL=postgres://u:"+password+"@h/d\nPGTOOL_LIMIT_ROWS=many-"+password+"\n"+password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args, env, want []string
	}{
		"an argument":                 {[]string{"server.env-" + password}, nil, []string{"see -help"}},
		"two databases":               {[]string{"-demo", "-config", "x-" + password}, nil, []string{"see -help"}},
		"keys, and nowhere to listen": {nil, []string{"PGTOOL_DATABASE_URL=postgres://u:" + password + "@h/d", "PGTOOL_HTTP_KEYS=" + password}, []string{"PGTOOL_HTTP_ADDR is required"}},
		"an issuer and no resource":   {nil, []string{"PGTOOL_DATABASE_URL=postgres://u:" + password + "@h/d", "PGTOOL_HTTP_ADDR=:0", "PGTOOL_HTTP_ISSUER=https://x"}, []string{"PGTOOL_HTTP_RESOURCE is required"}},
		"nothing set":                 {nil, nil, []string{"PGTOOL_DATABASE_URL is required"}},
		"all at once": {
			[]string{"-config", file},
			[]string{"PGTOOL_DATABASE_URL=" + "changeme", "PGTOOL_TOOLS=read,everything-" + password, "PGTOOL_TOOL=read", "PGTOOL_AUDIT_KEY=" + password, "PGTOOL_HTTP_TLS_CERT=" + password},
			[]string{
				"the configuration has 9 problems:", "PGTOOL_HTTP_ADDR is required", "line 3 of the file is not NAME=value", "PGTOOL_DATABASE_URL looks like a placeholder", "PGTOOL_TOOLS, element 2, must be one of: read inspect named export", "PGTOOL_WRITE_TABLES is required",
				"PGTOOL_LIMIT_ROWS must be a whole number", "PGTOOL_HTTP_TLS_KEY is required", "PGTOOL_AUDIT_KEY is guessable", "PGTOOL_TOOL is not known: did you mean PGTOOL_TOOLS?",
			},
		},
		"settings that do not go together": {
			nil,
			[]string{
				"PGTOOL_DATABASE_URL=postgres://u:" + password + "@h/d", "PGTOOL_TOOLS=inspect", "PGTOOL_EXPORT_DIR=" + password, "PGTOOL_HTTP_ADDR=:0", "PGTOOL_HTTP_KEYS=" + password, "PGTOOL_HTTP_TENANT_SETTING=app.x",
				"PGTOOL_MIGRATE_URL=postgres://u:" + password + "@h/d", "PGTOOL_MIGRATE_SCHEMAS=s", "PGTOOL_MIGRATE_KINDS=table", "PGTOOL_ADMIN_URL=postgres://u:" + password + "@h/d", "PGTOOL_ADMIN_SCHEMAS=s",
			},
			[]string{"PGTOOL_EXPORT_DIR is of no use without", "PGTOOL_TOOLS must not have inspect", "PGTOOL_MIGRATE_URL must not be set with", "PGTOOL_ADMIN_URL must not be set with"},
		},
		"one directory for both": {
			nil,
			[]string{"PGTOOL_DATABASE_URL=postgres://u:" + password + "@h/d", "PGTOOL_TOOLS=export", "PGTOOL_EXPORT_DIR=.", "PGTOOL_WRITE_IMPORT_DIR=./../postgres", "PGTOOL_WRITE_URL=postgres://u:" + password + "@h/d", "PGTOOL_WRITE_TABLES=[{}]"},
			[]string{"PGTOOL_EXPORT_DIR and PGTOOL_WRITE_IMPORT_DIR must be two"},
		},
		"no such directories": {
			nil,
			[]string{"PGTOOL_DATABASE_URL=postgres://u:" + password + "@h/d", "PGTOOL_TOOLS=export", "PGTOOL_EXPORT_DIR=/" + password, "PGTOOL_WRITE_IMPORT_DIR=/no/" + password, "PGTOOL_WRITE_URL=postgres://u:" + password + "@h/d", "PGTOOL_WRITE_TABLES=[{}]"},
			[]string{"PGTOOL_EXPORT_DIR: ", "PGTOOL_WRITE_IMPORT_DIR: "},
		},
		"what needs more": {
			nil,
			[]string{
				"PGTOOL_DATABASE_URL=postgres://h/d", "PGTOOL_MASK_KEY=" + key, "PGTOOL_WRITE_EXECUTE=true", "PGTOOL_MIGRATE_KINDS=table", "PGTOOL_ADMIN_SCHEMAS=s", "PGTOOL_HTTP_TENANT_SETTING=Tenant",
				"PGTOOL_REPLICA_MAX_LAG=1ms", "PGTOOL_LIMIT_COST=-1", "PGTOOL_LIMIT_BYTES=4194305",
			},
			[]string{
				"PGTOOL_MASK_COLUMNS is required", "PGTOOL_WRITE_URL is required", "PGTOOL_MIGRATE_URL is required", "PGTOOL_ADMIN_URL is required", "PGTOOL_HTTP_ADDR is required",
				"PGTOOL_HTTP_TENANT_SETTING must not be set (excluded_without_all=PGTOOL_HTTP_ISSUER PGTOOL_HTTP_KEYS)", "PGTOOL_REPLICA_MAX_LAG must", "PGTOOL_LIMIT_COST must", "PGTOOL_LIMIT_BYTES must",
			},
		},
		"a tenant's setting without a dot": {nil, []string{"PGTOOL_DATABASE_URL=postgres://h/d", "PGTOOL_HTTP_ADDR=:0", "PGTOOL_HTTP_KEYS=x", "PGTOOL_HTTP_TENANT_SETTING=tenant"}, []string{"PGTOOL_HTTP_TENANT_SETTING must satisfy contains=."}},
		"no list of masks":                 {nil, []string{"PGTOOL_DATABASE_URL=postgres://h/d", "PGTOOL_MASK_COLUMNS=x=" + password}, []string{"PGTOOL_MASK_COLUMNS must be a list such as"}},
		"a mask twice":                     {nil, []string{"PGTOOL_DATABASE_URL=postgres://h/d", "PGTOOL_MASK_COLUMNS=x=hidden, x=hashed"}, []string{"PGTOOL_MASK_COLUMNS must be a list such as"}},
		"a mask of nothing":                {nil, []string{"PGTOOL_DATABASE_URL=postgres://h/d", "PGTOOL_MASK_COLUMNS==hidden"}, []string{"PGTOOL_MASK_COLUMNS must be a list such as"}},
		"no list of tables":                {nil, []string{"PGTOOL_WRITE_URL=postgres://u:" + password + "@h/d", "PGTOOL_DATABASE_URL=postgres://h/d", `PGTOOL_WRITE_TABLES=[{"schema":"` + password + `"}]`}, []string{"PGTOOL_WRITE_TABLES must be a JSON list of tables such as"}},
		"an empty list of tables":          {nil, []string{"PGTOOL_WRITE_URL=postgres://u:" + password + "@h/d", "PGTOOL_DATABASE_URL=postgres://h/d", `PGTOOL_WRITE_TABLES=[]`}, []string{"PGTOOL_WRITE_TABLES must be"}},
		"the key and not its hash":         {nil, []string{"PGTOOL_DATABASE_URL=postgres://u:" + password + "@h/d", "PGTOOL_HTTP_ADDR=127.0.0.1:0", "PGTOOL_HTTP_KEYS=ada=" + password}, []string{"SHA256"}},
		"a key without a name":             {nil, []string{"PGTOOL_DATABASE_URL=postgres://u:" + password + "@h/d", "PGTOOL_HTTP_ADDR=127.0.0.1:0", "PGTOOL_HTTP_KEYS=" + password}, []string{"PGTOOL_HTTP_KEYS must be name=hash"}},
		"a state that is no URL":           {nil, []string{"PGTOOL_DATABASE_URL=postgres://u:" + password + "@h/d", "PGTOOL_STATE_SEAL_KEY=" + key, "PGTOOL_STATE_URL=postgres://u:" + password + "@h:port/d"}, []string{"PGTOOL_STATE_URL is no URL"}},
		"a database without TLS":           {nil, []string{"PGTOOL_DATABASE_URL=postgres://u:" + password + "@db.example.com/d?sslmode=disable"}, []string{"sslmode"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := command(c.args, append(c.env, "XDG_CACHE_HOME="+t.TempDir())...).CombinedOutput()
			if err == nil {
				t.Fatal("it started")
			}
			for _, want := range c.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
			if strings.Contains(string(out), password) || strings.Contains(string(out), key) {
				t.Errorf("it shows a value:\n%s", out)
			}
		})
	}
}

// One command and no configuration.
func TestPostgresDemo(t *testing.T) {
	t.Parallel()
	postgres.Server(t) // skips without PostgreSQL
	cs := connect(t, command([]string{"-demo"}, "PGTOOL_AUDIT_FILE="+filepath.Join(t.TempDir(), "audit.jsonl")))
	for _, c := range []struct{ tool, args, want string }{
		{"pg_query", `{"sql":"SELECT count(*) FROM music.tracks"}`, `"40000"`},
		{"pg_describe", `{"schema":"sales","name":"invoices"}`, "the sum of the lines"},
		{"customer_invoices", `{"customer":42}`, `"id":"90071992547`},
		{"album_search", `{"title":"velvet"}`, `"title":"Velvet `},
		{"pg_health", `{}`, ""},
		{"pg_query", `{"sql":"SELECT phone LIKE '****%' AS hidden FROM sales.customers WHERE phone IS NOT NULL LIMIT 1"}`, "true"},
		{"pg_query", `{"sql":"SELECT count(salary) FROM sales.staff"}`, `"0"`},
		{"pg_export", `{"sql":"TABLE sales.stores","format":"csv"}`, ""},
		{"pg_execute", `{"sql":"UPDATE sales.invoices SET version = version + 1 WHERE id = $1","params":["9007199254740995"]}`, `"affected":1`},
		{"pg_insert", `{"table":"sales.reviews","rows":[{"album_id":7,"stars":4,"words":"Side A, too.","written_at":"2026-01-01T00:00:00Z"}]}`, `"affected":1`},
		{"pg_update", `{"table":"sales.invoices","set":{"status":"cancelled"},"where":[{"column":"id","op":"eq","value":"9007199254740994"}]}`, `"affected":1`},
		{"pg_query", `{"sql":"SELECT status FROM sales.invoices WHERE id = 9007199254740994"}`, "cancelled"},
	} {
		if text, isErr := call(t, cs, c.tool, c.args); isErr || !strings.Contains(text, c.want) {
			t.Errorf("%s %s: got %.300s, want %s", c.tool, c.args, text, c.want)
		}
	}
	if text, isErr := call(t, cs, "pg_query", `{"sql":"DELETE FROM sales.invoices"}`); !isErr {
		t.Errorf("got %s", text)
	}
}

// docs/postgres.md names each setting, and none that does not exist.
func TestDocsNameSettings(t *testing.T) {
	t.Parallel()
	setting := regexp.MustCompile(`(?m)^PGTOOL_[A-Z_]+`)
	known, named := map[string]bool{}, map[string]bool{}
	for _, name := range setting.FindAllString(config.Usage[Config](prefix), -1) {
		known[name] = true
	}
	for _, name := range regexp.MustCompile(`PGTOOL_[A-Z_]*[A-Z]`).FindAllString(docs.Postgres, -1) {
		if name = strings.TrimSuffix(name, "_FILE"); name == "PGTOOL_AUDIT" {
			name += "_FILE" // which is a setting, and no file of one
		}
		named[name] = true
		if !known[name] {
			t.Errorf("there is no setting %s", name)
		}
	}
	for name := range known {
		if !named[name] {
			t.Errorf("%s is not in docs/postgres.md", name)
		}
	}
}

// TestAuditPathOfNewAccount makes the directory of an account that has none yet.
func TestAuditPathOfNewAccount(t *testing.T) {
	home := filepath.Join(t.TempDir(), "new")
	for _, name := range []string{"HOME", "XDG_CACHE_HOME", "LocalAppData"} {
		t.Setenv(name, home)
	}
	path, err := auditing{}.path()
	if err != nil || !strings.HasPrefix(path, home) {
		t.Fatalf("got %q, %v", path, err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Error(err)
	}
}
