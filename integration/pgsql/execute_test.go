package pgsql

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/insecure"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// vault is what no statement may get at.
const vault = `
CREATE SCHEMA secret;
CREATE TABLE secret.keys (id int, k text); INSERT INTO secret.keys VALUES (1, 'CANARY-9f1c');
CREATE TABLE w.vault (id int, status text, name text); INSERT INTO w.vault VALUES (1, 'CANARY-9f1c', 'CANARY-9f1c');
CREATE VIEW w.peek AS SELECT * FROM w.vault;
CREATE TABLE w.open (id int PRIMARY KEY, n int, twice int GENERATED ALWAYS AS (n * 2) STORED); INSERT INTO w.open VALUES (1, 1), (2, 2);
CREATE FUNCTION w.leak() RETURNS text LANGUAGE sql AS 'SELECT k FROM secret.keys';
CREATE FUNCTION w.spoil() RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM w.other; RETURN 1; END';
UPDATE w.orders SET hidden = 'CANARY-9f1c'; UPDATE w.settings SET value = 'CANARY-9f1c', note = 'CANARY-9f1c';
`

func executeTables() []pgtool.Table {
	return append(ledgerTables(), pgtool.Table{
		Schema: "w", Name: "open", Read: []string{"id", "n", "twice"}, Insert: []string{"id", "n"}, Update: []string{"n"}, Delete: true,
	})
}

// executor opens the ledger with pg_execute. Its role may do everything there, if
// powerful, so that only the gate is in the way.
func executor(t testing.TB, powerful bool, p *person) (*mcp.ClientSession, *pgx.Conn) {
	t.Helper()
	tables := executeTables()
	name, conn := ledgerSetup(t, vault, tables)
	o := pgtool.WriteOptions{Tables: tables, Execute: true}
	o.URL = redact.NewSecret(postgres.Server(t).URL(name, name))
	if powerful {
		pgtest.Exec(t, conn, "GRANT ALL ON SCHEMA w, secret TO "+name+"; GRANT ALL ON ALL TABLES IN SCHEMA w, secret TO "+name+"; GRANT ALL ON ALL SEQUENCES IN SCHEMA w TO "+name)
		o.Waive = []mcpsec.Waiver{insecure.OverprivilegedRole("the test is about the gate alone")}
	}
	cs, _ := writeClient(t, pgtool.WriteTools(openWriter(t, o)), p)
	return cs, conn
}

func vaultHash(t *testing.T, conn *pgx.Conn) string {
	t.Helper()
	return hash(t, conn) + pgtest.Ask[string](t, conn, `SELECT md5(string_agg(x, '|' ORDER BY x)) FROM (
		SELECT k::text FROM secret.keys k UNION ALL SELECT v::text FROM w.vault v UNION ALL SELECT o::text FROM w.open o) AS y(x)`)
}

