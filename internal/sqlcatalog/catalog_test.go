package sqlcatalog

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/sqlgate"
	"github.com/mcpsec/mcpsec-go/internal/sqllex"
)

// shop is a small catalog: kind, OID, other OID, schema, name, detail.
const shop = `
n 1 0 pg_catalog - -
n 2 0 information_schema - -
n 3 0 public - -
n 4 0 shop - -
n 5 0 pg_toast - -
f 10 0 pg_catalog lower i-1p
f 11 0 pg_catalog pg_sleep v-1p
f 12 0 pg_catalog length i-1p
f 13 0 pg_catalog repeat i--p
f 14 0 pg_catalog current_setting s-1p
f 15 0 pg_catalog format s-1p
f 16 0 pg_catalog pg_input_is_valid s--p
f 17 0 pg_catalog nextval v-1p
f 18 0 pg_catalog int4pl i--p
f 19 0 pg_catalog random v--p
f 20 0 pg_catalog query_to_xml v--p
f 21 0 pg_catalog txid_current s--p
f 22 0 pg_catalog jsonb_populate_record s--p
f 23 0 pg_catalog lpad i--p
f 24 0 pg_catalog new_in_some_version s-1p
f 20000 0 public ping i-1-
f 20001 0 shop quiet i---
f 20002 0 public similarity i---pg_trgm
f 20003 0 public set_limit v-1-pg_trgm
f 20004 0 public trusted id--pg_trgm
f 20005 0 public dblink i-1-dblink
f 20006 0 public length v-1-
f 20007 0 public floatrange i--t
f 20008 0 public uuid_generate_v4 v---uuid-ossp
f 20009 0 public lower i---
f 20011 0 public twice i---
f 20012 0 public twice i---pg_trgm
o 21000 20000 public ~@~ -
o 21001 20002 public % -
o 21002 20000 shop @#@ -
o 21003 20000 public ~~ -
c 22000 20000 - - 25
t 22000 0 public wrapped -
t 22001 0 public checked -
t 22002 0 public _checked -
t 22003 0 public fine -
t 22004 0 public holds -
t 22006 0 public boxes -
t 22005 0 public mood -
e 22002 22001 - - -
e 22006 22002 - - -
e 22010 22000 - - -
d 22001 20000 - - -
d 22003 10 - - -
r 1255 0 pg_catalog pg_proc rp
r 1260 0 pg_catalog pg_authid rp
a 1255 1 pg_catalog oid -
a 1255 2 pg_catalog proname -
a 1255 26 pg_catalog prosrc -
r 1259 0 pg_catalog pg_class rp
r 12000 0 information_schema tables vp
r 12001 0 information_schema user_mapping_options vp
r 12002 0 information_schema routines vp
r 23000 22004 public holds r-
r 23014 22006 public boxes r-
r 23001 0 shop orders r-
r 23002 0 public away f-
r 23003 0 public above r-
r 23004 0 public bad_view v-
r 23005 0 public outer_view v-
r 23006 0 public good_view v-
r 23007 22010 public casts r-
r 23008 0 public pg_stat_statements v-pg_stat_statements
r 23009 0 public by_domain v-
r 23010 0 public of_sealed v-
r 23011 0 public of_hidden v-
r 23012 0 public stored m-
r 23013 0 public over_away v-
v 23004 11 - - funcid
v 23005 23004 - - relid
v 23006 23001 - - relid
v 23006 18 - - opfuncid
v 23006 23006 - - relid
v 23009 22001 - - resulttype
v 23010 1255 - - relid
v 23011 1260 - - relid
v 23012 11 - - funcid
v 23013 23002 - - relid
h 23003 0 - - -
`

func rows(text string) func(func(Row) bool) {
	return func(yield func(Row) bool) {
		for line := range strings.Lines(text) {
			f := strings.Fields(strings.ReplaceAll(line, " -\n", " \n"))
			if len(f) == 0 {
				continue
			}
			for len(f) < 6 {
				f = append(f, "")
			}
			oid, _ := strconv.Atoi(f[1])
			ref, _ := strconv.Atoi(f[2])
			if !yield(Row{Kind: f[0][0], OID: uint32(oid), Ref: uint32(ref), Schema: strings.Trim(f[3], "-"), Name: strings.TrimSuffix(f[4], "-"), Info: f[5]}) {
				return
			}
		}
	}
}

// without returns the catalog without the lines that hold a text.
func without(text ...string) string {
	var b strings.Builder
	for line := range strings.Lines(shop) {
		keep := true
		for _, t := range text {
			keep = keep && !strings.Contains(line, t)
		}
		if keep {
			b.WriteString(line)
		}
	}
	return b.String()
}

