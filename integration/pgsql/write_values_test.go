package pgsql

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// rich is text that has been trouble somewhere, made from g.
const rich = `(ARRAY['', 'a', '"', '\', '''', '{', '}', ',', ' x ', 'NULL', 'null', E'\n\t', 'é😀', E'\u202e', '$1', '1e5', 'true', E'\u0001', '{"a":1}', '[1]', '//8='])[1 + (g * 7) % 21] || repeat(chr(33 + g % 90), g % 4)`

// builtins are types, without space in json, which clients drop, and values of
// them that the server makes from the number g.
var builtins = []struct{ name, value string }{
	{"bool", "g % 2 = 0"},
	{"int2", "(CASE g WHEN 1 THEN 32767 WHEN 2 THEN -32768 ELSE g - 20 END)::int2"},
	{"int4", "(CASE g WHEN 1 THEN 2147483647 WHEN 2 THEN -2147483648 ELSE (random() * 4e9 - 2e9) END)::int4"},
	{"int8", "(CASE g WHEN 1 THEN 9223372036854775807 WHEN 2 THEN -9223372036854775808 WHEN 3 THEN 9007199254740993 ELSE (random() * 1e18)::int8 END)::int8"},
	{"numeric", "(CASE g WHEN 1 THEN 'NaN' WHEN 2 THEN '1' || repeat('0', 300) WHEN 3 THEN '0.' || repeat('0', 100) || '7' WHEN 4 THEN '1.10' ELSE (random() * 1e9)::numeric::text || g END)::numeric"},
	{"float4", "(CASE g WHEN 1 THEN 'NaN' WHEN 2 THEN '-Infinity' WHEN 3 THEN '-0' WHEN 4 THEN '1e-45' ELSE (random() * 1e10)::text END)::float4"},
	{"float8", "(CASE g WHEN 1 THEN 'NaN' WHEN 2 THEN 'Infinity' WHEN 3 THEN '-0' WHEN 4 THEN '5e-324' WHEN 5 THEN '1.7976931348623157e308' ELSE (random() * 1e10)::text END)::float8"},
	{"text", rich}, {"varchar", rich}, {"bpchar", rich}, {"char(9)", "(" + rich + ")::char(9)"}, {"name", "(" + rich + ")::name"},
	{`"char"`, `chr(32 + g)::"char"`},
	{"bytea", "decode(repeat(md5(g::text), g % 3), 'hex')"},
	{"uuid", "md5(g::text)::uuid"},
	{"date", "(CASE g WHEN 1 THEN 'infinity' WHEN 2 THEN '-infinity' WHEN 3 THEN '0044-03-15 BC' WHEN 4 THEN '5874897-12-31' ELSE (date '2024-02-28' + g)::text END)::date"},
	{"time", "time '00:00' + g * interval '7777777.7 microseconds'"},
	{"timetz", "(time '00:00' + g * interval '7777777.7 microseconds')::text::timetz AT TIME ZONE ((g % 12 - 6) * interval '1 hour')"},
	{"timestamp", "(CASE g WHEN 1 THEN 'infinity' WHEN 2 THEN '0044-03-15 00:00:00 BC' WHEN 3 THEN '12024-01-01 00:00:00' ELSE (timestamp '2024-01-01' + g * interval '77777.777777 s')::text END)::timestamp"},
	{"timestamptz", "(CASE g WHEN 1 THEN '-infinity' WHEN 2 THEN '0044-03-15 00:00:00+00 BC' WHEN 3 THEN '12024-01-01 00:00:00+00' ELSE (timestamptz '2024-01-01 00:00:00+00' + g * interval '77777.777777 s')::text END)::timestamptz"},
	{"interval", "g * interval '1 month -1 day 1.000001 s' - interval '1 year'"},
	{"json", `(CASE g WHEN 1 THEN '{"b":1.10,"a":[1,null]}' WHEN 2 THEN '12345678901234567890' WHEN 3 THEN '"x\u0041"' WHEN 4 THEN 'true' ELSE json_build_array(` + rich + `)::text END)::json`},
	{"jsonb", `(CASE g WHEN 1 THEN '{"b": 1.10, "a": [1, null]}' WHEN 2 THEN '1e400' WHEN 3 THEN '"x\u0041"' WHEN 4 THEN '[]' ELSE jsonb_build_object(` + rich + `, g)::text END)::jsonb`},
	{"inet", "('10.0.0.' || g || '/' || 8 + g % 24)::inet"}, {"cidr", "'10.1.0.0/16'::cidr"}, {"macaddr", "'08:00:2b:01:02:03'::macaddr"}, {"macaddr8", "'08:00:2b:01:02:03:04:05'::macaddr8"},
	{"bit(8)", "g::bit(8)"}, {"varbit", "g::bit(6)::varbit"}, {"oid", "(4294967295 - g)::oid"}, {"money", "g::money / 7"},
	{"point", "point(g, g / 3.0)"}, {"box", "box(point(g, 1), point(0, g / 7.0))"}, {"lseg", "lseg(point(g, 1), point(0, 2))"}, {"path", "'[(0,0),(1,1)]'::path"}, {"polygon", "'((0,0),(1,1),(2,0))'::polygon"}, {"circle", "circle(point(1, 2), g)"}, {"line", "'{1,2,3}'::line"},
	{"int4range", "int4range(g, g + 5)"}, {"numrange", "numrange(g, NULL)"}, {"tstzrange", "tstzrange(timestamptz '2024-01-01 00:00:00+00', NULL, '(]')"}, {"daterange", "'empty'::daterange"}, {"int8multirange", "int8multirange(int8range(1, g), int8range(g + 5, g + 9))"},
	{"tsvector", "to_tsvector('simple', 'a b ' || g)"}, {"tsquery", "'a & !b | c'::tsquery"}, {"xml", "'<a b=\"c\">é</a>'::xml"}, {"pg_lsn", "'16/B374D848'::pg_lsn"},
	{"w.mood", "(CASE g % 2 WHEN 0 THEN 'sad' ELSE 'so, so' END)::w.mood"}, {"w.small", "(g % 10)::w.small"}, {"w.pair", "(g, " + rich + ")::w.pair"}, {"w.smalls", "ARRAY[g]::w.smalls"},
	{"bool[]", "ARRAY[g % 2 = 0, NULL]"}, {"int8[]", "ARRAY[[g, 9007199254740993], [NULL, 2]]::int8[]"}, {"numeric[]", "ARRAY[g / 7.0, 'NaN']"}, {"float8[]", "ARRAY[g / 7.0, 'NaN', '-0']::float8[]"},
	{"text[]", "ARRAY[[" + rich + ", NULL], ['" + `x"y\z` + "', " + rich + "]]"}, {"bytea[]", "ARRAY['\\xff00'::bytea, '']"}, {"timestamptz[]", "ARRAY[timestamptz '2024-01-01 00:00:00+00', 'infinity']"},
	{"jsonb[]", "ARRAY[jsonb_build_object(" + rich + ", g), '[1, [2]]', NULL]"}, {"json[]", `ARRAY['{"a":[1]}'::json, '[]']`}, {"uuid[]", "ARRAY[md5(g::text)::uuid]"}, {"box[]", "ARRAY[box(point(g, 1), point(0, 2)), box(point(0, 0), point(1, 1))]"},
	{"w.mood[]", "ARRAY['so, so', 'sad']::w.mood[]"}, {"int4range[]", "ARRAY[int4range(1, g + 2)]"}, {"inet[]", "ARRAY['10.0.0.1/8'::inet]"}, {"w.pair[]", "ARRAY[(g, " + rich + ")::w.pair]"}, {"text[]", "'{}'"},
}

