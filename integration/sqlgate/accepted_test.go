package sqlgate

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mcpsec/mcpsec-go/internal/sqlgate"
)

// corpus returns the statements of a corpus, without generated ones.
func corpus(t testing.TB, name string) (all []string) {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "internal", "sqlgate", "testdata", name+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		var line struct{ SQL string }
		if err := json.Unmarshal(in.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if line.SQL != "" {
			all = append(all, line.SQL)
		}
	}
	return all
}

const (
	readOnlyViolation = "25006"
	multiple          = "cannot insert multiple commands into a prepared statement"
)

// asksOnly runs sql, if Check accepts it, and demands that the server sees one
// command that neither writes nor locks. It reports whether the server ran it.
func asksOnly(t testing.TB, conn *pgconn.PgConn, sql string) bool {
	t.Helper()
	s, err := sqlgate.Check(sql, sqlgate.Options{})
	if err != nil {
		return false
	}
	if e := parse(t, conn, s.SQL); e != nil {
		if e.Message == multiple {
			t.Fatalf("accepted %q: the server sees several commands", sql)
		}
		return false
	}
	run(t, conn, "BEGIN READ ONLY")
	defer run(t, conn, "ROLLBACK")
	r := conn.ExecParams(context.Background(), s.SQL, nil, nil, nil, nil).Read()
	var e *pgconn.PgError
	if errors.As(r.Err, &e) && e.Code == readOnlyViolation {
		t.Fatalf("accepted %q: the server says %v", sql, e)
	}
	if r.Err != nil {
		return false
	}
	verb, _, _ := strings.Cut(r.CommandTag.String(), " ")
	if want := []string{"", "SELECT", "EXPLAIN", "SHOW"}[s.Kind]; verb != want {
		t.Fatalf("accepted %q: the server ran %s, want %s", sql, verb, want)
	}
	if s.Kind == sqlgate.Explain && plansWrite(r.Rows) {
		t.Fatalf("accepted %q: its plan writes or locks", sql)
	}
	return true
}

// plansWrite finds what EXPLAIN, which runs nothing, would write or lock.
func plansWrite(plan [][][]byte) bool {
	return slices.ContainsFunc(plan, func(row [][]byte) bool { return writeNode.Match(row[0]) })
}

var writeNode = regexp.MustCompile(`(Insert|Update|Delete|Merge) on|LockRows|ModifyTable`)

// starts are statements of which mutations are tried. Many of them write.
var starts = []string{
	"SELECT a , b FROM t WHERE a = 1",
	"SELECT 1 AS a INTO x FROM t",
	"SELECT 1 AS as INTO x FROM t", "SELECT a AS as FROM t FOR UPDATE",
	"SELECT a FROM t FOR UPDATE",
	"( SELECT a FROM t ) FOR NO KEY UPDATE",
	"SELECT substring ( 'abc' FROM 1 FOR ( SELECT a FROM t FOR SHARE ) )",
	"WITH w AS ( DELETE FROM t RETURNING * ) SELECT * FROM w",
	"WITH w ( a ) AS MATERIALIZED ( UPDATE t SET a = 1 RETURNING a ) SELECT a FROM w",
	"WITH v AS ( SELECT 1 ) , w AS ( INSERT INTO t VALUES ( 1 ) RETURNING * ) TABLE w",
	"WITH w AS ( SELECT 1 ) DELETE FROM t",
	"WITH w AS ( SELECT 1 AS a ) UPDATE t SET a = 1",
	"WITH RECURSIVE w ( a ) AS ( SELECT 1 UNION ALL SELECT a FROM w WHERE a < 1 ) SEARCH DEPTH FIRST BY a SET set DELETE FROM t",
	"WITH RECURSIVE w ( a ) AS ( SELECT 1 UNION ALL SELECT a FROM w WHERE a < 1 ) CYCLE a SET c TO true DEFAULT false USING by , x AS ( DELETE FROM t RETURNING * ) SELECT 1 FROM w",
	"EXPLAIN ( COSTS OFF ) WITH w AS ( DELETE FROM t RETURNING * ) SELECT * FROM w",
	"EXPLAIN ( ANALYZE , COSTS OFF ) SELECT 1",
	"EXPLAIN DELETE FROM t", "SHOW work_mem", "COMMIT", "SET work_mem = '1MB'", "VALUES ( 1 ) , ( 2 )", "TABLE t",
	"SELECT 1 ; DELETE FROM t",
}

var words = strings.Fields(`SELECT WITH VALUES TABLE EXPLAIN ANALYZE SHOW AS as . , ; ( ) INTO FROM FOR UPDATE DELETE INSERT MERGE SET SHARE KEY NO OF
	t w x a update set delete by recursive materialized MATERIALIZED NOT USING SEARCH CYCLE UNION ALL WHERE 1 'x' "as" "x" * = substring select values
	case end CASE END /**/ -- $$x$$ E'\'' SELECT COMMIT RETURNING LATERAL ONLY`)

// mutate replaces, inserts, drops, or copies some words of a statement.
func mutate(random *rand.Rand, sql string) string {
	parts := strings.Fields(sql)
	for range random.IntN(5) {
		i := random.IntN(len(parts))
		word := words[random.IntN(len(words))]
		switch random.IntN(4) {
		case 0:
			parts[i] = word
		case 1:
			parts = slices.Insert(parts, i, word)
		case 2:
			if len(parts) > 1 {
				parts = slices.Delete(parts, i, i+1)
			}
		case 3:
			parts = slices.Insert(parts, random.IntN(len(parts)), parts[i])
		}
	}
	return strings.Join(parts, []string{" ", "\n", " /* */ "}[random.IntN(3)])
}

// tables returns a connection whose role may do anything with two tables, so
// that only READ ONLY stops it there, and has no other rights.
func tables(t testing.TB) *pgconn.PgConn {
	t.Helper()
	conn := connect(t)
	run(t, conn, "CREATE TABLE t (a int, b text, update int, delete text); INSERT INTO t VALUES (1, 'x');"+
		"CREATE TABLE update (set int, a int); GRANT ALL ON t, update TO PUBLIC; GRANT ALL ON SCHEMA public TO PUBLIC;"+
		"SET ROLE pg_read_all_stats")
	return conn
}

func TestAcceptedAsksOnly(t *testing.T) {
	t.Parallel()
	conn := tables(t)
	for _, s := range slices.Concat(starts, seeds, corpus(t, "benign")) {
		asksOnly(t, conn, s)
	}
	// What passes of the attacks is left to other layers, and is not run here.
	for _, s := range corpus(t, "attacks") {
		if _, err := sqlgate.Check(s, sqlgate.Options{}); err != nil {
			continue
		}
		if e := parse(t, conn, s); e != nil && e.Message == multiple {
			t.Errorf("accepted %q: the server sees several commands", s)
		}
	}
}

func TestMutationsAskOnly(t *testing.T) {
	t.Parallel()
	conn := tables(t)
	random := rand.New(rand.NewPCG(3, 4))
	const tries, few = 8_000, 300
	ran := 0
	for range tries {
		if asksOnly(t, conn, mutate(random, starts[random.IntN(len(starts))])) {
			ran++
		}
	}
	if ran < few {
		t.Errorf("the server ran %d of %d mutations, want at least %d", ran, tries, few)
	}
}

func FuzzAccepted(f *testing.F) {
	for _, s := range starts {
		f.Add(s)
	}
	conn := tables(f)
	f.Fuzz(func(t *testing.T, sql string) {
		if len(sql) < 500 && !strings.Contains(strings.ToLower(sql), "pg_") {
			asksOnly(t, conn, sql)
		}
	})
}