// plain is the catalog without what makes LIKE unclear.
var plain = New(rows(without("21003")), Policy{})

func check(s *Snapshot, sql string) error {
	st, err := sqlgate.Check(sql, sqlgate.Options{})
	if err != nil {
		return err
	}
	_, err = s.Check(st)
	return err
}

func allow(t *testing.T, s *Snapshot, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if err := check(s, sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

// deny demands a refusal that has a text in it.
func deny(t *testing.T, s *Snapshot, text string, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		err := check(s, sql)
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: got %v, want %q", sql, err, text)
		}
	}
}

func TestFunctions(t *testing.T) {
	t.Parallel()
	allow(t, plain, "SELECT pg_catalog.lower('x')", "SELECT random()", "SELECT similarity('a', 'b')", "SELECT floatrange(1, 2)", "SELECT uuid_generate_v4()",
		"SELECT pg_sleep FROM (SELECT 1 AS pg_sleep) x", "SELECT 1 AS pg_sleep", "SELECT unknown_function(1)", "SELECT x.unknown", "SELECT lower.length2 FROM lower")
	deny(t, plain, "function pg_sleep is not allowed", "SELECT pg_sleep(1)", "SELECT pg_catalog.pg_sleep(1)", `SELECT "pg_sleep"(1)`, "SELECT PG_SLEEP /* x */ (1)",
		"SELECT (1).pg_sleep", "SELECT x.pg_sleep FROM f() x", "SELECT $1.pg_sleep", "SELECT (a)[1].pg_sleep", "VALUES (pg_sleep(1))", "EXPLAIN SELECT pg_sleep(1)")
	deny(t, plain, "TREAT", "SELECT TREAT(1 AS pg_sleep)", "SELECT treat (x AS pg_catalog.pg_sleep)")
	allow(t, plain, "SELECT treat FROM x", `SELECT "treat"(1)`)
	deny(t, plain, "function ping is not allowed", "SELECT ping(1)", "SELECT public.ping(1)", "SELECT (1).ping")
	deny(t, plain, "is not allowed", "SELECT twice()", "SELECT public.twice()", "SELECT shop.quiet()", "SELECT nextval('s')", "SELECT dblink('x')", "SELECT set_limit(1)", "SELECT trusted(1)", "SELECT query_to_xml('x')",
		"SELECT txid_current()", "SELECT int4pl(1, 2)", "SELECT new_in_some_version(1)")
	deny(t, plain, "write pg_catalog.length", "SELECT length('x')")
	deny(t, plain, "write pg_catalog.lower", "SELECT lower('x')")
}

func TestPolicyAllow(t *testing.T) {
	t.Parallel()
	p := Policy{Allow: []string{"public.ping", "pg_catalog.pg_sleep", "pg_catalog.repeat", "public.away", "pg_catalog.pg_authid", "shop.nothing", "pg_catalog.pg_proc"}}
	s := New(rows(shop), p)
	allow(t, s, "SELECT ping(1), 1 ~@~ 2, 'a' LIKE 'b', 4::checked, pg_sleep(1), repeat('x', n)", "SELECT * FROM away", "SELECT * FROM pg_authid", "SELECT * FROM outer_view",
		"SELECT * FROM casts", "SELECT * FROM pg_proc", "SELECT * FROM over_away")
	deny(t, s, "is not allowed", "SELECT shop.quiet()", "SELECT nextval('s')")
	if got := s.Missing(p); len(got) != 1 || got[0] != "shop.nothing" {
		t.Errorf("missing %q, want shop.nothing", got)
	}
}

func TestSchemas(t *testing.T) {
	t.Parallel()
	s := New(rows(without("21003")), Policy{Schemas: []string{"shop"}, Allow: []string{"public.good_view"}})
	allow(t, s, "SELECT * FROM shop.orders", "SELECT * FROM orders", "SELECT length('x')", "SELECT * FROM information_schema.tables", "SELECT * FROM public.good_view", "SELECT 1 OPERATOR(pg_catalog.+) 2")
	for _, table := range []string{"holds", "no_such_table"} { // the answer does not tell which exists
		deny(t, s, "schema public is not allowed", "SELECT * FROM public."+table)
	}
	deny(t, s, "schema public is not allowed", "SELECT public.similarity('a', 'b')", "SELECT 1::public.fine", "SELECT 1 OPERATOR(public.%) 2", `SELECT * FROM "public".holds`, "SELECT * FROM db.public.holds")
	deny(t, s, "schema pg_toast is not allowed", "SELECT * FROM pg_toast.pg_toast_1")
	deny(t, s, "schema pg_temp is not allowed", "SELECT * FROM pg_temp.x")
	deny(t, s, "schema pg_temp_3 is not allowed", "SELECT pg_temp_3.f()")
}

