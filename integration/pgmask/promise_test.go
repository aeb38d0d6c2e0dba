package pgmask

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/insecure"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// answers demands an answer.
func answers(t testing.TB, db *pgtool.DB, sql, want string) {
	t.Helper()
	text, _ := ask(t.Context(), db, sql)
	if _, rows, _ := strings.Cut(text, "\n"); rows != want {
		t.Errorf("%s\ngot  %s\nwant %s", sql, text, want)
	}
}

// TestShown pins what a caller sees of each mask, and that all else is exact.
func TestShown(t *testing.T) {
	t.Parallel()
	db := opened(t, nil)[0]
	mac := hmac.New(sha256.New, []byte(key().Reveal()))
	mac.Write([]byte("kqzvxjmail1"))
	digest := hex.EncodeToString(mac.Sum(nil))[:32]
	answers(t, db, "SELECT ssn, pin, born, mood, tags, ssn_low FROM people WHERE id = 1", "[null,null,null,null,null,null]")
	answers(t, db, "SELECT email FROM people WHERE id = 1", `["`+digest+`"]`)
	answers(t, db, "SELECT id FROM people WHERE email = '"+digest+"' ORDER BY id", "[1]\n[3]")
	answers(t, db, "SELECT card, email FROM people ORDER BY id DESC", `["****",null]`+"\n"+`["****4433","`+digest+`"]`+"\n"+`["****4422","`+hashOf("kqzvxjmail2")+`"]`+"\n"+`["****4411","`+digest+`"]`)
	answers(t, db, "SELECT id, name, note FROM people ORDER BY name DESC LIMIT 2", `[4,"dot",null]`+"\n"+`[3,"cyd","n3"]`)
	answers(t, db, "SELECT p.name, l.at FROM people p JOIN card_log l ON l.person_id = p.id WHERE p.note = 'n1' ORDER BY 2", `["ada","2024-01-01"]`+"\n"+`["ada","2024-01-02"]`)
	answers(t, db, "SELECT ssn_eu, region FROM events_us", `["public-us","us"]`)
	answers(t, db, "SELECT ssn FROM annex.people", `["open-ssn"]`)
	answers(t, db, "SELECT id, hint, extra FROM derived", `[2,"h2",7]`)
	answers(t, db, "SELECT count(*) FROM base", `["2"]`)
	answers(t, db, "SELECT name, email FROM v_listed WHERE id = 1", `["ADA","`+digest+`"]`)
	answers(t, db, "SELECT people.id, people.name FROM lab.people WHERE lab.people.id = 2", `[2,"bob"]`)
	answers(t, db, "SELECT $1::int + id FROM people ORDER BY 1 LIMIT 0", "")
	if text, failed := ask(t.Context(), db, "SELECT name FROM people WHERE id = $1", 3); failed || !strings.HasSuffix(text, `["cyd"]`) {
		t.Error(text)
	}
	if text, _ := ask(t.Context(), db, "SELECT name FROM people WHERE nope = 1"); !strings.Contains(text, "at character 31") {
		t.Errorf("the position is not that of the caller's text: %s", text)
	}
}

func hashOf(v string) string {
	mac := hmac.New(sha256.New, []byte(key().Reveal()))
	mac.Write([]byte(v))
	return hex.EncodeToString(mac.Sum(nil))[:32]
}

// TestNames has another table of the same name in the path.
func TestNames(t *testing.T) {
	t.Parallel()
	db := opened(t, func(o *pgtool.Options) { o.Schemas = []string{"annex", "lab"} })[0]
	answers(t, db, "SELECT ssn FROM people", `["open-ssn"]`)
	answers(t, db, "SELECT people.name, people.ssn FROM lab.people WHERE people.id = 1", `["ada",null]`)
	answers(t, db, "SELECT p.ssn, x.name FROM people p JOIN lab.people AS x ON x.id = p.id", `["open-ssn","ada"]`)
	db = opened(t, func(o *pgtool.Options) { o.Schemas = nil })[0]
	answers(t, db, "WITH people AS (SELECT * FROM lab.people WHERE id = 1) SELECT people.name, people.ssn FROM people", `["ada",null]`)
	answers(t, db, "SELECT p.name, q.ssn FROM lab.people p JOIN annex.people q USING (id)", `["ada","open-ssn"]`)
}

