package pgsql

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/mcpsec/mcpsec-go/internal/pgserver"
	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/internal/sqllex"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/insecure"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// reader is the role of an ordinary user who may only read.
const reader = "mcp_reader"

// shop is the template of the databases with testdata/schema.sql.
const shop = "pgsql_shop"

var postgres = pgtest.Shared{Setup: setup}

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
	text, err := os.ReadFile("testdata/schema.sql")
	if err != nil {
		return err
	}
	address := strings.NewReplacer("${PGPORT}", fmt.Sprint(conn.Config().Port), "${PGSOCKET}", conn.Config().Host)
	if err := load(ctx, conn, address.Replace(string(text))); err != nil {
		return err
	}
	if err := healthyTemplate(ctx, s); err != nil {
		return err
	}
	for _, role := range []string{reader, "mcp_hard"} {
		if _, err := conn.Exec(ctx, "ALTER ROLE "+role+" PASSWORD '"+s.Password()+"'"); err != nil {
			return err
		}
	}
	return nil
}

// optional finds statements that need an extension.
var optional = regexp.MustCompile(`CREATE EXTENSION|dblink|SERVER|FOREIGN|shop\.ft_|SUBSCRIPTION`)

// load runs statements one by one.
func load(ctx context.Context, conn *pgx.Conn, text string) error {
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

// database returns a new copy of the shop.
func database(t testing.TB) string {
	t.Helper()
	return postgres.Database(t, shop)
}

var anySQL = insecure.AnySQL("the test is about the layers behind the gate")

// open opens a database as the reader, without the gate on names: most tests are
// about what holds when a statement has got past it.
func open(t testing.TB, database string, change func(*pgtool.Options)) *pgtool.DB {
	t.Helper()
	return gated(t, database, func(o *pgtool.Options) {
		o.Waive = []mcpsec.Waiver{anySQL}
		if change != nil {
			change(o)
		}
	})
}

// gated opens a database as the reader.
func gated(t testing.TB, database string, change func(*pgtool.Options)) *pgtool.DB {
	t.Helper()
	o := pgtool.Options{URL: redact.NewSecret(postgres.Server(t).URL(database, reader))}
	if change != nil {
		change(&o)
	}
	db, err := pgtool.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// rows returns the rows of an answer as JSON.
func rows(t testing.TB, db *pgtool.DB, sql string, args ...any) []string {
	t.Helper()
	a, err := db.ReadOnly(t.Context(), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	var out []string
	for r := range a.Rows {
		out = append(out, string(r.AppendJSON(nil)))
	}
	return out
}

// row returns the only row of an answer as JSON.
func row(t testing.TB, db *pgtool.DB, sql string, args ...any) string {
	t.Helper()
	all := rows(t, db, sql, args...)
	if len(all) != 1 {
		t.Fatalf("%s: got %d rows, want 1", sql, len(all))
	}
	return all[0]
}

// splitStatements returns the statements of a text.
func splitStatements(t testing.TB, text string) (out []string) {
	t.Helper()
	tokens, err := sqllex.Scan(text)
	if err != nil {
		t.Fatal(err)
	}
	from := 0
	for _, tok := range tokens {
		if tok.Is(";") {
			out = append(out, text[from:tok.Pos])
			from = tok.End()
		}
	}
	return append(out, text[from:])
}