func TestRelations(t *testing.T) {
	t.Parallel()
	allow(t, plain, "SELECT * FROM holds", "SELECT * FROM shop.orders", "SELECT * FROM good_view", "SELECT * FROM stored", "SELECT * FROM pg_class", "SELECT * FROM information_schema.tables", "SELECT * FROM not_there")
	for _, r := range []string{"pg_authid", "away", "above", "bad_view", "outer_view", "casts", "boxes", "pg_stat_statements", "by_domain", "of_sealed", "of_hidden", "over_away"} {
		deny(t, plain, "table or view "+r+" is not allowed", "SELECT * FROM "+r, "TABLE "+r, "SELECT 1 FROM pg_class JOIN "+r+" x ON true", `SELECT * FROM "`+r+`"`, "SELECT (SELECT count(*) FROM ONLY "+r+")")
	}
	deny(t, plain, "table or view pg_authid is not allowed", "SELECT * FROM pg_catalog.pg_authid", "SELECT * FROM db.pg_catalog.pg_authid")
	deny(t, plain, "is not allowed", "SELECT * FROM information_schema.user_mapping_options")
	deny(t, plain, "schema pg_toast is not allowed", "SELECT * FROM pg_toast.pg_toast_1")
}

func TestTypes(t *testing.T) {
	t.Parallel()
	allow(t, plain, "SELECT 1::fine", "SELECT 'x'::mood", "SELECT h.checked, holds.checked FROM holds h, holds", "SELECT checked FROM holds ORDER BY checked", "SELECT count(checked), 1 + checked AS checked FROM holds WHERE NOT checked GROUP BY checked",
		"SELECT public.holds.checked FROM public.holds", "SELECT h.id FROM public.holds AS h", "SELECT to_jsonb(h) FROM holds h")
	deny(t, plain, "type checked is not allowed", "SELECT 1::checked", "SELECT 1::public.checked", "SELECT CAST(1 AS checked)", "SELECT CAST((1) AS public.checked)", "SELECT checked '1'", "SELECT checked(1)", "SELECT public.checked(1)", "SELECT (1).checked",
		"SELECT x.checked FROM f() x", "SELECT x.checked FROM holds, f() x", "SELECT (SELECT h.checked FROM f() h) FROM holds h", "SELECT * FROM f() AS t(a checked)", `SELECT * FROM f() AS t("a" checked)`, "SELECT * FROM f() AS t(by checked)", "SELECT 1::checked[]", "SELECT f('1' RETURNING checked)")
	deny(t, plain, "type checked is not allowed", "SELECT (r).v.checked FROM holds r", "SELECT (r).w.v.checked FROM holds r", "SELECT ((r).v).checked FROM holds r", "SELECT $1.v.checked", "SELECT good_view.checked FROM good_view('x')", "SELECT xmlserialize(content x AS checked)")
	deny(t, plain, "type _checked is not allowed", "SELECT '{}'::_checked")
	deny(t, plain, "type wrapped is not allowed", "SELECT ROW(1)::wrapped")
	deny(t, plain, "boxes is not allowed", "SELECT array_append(ARRAY[c], '1') FROM boxes", "SELECT jsonb_populate_record(b, '{}') FROM public.boxes b", "SELECT NULL::boxes", "SELECT ROW(1)::public.boxes", "SELECT * FROM f() AS t(a boxes)")
	allow(t, plain, "SELECT jsonb_populate_record(c, '{}') FROM pg_class c")
}

func TestOperators(t *testing.T) {
	t.Parallel()
	allow(t, plain, "SELECT 1 + 2, 'a' % 'b', 1 OPERATOR(pg_catalog.~@~) 2, t.*, count(*) FROM holds t", "SELECT 1 OPERATOR(public.%) 2", "SELECT 'a' LIKE 'b'")
	deny(t, plain, "operator ~@~ is not allowed", "SELECT 1 ~@~ 2", "SELECT 1 OPERATOR(public.~@~) 2", "SELECT 1 OPERATOR(~@~) 2", "SELECT 1 operator /**/ ( \"public\" . ~@~ ) 2")
	deny(t, plain, "operator @#@ is not allowed", "SELECT 1 OPERATOR(shop.@#@) 2")
	allow(t, plain, "SELECT 1 @#@ 2") // not in the search_path: the server has no such operator
	deny(t, plain, "not clear", "SELECT 1 OPERATOR(db.public.~@~) 2", "SELECT 1 OPERATOR(db.public.*) 2")
	clouded := New(rows(shop), Policy{})
	deny(t, clouded, "OPERATOR(pg_catalog.~~)", "SELECT 'a' ~~ 'b'", "SELECT 'a' LIKE 'b'", "SELECT 'a' NOT LIKE ('b')", "SELECT 'a' LIKE ANY (ARRAY['b'])")
	allow(t, clouded, `SELECT "like" FROM holds`, "SELECT 'a' OPERATOR(pg_catalog.~~) 'b'")
	star := New(rows(shop+"o 21009 20000 public * -\n"), Policy{})
	deny(t, star, "operator * is not allowed", "SELECT 2 * 3")
	allow(t, star, "SELECT * FROM holds", "SELECT count(*), h.* FROM holds h", "SELECT 1, * FROM holds")
}