var hostileWrites = strings.Split(strings.TrimSpace(`
INSERT INTO w.other (id) VALUES (1)
INSERT INTO other (id) VALUES (1)
INSERT INTO "w"."other" (id) VALUES (1)
INSERT INTO w.nosuch (id) VALUES (1)
INSERT INTO secret.keys (id) VALUES (1)
INSERT INTO pg_catalog.pg_class (relname) VALUES ('x')
INSERT INTO w.peek (id) VALUES (1)
INSERT INTO w.orders (status, hidden) VALUES ('x', 'y')
INSERT INTO w.orders (status, version) VALUES ('x', 5)
INSERT INTO w.orders (status, "hidden") VALUES ('x', 'y')
INSERT INTO w.orders VALUES (900, 'x')
INSERT INTO w.orders SELECT 900, 'x'
INSERT INTO w.orders (SELECT 900, 'x')
INSERT INTO w.orders (status) OVERRIDING SYSTEM VALUE VALUES ('x')
INSERT INTO w.orders (id, status) OVERRIDING USER VALUE VALUES (1, 'x')
INSERT INTO w.open (id, n, twice) VALUES (9, 1, 5)
INSERT INTO w.items (order_id, name) SELECT id, status FROM w.vault
INSERT INTO w.items (order_id, name) SELECT 1, k FROM secret.keys
INSERT INTO w.items (order_id, name) SELECT 1, hidden FROM w.orders
INSERT INTO w.items (order_id, name) SELECT 1, o.hidden FROM w.orders o
INSERT INTO w.items (order_id, name) SELECT 1, o."hidden" FROM w.orders o
INSERT INTO w.items (order_id, name) SELECT 1, hidden(o) FROM w.orders o
INSERT INTO w.items (order_id, name) SELECT 1, (o).hidden FROM w.orders o
INSERT INTO w.items (order_id, name) SELECT 1, o::text FROM w.orders o
INSERT INTO w.items (order_id, name) SELECT 1, row_to_json(o)::text FROM w.orders o
INSERT INTO w.items (order_id, name) SELECT 1, to_jsonb(orders)::text FROM w.orders
INSERT INTO w.items (order_id, name) SELECT 1, x.h FROM w.orders AS x(a, b, c, d, e, f, g, h)
INSERT INTO w.items (order_id, name) SELECT 1, j::text FROM (w.orders o JOIN w.open p ON o.id = p.id) AS j
INSERT INTO w.items (order_id, name) SELECT 1, (SELECT k FROM secret.keys LIMIT 1)
INSERT INTO w.items (order_id, name) SELECT 1, name FROM w.peek
INSERT INTO w.items (order_id, name) SELECT 1, x FROM (SELECT k AS x FROM secret.keys) y
INSERT INTO w.items (order_id, name) SELECT 1, x FROM (TABLE secret.keys) AS y(z, x)
INSERT INTO w.items (order_id, name) TABLE w.vault
INSERT INTO w.items (order_id, name) SELECT 1, 'x' INTO w.copy
INSERT INTO w.items (order_id, name) SELECT 1, upper(w.leak())
INSERT INTO w.items (order_id, name) SELECT 1, o.leak FROM w.open o
INSERT INTO w.items (order_id, name) WITH d AS (DELETE FROM w.open RETURNING id) SELECT id, 'x' FROM d
INSERT INTO w.items (order_id, name) (WITH d AS (SELECT k FROM secret.keys) SELECT 1, k FROM d)
INSERT INTO w.items (order_id, name) SELECT 1, k FROM generate_series(1, 1) g, secret.keys
INSERT INTO w.items (order_id, name) SELECT 1, k FROM generate_series(1, 1) values, secret.keys
INSERT INTO w.items (order_id, name) SELECT 1, k FROM unnest(ARRAY[1]) WITH ORDINALITY AS u(a, b), secret.keys
INSERT INTO w.items (order_id, name) SELECT 1, k FROM w.open o LEFT JOIN LATERAL (SELECT k FROM secret.keys) y ON true
INSERT INTO w.items (order_id, name) SELECT 1, k FROM w.open CROSS JOIN secret.keys
INSERT INTO w.items (order_id, name) SELECT 1, k FROM (w.open CROSS JOIN secret.keys)
INSERT INTO w.items (order_id, name) SELECT 1, k FROM ONLY secret.keys
INSERT INTO w.items (order_id, name) SELECT 1, k FROM ONLY (secret.keys)
INSERT INTO w.items (order_id, name) SELECT 1, o::text FROM ONLY (w.orders) o
INSERT INTO w.items (order_id, name) SELECT 1, o::text FROM w.orders * o
INSERT INTO w.items (order_id, name) SELECT 1, x FROM w.open UNION SELECT 1, k FROM secret.keys
INSERT INTO w.items (order_id, name) SELECT 1, 'x' WHERE EXISTS (SELECT FROM w.orders WHERE hidden LIKE 'C%')
INSERT INTO w.items (order_id, name) SELECT 1, 'x' FROM w.orders a NATURAL JOIN w.orders b
INSERT INTO w.items (order_id, name) SELECT 1, 'x' FROM w.orders a JOIN w.settings b USING (note)
INSERT INTO w.items (order_id, name) SELECT 1, c.name FROM w.orders o, w.settings AS c(id, name)
INSERT INTO w.items (order_id, name) SELECT 1, excluded.value FROM w.settings excluded
INSERT INTO w.settings (key, value) VALUES ('a', 'x') ON CONFLICT (key) DO UPDATE SET note = 'x'
INSERT INTO w.settings (key) VALUES ('a') ON CONFLICT (key) DO UPDATE SET value = excluded.note
INSERT INTO w.settings (key) VALUES ('a') ON CONFLICT (key) DO UPDATE SET value = to_jsonb(excluded)::text
INSERT INTO w.settings (key, value) VALUES ('a', 'x') ON CONFLICT (key) DO UPDATE SET value = settings.note
INSERT INTO w.settings (key, value) VALUES ('a', 'x') ON CONFLICT (key) DO UPDATE SET value = 'x' WHERE settings.note = 'y'
INSERT INTO w.items (order_id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = 'y'
INSERT INTO w.orders (status) VALUES ('x') RETURNING hidden
INSERT INTO w.orders (status) VALUES ('x') RETURNING *
INSERT INTO w.orders (status) VALUES ('x') RETURNING orders
INSERT INTO w.orders (status) VALUES ('x') RETURNING orders.*
INSERT INTO w.orders AS o (status) VALUES ('x') RETURNING o
INSERT INTO w.orders AS o (status) VALUES ('x') RETURNING row_to_json(o)
INSERT INTO w.orders (status) VALUES ('x') RETURNING ctid
INSERT INTO w.orders (status) VALUES ('x') RETURNING (SELECT k FROM secret.keys)
INSERT INTO w.orders (status) VALUES (w.leak()) RETURNING status
INSERT INTO w.orders (total, status) VALUES (w.spoil(), 'x')
INSERT INTO w.orders (status) VALUES (pg_read_file('/etc/passwd')) RETURNING status
INSERT INTO w.orders (status) VALUES (query_to_xml('SELECT * FROM secret.keys', true, true, '')::text) RETURNING status
INSERT INTO w.orders (status) VALUES (current_setting('is_superuser'))
INSERT INTO w.orders (total, status) VALUES (nextval('w.orders_id_seq'), 'x')
INSERT INTO w.orders (status) VALUES (set_config('role', 'none', false))
INSERT INTO w.orders (status) SELECT 'x' FROM pg_sleep(10)
INSERT INTO w.orders (status) SELECT rolpassword FROM pg_authid
INSERT INTO w.orders (status) SELECT relname FROM pg_class LIMIT 1
UPDATE w.other SET id = 2 WHERE id = 1
UPDATE other SET id = 2 WHERE id = 1
UPDATE w.orders SET hidden = 'x' WHERE id = 1
UPDATE w.orders SET id = 5 WHERE id = 1
UPDATE w.orders SET status = 'x', hidden = 'y' WHERE id = 1
UPDATE w.orders SET (status, hidden) = ('x', 'y') WHERE id = 1
UPDATE w.orders SET status = CASE WHEN true THEN 'x' ELSE 'y' END, hidden = 'z' WHERE id = 1
UPDATE w.orders SET version = (1 IS DISTINCT FROM 2)::int, hidden = 'z' WHERE id = 1
UPDATE w.orders SET meta['a'] = '1' WHERE id = 1
UPDATE w.orders SET status = 'x'
UPDATE w.orders SET status = 'x' RETURNING id
UPDATE w.orders SET status = (SELECT 'x' WHERE true)
UPDATE ONLY w.orders SET status = 'x' WHERE id = 1
UPDATE w.orders * SET status = 'x' WHERE id = 1
UPDATE w.orders SET status = hidden WHERE id = 1 RETURNING status
UPDATE w.orders o SET status = o::text WHERE id = 1 RETURNING status
UPDATE w.orders SET status = 'x' WHERE hidden LIKE 'CANARY%'
UPDATE w.orders SET status = 'x' WHERE orders IS NOT NULL
UPDATE w.orders SET status = k FROM secret.keys WHERE orders.id = 1 RETURNING status
UPDATE w.orders SET status = k FROM w.open p, secret.keys s WHERE orders.id = 1
UPDATE w.orders SET status = v.name FROM w.vault v WHERE orders.id = 1
UPDATE w.orders SET status = v.name FROM (SELECT * FROM w.vault) v WHERE orders.id = 1
UPDATE w.orders SET status = (SELECT k FROM secret.keys) WHERE id = 1
UPDATE w.open SET twice = 5 WHERE id = 1
UPDATE w.items SET name = 'x' WHERE id = 1
UPDATE w.orders SET status = 'x' WHERE id = 1 RETURNING *, 1
UPDATE w.orders SET status = 'x' WHERE CURRENT OF c
UPDATE pg_catalog.pg_settings SET setting = 'x' WHERE name = 'y'
DELETE FROM w.other WHERE id = 1
DELETE FROM w.settings WHERE key = 'a'
DELETE FROM w.items WHERE id = 1
DELETE FROM w.orders
DELETE FROM w.orders RETURNING id
DELETE FROM w.orders USING w.open RETURNING orders.id
DELETE FROM ONLY w.orders WHERE id = 1
DELETE FROM w.orders WHERE hidden = 'CANARY-9f1c'
DELETE FROM w.orders USING secret.keys k WHERE k.k LIKE 'C%'
DELETE FROM w.orders USING w.open, w.vault v WHERE v.id = orders.id
DELETE FROM w.orders WHERE id IN (SELECT id FROM w.vault)
DELETE FROM w.orders WHERE id = 1 RETURNING (SELECT k FROM secret.keys)
DELETE FROM w.orders WHERE id = 1 AND w.spoil() = 1
MERGE INTO w.other o USING w.open s ON o.id = s.id WHEN MATCHED THEN DELETE
MERGE INTO w.settings t USING w.open s ON t.key = s.id::text WHEN MATCHED THEN DELETE
MERGE INTO w.orders t USING secret.keys s ON t.id = s.id WHEN MATCHED THEN UPDATE SET status = s.k
MERGE INTO w.orders t USING w.open s ON t.id = s.id WHEN MATCHED THEN UPDATE SET hidden = 'x'
MERGE INTO w.orders t USING w.open s ON t.id = s.id WHEN MATCHED AND s.n = 1 THEN UPDATE SET status = 'x' WHEN MATCHED THEN UPDATE SET hidden = 'x'
MERGE INTO w.orders t USING w.open s ON t.id = s.id WHEN NOT MATCHED THEN INSERT (hidden) VALUES ('x')
MERGE INTO w.orders t USING w.open s ON t.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (1)
MERGE INTO w.orders t USING w.open s ON t.hidden = 'x' WHEN MATCHED THEN DO NOTHING
MERGE INTO w.orders t USING (SELECT id, k FROM secret.keys) s ON t.id = s.id WHEN MATCHED THEN UPDATE SET status = s.k
WITH d AS (DELETE FROM w.open WHERE id = 1 RETURNING id) UPDATE w.orders SET status = 'x' WHERE id = 1
WITH d AS (INSERT INTO w.other (id) VALUES (9) RETURNING id) UPDATE w.orders SET status = 'x' WHERE id = 1
WITH d AS (SELECT k FROM secret.keys) UPDATE w.orders SET status = (SELECT k FROM d) WHERE id = 1 RETURNING status
WITH d AS (SELECT * FROM w.vault), vault AS (SELECT 1) UPDATE w.orders SET status = (SELECT name FROM d) WHERE id = 1
WITH d AS (WITH vault AS (SELECT 'x' AS name) SELECT name FROM vault) UPDATE w.orders SET status = (SELECT name FROM vault LIMIT 1) WHERE id = 1
WITH d AS (SELECT 1) SELECT * FROM d
WITH d AS (SELECT * FROM w.orders) UPDATE w.open SET n = 1 WHERE id = 1
WITH vault AS (SELECT 1 AS x) UPDATE w.orders SET status = name FROM w.vault WHERE orders.id = 1
SELECT 1
SELECT * INTO w.copy FROM w.orders
TABLE w.orders
VALUES (1)
EXPLAIN ANALYZE DELETE FROM w.orders WHERE id = 1
COPY w.orders FROM STDIN
COPY w.orders TO '/tmp/x'
TRUNCATE w.orders
DROP TABLE w.other
CREATE TABLE w.t AS SELECT 1
CALL w.p()
DO $$BEGIN DELETE FROM w.other; END$$
SET ROLE postgres
LOCK TABLE w.orders
BEGIN
COMMIT
PREPARE p AS DELETE FROM w.orders
(DELETE FROM w.orders WHERE id = 1)
DELETE FROM w.orders WHERE id = 1; DROP TABLE w.other
DELETE FROM w.orders WHERE id = 1; COMMIT
DELETE FROM w.orders WHERE id = (SELECT id FROM w.open FOR UPDATE)
DELETE FROM w.orders WHERE id = U&"\0068"
DELETE FROM w.orders WHERE id = 1 /* unterminated
`), "\n")