// TestPath has tables before the masked one in the path that the server passes over,
// or that are gone a moment later.
func TestPath(t *testing.T) {
	t.Parallel()
	server := postgres.Server(t)
	database := postgres.Database(t, original)
	conn := postgres.Admin(t, database)
	pgtest.Exec(t, conn, "CREATE SCHEMA vault; CREATE TABLE vault.people (id int, ssn text); CREATE TABLE annex.many (id int); GRANT SELECT ON annex.many TO "+reader)
	db, err := pgtool.Open(t.Context(), pgtool.Options{URL: redact.NewSecret(server.URL(database, reader)), Mask: masks(), MaskKey: key(), Schemas: []string{"vault", "annex", "lab"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	answers(t, db, "SELECT * FROM many", "")
	pgtest.Exec(t, conn, "DROP TABLE annex.many; DROP TABLE annex.people")
	for _, sql := range []string{"SELECT id, ssn FROM people", "SELECT * FROM many LIMIT 1", "SELECT ssn FROM many LIMIT 1"} {
		if text, _ := ask(t.Context(), db, sql); leaked(0, text) != "" || strings.Contains(text, "qzjx1") {
			t.Errorf("%s: shows %s", sql, text)
		}
	}
}

// TestIndexes wants the indexes of other columns to be used as before.
func TestIndexes(t *testing.T) {
	t.Parallel()
	db := opened(t, nil)[0]
	for sql, want := range map[string]string{
		"SELECT name, ssn FROM many WHERE id = 77":                                                                                      "Index Scan using many_id_idx",
		"SELECT a.name FROM many a JOIN many b ON a.id = b.id WHERE b.id = 5":                                                           "Index Only Scan using many_id_idx",
		"WITH x AS (SELECT * FROM lab.many WHERE id < 10) SELECT x.name FROM x WHERE EXISTS (SELECT FROM many m WHERE m.id = x.id + 1)": "Index Scan using many_id_idx",
	} {
		if text, _ := ask(t.Context(), db, "EXPLAIN (COSTS OFF) "+sql); !strings.Contains(text, want) || strings.Contains(text, "CTE Scan on many") {
			t.Errorf("%s\nis planned as %s", sql, text)
		}
	}
}

// TestChanges makes tables and columns that the catalog, when it was read, did not
// have. None of them may show, from the first moment on.
func TestChanges(t *testing.T) {
	t.Parallel()
	server := postgres.Server(t)
	database := postgres.Database(t, original)
	conn := postgres.Admin(t, database)
	db, err := pgtool.Open(t.Context(), pgtool.Options{
		URL: redact.NewSecret(server.URL(database, reader)), Mask: map[string]pgtool.Mask{"*.email": pgtool.Hidden, "lab.base.secret": pgtool.Hidden, "lab.*.pin": pgtool.Hidden}, Schemas: []string{"lab", "annex"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	for change, statements := range map[string][]string{
		"ALTER TABLE annex.plain ADD COLUMN \"Email\" text DEFAULT 'kqzvxjnew'":                                            {"SELECT * FROM annex.plain", "SELECT p::text FROM annex.plain p"},
		"CREATE TABLE lab.fresh AS SELECT 'kqzvxjfresh' AS email":                                                          {"SELECT * FROM fresh", "SELECT email FROM lab.fresh", "TABLE lab . fresh"},
		"ALTER TABLE lab.card_log ADD COLUMN x text DEFAULT 'kqzvxj'; ALTER TABLE lab.card_log RENAME COLUMN x TO email":   {"SELECT * FROM card_log", "SELECT to_jsonb(c) FROM card_log c"},
		"CREATE TABLE lab.kid () INHERITS (lab.base); INSERT INTO lab.kid (secret) VALUES ('kqzvxjkid')":                   {"SELECT * FROM kid", "SELECT secret FROM lab.kid"},
		"CREATE VIEW annex.renamed_view AS SELECT email AS e FROM lab.people":                                              {"SELECT * FROM annex.renamed_view"},
		"CREATE VIEW annex.fresh_view AS SELECT email FROM lab.people":                                                     {"SELECT * FROM annex.fresh_view"},
		"ALTER TABLE lab.people RENAME COLUMN email TO mail; ALTER TABLE lab.people RENAME COLUMN note TO email":           {"SELECT email FROM people", "SELECT * FROM people"},
		"CREATE TABLE annex.moved AS SELECT 'kqzvxjmoved'::text AS pin; ALTER TABLE annex.moved SET SCHEMA lab":            {"SELECT pin FROM lab.moved", "SELECT * FROM moved"},
		"ALTER TABLE lab.base RENAME TO base2; CREATE TABLE lab.base AS SELECT 'kqzvxjtwice'::text AS secret, 1 AS hidden": {"SELECT * FROM base"},
	} {
		pgtest.Exec(t, conn, "DO $$BEGIN "+change+"; END$$")
		pgtest.Exec(t, conn, "GRANT SELECT ON ALL TABLES IN SCHEMA lab, annex TO "+reader)
		for _, sql := range statements {
			if text, _ := ask(t.Context(), db, sql); leaked(0, text) != "" {
				t.Errorf("%s: %s: shows %s", change, sql, text)
			}
		}
	}
	until := time.Now().Add(30 * time.Second)
	for { // it is soon known
		text, failed := ask(t.Context(), db, "SELECT * FROM fresh")
		if !failed && strings.HasSuffix(text, "[null]") {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("the new table is never known: %s", text)
		}
		pgtest.Exec(t, conn, "SELECT pg_sleep(0.2)")
	}
	answers(t, db, "SELECT \"Email\" FROM annex.plain WHERE id = 1", "[null]")
}

// TestKey looks for the key wherever a server writes down what it does.
func TestKey(t *testing.T) {
	t.Parallel()
	server := postgres.Server(t)
	database := postgres.Database(t, original)
	conn := postgres.Admin(t, database)
	pgtest.Exec(t, conn, "CREATE EXTENSION pg_stat_statements")
	pgtest.Exec(t, conn, "CREATE ROLE mcp_logged LOGIN IN ROLE "+reader+" INHERIT PASSWORD '"+server.Password()+"'")
	for setting, value := range map[string]string{
		"log_statement": "all", "log_min_duration_statement": "0", "log_min_messages": "debug5", "log_min_error_statement": "debug5", "log_error_verbosity": "verbose",
		"log_parameter_max_length": "-1", "log_parameter_max_length_on_error": "-1", "debug_print_parse": "on", "debug_print_plan": "on", "pg_stat_statements.track_utility": "on",
	} {
		pgtest.Exec(t, conn, "ALTER ROLE mcp_logged SET "+setting+" = '"+value+"'")
	}
	db, err := pgtool.Open(t.Context(), pgtool.Options{
		URL: redact.NewSecret(server.URL(database, "mcp_logged")), Mask: masks(), MaskKey: key(), Schemas: []string{"lab"},
		Waive: []mcpsec.Waiver{insecure.OverprivilegedRole("the role is a member of the reader")},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	answers(t, db, "SELECT email FROM people WHERE id = 1", `["`+hashOf("kqzvxjmail1")+`"]`)
	for _, sql := range []string{"SELECT email::int FROM people", "SELECT 1 / (id - 1), email FROM people", "SELECT email FROM people WHERE id = 'x'", "EXPLAIN (VERBOSE) SELECT email FROM people"} {
		ask(t.Context(), db, sql)
	}
	var dir, statements, activity string
	for sql, to := range map[string]*string{
		"SHOW data_directory": &dir, "SELECT string_agg(query, ' ') FROM pg_stat_statements": &statements, "SELECT string_agg(query, ' ') FROM pg_stat_activity WHERE usename = 'mcp_logged'": &activity,
	} {
		if err := conn.QueryRow(t.Context(), sql).Scan(to); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.ReadFile(filepath.Join(dir, "log", "server.log"))
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range map[string]string{"log": string(log), "pg_stat_statements": statements, "pg_stat_activity": activity} {
		if where != "pg_stat_activity" && !strings.Contains(text, "mcpsec.mask_inner") {
			t.Errorf("%s: does not have the statement", where)
		}
		for _, pad := range []byte{0, 0x36, 0x5c} {
			k := []byte(key().Reveal())[:8]
			for i := range k {
				k[i] ^= pad
			}
			if strings.Contains(strings.ToLower(text), hex.EncodeToString(k)) || strings.Contains(text, string(k)) {
				t.Errorf("%s: holds the key", where)
			}
		}
	}
}

// client calls the tools and reads the resources of a DB.
func client(t testing.TB, db *pgtool.DB, tools ...*mcpsec.Tool) *mcp.ClientSession {
	t.Helper()
	impl := &mcp.Implementation{Name: "test", Version: "1.0.0"}
	srv, err := mcpsec.NewServer(impl, mcpsec.Options{Audit: mcpsec.NewAuditLog(discard{}), Limits: mcpsec.Limits{CallsPerSecond: 1e6}})
	if err != nil {
		t.Fatal(err)
	}
	srv.Add(tools...)
	srv.AddResource(pgtool.Resources(db)...)
	ours, theirs := net.Pipe()
	go srv.ServeStream(context.WithoutCancel(t.Context()), theirs, theirs)
	cs, err := mcp.NewClient(impl, nil).Connect(t.Context(), &mcp.IOTransport{Reader: ours, Writer: ours}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cs.Close() })
	return cs
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func call(t testing.TB, cs *mcp.ClientSession, tool string, args map[string]any) (text string, failed bool) {
	t.Helper()
	res, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	return res.Content[0].(*mcp.TextContent).Text, res.IsError
}

type personIn struct {
	ID int64 `json:"id"`
}

type personOut struct {
	Name  string  `json:"name"`
	SSN   *string `json:"ssn"`
	Email string  `json:"email"`
}

type numberOut struct {
	Number *string `json:"number"`
}

// TestTools calls every tool that shows data, or what the catalog has about it.
func TestTools(t *testing.T) {
	t.Parallel()
	db := opened(t, nil)[0]
	tools := append(pgtool.ReadTools(db), pgtool.InspectTools(db)...)
	tools = append(tools, pgtool.NamedQuery[personIn, personOut](db, mcpsec.ToolSpec{Name: "person", Description: "A person."},
		pgtool.NewSQL("SELECT name, ssn, email FROM lab.people WHERE id = :id")),
		pgtool.NamedQuery[personIn, numberOut](db, mcpsec.ToolSpec{Name: "number", Description: "A number."}, pgtool.NewSQL("SELECT number FROM lab.v_ssn WHERE id = :id")))
	cs := client(t, db, tools...)
	for _, c := range []struct {
		tool   string
		args   map[string]any
		want   string
		failed bool
	}{
		{"person", map[string]any{"id": 1}, `{"rows":[{"name":"ada","ssn":null,"email":"` + hashOf("kqzvxjmail1") + `"}]`, false},
		{"number", map[string]any{"id": 1}, "is made from columns that are masked", true},
		{"pg_query", map[string]any{"sql": "SELECT ssn, name FROM people WHERE id = 1"}, `[null,"ada"]`, false},
		{"pg_explain", map[string]any{"sql": "SELECT email FROM many JOIN people USING (id) WHERE many.id = 1"}, "many_id_idx", false},
		{"pg_describe", map[string]any{"schema": "lab", "name": "people"}, `"name":"email","type":"text","masked":"hashed"`, false},
		{"pg_describe", map[string]any{"schema": "lab", "name": "people"}, `"name":"ssn_low","type":"text","masked":"hidden"`, false},
		{"pg_describe", map[string]any{"schema": "lab", "name": "events_eu"}, `"masked":"hidden"`, false},
		{"pg_describe", map[string]any{"schema": "lab", "name": "v_clean"}, `"kind":"view"`, false},
	} {
		text, failed := call(t, cs, c.tool, c.args)
		if failed != c.failed || !strings.Contains(strings.ReplaceAll(text, " ", ""), strings.ReplaceAll(c.want, " ", "")) {
			t.Errorf("%s %v: %s", c.tool, c.args, text)
		}
		if secret := leaked(0, text); secret != "" {
			t.Errorf("%s %v: shows %s: %s", c.tool, c.args, secret, text)
		}
	}
	for _, tool := range []string{"pg_list_objects", "pg_index_advice", "pg_health", "pg_activity", "pg_locks", "pg_top_queries", "pg_audit"} {
		args := map[string]any{}
		if tool == "pg_list_objects" {
			args["schema"] = "lab"
		}
		if text, _ := call(t, cs, tool, args); leaked(0, text) != "" {
			t.Errorf("%s: shows %s: %s", tool, leaked(0, text), text)
		}
	}
	res, err := cs.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "pg://schema/lab/people"})
	if err != nil || !strings.Contains(res.Contents[0].Text, `"masked":"partial"`) || leaked(0, res.Contents[0].Text) != "" {
		t.Errorf("the resource: %v, %v", res, err)
	}
	text, _ := call(t, cs, "pg_describe", map[string]any{"schema": "lab", "name": "events_eu"})
	var d struct{ About map[string]any }
	if json.Unmarshal([]byte(text), &d) != nil || d.About["partition"] != nil {
		t.Errorf("the bounds of a partition are shown: %s", text)
	}
}

// TestOpen refuses masks that cannot hold.
func TestOpen(t *testing.T) {
	t.Parallel()
	url := redact.NewSecret(postgres.Server(t).URL(templates[0], reader))
	for want, o := range map[string]pgtool.Options{
		"does not have: lab.people.snn": {Mask: map[string]pgtool.Mask{"lab.people.snn": pgtool.Hidden}},
		"needs the gate":                {Mask: map[string]pgtool.Mask{"*.ssn": pgtool.Hidden}, Waive: []mcpsec.Waiver{insecure.AnySQL("a test")}},
		"must be for schema":            {Mask: map[string]pgtool.Mask{"a.b.c.d": pgtool.Hidden}},
		"must hold":                     {Mask: map[string]pgtool.Mask{"*.ssn": 7}},
		"shows the key":                 {Mask: map[string]pgtool.Mask{"*.ssn": pgtool.Hashed}, Allow: []string{"pg_catalog.current_setting"}},
		"at least 16 bytes":             {Mask: map[string]pgtool.Mask{"*.ssn": pgtool.Hashed}, MaskKey: redact.NewSecret("short")},
	} {
		o.URL = url
		if _, err := pgtool.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if w, err := pgtool.OpenWriter(t.Context(), pgtool.WriteOptions{Options: pgtool.Options{URL: url, Mask: map[string]pgtool.Mask{"*.SSN": pgtool.Hidden}},
			Tables: []pgtool.Table{{Schema: "lab", Name: "people", Read: []string{"id", "ssn"}, Update: []string{"name"}}}}); err == nil || !strings.Contains(err.Error(), "masked") {
			t.Errorf("a writer that reads what is masked: %v, %v", w, err)
		}
	}
}
