package pgtool

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mcpsec/mcpsec-go/internal/sqllex"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// found lists checks and severities of findings.
func found(all []finding) string {
	var out []string
	for _, f := range all {
		if f.Severity != hidden {
			out = append(out, f.Severity+" "+f.Check)
		}
	}
	return strings.Join(out, ", ")
}

func TestSettingRules(t *testing.T) {
	t.Parallel()
	good := map[string]string{
		"fsync": "on", "full_page_writes": "on", "zero_damaged_pages": "off", "ignore_checksum_failure": "off", "synchronous_commit": "on",
		"autovacuum": "on", "track_counts": "on", "autovacuum_max_workers": "3", "autovacuum_freeze_max_age": "200000000",
		"shared_buffers": "1073741824", "maintenance_work_mem": "268435456", "max_connections": "100", "max_wal_size": "2147483648",
		"checkpoint_completion_target": "0.9", "wal_level": "replica", "archive_mode": "on", "random_page_cost": "1.1", "log_lock_waits": "on",
		"log_min_duration_statement": "1000", "log_connections": "on", "log_checkpoints": "on", "log_autovacuum_min_duration": "600000",
		"log_statement": "ddl", "debug_print_parse": "off", "ssl": "on", "ssl_min_protocol_version": "TLSv1.2", "password_encryption": "scram-sha-256",
		"allow_system_table_mods": "off", "listen_addresses": "localhost",
	}
	bad := map[string]string{
		"fsync": "off", "full_page_writes": "off", "zero_damaged_pages": "on", "ignore_checksum_failure": "on", "synchronous_commit": "off",
		"autovacuum": "off", "track_counts": "off", "autovacuum_max_workers": "1", "autovacuum_freeze_max_age": "1500000000",
		"shared_buffers": "8388608", "maintenance_work_mem": "1048576", "max_connections": "2000", "max_wal_size": "67108864",
		"checkpoint_completion_target": "0.1", "wal_level": "minimal", "archive_mode": "off", "random_page_cost": "4", "log_lock_waits": "off",
		"log_min_duration_statement": "-1", "log_connections": "off", "log_checkpoints": "off", "log_autovacuum_min_duration": "6000000",
		"log_statement": "all", "debug_print_parse": "on", "ssl": "off", "ssl_min_protocol_version": "TLSv1", "password_encryption": "md5",
		"allow_system_table_mods": "on", "listen_addresses": "*",
	}
	rows := func(change, value string) (out []map[string]string) {
		for name, v := range good {
			if name == change {
				v = value
			}
			out = append(out, map[string]string{"name": name, "value": v})
		}
		return out
	}
	if got := found(judgeSettings(rows("", ""))); got != "" {
		t.Errorf("good settings: got %s", got)
	}
	for _, r := range settingRules {
		got := judgeSettings(rows(r.name, bad[r.name]))
		if want := r.severity + " setting_" + r.name; found(got) != want {
			t.Errorf("%s = %q: got %s, want %s", r.name, bad[r.name], found(got), want)
		}
		if r.why == "" || !strings.HasPrefix(got[0].Fix, "ALTER SYSTEM SET "+r.name+" = ") {
			t.Errorf("%s: got %+v", r.name, got[0])
		}
	}
	if got := found(judgeSettings([]map[string]string{{"name": "ssl", "value": "on", "pending": "true"}})); got != "info pending_restart" {
		t.Errorf("a pending restart: got %s", got)
	}
}

func TestServerRules(t *testing.T) {
	t.Parallel()
	good := map[string]string{"connections": "10", "max_connections": "97", "here": "5", "limit_here": "-1", "xid_age": "1000", "mxid_age": "1000",
		"freeze_age": "200000000", "mxid_freeze_age": "400000000", "hits": "99000000", "reads": "1000000", "temp_bytes": "0", "deadlocks": "0", "checksum_failures": ""}
	for _, test := range []struct{ name, value, want string }{
		{"", "", ""},
		{"connections", "80", "warning connections"}, {"connections", "95", "critical connections"},
		{"limit_here", "6", "warning database_connections"},
		{"xid_age", "230000000", "warning wraparound"}, {"xid_age", "1500000000", "critical wraparound"},
		{"mxid_age", "500000000", "warning multixact_wraparound"},
		{"hits", "1000000", "info cache_hit_ratio"}, {"temp_bytes", "20000000000", "info temporary_files"},
		{"deadlocks", "3", "info deadlocks"}, {"checksum_failures", "1", "critical checksum_failures"}, {"archive_fails", "true", "critical archiving"},
	} {
		row := map[string]string{}
		for k, v := range good {
			row[k] = v
		}
		row[test.name] = test.value
		if got := found(judgeServer([]map[string]string{row})); got != test.want {
			t.Errorf("%s = %s: got %q, want %q", test.name, test.value, got, test.want)
		}
	}
}

