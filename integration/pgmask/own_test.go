package pgmask

import (
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/pgserver"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/insecure"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// ways are statements by which a caller can reach a column. Each has to show nothing
// of what is masked, and to be answered unless it is among those that are refused.
var ways = map[string][]string{
	"select list": {
		"SELECT ssn FROM people", "SELECT p.ssn, p.pin FROM people p", "SELECT lab.people.ssn FROM lab.people", `SELECT "ssn" FROM "lab"."people"`, "SELECT SSN FROM LAB.PEOPLE",
		"SELECT people.ssn AS x, ssn || 'x', upper(ssn), reverse(ssn) FROM people", "SELECT left(ssn, 1), length(ssn), ascii(ssn), md5(ssn) FROM people p", "SELECT pin + 1, pin % 10, born + 1, mood::text, tags[1] FROM people",
		"SELECT coalesce(ssn, email, card) FROM people", "SELECT ssn_low, email, card FROM people", "SELECT (SELECT ssn FROM people p WHERE p.id = c.id) FROM cards c", "SELECT ARRAY(SELECT ssn FROM people)",
		"SELECT CASE WHEN ssn > 'q' THEN 1 ELSE 2 END FROM people", "SELECT ssn IS NULL, pin IS NULL, num_nulls(ssn, born) FROM people", "SELECT encode(convert_to(email, 'UTF8'), 'base64') FROM people", "SELECT ssn COLLATE \"C\" FROM people",
	},
	"all columns": {
		"SELECT * FROM people", "SELECT p.* FROM people p", "SELECT lab.people.* FROM lab.people", "SELECT people.*, 1 FROM people", "TABLE people", "TABLE lab.people", "(TABLE people) ORDER BY id LIMIT 2", "SELECT * FROM (TABLE people) t", "VALUES ((SELECT max(ssn) FROM people))",
		"SELECT * FROM people AS x(a, b, c)", "SELECT c, d, e, f, g FROM people AS x(a, b, c, d, e, f, g)", "SELECT x.c FROM lab.people x(a, b, c)", "SELECT * FROM (SELECT * FROM people) AS x(a, b, c)", "SELECT * FROM people *", "SELECT count(*) FROM lab.people *",
	},
	"whole row": {
		"SELECT people FROM people", "SELECT p FROM people p", "SELECT p::text FROM people p", "SELECT to_jsonb(p) FROM people p", "SELECT to_jsonb(people) FROM people", "SELECT row_to_json(p) FROM lab.people p", "SELECT json_agg(p) FROM people p", "SELECT array_agg(p) FROM people p",
		"SELECT (p).ssn FROM people p", "SELECT (p.*).ssn FROM people p", "SELECT ROW(p.*) FROM people p", "SELECT (lab.people.*)::text FROM lab.people", "SELECT jsonb_object_keys(to_jsonb(p)) FROM people p", "SELECT to_jsonb(p) ->> 'ssn' FROM people p", "SELECT row(p) FROM people p",
		"SELECT hstore FROM people hstore", "SELECT ssn(p), email(p), name(p) FROM people p", "SELECT ssn(people) FROM lab.people", "SELECT (ROW(p.*)::text) FROM people p", "SELECT x.v FROM people p, jsonb_each(to_jsonb(p)) AS x(k, v)", "SELECT count(p), min(p::text) FROM people p", "SELECT md5(p::text) FROM people p", "SELECT p = p FROM people p", "SELECT lab.people FROM lab.people", "SELECT xmlforest(p) FROM people p",
		"SELECT old FROM history", "SELECT who FROM wrapped", "SELECT (who).ssn, (pack).who FROM wrapped", "SELECT ((w.pack).who).pin FROM wrapped w", "SELECT to_json(w) FROM wrapped w", "SELECT (old).ssn FROM history", "SELECT (h.old).pin FROM history h", "SELECT olds[1] FROM history", "SELECT (olds[1]).ssn FROM history", "SELECT to_jsonb(h) FROM history h", "SELECT u.ssn FROM history h, unnest(h.olds) u",
	},
	"WITH": {
		"WITH x AS (SELECT ssn FROM people) SELECT * FROM x", "WITH x(a) AS (SELECT ssn FROM lab.people) SELECT a FROM x", "WITH x AS MATERIALIZED (TABLE people) SELECT * FROM x", "WITH RECURSIVE r AS (SELECT 1 AS id, ''::text AS s UNION ALL SELECT r.id + 1, p.ssn FROM r JOIN people p ON p.id = r.id) SELECT * FROM r",
		"WITH a AS (SELECT * FROM people), b AS (SELECT * FROM a) SELECT b.ssn FROM b", "SELECT * FROM (WITH x AS (SELECT ssn FROM people) SELECT * FROM x) y", "WITH x AS (WITH y AS (SELECT * FROM people) SELECT * FROM y) SELECT * FROM x", "WITH recursive AS (SELECT ssn FROM people) SELECT * FROM recursive",
		"WITH recursive(a) AS (SELECT ssn FROM people) SELECT * FROM recursive", "WITH RECURSIVE recursive AS (SELECT ssn FROM people) SELECT * FROM recursive", "WITH\"x\"AS(SELECT ssn FROM people)SELECT*FROM\"x\"", "EXPLAIN WITH x AS (SELECT ssn FROM people) SELECT * FROM x WHERE ssn = 'qx'",
		"WITH RECURSIVE t(id) AS (SELECT id FROM people UNION SELECT id FROM t) SEARCH DEPTH FIRST BY id SET o SELECT t.id, p.ssn FROM t JOIN people p USING (id)",
	},
	"derived tables": {
		"SELECT * FROM (SELECT ssn AS x FROM people) s", "SELECT s.x FROM (SELECT max(ssn) AS x FROM people) s", "SELECT * FROM LATERAL (SELECT ssn FROM people) s", "SELECT * FROM cards c, LATERAL (SELECT ssn FROM people p WHERE p.id = c.id) s",
		"SELECT ssn FROM people UNION SELECT 'x'", "(SELECT ssn FROM people) EXCEPT (SELECT 'q')", "((SELECT ssn FROM people)) INTERSECT SELECT ssn FROM people", "SELECT * FROM ROWS FROM (generate_series(1, 2)) g, people", "SELECT * FROM (people JOIN cards ON true)", "SELECT * FROM (lab.people p CROSS JOIN cards c) AS j",
		"SELECT j::text FROM (people JOIN card_log ON person_id = people.id) j", "SELECT j.ssn FROM ((people p JOIN cards c ON p.id = c.id) JOIN card_log l ON l.person_id = p.id) AS j(a, b, ssn)", "SELECT * FROM XMLTABLE('/r' PASSING xmlelement(name r, (SELECT max(ssn) FROM people)) COLUMNS a text PATH '.')",
	},
	"joins": {
		"SELECT * FROM people JOIN (VALUES ('qxzjkvwyqzxj')) v(ssn) USING (ssn)", "SELECT ssn FROM people NATURAL JOIN (SELECT 'qxzjkvwyqzxj'::text AS ssn) v", "SELECT count(*) FROM people p JOIN people q ON p.ssn < q.ssn", "SELECT p.id FROM people p JOIN cards c ON c.owner = p.ssn", "SELECT id FROM people p LEFT JOIN (VALUES ('q')) v(x) ON p.ssn LIKE v.x || '%' WHERE v.x IS NOT NULL",
		"SELECT * FROM people p FULL JOIN cards c USING (id) ORDER BY id", "SELECT p.ssn FROM card_log l JOIN people p ON p.id = l.person_id", "SELECT owner FROM cards", "SELECT * FROM cards WHERE owner = 'qxzjkvwyqzxj'", "SELECT c.* FROM cards c JOIN people p ON p.id = c.id", "SELECT p.email = q.email, p.id, q.id FROM people p, people q ORDER BY 2, 3",
		"SELECT * FROM annex.people a JOIN lab.people p ON a.id = p.id", "SELECT people.ssn, x.ssn FROM lab.people JOIN annex.people x USING (id)",
	},
	"conditions": {
		"SELECT id FROM people WHERE ssn LIKE 'q%'", "SELECT id FROM people WHERE ssn = 'qxzjkvwyqzxj'", "SELECT id FROM people WHERE ssn > 'r' ORDER BY id", "SELECT id FROM people WHERE pin BETWEEN 7000000000 AND 8000000000", "SELECT id FROM people WHERE born < '1980-01-01'", "SELECT id FROM people WHERE length(ssn) > 11",
		"SELECT id FROM people WHERE mood = 'sad'", "SELECT id FROM people WHERE 'qxzjkvwyqzxj' = ANY (tags)", "SELECT id FROM people WHERE ssn IS NOT NULL", "SELECT id FROM people WHERE ssn ~ '^q' OR ssn IN ('a', 'b')", "SELECT id FROM people p WHERE EXISTS (SELECT 1 FROM people q WHERE q.ssn = p.ssn)", "SELECT id FROM people WHERE card LIKE 'x%' ORDER BY id",
		"SELECT id FROM people WHERE to_tsvector('simple', ssn) @@ 'qxzjkvwyqzxj'", "SELECT id FROM people WHERE (ssn, id) > ('q', 0)", "SELECT count(*) FILTER (WHERE ssn > 'm') FROM people", "SELECT kind FROM cards GROUP BY kind HAVING max(owner) > 'q'", "SELECT 1 / (CASE WHEN ssn > 'r' THEN 0 ELSE 1 END) FROM people", "SELECT ssn::int FROM people", "SELECT card::int FROM people", "SELECT email::date FROM people",
		"SELECT id FROM people WHERE ssn_low LIKE 'q%'", "SELECT id FROM lab.people WHERE lab.people.ssn LIKE 'q%'",
	},
	"order and groups": {
		"SELECT id FROM people ORDER BY ssn, id", "SELECT id FROM people ORDER BY pin DESC NULLS LAST, id", "SELECT id FROM people ORDER BY length(ssn), id", "SELECT DISTINCT ON (ssn) id FROM people ORDER BY ssn, id", "SELECT count(DISTINCT ssn), count(ssn) FROM people", "SELECT ssn, count(*) FROM people GROUP BY ssn",
		"SELECT count(*) FROM people GROUP BY length(ssn), born ORDER BY 1", "SELECT string_agg(ssn, ',' ORDER BY pin) FROM people", "SELECT rank() OVER (ORDER BY ssn), id FROM people ORDER BY id", "SELECT id, row_number() OVER (PARTITION BY ssn ORDER BY id) FROM people ORDER BY id", "SELECT max(ssn), min(pin), max(born), mode() WITHIN GROUP (ORDER BY ssn) FROM people",
		"SELECT rank('q') WITHIN GROUP (ORDER BY ssn) FROM people", "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY pin) FROM people", "SELECT id, name, ssn FROM people ORDER BY 3, 1", "SELECT grouping(ssn), ssn FROM people GROUP BY ROLLUP (ssn)", "SELECT first_value(ssn) OVER w, lag(pin) OVER w FROM people WINDOW w AS (ORDER BY id)", "SELECT email, count(*) FROM people GROUP BY email ORDER BY 2, 1",
	},
	"tables above and below": {
		"SELECT * FROM base", "SELECT secret FROM derived", "SELECT * FROM derived d ORDER BY d.secret", "SELECT to_jsonb(b) FROM base b", "SELECT * FROM events", "SELECT ssn_eu, user_token FROM events_eu", "TABLE events_eu", "SELECT user_token FROM events_us", "SELECT e.* FROM events e WHERE ssn_eu > 'q'", "SELECT id FROM ONLY derived ORDER BY secret", "SELECT * FROM ONLY lab.derived",
		"SELECT ssn FROM ONLY people", "SELECT ssn FROM ONLY (people)", "SELECT ssn FROM ONLY(lab.people) AS x",
	},
	"types": {
		"SELECT * FROM typed", "SELECT door_code::text, length(blob), doc -> 'k' FROM typed", "SELECT jsonb_typeof(doc) FROM typed", "SELECT encode(blob, 'hex'), get_byte(blob, 0) FROM typed", "SELECT jsonb_populate_record(NULL::people, to_jsonb(p)) FROM people p", "SELECT (jsonb_populate_record(NULL::lab.people, to_jsonb(p))).ssn FROM people p",
		"SELECT pg_typeof(ssn), pg_typeof(pin), pg_typeof(tags), pg_typeof(mood), pg_typeof(email) FROM people WHERE id = 1", "SELECT pg_column_size(ssn), pg_column_size(p) FROM people p", "SELECT p::lab.people FROM people p", "SELECT ssn, id FROM partly", "SELECT * FROM partly",
	},
	"views": {
		"SELECT * FROM v_clean", "SELECT j FROM annex.v_rows", "SELECT * FROM v_listed", "SELECT email FROM v_listed", "SELECT * FROM v_over_listed", "SELECT * FROM m_clean", "SELECT p.ssn FROM v_clean c JOIN people p USING (id)",
	},
	"plans": {
		"EXPLAIN SELECT * FROM people WHERE ssn = 'qq'", "EXPLAIN (VERBOSE, COSTS OFF) SELECT * FROM people WHERE email = 'x' ORDER BY ssn", "EXPLAIN (FORMAT JSON, COSTS OFF) SELECT card FROM people", "EXPLAIN (COSTS OFF) SELECT * FROM many WHERE ssn = 'qzjx7'", "EXPLAIN (COSTS OFF) SELECT id FROM many WHERE id < 100 ORDER BY ssn",
	},
	"other names": {
		"SELECT people.people FROM (SELECT 1 AS people) people", "SELECT 1 AS people", "SELECT id AS lab FROM people", "SELECT x.people FROM (SELECT ssn AS people FROM people) x", "SELECT p.ssn FROM cards AS people JOIN lab.people p USING (id)", "SELECT people.kind FROM cards people", "SELECT count(people.*) FROM lab.people",
	},
}

// refused are statements that are not answered.
var refused = map[string][]string{
	"views":      {"SELECT * FROM v_ssn", "SELECT number FROM lab.v_ssn", "SELECT id FROM v_ssn", "TABLE v_whole", "SELECT j FROM v_whole", "SELECT * FROM v_filter", "SELECT * FROM v_using", "SELECT y FROM v_sub", "SELECT * FROM v_base", "SELECT * FROM v_over", "SELECT * FROM v_history", "SELECT * FROM m_ssn", "SELECT number FROM lab.m_ssn", "SELECT * FROM v_over_m", "SELECT * FROM v_over_listed_email", "SELECT v.number FROM people p JOIN v_ssn v USING (id)"},
	"positions":  {"SELECT * FROM ONLY base", "SELECT * FROM ONLY (lab.events)", "SELECT ssn FROM people TABLESAMPLE system (100)", "SELECT ssn FROM lab.people p TABLESAMPLE bernoulli (50) REPEATABLE (1)", "SELECT ssn FROM pgmask_a.lab.people", "SELECT pgmask_a.lab.people.ssn FROM lab.people", "(WITH x AS (SELECT * FROM people) SELECT * FROM x)"},
	"system":     {"SELECT ctid FROM people", "SELECT p.xmin FROM people p", "SELECT tableoid FROM base", "SELECT tableoid::regclass FROM lab.events"},
	"own names":  {"WITH people AS (SELECT * FROM people) SELECT * FROM people", "WITH people AS (SELECT * FROM lab.people) SELECT ssn FROM people", "WITH people(a) AS NOT MATERIALIZED (SELECT 1) SELECT * FROM people", "SELECT * FROM (WITH people AS (SELECT 1) SELECT * FROM people) x, people p"},
	"the key":    {"SELECT current_setting('mcpsec.mask_inner')", "SELECT current_setting('mcpsec.' || 'mask_outer', true)", "SHOW mcpsec.mask_inner", `SHOW "mcpsec.mask_outer"`, "SELECT setting FROM pg_settings WHERE name LIKE 'mcpsec%'", "SELECT * FROM pg_show_all_settings()", "SELECT set_config('mcpsec.mask_inner', '00', true)", "SELECT set_config('mcpsec.mask_inner', '00', true), email FROM people"},
	"statistics": {"SELECT most_common_vals FROM pg_stats", "SELECT attmissingval FROM pg_attribute", "SELECT * FROM pg_attribute", "SELECT a FROM pg_attribute a", "SELECT stavalues1 FROM pg_statistic", "SELECT * FROM pg_stats_ext", "SELECT * FROM pg_statistic_ext_data", "SELECT query_to_xml('SELECT ssn FROM lab.people', true, true, '')", "SELECT table_to_xml('lab.people', true, true, '')", "SELECT * FROM ts_stat('SELECT ssn::tsvector FROM lab.people')"},
}

// mayFail are those of ways that PostgreSQL itself does not take.
var mayFail = map[string]bool{
	"SELECT p = p FROM people p": true, "SELECT ssn::int FROM people": true, "SELECT card::int FROM people": true, "SELECT email::date FROM people": true, "SELECT p::lab.people FROM people p": true,
	"SELECT j.ssn FROM ((people p JOIN cards c ON p.id = c.id) JOIN card_log l ON l.person_id = p.id) AS j(a, b, ssn)": true,
}

func TestWays(t *testing.T) {
	t.Parallel()
	for name, change := range roles {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := opened(t, change)
			if text, _ := ask(t.Context(), p[0], "SELECT current_user"); strings.Contains(text, reader) != (name == "reader") {
				t.Fatalf("the role is not the one that was meant: %s", text)
			}
			tryWays(t, p)
		})
	}
}

// roles are the reader, and a superuser, behind whom nothing else stands.
var roles = map[string]func(*pgtool.Options){
	"reader": nil,
	"superuser": func(o *pgtool.Options) {
		o.URL = redact.NewSecret(strings.Replace(o.URL.Reveal(), "//"+reader+":", "//"+pgserver.Admin+":", 1))
		o.Waive = []mcpsec.Waiver{insecure.OverprivilegedRole("the masks alone are under test")}
	},
}

func tryWays(t *testing.T, p pair) {
	t.Helper()
	n := 0
	for kind, all := range ways {
		for _, sql := range all {
			n++
			if text, failed, _ := p.holds(t, sql); failed && !mayFail[sql] {
				t.Errorf("%s: %s: was not answered: %s", kind, sql, text)
			}
		}
	}
	for kind, all := range refused {
		for _, sql := range all {
			n++
			if text, failed, _ := p.holds(t, sql); !failed {
				t.Errorf("%s: %s: was answered: %.300s", kind, sql, text)
			}
		}
	}
	if n < 200 {
		t.Errorf("%d statements, want 200", n)
	}
}