// TestWriteRoundTrip has the server make values of every type, reads them as a
// model would, writes what was read to another table, and has the server compare
// the two.
func TestWriteRoundTrip(t *testing.T) {
	t.Parallel()
	more := strings.Builder{}
	more.WriteString("CREATE TYPE w.mood AS ENUM ('sad', 'so, so'); CREATE DOMAIN w.small AS int; CREATE DOMAIN w.smalls AS int[]; CREATE TYPE w.pair AS (a int, b text);\n")
	var tables []pgtool.Table
	for i, b := range builtins {
		fmt.Fprintf(&more, "CREATE TABLE w.from%d (id int, v %s); INSERT INTO w.from%d SELECT g, %s FROM generate_series(1, 40) g; CREATE TABLE w.to%d (id int, v %s);\n", i, b.name, i, b.value, i, b.name)
		tables = append(tables, pgtool.Table{Schema: "w", Name: fmt.Sprint("to", i), Read: []string{"id", "v"}, Insert: []string{"id", "v"}})
	}
	name, conn := ledgerSetup(t, more.String(), tables)
	o := pgtool.WriteOptions{Tables: tables, MaxAffected: 1000}
	o.URL = redact.NewSecret(postgres.Server(t).URL(name, name))
	cs, _ := writeClient(t, pgtool.WriteTools(openWriter(t, o)), &person{})
	pgtest.Exec(t, conn, "GRANT USAGE ON SCHEMA w TO "+reader+"; GRANT SELECT ON ALL TABLES IN SCHEMA w TO "+reader)
	db := open(t, name, nil)
	for i, b := range builtins {
		var batch []args
		for _, r := range rows(t, db, fmt.Sprintf("SELECT id, v FROM w.from%d ORDER BY id", i)) {
			v := decodeAnswer[[]json.RawMessage](json.RawMessage(r))
			batch = append(batch, args{"id": v[0], "v": v[1]})
		}
		got := tell(t, cs, "pg_insert", args{"table": fmt.Sprint("w.to", i), "rows": batch})
		if !strings.Contains(got, `"affected":40`) {
			t.Errorf("%s: %s", b.name, got)
			continue
		}
		bad := pgtest.Ask[*string](t, conn, fmt.Sprintf("SELECT min(f.v::text || ' became ' || coalesce(t.v::text, 'NULL')) FROM w.from%d f JOIN w.to%d t USING (id) WHERE f.v::text IS DISTINCT FROM t.v::text", i, i))
		if bad != nil {
			t.Errorf("%s: %s", b.name, *bad)
		}
	}
}