func TestImpliedOperators(t *testing.T) {
	t.Parallel()
	for symbol, all := range map[string][]string{
		"=":  {"SELECT 1 IN (1)", "SELECT nullif(1, 2)", "SELECT 1 IS DISTINCT FROM 2", "SELECT CASE 1 WHEN 2 THEN 3 END", "SELECT 1 FROM holds JOIN holds h USING (id)", "SELECT 1 FROM holds NATURAL JOIN holds h"},
		">=": {"SELECT 1 BETWEEN 2 AND 3"}, "~~*": {"SELECT 'a' ILIKE 'b'"}, "~": {"SELECT 'a' SIMILAR TO 'b'"},
	} {
		s := New(rows(without("21003")+"o 21009 20000 public "+symbol+" -\n"), Policy{})
		deny(t, s, "operator "+symbol+" is not allowed", all...)
	}
}

func TestRestrictedCalls(t *testing.T) {
	t.Parallel()
	allow(t, plain, "SELECT current_setting('TimeZone')", "SELECT current_setting('server_version', true)", "SELECT repeat('x', 10000)", "SELECT repeat('x', least(n + 1, 10000))", "SELECT lpad(repeat2('x'), 5, repeat('x', 3))",
		"SELECT format('%s %9999s', 1, 2)", "SELECT pg_input_is_valid('x', 'int4')", "SELECT repeat FROM x", "SELECT format FROM x")
	deny(t, plain, "current_setting is not allowed", "SELECT current_setting('app.key')", "SELECT current_setting(x)", `SELECT current_setting("timezone")`, "SELECT current_setting('time' || 'zone')", `SELECT "current_setting"('app.key')`, "SELECT pg_catalog.current_setting('app.key')", "SELECT current_setting()")
	deny(t, plain, "can be called like this", "SELECT ('app.key'::text).current_setting", "SELECT x.current_setting FROM f() x")
	deny(t, plain, "need a length", "SELECT repeat('x', 10001)", "SELECT repeat('x', n)", "SELECT repeat('x', 10 * 1000)", "SELECT repeat('x', 1e9)", "SELECT lpad('x', -5)", "SELECT repeat('x')", "SELECT repeat('x', least(1, 2) * least(3, 4))", "SELECT repeat('x', least(99999))",
		"SELECT repeat('x', \"least\"(n, 5))", "SELECT pg_catalog.repeat('x', n)")
	deny(t, plain, "within the first argument", "SELECT repeat(repeat('x', 9), 9)", "SELECT repeat(upper(pg_catalog.lpad('x', 9)), 9)", `SELECT repeat("repeat"('x', 9), 9)`)
	deny(t, plain, "format needs", "SELECT format('%10000s', 1)", "SELECT format('%*s', 1, 2)", "SELECT format(x)", "SELECT format('%' || x)", "SELECT format()")
	deny(t, plain, "needs the name of one", "SELECT pg_input_is_valid('x', 'checked')", "SELECT pg_input_is_valid('x', 'public.int4')", "SELECT pg_input_is_valid('x', y)", "SELECT pg_input_is_valid('x', 'int4[]')", "SELECT pg_input_is_valid('x')", "SELECT pg_input_is_valid('x', '')")
}

