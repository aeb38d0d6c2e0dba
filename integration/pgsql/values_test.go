package pgsql

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
)

func TestValues(t *testing.T) {
	t.Parallel()
	name := database(t)
	pgtest.Exec(t, postgres.Admin(t, name), `CREATE TYPE public.mood AS ENUM ('sad', 'so so'); CREATE DOMAIN public.small AS int CHECK (VALUE < 10);
		CREATE DOMAIN public.smalls AS int[]; CREATE DOMAIN public.smaller AS small CHECK (VALUE < 5); CREATE DOMAIN public.smallest AS smaller; CREATE TYPE public.pair AS (a int, b text); CREATE TYPE public.floatrange AS RANGE (subtype = float8)`)
	db := open(t, name, nil)
	for _, test := range []struct{ sql, want string }{
		{"true, false, NULL::bool", `true,false,null`},
		{"1::int2, (-32768)::int2, 2147483647, (-2147483648)::int4", `1,-32768,2147483647,-2147483648`},
		{"9007199254740993, (-9223372036854775808)::int8", `"9007199254740993","-9223372036854775808"`},
		{"1::int8, 0::numeric", `"1","0"`},
		{"12345678901234567890.123456789012345678901234567890", `"12345678901234567890.123456789012345678901234567890"`},
		{"1.10::numeric(5,2), 'NaN'::numeric, 1e100::numeric * 10", `"1.10","NaN","1` + strings.Repeat("0", 101) + `"`},
		{"0.1::float8, 1e300::float8, 1e-300::float8, '-0'::float8", `0.1,1e+300,1e-300,-0`},
		{"0.1::float4, 16777217::float4, 123456789012345680::float8", `0.1,1.6777216e+07,1.2345678901234568e+17`},
		{"'NaN'::float8, 'Infinity'::float4, '-Infinity'::float8", `"NaN","Infinity","-Infinity"`},
		{"26::oid, 1::money = 1::money", `"26",true`},
		{`'', 'a"b\c', E'\n\t\u0001', 'é😀'`, `"","a\"b\\c","\n\t\u0001","é😀"`},
		{"date '2024-02-29', date 'infinity', date '0044-03-15 BC'", `"2024-02-29","infinity","0044-03-15 BC"`},
		{"timestamp '2024-01-31 12:34:56', timestamp '2024-01-31 12:34:56.7', timestamp '-infinity'", `"2024-01-31T12:34:56","2024-01-31T12:34:56.7","-infinity"`},
		{"timestamptz '2024-01-31 12:34:56.000001+02', timestamptz 'infinity'", `"2024-01-31T10:34:56.000001Z","infinity"`},
		{"timestamptz '0044-03-15 12:00:00+00 BC', timestamptz '12024-01-01 00:00:00+00'", `"0044-03-15 12:00:00+00 BC","12024-01-01 00:00:00+00"`},
		{"time '12:34:56.5', timetz '12:34:56+02'", `"12:34:56.5","12:34:56+02"`},
		{"interval '1 year 2 months 3 days 4 hours 5.5 seconds', interval '-1 day'", `"P1Y2M3DT4H5.5S","P-1D"`},
		{`'\x00ff10'::bytea, ''::bytea`, `"AP8Q",""`},
		{`'{"b": 1.10, "a": [1, null]}'::json, '{"b": 1.10, "a": "\u00e9"}'::jsonb, 'null'::jsonb`, `{"b": 1.10, "a": [1, null]},{"a": "é", "b": 1.10},null`},
		{`'{"id": 12345678901234567890}'::jsonb`, `{"id": 12345678901234567890}`},
		{`'{"a": 1, "a": 2}'::json`, `"{\"a\": 1, \"a\": 2}"`},
		{"(repeat('[', 100) || repeat(']', 100))::json", `"` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `"`},
		{"'b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, inet '10.0.0.1/8', macaddr '08:00:2b:01:02:03'", `"b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11","10.0.0.1/8","08:00:2b:01:02:03"`},
		{"'sad'::mood, 5::small, '{1,2}'::smalls, (1, 'x y')::pair, int4range(1, 5), floatrange(1, 2)", `"sad",5,[1,2],"(1,\"x y\")","[1,5)","[1,2)"`},
		{"ARRAY[1, NULL, 3], '{}'::int[], ARRAY[[1, 2], [3, 4]], '[0:1]={7,8}'::int[]", `[1,null,3],[],[[1,2],[3,4]],[7,8]`},
		{`ARRAY['a', '', 'NULL', NULL, 'a"b', 'a\b', 'a,b', '{}', ' x ']`, `["a","","NULL",null,"a\"b","a\\b","a,b","{}"," x "]`},
		{"ARRAY[9007199254740993], ARRAY[1.5, 'NaN'], ARRAY[0.5::float8, 'NaN'], ARRAY[true, false]", `["9007199254740993"],["1.5","NaN"],[0.5,"NaN"],[true,false]`},
		{`ARRAY['\x01'::bytea], ARRAY['{"a": [1]}'::jsonb], ARRAY[timestamptz '2024-01-01 00:00:00+00']`, `["AQ=="],[{"a": [1]}],["2024-01-01T00:00:00Z"]`},
		{"ARRAY['sad', 'so so']::mood[], ARRAY[1, 2]::small[], ARRAY[int4range(1, 5)], ARRAY[(1, 'x')::pair]", `["sad","so so"],[1,2],["[1,5)"],["(1,x)"]`},
		{"ARRAY[1]::smaller[], ARRAY[2]::smallest[], 3::smallest, ARRAY['{1,2}']::smalls[]", `[1],[2],3,[[1,2]]`},
		{`E'{"a":\n 1}'::json`, `{"a":1}`},
		{"ARRAY[box '(1,2),(3,4)', box '(0,0),(1,1)']", `["(3,4),(1,2)","(1,1),(0,0)"]`},
		{"'<a/>'::xml, to_tsvector('simple', 'a b'), B'101', point '(1,2)', ROW(1, NULL)", `"<a/>","'a':1 'b':2","101","(1,2)","(1,)"`},
	} {
		got := row(t, db, "SELECT "+test.sql)
		if got != "["+test.want+"]" {
			t.Errorf("%s:\n got %s\nwant [%s]", test.sql, got, test.want)
		}
		if !json.Valid([]byte(got)) {
			t.Errorf("%s: not JSON: %s", test.sql, got)
		}
	}
}