func TestLiveRules(t *testing.T) {
	t.Parallel()
	row := func(pairs ...string) []map[string]string {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return []map[string]string{m}
	}
	for _, test := range []struct {
		judge func([]map[string]string) []finding
		rows  []map[string]string
		want  string // of the first finding
	}{
		{judgeTransactions, row("pid", "1", "state", "active", "seconds", "30", "hidden", "false"), ""},
		{judgeTransactions, row("pid", "1", "state", "active", "seconds", "700", "hidden", "false"), "warning"},
		{judgeTransactions, row("pid", "1", "state", "idle in transaction", "seconds", "70", "hidden", "false"), "warning"},
		{judgeTransactions, row("pid", "1", "state", "active", "seconds", "4000", "hidden", "false"), "critical"},
		{judgeTransactions, row("pid", "1", "hidden", "true"), hidden},
		{judgePrepared, row("gid", "a", "seconds", "60"), ""},
		{judgePrepared, row("gid", "a'b", "seconds", "6000"), "warning"},
		{judgeReplication, row("kind", "slot", "name", "s", "fit", "true", "state", "reserved", "bytes", "9000000000"), ""},
		{judgeReplication, row("kind", "slot", "name", "s", "fit", "false", "state", "reserved", "bytes", "1000"), "warning"},
		{judgeReplication, row("kind", "slot", "name", "s", "fit", "false", "state", "extended", "bytes", "9000000000"), "critical"},
		{judgeReplication, row("kind", "slot", "name", "s", "fit", "true", "state", "lost"), "critical"},
		{judgeReplication, row("kind", "standby", "name", "s", "state", "streaming", "bytes", "1000", "seconds", "1"), ""},
		{judgeReplication, row("kind", "standby", "name", "s", "state", "streaming", "bytes", "9000000000"), "warning"},
		{judgeReplication, row("kind", "standby", "name", "s", "state", "hidden"), hidden},
		{judgeReplication, row("kind", "self", "name", "s", "state", "recovery", "seconds", "100"), "warning"},
		{judgeAccess, row("ssl", "off", "listens", "localhost", "hash", "scram-sha-256", "encrypted", "false", "local", "true"), ""},
		{judgeAccess, row("ssl", "off", "listens", "*", "hash", "scram-sha-256", "encrypted", "true", "local", "true"), "critical"},
		{judgeAccess, row("ssl", "on", "listens", "*", "hash", "scram-sha-256", "encrypted", "false", "local", "false"), "critical"},
		{judgeAccess, row("ssl", "on", "listens", "*", "hash", "md5", "encrypted", "true", "local", "false"), "critical"},
		{judgeRules, row("type", "hostssl", "auth_method", "scram-sha-256", "local", "false"), ""},
		{judgeRules, row("type", "local", "auth_method", "peer", "local", "true"), ""},
		{judgeRules, row("type", "local", "auth_method", "trust", "local", "true"), "warning"},
		{judgeRules, row("type", "host", "auth_method", "trust", "local", "false"), "critical"},
		{judgeRules, row("type", "host", "auth_method", "password", "local", "false"), "critical"},
		{judgeRules, row("type", "host", "auth_method", "ident", "local", "false"), "critical"},
		{judgeRules, row("type", "hostssl", "auth_method", "md5", "local", "false"), "info"},
		{judgeRules, row("type", "host", "auth_method", "scram-sha-256", "local", "false"), "warning"},
		{judgeRules, row("error", "x", "auth_method", "peer", "local", "true"), "warning"},
	} {
		got := ""
		if all := test.judge(test.rows); len(all) > 0 {
			got = all[0].Severity
			if strings.Contains(all[0].Fix, "a'b") {
				t.Errorf("a name that ends its quotes: %s", all[0].Fix)
			}
		}
		if got != test.want {
			t.Errorf("%v: got %q, want %q", test.rows, got, test.want)
		}
	}
}