// TestExecuteDenied sends hostile statements as a role that may do everything: the
// gate alone must refuse them all, before anybody is asked.
func TestExecuteDenied(t *testing.T) {
	t.Parallel()
	p := &person{}
	cs, conn := executor(t, true, p)
	before := vaultHash(t, conn)
	for _, sql := range hostileWrites {
		got := tell(t, cs, "pg_execute", args{"sql": sql, "params": []any{}})
		if strings.Contains(got, "CANARY") || strings.Contains(got, "affected") || strings.Contains(got, "SQLSTATE") || !strings.Contains(got, "nothing was changed") {
			t.Errorf("%s:\n got %s", sql, got)
		}
		t.Logf("%s => %s", sql, got)
	}
	if p.count() > 0 {
		t.Errorf("asked: %s", p.last())
	}
	if vaultHash(t, conn) != before {
		t.Error("something was changed")
	}
	t.Logf("%d statements", len(hostileWrites))
}

// TestExecuteAllowed sends statements of honest users as the role of SetupSQL.
func TestExecuteAllowed(t *testing.T) {
	t.Parallel()
	p := &person{}
	cs, _ := executor(t, false, p)
	for _, test := range []struct{ sql, want string }{
		{"INSERT INTO w.orders (id, status, total) VALUES (1000, 'new', 5.5)", `"affected":1`},
		{"INSERT INTO orders (id, status) VALUES (1001, 'new'), (1002, 'new') RETURNING id, status;", `"rows":[["1001","new"],["1002","new"]]`},
		{"INSERT INTO w.orders (status, tags, meta) VALUES (DEFAULT, NULL, NULL)", "23502"},
		{"INSERT INTO w.items (order_id, name) SELECT o.id, upper(o.status) FROM w.orders AS o WHERE o.id <= 3", `"affected":3`},
		{"INSERT INTO w.items (order_id, name) SELECT o.id, p.n::text FROM orders o JOIN w.open p ON p.id = o.id", `"affected":2`},
		{"INSERT INTO w.items (order_id, name) SELECT 1, extract(year FROM now())::text FROM generate_series(1, 2) AS g", `"affected":2`},
		{"INSERT INTO w.items (order_id, name) (SELECT 1, 'a' UNION ALL SELECT 2, 'b')", `"affected":2`},
		{"INSERT INTO w.settings (key, value) VALUES ('a', 'z') ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value", `"affected":1`},
		{"INSERT INTO w.settings (key, value) VALUES ('a', 'z') ON CONFLICT (key) DO NOTHING", `"affected":0`},
		{"UPDATE w.orders SET total = total * 2 + version, status = CASE WHEN id = 1 THEN 'paid' ELSE status END WHERE id IN (1, 2)", `"affected":2`},
		{"UPDATE w.orders o SET status = 'x', version = o.version + 1 FROM w.open p WHERE p.id = o.id AND o.status IS DISTINCT FROM 'y' RETURNING o.id, o.total * 2", `"affected":2`},
		{"UPDATE w.orders AS o SET (status, version) = (SELECT 'y', 7) WHERE o.id = 3", `"affected":1`},
		{"UPDATE w.open SET n = n + (SELECT count(*) FROM w.orders) WHERE id = 1 RETURNING id", `"affected":1`},
		{"UPDATE w.open SET n = n + 1 WHERE id = 1 RETURNING *", `"affected":1`},
		{"UPDATE w.open x SET n = length(to_jsonb(x)::text) WHERE id = 1", `"affected":1`},
		{"DELETE FROM w.open USING w.orders o WHERE open.id = o.id AND o.id = 2", `"affected":1`},
		{"DELETE FROM w.orders o WHERE NOT EXISTS (SELECT 1 FROM w.open p WHERE p.id = o.id) AND id BETWEEN 25 AND 27", `"affected":3`},
		{"WITH big AS (SELECT id FROM w.orders ORDER BY total DESC LIMIT 2), other AS (SELECT id FROM big) UPDATE w.orders SET status = 'big' WHERE id IN (SELECT id FROM other)", `"affected":2`},
		{"WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 3) INSERT INTO w.open (id, n) SELECT n + 50, n FROM r", `"affected":3`},
		{"MERGE INTO w.open t USING (VALUES (1, 10), (60, 60)) AS s(id, n) ON t.id = s.id WHEN MATCHED AND t.n > 0 THEN UPDATE SET n = s.n WHEN NOT MATCHED THEN INSERT (id, n) VALUES (s.id, s.n)", `"affected":2`},
		{"MERGE INTO w.open AS t USING w.orders o ON t.id = o.id AND o.id = 1 WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN DO NOTHING", `"affected":1`},
		{"DELETE /* all of them */ FROM w.orders -- really\n WHERE id = 5", `"affected":1`},
	} {
		wants(t, cs, "pg_execute", args{"sql": test.sql, "params": []any{}}, test.want)
	}
	if want := `runs "DELETE FROM w.orders WHERE id = 5"; rows affected: 1; in all: w.items 2 deleted; w.orders 1 deleted`; !strings.Contains(p.last(), want) {
		t.Errorf("asked %s, want %s", p.last(), want)
	}
	wants(t, cs, "pg_execute", args{"sql": "UPDATE w.orders SET status = $1 WHERE id = $2", "params": []any{"it's", 7}}, `"affected":1`)
	if want := `with ["it's",7]; rows affected: 1`; !strings.Contains(p.last(), want) {
		t.Errorf("asked %s, want %s", p.last(), want)
	}
}