func TestColumnTypes(t *testing.T) {
	t.Parallel()
	name := database(t)
	pgtest.Exec(t, postgres.Admin(t, name), "CREATE TYPE public.mood AS ENUM ('sad'); CREATE DOMAIN public.small AS int; CREATE TYPE shop.mood AS ENUM ('x')")
	db := open(t, name, nil)
	a, err := db.ReadOnly(t.Context(), `SELECT 1 AS a, 2::int8 AS a, 'x' AS "B c", ARRAY['sad']::mood[], 5::small, 'x'::shop.mood, now(), $1::numeric`, 1.5)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range a.Columns {
		got = append(got, c.Name+" "+c.Type)
	}
	want := "a int4,a int8,B c text,array public.mood[],small int4,mood shop.mood,now timestamptz,numeric numeric"
	if s := strings.Join(got, ","); s != want {
		t.Errorf("\n got %s\nwant %s", s, want)
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	db := open(t, database(t), nil)
	cs, _ := client(t, db)
	for _, test := range []struct {
		sql    string
		params []any
		want   string
	}{
		{"SELECT $1::int + $2::int", []any{1, "2"}, `[[3]]`},
		{"SELECT name FROM shop.customers WHERE id = $1", []any{7}, `[["Customer 7"]]`},
		{"SELECT name FROM shop.customers WHERE id = $1 AND name <> $2", []any{7, "'; DROP TABLE shop.victim; --"}, `[["Customer 7"]]`},
		{"SELECT $1::numeric, $2::bool, $3::text", []any{json.RawMessage("12345678901234567890.10"), true, nil}, `[["12345678901234567890.10",true,null]]`},
		{"SELECT count(*) FROM shop.customers WHERE id = ANY ($1::int[])", []any{"{1,2,3}"}, `[["3"]]`},
		{"EXPLAIN (COSTS OFF) SELECT $1::int", []any{1}, `[["Result"]]`},
		{"SELECT $1", []any{"x"}, `[["x"]]`},
	} {
		if got := query(t, cs, test.sql, test.params...); !strings.Contains(got, `"rows":`+test.want) {
			t.Errorf("%s: got %s, want %s", test.sql, got, test.want)
		}
	}
	for _, params := range [][]any{{[]int{1}}, {map[string]int{"a": 1}}} {
		if got := query(t, cs, "SELECT $1", params...); !strings.Contains(got, "params[0] must be") {
			t.Errorf("%v: got %s", params, got)
		}
	}
	if got := query(t, cs, "SELECT $1::int", 1, 2); !strings.Contains(got, "SQLSTATE 08P01") {
		t.Errorf("too many params: got %s", got)
	}
}

// TestArrayRoundTrip makes the server write arrays of difficult texts, and
// compares with what went in.
func TestArrayRoundTrip(t *testing.T) {
	t.Parallel()
	db := open(t, database(t), nil)
	random := rand.New(rand.NewPCG(5, 6))
	parts := []string{`"`, `\`, `{`, `}`, `,`, ` `, `;`, `NULL`, `null`, `é`, "\n", "\t", `'`, `a`, `[0:1]=`, `=`}
	for range 100 {
		texts := make([]string, random.IntN(6))
		for i := range texts {
			for range random.IntN(5) {
				texts[i] += parts[random.IntN(len(parts))]
			}
		}
		in, err := json.Marshal(texts)
		if err != nil {
			t.Fatal(err)
		}
		// The second is two-dimensional, with other lower bounds.
		got := row(t, db, `SELECT coalesce(array_agg(x), '{}'), count(*)::int, coalesce(array_agg(ARRAY[x, NULL]), '{}')
			FROM json_array_elements_text($1::json) x`, string(in))
		var out []json.RawMessage
		var one []string
		if err := json.Unmarshal([]byte(got), &out); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		if err := json.Unmarshal(out[0], &one); err != nil || !equal(one, texts) {
			t.Fatalf("%s: got %q, want %q", in, one, texts)
		}
		var two [][]*string
		if err := json.Unmarshal(out[2], &two); err != nil || len(two) != len(texts) {
			t.Fatalf("%s: got %s, %v", in, out[2], err)
		}
		for i := range two {
			if *two[i][0] != texts[i] || two[i][1] != nil {
				t.Fatalf("%s: got %s", in, out[2])
			}
		}
	}
}

func equal(a, b []string) bool {
	return strings.Join(a, "\x00") == strings.Join(b, "\x00") && len(a) == len(b)
}