// TestFixNamesWhatItShows gives no SQL where a name would leave without a
// character of it.
func TestFixNamesWhatItShows(t *testing.T) {
	t.Parallel()
	c := check{name: "c", why: "w"}
	for fix, want := range map[string]string{
		`DROP INDEX "a""b; DROP TABLE x";`:        `DROP INDEX "a""b; DROP TABLE x";`,
		"DROP INDEX \"a\u200bb\";":                "",
		"DROP INDEX \"a\u202eb\";":                "",
		"DROP INDEX \"a\nDROP TABLE x; --\";":     "",
		"DROP INDEX " + strings.Repeat("x", 2000): "",
	} {
		if got := c.complete(finding{What: "what", Fix: fix}); got.Fix != want || got.Why != "w" || got.Check != "c" {
			t.Errorf("%.40q: got %+v", fix, got)
		}
	}
}

func TestFindingsAreBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü", 5000)
	f := check{}.complete(finding{Object: long, What: long, Fix: long})
	if n := len(f.Object) + len(f.What) + len(f.Fix); n > maxObject+maxWhat+10 || !strings.HasSuffix(f.Object, "ü...") {
		t.Errorf("got %d bytes: %s", n, f.Object)
	}
}

func TestUnseen(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want bool
	}{
		{&pgconn.PgError{Code: "42501"}, true}, {&pgconn.PgError{Code: "57014"}, true}, {&pgconn.PgError{Code: "42703"}, true},
		{&pgconn.PgError{Code: "57P01", Severity: "FATAL"}, false}, {errors.New("x"), false}, {nil, false},
	} {
		if got := unseen(test.err) != ""; got != test.want {
			t.Errorf("%v: got %v", test.err, got)
		}
	}
	if got := unseen(&pgconn.PgError{Code: "42501", Message: "permission denied for canary"}); strings.Contains(got, "canary") {
		t.Errorf("got %s", got)
	}
}