// TestExecuteHidesWhatExists compares refusals for what exists and what does not.
func TestExecuteHidesWhatExists(t *testing.T) {
	t.Parallel()
	cs, _ := executor(t, false, &person{})
	for _, form := range []string{
		"INSERT INTO w.{t} (id) VALUES (1)", "UPDATE {t} SET id = 1 WHERE id = 1", "DELETE FROM w.{t} WHERE true", "DELETE FROM w.open USING {t} WHERE true",
		"UPDATE w.open SET n = 1 WHERE id IN (SELECT 1 FROM w.{t})", "WITH x AS (SELECT 1 FROM {t}) DELETE FROM w.open WHERE id = 1",
		"UPDATE w.open SET n = 1 WHERE id = 1 RETURNING {t}.id",
		"UPDATE w.orders SET {c} = 'x' WHERE id = 1", "UPDATE w.orders SET status = {c} WHERE id = 1", "DELETE FROM w.orders o WHERE o.{c} = 'x'", "INSERT INTO w.orders (status, {c}) VALUES ('x', 'x')",
		"INSERT INTO w.orders (status) VALUES ('x') RETURNING {c}",
	} {
		var got []string
		for _, names := range [][2]string{{"other", "hidden"}, {"nosuc", "nosuch"}} {
			got = append(got, tell(t, cs, "pg_execute", args{"sql": strings.NewReplacer("{t}", names[0], "{c}", names[1]).Replace(form), "params": []any{}}))
		}
		if got[0] != got[1] || !strings.Contains(got[0], "not") {
			t.Errorf("%s:\n got %s\n and %s", form, got[0], got[1])
		}
	}
}