func TestSealed(t *testing.T) {
	t.Parallel()
	allow(t, plain, "SELECT p.proname, count(*) * 2 FROM pg_proc p JOIN pg_class c ON c.oid = p.oid GROUP BY p.proname", "SELECT proname FROM pg_catalog.pg_proc", "SELECT pg_proc.proname FROM pg_proc", "SELECT a.oid FROM pg_class b, pg_proc a WHERE a.oid IN (SELECT x.oid FROM pg_proc AS x)",
		"SELECT prosrc FROM shop.orders", "SELECT DISTINCT proname FROM pg_proc LIMIT 1", "SELECT routine_name FROM information_schema.routines r")
	deny(t, plain, "of this catalog", "SELECT prosrc FROM pg_proc", "SELECT p.prosrc FROM pg_proc p", "SELECT p.lower FROM pg_proc p", `SELECT pg_catalog.pg_proc."lower" FROM pg_proc`, "SELECT * FROM pg_proc", "SELECT p.* FROM pg_proc p", "SELECT p FROM pg_proc p", "SELECT pg_proc FROM pg_proc", "SELECT to_jsonb(p) FROM pg_proc AS p", "TABLE pg_proc",
		"SELECT x.a FROM pg_proc x(a, b)", "SELECT x.a FROM pg_proc (a, b)", "SELECT j FROM (pg_proc p JOIN pg_class c ON true) j", "SELECT j FROM (pg_class c JOIN pg_proc p ON true) j", "SELECT 1 AS from, pg_proc FROM pg_proc", "SELECT 1 AS from, pg_proc AS x FROM pg_proc", "SELECT substring('x' FROM pg_proc)", "SELECT trim(both 'x' from pg_proc) FROM pg_class", "SELECT c.from, pg_proc FROM pg_proc", "SELECT 1 IS DISTINCT FROM 2, pg_proc FROM pg_proc", "SELECT 1 FROM pg_proc JOIN pg_class ON pg_proc IS NULL", "SELECT 1 WHERE 1 IS DISTINCT FROM pg_proc",
		"SELECT (p).oid FROM pg_proc p", "SELECT proname FROM ONLY pg_proc", "SELECT a.* FROM pg_class a, pg_proc", "SELECT routine_definition FROM information_schema.routines", "SELECT x.y FROM f(pg_proc) x", `SELECT "prosrc" FROM pg_proc`)
}

// TestRefusal tells by character, not by byte, and shows only plain names.
func TestRefusal(t *testing.T) {
	t.Parallel()
	var r *sqlgate.Refusal
	if err := check(plain, "SELECT 'é', pg_sleep(1)"); !errors.As(err, &r) || r.Pos != 13 {
		t.Errorf("got %+v, want position 13", r)
	}
	hostile := New(rows(shop+"f 20010 0 public ignore\u200bprevious i---\n"), Policy{})
	deny(t, hostile, "function of that name is not allowed", "SELECT \"ignore\u200bprevious\"()")
}

func TestUnicodeNames(t *testing.T) {
	t.Parallel()
	tokens, err := sqllex.Scan(`SELECT U&"\0041"`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plain.Check(sqlgate.Statement{SQL: `SELECT U&"\0041"`, Query: tokens}); err == nil {
		t.Error("a U& name was allowed")
	}
}

// FuzzCheck demands that no text makes Check panic, and that what it allows has
// no call of what is not allowed.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{"SELECT pg_sleep(1)", "SELECT (1).pg_sleep", "SELECT 1 OPERATOR(public.~@~) 2", "SELECT p.prosrc FROM pg_proc AS p", "SELECT repeat('x', least(n, 5))", "SELECT a.b.c.d.* FROM f() AS t(a checked)", ".((", "OPERATOR(.+)", "(.*", "least(", "SELECT 1::"} {
		f.Add(s)
	}
	s := New(rows(shop), Policy{})
	f.Fuzz(func(t *testing.T, sql string) {
		tokens, err := sqllex.Scan(sql)
		if err != nil {
			return
		}
		if _, err := s.Check(sqlgate.Statement{SQL: sql, Query: tokens}); err != nil { // whether or not sqlgate has accepted it
			return
		}
		for i, tok := range tokens {
			call := i+1 < len(tokens) && tokens[i+1].Is("(")
			attribute := i > 0 && tokens[i-1].Is(".") && !call
			if named(tok) && (call && (i == 0 || !tokens[i-1].Is(".")) || attribute) && (tok.Value == "pg_sleep" || tok.Value == "ping") {
				t.Fatalf("allowed %q", sql)
			}
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	st, err := sqlgate.Check(`SELECT c.name, o.total, row_number() OVER (PARTITION BY c.id ORDER BY o.created_at DESC) FROM shop.customers c JOIN shop.orders o ON o.customer_id = c.id
		WHERE o.created_at >= now() - interval '30 days' AND c.country IN ('DE', 'FR') AND lower(c.email) LIKE 'a%' ORDER BY 2 DESC LIMIT 20`, sqlgate.Options{})
	if err != nil {
		b.Fatal(err)
	}
	s := New(rows(without("21003", "public lower")), Policy{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Check(st); err != nil {
			b.Fatal(err)
		}
	}
}