// TestWriteDropsNothing refuses values of which the server would keep a part.
func TestWriteDropsNothing(t *testing.T) {
	t.Parallel()
	tables := []pgtool.Table{{Schema: "w", Name: "v", Read: []string{"t"}, Insert: []string{"t", "z", "d", "b", "v", "c", "cz", "n", "one", "ts"}}}
	w, _ := writer(t, `CREATE TABLE w.v (t timestamp, z timestamptz, d date, b bytea, v varchar(3), c time, cz timetz, n name, one "char", ts timestamp[])`, func(o *pgtool.WriteOptions) { o.Tables = tables })
	cs, _ := writeClient(t, pgtool.WriteTools(w), &person{})
	for _, test := range []struct {
		column string
		value  any
		want   string
	}{
		{"t", "2024-01-01T00:00:00", `"affected":1`},
		{"t", "2024-01-01T00:00:00Z", "must not have a time zone"},
		{"t", "2024-01-01 00:00:00.5+02", "must not have a time zone"},
		{"t", "2024-01-01T00:00:00-02:30", "must not have a time zone"},
		{"z", "2024-01-01T00:00:00-02:30", `"affected":1`},
		{"d", "2024-01-01", `"affected":1`},
		{"d", "2024-01-01T23:00:00Z", "must be a date without a time"},
		{"b", "AQ==", `"affected":1`},
		{"b", `\x01`, "must be base64"},
		{"b", "AR==", "must be base64"},
		{"b", "AQ==\n", "must be base64"},
		{"t", "0044-03-15 00:00:00+00 BC", "must not have a time zone"},
		{"t", "2024-01-01T00:00:00.123456", `"affected":1`},
		{"t", "2024-01-01T00:00:00.1234567", "six digits"},
		{"z", "2024-01-01T00:00:00.1234567Z", "six digits"},
		{"ts", []string{"2024-01-01T00:00:00Z"}, "must not have a time zone"},
		{"c", "10:00:00", `"affected":1`},
		{"c", "10:00:00+02", "must not have a time zone"},
		{"c", "2024-01-01T10:00:00", "without a date"},
		{"cz", "10:00:00+02", `"affected":1`},
		{"cz", "2024-01-01 10:00:00+02", "without a date"},
		{"n", strings.Repeat("x", 63), `"affected":1`},
		{"n", strings.Repeat("x", 64), "its end would be dropped"},
		{"one", "x", `"affected":1`},
		{"one", "xy", "its end would be dropped"},
		{"v", "abcd", "too long for its column (SQLSTATE 22001)"},
	} {
		wants(t, cs, "pg_insert", args{"table": "w.v", "rows": []args{{test.column: test.value}}}, test.want)
	}
}