// TestExecuteChanged changes the rows between the question and the answer.
func TestExecuteChanged(t *testing.T) {
	t.Parallel()
	p := &person{}
	cs, conn := executor(t, false, p)
	more := func() {
		pgtest.Exec(t, conn, "UPDATE w.orders SET status = 'more' WHERE id = (SELECT min(id) FROM w.orders WHERE status <> 'more')")
	}
	p.before = func() {
		if p.before = nil; len(p.asked) == 1 {
			more()
		}
	}
	a := args{"sql": "DELETE FROM w.orders WHERE status = 'more'", "params": []any{}}
	wants(t, cs, "pg_execute", a, `"affected":1`)
	if p.count() != 2 || !strings.Contains(p.last(), "rows affected: 1") {
		t.Errorf("asked %q", p.asked)
	}
	p.no = true
	before := vaultHash(t, conn)
	wants(t, cs, "pg_execute", args{"sql": "DELETE FROM w.orders WHERE id = 9", "params": []any{}}, "not")
	if vaultHash(t, conn) != before {
		t.Error("a no was no no")
	}
}

// TestExecuteLimits has statements that touch too many rows, or take too long.
func TestExecuteLimits(t *testing.T) {
	t.Parallel()
	cs, conn := executor(t, false, &person{})
	wants(t, cs, "pg_execute", args{"sql": "INSERT INTO w.open (id, n) SELECT g + 1000, g FROM generate_series(1, 101) g", "params": []any{}}, "more than 100 rows", "nothing was changed")
	wants(t, cs, "pg_execute", args{"sql": "INSERT INTO w.open (id, n) SELECT g + 1000, g FROM generate_series(1, 101) g RETURNING id", "params": []any{}}, "more than 100 rows", "nothing was changed")
	wants(t, cs, "pg_execute", args{"sql": "DELETE FROM w.orders WHERE true RETURNING id", "params": []any{}}, `"affected":30`)
	pgtest.Exec(t, conn, "TRUNCATE w.orders, w.items")
	wants(t, cs, "pg_execute", args{"sql": "UPDATE w.open SET n = 1 / (n - 1) WHERE id = 1", "params": []any{}}, "22012", "nothing was changed")
	wants(t, cs, "pg_execute", args{"sql": "UPDATE w.open SET n = 1 WHERE id = $2", "params": []any{1}}, "nothing was changed")
	wants(t, cs, "pg_execute", args{"sql": "UPDATE w.open SET nn = 1 WHERE id = 1", "params": []any{}}, "at character 19", "nothing was changed")
}

