package pgdocs

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/mcpsec/mcpsec-go/docs"
	"github.com/mcpsec/mcpsec-go/examples/sampledb"
	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

var postgres pgtest.Shared

func TestMain(m *testing.M) { os.Exit(postgres.Main(m)) }

// A block is a fenced part of the page. What follows its language says how it is
// run.
type block struct {
	line           int
	language, text string
	marks          []string
}

func (b block) is(mark string) bool { return slices.Contains(b.marks, mark) }

func (b block) String() string { return fmt.Sprintf("postgres.md:%d", b.line) }

func blocks(t *testing.T, languages ...string) (all []block) {
	t.Helper()
	var open *block
	n := 0
	for line := range strings.Lines(docs.Postgres) {
		n++
		fence, fenced := strings.CutPrefix(line, "```")
		switch {
		case open == nil && fenced:
			words := strings.Fields(fence)
			if len(words) == 0 {
				t.Fatalf("line %d: a block without a language", n)
			}
			open = &block{line: n + 1, language: words[0], marks: words[1:]}
		case open != nil && fenced:
			if slices.Contains(languages, open.language) {
				all = append(all, *open)
			}
			open = nil
		case open != nil:
			open.text += line
		}
	}
	if open != nil || len(all) == 0 {
		t.Fatal("a block has no end, or there are none")
	}
	return all
}

// All languages are known: what is neither run nor compiled is named here.
func TestLanguages(t *testing.T) {
	t.Parallel()
	known := blocks(t, "sql", "go", "json", "ini", "sh")
	if n := strings.Count(docs.Postgres, "\n```") / 2; n != len(known) {
		t.Errorf("%d blocks, of which %d are of a known language", n, len(known))
	}
	for _, b := range known {
		if b.language == "json" && !json.Valid([]byte(b.text)) {
			t.Errorf("%s: it is no JSON", b)
		}
		for _, mark := range b.marks {
			if !slices.Contains([]string{"reader", "refused", "empty", "managed", "15"}, mark) || b.language != "sql" {
				t.Errorf("%s: unknown mark %s", b, mark)
			}
		}
	}
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func exec1(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%.300s: %v", sql, err)
	}
}

var written = []pgtool.Table{{Schema: "sales", Name: "invoices", Read: []string{"id", "status", "version"}, Update: []string{"status", "version"}}}

// records makes the sample database, as admin, and the roles that the page speaks of,
// with names of their own.
func records(t *testing.T, admin *pgx.Conn) (reader, writer string) {
	t.Helper()
	if err := sampledb.Load(t.Context(), admin); err != nil {
		t.Fatal(err)
	}
	database := admin.Config().Database
	reader, writer = database+"_r", database+"_w"
	exec1(t, admin, portable(t, admin, pgtool.SetupSQL(pgtool.SetupOptions{Database: database, Role: reader, Schemas: sampledb.Schemas})))
	exec1(t, admin, portable(t, admin, pgtool.SetupSQL(pgtool.SetupOptions{Database: database, Role: writer, Tables: written})))
	for _, role := range []string{reader, writer} {
		exec1(t, admin, "ALTER ROLE "+role+" PASSWORD '"+postgres.Server(t).Password()+"'")
	}
	return reader, writer
}

var fileLimit = regexp.MustCompile(`(?m)^ALTER ROLE \S+ SET temp_file_limit.*\n`)

// portable leaves out what only a superuser can run.
func portable(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	var super bool
	if err := conn.QueryRow(t.Context(), "SELECT rolsuper FROM pg_roles WHERE rolname = current_user").Scan(&super); err != nil {
		t.Fatal(err)
	}
	if super {
		return sql
	}
	short := fileLimit.ReplaceAllString(sql, "")
	if short == sql {
		t.Fatal("SetupSQL has no temp_file_limit to leave out")
	}
	return short
}

// drop ends roles with the test.
func drop(t *testing.T, admin *pgx.Conn, roles ...string) {
	t.Cleanup(func() {
		for _, sql := range []string{"DROP OWNED BY ", "DROP ROLE "} {
			if _, err := admin.Exec(context.Background(), sql+strings.Join(roles, ", ")); err != nil {
				t.Error(err)
			}
		}
	})
}

func run(t *testing.T, conn *pgx.Conn, b block, sql string) {
	t.Helper()
	tag, err := conn.Exec(t.Context(), sql) // several statements are one transaction
	switch {
	case b.is("refused"):
		if err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("%s: got %v, want permission denied", b, err)
		}
	case err != nil:
		t.Errorf("%s: %v", b, err)
	case b.is("empty") != (b.is("reader") && tag.RowsAffected() == 0):
		t.Errorf("%s: %d rows", b, tag.RowsAffected())
	}
}

