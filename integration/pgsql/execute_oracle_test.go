package pgsql

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/internal/sqlgate"
	"github.com/mcpsec/mcpsec-go/internal/sqllex"
	"github.com/mcpsec/mcpsec-go/internal/sqlwrite"
)

// honestWrites are statements that are allowed, for others to be made of.
var honestWrites = []string{
	"INSERT INTO w.items (order_id, name) SELECT o.id, upper(o.status) FROM w.orders AS o WHERE o.id <= 3",
	"INSERT INTO w.items (order_id, name) SELECT o.id, p.n::text FROM orders o JOIN w.open p ON p.id = o.id",
	"INSERT INTO w.items (order_id, name) (SELECT 1, 'a' UNION ALL SELECT 2, 'b')",
	"INSERT INTO w.settings (key, value) VALUES ('a', 'z') ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value",
	"UPDATE w.orders o SET status = 'x', version = o.version + 1 FROM w.open p WHERE p.id = o.id AND o.status IS DISTINCT FROM 'y' RETURNING o.id, o.total * 2",
	"UPDATE w.orders AS o SET (status, version) = (SELECT 'y', 7) WHERE o.id = 3",
	"UPDATE w.orders SET status = CASE WHEN id = 1 THEN 'paid' ELSE status END, version = 2 WHERE id IN (1, 2)",
	"DELETE FROM w.open USING w.orders o, w.items i WHERE open.id = o.id AND o.id = 2 RETURNING open.n",
	"DELETE FROM w.orders o WHERE NOT EXISTS (SELECT 1 FROM w.open p WHERE p.id = o.id) AND id BETWEEN 25 AND 27",
	"WITH big AS (SELECT id FROM w.orders ORDER BY total LIMIT 2), other AS (SELECT id FROM big) UPDATE w.orders SET status = 'big' WHERE id IN (SELECT id FROM other)",
	"MERGE INTO w.open t USING (VALUES (1, 10)) AS s(id, n) ON t.id = s.id WHEN MATCHED AND t.n > 0 THEN UPDATE SET n = s.n WHEN NOT MATCHED THEN INSERT (id, n) VALUES (s.id, s.n)",
	"INSERT INTO w.items (order_id, name) SELECT 1, x::text FROM unnest(ARRAY[1]) WITH ORDINALITY AS x(a, b), (SELECT id FROM w.open) y",
}

// pieces are put between and in the place of others.
var pieces = strings.Fields(`w.vault vault secret.keys w.other other w.peek hidden note o.hidden orders.hidden o orders t i s big * o.* orders.* FROM , ( ) SELECT AS values
	JOIN ON true USING WHERE UNION ALL WITH x VALUES (1) NATURAL ONLY LATERAL TABLE CROSS LEFT RETURNING SET = 1 status version do old new excluded excluded.note excluded.value
	row_to_json(o) to_jsonb(t) (o) .hidden NOT MATERIALIZED RECURSIVE DISTINCT IS CASE WHEN THEN END ELSE MATCHED DELETE UPDATE INSERT INTO MERGE GROUP BY ORDER LIMIT HAVING WINDOW
	ctid tableoid id n name key value a b FILTER TABLESAMPLE FETCH FIRST ROWS FOR NULLS LAST EXCEPT ; :: text [ ] . "o" "hidden" AND OR IN EXISTS ARRAY ANY 'x' w`)

// names take each other's place.
var names = strings.Fields("w.vault vault other w.other hidden note o orders items open settings t i s p big id n name status key value version x excluded new values order_id total w.orders w.items w.open * o.*")

// TestExecuteOracle changes honest statements at random. The server, where the role
// has just the privileges that are listed, must never refuse one for lack of them
// that the gate has let through.
func TestExecuteOracle(t *testing.T) {
	t.Parallel()
	tables := executeTables()
	name, conn := ledgerSetup(t, vault, tables)
	c, err := pgx.Connect(t.Context(), postgres.Server(t).URL(name, name))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	if _, err := c.Exec(t.Context(), "SET search_path = pg_catalog, w"); err != nil {
		t.Fatal(err)
	}
	var listed []sqlwrite.Table
	for _, tab := range tables {
		listed = append(listed, sqlwrite.Table{
			Schema: tab.Schema, Name: tab.Name, Read: tab.Read, Insert: tab.Insert, Update: tab.Update, Delete: tab.Delete,
			Columns: pgtest.Ask[[]string](t, conn, "SELECT array_agg(attname::text) FROM pg_attribute WHERE attrelid = ($1::text)::regclass AND attnum > 0", tab.Schema+"."+tab.Name),
		})
	}
	exists := map[string]bool{}
	for _, r := range pgtest.Ask[[]string](t, conn, "SELECT array_agg(relname::text) FROM pg_class WHERE relnamespace = 'w'::regnamespace") {
		exists[r] = true
	}
	resolve := func(n string) (string, bool) { return "w", exists[n] }
	r := rand.New(rand.NewPCG(1, 2))
	passed, ran := 0, 0
	n := 20_000
	if testing.Short() {
		n = 2_000
	}
	for range n {
		sql := mutate(r, honestWrites[r.IntN(len(honestWrites))])
		st, err := sqlgate.Check(sql, sqlgate.Options{Write: true})
		if err != nil || sqlwrite.Check(st, listed, resolve) != nil {
			continue
		}
		passed++
		_, err = c.Exec(t.Context(), "EXPLAIN "+st.SQL, pgx.QueryExecModeExec)
		var reported *pgconn.PgError
		switch {
		case err == nil:
			ran++
		case !errors.As(err, &reported):
			t.Fatal(err)
		case reported.Code == "42501" && !strings.Contains(reported.Message, "for schema"): // which the catalog gate does not let through
			t.Errorf("the gate lets through what the role may not: %s\n%s", st.SQL, reported.Message)
		}
	}
	t.Logf("%d passed the gate, %d of them are valid", passed, ran)
	if ran < n/100 {
		t.Errorf("only %d statements were valid", ran)
	}
}

// mutate changes one to three tokens of a statement.
func mutate(r *rand.Rand, sql string) string {
	tokens, err := sqllex.Scan(sql)
	if err != nil {
		return sql
	}
	var parts []string
	for _, t := range tokens {
		parts = append(parts, t.Text)
	}
	for range 1 + r.IntN(4) {
		i, p := r.IntN(len(parts)), pieces[r.IntN(len(pieces))]
		switch r.IntN(8) {
		case 0:
			parts = append(parts[:i], parts[i+1:]...)
		case 1:
			parts[i] = p
		case 2:
			k := r.IntN(len(parts))
			parts[i], parts[k] = parts[k], parts[i]
		case 3, 4, 5: // another name
			if parts[i][0] >= 'a' && parts[i][0] <= 'z' {
				parts[i] = names[r.IntN(len(names))]
			}
		case 6: // a copy of a part of it
			k := min(len(parts), i+1+r.IntN(6))
			at := r.IntN(len(parts))
			parts = append(parts[:at:at], append(append([]string{}, parts[i:k]...), parts[at:]...)...)
		default:
			parts = append(parts[:i:i], append([]string{p}, parts[i:]...)...)
		}
	}
	return strings.Join(parts, " ")
}