// TestExecuteCut cuts the connection at each step after the question.
func TestExecuteCut(t *testing.T) {
	t.Parallel()
	w, conn, cut := cutWriter(t, "", func(o *pgtool.WriteOptions) { o.Execute = true })
	p := &person{}
	cs, _ := writeClient(t, pgtool.WriteTools(w), p)
	const unchanged, done = "nothing was changed", `"affected":1`
	for i, test := range []struct {
		at            string
		asked         bool // the cut comes after the question
		after, closed bool
		want          string
		rows          int
	}{
		{"BEGIN", false, false, false, unchanged, 0},
		{"INSERT", false, false, false, unchanged, 0},
		{"ROLLBACK", false, false, false, unchanged, 0},
		{"INSERT", true, false, false, unchanged, 0},
		{"SET CONSTRAINTS", true, false, false, unchanged, 0},
		{"COMMIT", true, false, false, unchanged, 0},
		{"COMMIT", true, true, false, done, 1},
		{"COMMIT", true, false, true, "whether it took effect is not known", 0},
		{"COMMIT", true, true, true, "whether it took effect is not known", 1},
	} {
		set := func() {
			until(t, conn, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND usename = current_database() AND state <> 'idle')")
			cut.set(test.at, test.after, test.closed) // the next trip needs no new connection
		}
		if p.before = set; !test.asked {
			p.before = nil
			set()
		}
		id := 3000 + i
		text := tell(t, cs, "pg_execute", args{"sql": "INSERT INTO w.orders (id, status) VALUES ($1, 'cut')", "params": []any{id}})
		wantsTruth(t, text, test.want, unchanged, done, test.closed, test.rows > 0)
		if cut.cuts.Load() == 0 {
			t.Errorf("%+v: was not cut", test)
		}
		cut.set("", false, false)
		until(t, conn, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND usename = current_database() AND state <> 'idle')")
		if n := pgtest.Ask[int](t, conn, "SELECT count(*) FROM w.orders WHERE id = $1", id); n != test.rows {
			t.Errorf("%+v: %d rows", test, n)
		}
	}
}