// Each block of SQL does what stands beside it, one after the other, and the roles
// are fit afterwards.
func TestSQL(t *testing.T) {
	t.Parallel()
	server, database := postgres.Server(t), postgres.Database(t, "")
	admin := connect(t, server.URL(database, ""))
	reader, writer := records(t, admin)
	drop(t, admin, reader, writer)
	names := strings.NewReplacer("mcp_reader", reader, "mcp_writer", writer)
	readers := connect(t, server.URL(database, reader))
	for _, b := range blocks(t, "sql") {
		switch {
		case b.is("managed"), b.is("15") && server.Version() < 15:
		case b.is("reader"):
			run(t, readers, b, b.text)
		default:
			run(t, admin, b, names.Replace(b.text))
		}
	}
	migrator := database + "_m"
	exec1(t, admin, pgtool.SetupSQL(pgtool.SetupOptions{Database: database, Role: migrator, Schemas: []string{"drafts"}, Migrates: true}))
	exec1(t, admin, "ALTER ROLE "+migrator+" PASSWORD '"+server.Password()+"'")
	drop(t, admin, migrator)
	open(t, server.URL(database, reader))
	w, err := pgtool.OpenWriter(t.Context(), pgtool.WriteOptions{Options: pgtool.Options{URL: redact.NewSecret(server.URL(database, writer))}, Tables: written})
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	m, err := pgtool.OpenMigrator(t.Context(), pgtool.DDLOptions{Options: drafts(server.URL(database, migrator)), Kinds: []string{"table"}})
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
	a, err := pgtool.OpenAdmin(t.Context(), drafts(server.URL(database, migrator)))
	if err != nil {
		t.Fatal(err)
	}
	a.Close()
}

func drafts(url string) pgtool.Options {
	return pgtool.Options{URL: redact.NewSecret(url), Schemas: []string{"drafts"}}
}

func open(t *testing.T, url string) {
	t.Helper()
	db, err := pgtool.Open(t.Context(), pgtool.Options{URL: redact.NewSecret(url), Schemas: sampledb.Schemas})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ReadOnly(t.Context(), "SELECT title FROM music.albums LIMIT 1"); err != nil {
		t.Error(err)
	}
}

// What SetupSQL prints, without one line, makes fit roles also for an administrator
// who is no superuser.
func TestManagedService(t *testing.T) {
	t.Parallel()
	server, database := postgres.Server(t), postgres.Database(t, "")
	super := connect(t, server.URL(database, ""))
	owner, other := database+"_a", database+"_o"
	exec1(t, super, "CREATE ROLE "+owner+" LOGIN CREATEROLE PASSWORD '"+server.Password()+"'; ALTER DATABASE "+database+" OWNER TO "+owner)
	if server.Version() < 15 {
		exec1(t, super, "ALTER SCHEMA public OWNER TO "+owner)
	}
	admin := connect(t, server.URL(database, owner))
	reader, writer := records(t, admin)
	for _, b := range blocks(t, "sql") {
		if b.is("managed") {
			run(t, admin, b, strings.NewReplacer("mcp_other", other, "DATABASE records", "DATABASE "+database).Replace(b.text))
		}
	}
	exec1(t, admin, "ALTER ROLE "+other+" PASSWORD '"+server.Password()+"'")
	for _, role := range []string{reader, other} {
		open(t, server.URL(database, role))
	}
	exec1(t, super, "ALTER DATABASE "+database+" OWNER TO CURRENT_USER")
	drop(t, super, other, reader, writer, owner)
}

// imports are those of the blocks of Go.
var imports = map[string]string{
	"fmt": "fmt", "os": "os", "time": "time", "mcpsec": "github.com/mcpsec/mcpsec-go/mcpsec", "redact": "github.com/mcpsec/mcpsec-go/mcpsec/redact",
}

var comments = regexp.MustCompile(`//.*`)

// Each block of Go is the body of a function that has a server, databases and a URL.
func TestGo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var files []string
	for i, b := range blocks(t, "go") {
		source := "package page\n\nimport (\n\t\"context\"\n\t\"github.com/mcpsec/mcpsec-go/pgtool\"\n\tserver \"github.com/mcpsec/mcpsec-go/mcpsec\"\n"
		for name, path := range imports {
			if regexp.MustCompile(`\b` + name + `\.`).MatchString(comments.ReplaceAllString(b.text, "")) {
				source += "\t" + fmt.Sprintf("%q", path) + "\n"
			}
		}
		source += fmt.Sprintf(")\n\nfunc block%d(ctx context.Context, srv *server.Server, db *pgtool.DB, w *pgtool.Writer, url server.Secret) error {\n\t{\n//line %s\n%s\n\t}\n\treturn nil\n}\n", i, b, b.text)
		file := filepath.Join(dir, fmt.Sprintf("block%d.go", i))
		if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	if out, err := exec.CommandContext(t.Context(), "go", append([]string{"vet"}, files...)...).CombinedOutput(); err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
}