func TestWithoutValues(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"SELECT a FROM t WHERE b = $1 AND c = 'x' -- y": "SELECT a FROM t WHERE b = $1 AND c = ?",
		"select 1, E'a', $$b$$, X'1f' /* c */ from t":   "select ?, ?, ?, ? from t",
		"(SELECT 1)":                       "(SELECT ?)",
		"CREATE ROLE r PASSWORD 'hunter2'": "CREATE ...",
		"ALTER ROLE r PASSWORD 'hunter2'":  "ALTER ...",
		"COPY t FROM PROGRAM 'x'":          "COPY ...",
		"":                                 "...",
	} {
		tokens, err := sqllex.Scan(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := withoutValues(tokens); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestStatementTextIsBounded(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"SELECT " + strings.Repeat("a, ", 900), `SELECT "` + strings.Repeat("ü", 5000) + `"`} {
		tokens, err := sqllex.Scan(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := withoutValues(tokens); len(got) > maxStatementText+10 || !strings.HasSuffix(got, " ...") {
			t.Errorf("got %d bytes: %s", len(got), got)
		}
	}
}

func FuzzWithoutValues(f *testing.F) {
	f.Add("SELECT 'a', $1, U&'b' FROM t WHERE c = 1.5e3")
	f.Add("WITH x AS (SELECT $q$y$q$) TABLE x")
	f.Fuzz(func(t *testing.T, sql string) {
		tokens, err := sqllex.Scan(sql)
		if err != nil {
			return
		}
		again, err := sqllex.Scan(withoutValues(tokens))
		if err != nil {
			return // cut, or pieces that meet
		}
		for _, tok := range again {
			if tok.Kind == sqllex.String || tok.Kind == sqllex.Bits {
				t.Errorf("%q: %q is left", sql, tok.Text)
			}
		}
	})
}

func TestPlanWarnings(t *testing.T) {
	t.Parallel()
	sizes := map[string]float64{"s.big": 50_000, "s.huge": 5e6, "s.small": 10, "s.new": -1}
	scan := func(table string, rows float64, filter string) *planNode {
		return &planNode{Node: "Seq Scan", Schema: "s", Relation: table, Rows: rows, Filter: filter}
	}
	n := func(f float64) *float64 { return &f }
	for _, test := range []struct {
		plan *planNode
		want string
	}{
		{scan("small", 1, "x"), ""}, {scan("big", 50_000, ""), ""}, {scan("big", 40_000, "x"), ""},
		{scan("big", 5, "x"), "sequential scan of s.big reads about 50000 rows to find 5"},
		{scan("huge", 5e6, ""), "sequential scan of all of s.huge"},
		{scan("new", 1, ""), "never analyzed"},
		{&planNode{Node: "Limit", Cost: 2e6}, "the cost of 2000000 is high"},
		{&planNode{Node: "Nested Loop", JoinFilter: "x", Plans: []*planNode{scan("small", 10, ""), scan("big", 50_000, "")}}, "reads all of s.big again"},
		{&planNode{Node: "Nested Loop", Rows: 500_000, Plans: []*planNode{scan("small", 10, ""), {Node: "Materialize", Plans: []*planNode{scan("big", 50_000, "")}}}}, "joins every row with every other"},
		{&planNode{Node: "Sort", Rows: 1e6, Width: 100}, "Sort of about 95 MB will spill"},
		{&planNode{Node: "Sort", SortPlace: "Disk", SortSpace: 20480}, "spilled 20 MB"},
		{&planNode{Node: "Hash", Batches: 4}, "in 4 batches"},
		{&planNode{Node: "Index Scan", Rows: 1, Actual: n(20_000), Loops: 1}, "was to give 1 rows and gave 20000"},
		{&planNode{Node: "Index Scan", Rows: 1500, Actual: n(2000), Loops: 1}, ""},
	} {
		got := strings.Join(planWarnings(test.plan, sizes), "; ")
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: got %q, want %q", test.plan.Node, got, test.want)
		}
	}
	many := &planNode{Node: "Append"}
	for i := range 100 {
		many.Plans = append(many.Plans, scan("big", float64(i), "x"))
	}
	if got := planWarnings(many, sizes); len(got) > maxWarnings {
		t.Errorf("got %d warnings", len(got))
	}
}

func TestPlanHides(t *testing.T) {
	t.Parallel()
	plan := func() *planNode {
		return &planNode{Node: "Hash Join", HashCond: "(gem.secret = o.id)", Plans: []*planNode{
			{Node: "Seq Scan", Schema: "vault", Relation: "gem", Alias: "gem", Filter: "(secret > 0)"},
			{Node: "Index Scan", Schema: "app", Relation: "orders", Alias: "o", Index: "orders_pkey", SortKey: []string{"gem.secret"}},
		}}
	}
	p := plan()
	if p.hide(map[string]float64{"app.orders": 1, "vault.gem": 1}, false) || !strings.Contains(p.text(), "vault.gem") {
		t.Error("hidden, and permitted")
	}
	p = plan()
	if !p.hide(map[string]float64{"app.orders": 1}, false) {
		t.Error("not hidden")
	}
	for _, word := range []string{"gem", "secret", "vault"} {
		if text := fmt.Sprintf("%s %+v %+v", p.text(), *p, *p.Plans[0]); strings.Contains(text, word) {
			t.Errorf("%s is in %s", word, text)
		}
	}
	if !strings.Contains(p.text(), "app.orders") {
		t.Errorf("got %s", p.text())
	}
	p = plan()
	if !p.hide(map[string]float64{"app.orders": 1, "vault.gem": 1}, true) || strings.Contains(p.text(), "secret") {
		t.Errorf("a function that is not permitted: got %s", p.text())
	}
	f := &planNode{Node: "Function Scan", Schema: "vault", Function: "f", Filter: `(("x.y".a > 'b.c') AND z.f(1))`}
	if words, ok := f.qualifiers(); !ok || strings.Join(words, " ") != "vault x.y z" {
		t.Errorf("got %q", words)
	}
	deep := plan()
	for range 5000 {
		deep = &planNode{Node: "Limit", Plans: []*planNode{deep}}
	}
	if n := len(deep.text()); n > maxPlanText+4096 {
		t.Errorf("a deep plan has %d bytes", n)
	}
}

func TestResetIsDestroy(t *testing.T) {
	t.Parallel()
	reset := resetStatisticsTool(&DB{})
	if reset.Effect() != mcpsec.Destroy {
		t.Errorf("effect %v", reset.Effect())
	}
	for _, tool := range append(ReadTools(&DB{}), InspectTools(&DB{})...) {
		if tool.Name() == reset.Name() {
			t.Error("it is in a set")
		}
	}
	if n := len(Prompts(&DB{})) + len(Resources(&DB{})); n != 5 {
		t.Errorf("%d prompts and resources, want 5", n)
	}
}