// TestExecuteSession looks at what a statement leaves in the session: nothing, and
// if that cannot be known the session ends.
func TestExecuteSession(t *testing.T) {
	t.Parallel()
	w, conn := writer(t, "CREATE FUNCTION w.mark() RETURNS int LANGUAGE sql AS $$SELECT length(set_config('my.x', 'y', false))$$", func(o *pgtool.WriteOptions) {
		o.Execute, o.Allow, o.MaxConns = true, []string{"w.mark"}, 1
	})
	cs, _ := writeClient(t, pgtool.WriteTools(w), &person{})
	const session = "FROM pg_stat_activity WHERE datname = current_database() AND usename = current_database() AND state = 'idle'"
	for _, test := range []struct {
		sql   string
		stays bool
	}{
		{"INSERT INTO w.orders (status, total) SELECT 'x', random() FROM generate_series(1, 2)", true},
		{"INSERT INTO w.orders (status, total) VALUES ('x', w.mark())", false},
	} {
		until(t, conn, "SELECT EXISTS (SELECT "+session+")")
		pid := pgtest.Ask[int](t, conn, "SELECT pid "+session)
		wants(t, cs, "pg_execute", args{"sql": test.sql, "params": []any{}}, "affected")
		if test.stays {
			until(t, conn, "SELECT EXISTS (SELECT "+session+" AND pid = $1)", pid)
		} else {
			until(t, conn, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)", pid)
		}
		if n := pgtest.Ask[int](t, conn, "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.datname = current_database() AND a.usename = current_database()"); n != 0 {
			t.Errorf("%s: %d locks are left", test.sql, n)
		}
	}
}
