package pgsql

import (
	"bufio"
	"encoding/json"
	"os"
	"regexp"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
)

// An attack says how to see whether it has done harm.
type attack struct {
	ID, Name, SQL string
	Detect        struct {
		Kind  string // db, output, next, next_db, completes
		SQL   string
		Re    string
		Check string
	}
}

// open attacks use a function that this package does not judge: the gate that
// knows the catalog has to.
var openAttacks = map[string]string{
	"A068": "set_config within the statement changes what a policy asks for",
}

func attacks(t testing.TB) (all []attack) {
	t.Helper()
	f, err := os.Open("testdata/attacks.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		var a attack
		if err := json.Unmarshal(in.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	return all
}

// harmed runs an attack and reports whether it has reached its end.
func harmed(t testing.TB, cs *mcp.ClientSession, conn *pgx.Conn, a attack) bool {
	t.Helper()
	text, failed := call(t, cs, "pg_query", map[string]any{"sql": a.SQL})
	matches := func(text string) bool { return regexp.MustCompile(a.Detect.Re).MatchString(text) }
	switch d := a.Detect; d.Kind {
	case "db":
		return pgtest.Ask[bool](t, conn, d.SQL)
	case "output":
		return !failed && matches(text) // what an error shows is fixed, and tested by itself
	case "completes":
		return !failed
	case "next":
		return matches(query(t, cs, d.SQL))
	case "next_db":
		query(t, cs, d.SQL)
		return pgtest.Ask[bool](t, conn, d.Check)
	}
	t.Fatalf("attack %s: detect %q is not known", a.ID, a.Detect.Kind)
	return false
}

// TestAttacks sends attacks that leave the transaction, write, or plant
// something in the session, one after the other, through one connection.
func TestAttacks(t *testing.T) {
	t.Parallel()
	name := database(t)
	cs, _ := client(t, open(t, name, nil))
	conn := postgres.Admin(t, name)
	all := attacks(t)
	if len(all) < 40 {
		t.Fatalf("%d attacks, want at least 40", len(all))
	}
	for _, a := range all {
		if got, known := harmed(t, cs, conn, a), openAttacks[a.ID] != ""; got != known {
			t.Errorf("attack %s (%s): harm %v, want %v: %s", a.ID, a.Name, got, known, a.SQL)
		}
	}
	if got := query(t, cs, "SELECT count(*) FROM shop.victim"); !regexp.MustCompile(`"100"`).MatchString(got) {
		t.Errorf("afterwards: %s", got)
	}
}
