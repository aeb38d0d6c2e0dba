package pgsql

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// samples are values of PostgreSQL's own types, as texts.
var samples = map[string][]string{
	"boolean": {"t", "f"}, "bytea": {`\x`, `\x00ff10`, `\\x`}, `"char"`: {"a", "", `\377`}, "name": {"", "x y", `"`},
	"bigint": {"0", "9223372036854775807", "-9223372036854775808", "9007199254740993"}, "smallint": {"-32768", "32767"},
	"integer": {"-2147483648", "2147483647", "0"}, "text": {"", "é😀", "NULL", "null", `{"a"}`, "a\nb\t\"\\", "\u0001", " x "},
	"character": {"x", ""}, "character varying": {"x ", "\u2028"},
	"oid": {"0", "4294967295"}, "xid": {"0", "4294967295"}, "xid8": {"18446744073709551615"}, "cid": {"0", "4294967295"}, "tid": {"(0,1)", "(4294967295,65535)"},
	"json":  {`{"b": 1.10, "a": [1, null]}`, "null", `"x"`, "12345678901234567890.5", `{"a":1,"a":2}`, " [1 ,2] ", "1e400"},
	"jsonb": {`{"b": 1.10, "a": "\u00e9"}`, "null", "1e300", "[]", "-0.0"}, "jsonpath": {`$."a"[*] ? (@ > 1)`},
	"xml": {"<a/>", "<a>é &amp; \"</a>"}, "real": {"0.1", "1e-45", "3.4028235e38", "NaN", "Infinity", "-Infinity", "-0", "16777217"},
	"double precision": {"0.1", "5e-324", "1.7976931348623157e308", "NaN", "-Infinity", "-0", "123456789012345680"},
	"numeric":          {"0", "-0.00", "1.10", "NaN", "Infinity", "-Infinity", "1e-16000", strings.Repeat("9", 1000) + "." + strings.Repeat("1", 1000)},
	"money":            {"0", "92233720368547758.07", "-92233720368547758.08", "1234.50"},
	"date":             {"2024-02-29", "infinity", "-infinity", "4713-01-01 BC", "5874897-12-31", "0001-12-31 BC"}, "time without time zone": {"00:00", "24:00", "12:34:56.000001"},
	"time with time zone":         {"12:34:56.5+02", "00:00+15:59:59", "24:00-15:59:59"},
	"timestamp without time zone": {"2024-01-31 12:34:56.7", "infinity", "-infinity", "4713-01-01 00:00:00 BC", "294276-12-31 23:59:59.999999", "0044-03-15 12:00 BC", "9999-12-31 23:59:59"},
	"timestamp with time zone":    {"2024-01-31 12:34:56.000001+02", "infinity", "-infinity", "4713-01-02 00:00:00+00 BC", "294276-12-31 23:59:59.999999+00", "10000-01-01 00:00:00+00"},
	"interval":                    {"0", "1 year 2 months 3 days 4 hours 5.5 seconds", "-1 day +00:00:01", "178000000 years", "1 month -1 day 1 microsecond"},
	"uuid":                        {"b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}, "inet": {"10.0.0.1/8", "::1", "::ffff:1.2.3.4/120", "255.255.255.255"}, "cidr": {"10.0.0.0/8", "2001:db8::/32"},
	"macaddr": {"08:00:2b:01:02:03"}, "macaddr8": {"08:00:2b:ff:fe:01:02:03"}, "bit": {"1", "0"}, "bit varying": {"", "10101", strings.Repeat("01", 100)},
	"point": {"(1,2)", "(0.1,-1e300)", "(NaN,Infinity)"}, "lseg": {"[(0,0),(1,1)]"}, "path": {"((0,0),(1,1))", "[(0,0),(1,1.5)]"}, "box": {"(3,4),(1,2)"},
	"polygon": {"((0,0),(1,1),(2,0))"}, "line": {"{1,-1,0}"}, "circle": {"<(1,2),3>"},
	"tsvector": {`'a':1A 'b''c':2,3B`, ""}, "tsquery": {`'a' & !( 'b':*A | 'c''d' )`, "'x' <2> 'y'"}, "pg_lsn": {"0/0", "FFFFFFFF/FFFFFFFF", "16/B374D848"},
	"int4range": {"[1,5)", "empty", "(,)", "[3,)"}, "int8range": {"[-9223372036854775808,9223372036854775807)"}, "numrange": {"(1.10,1.1000000000000000000001]"},
	"daterange": {"[2024-01-01,infinity)", "empty"}, "tsrange": {`["2024-01-01 00:00:00","2024-01-02 00:00:00")`}, "tstzrange": {`["2024-01-01 00:00:00+00",infinity]`},
	"int4multirange": {"{}", "{[1,3),[5,7)}"}, "int8multirange": {"{[1,9007199254740993)}"}, "nummultirange": {"{[1.1,2.2],(3,)}"},
	"datemultirange": {"{[2024-01-01,2024-01-02)}"}, "tsmultirange": {`{["2024-01-01 00:00:00","2024-01-02 00:00:00")}`}, "tstzmultirange": {`{["2024-01-01 00:00:00+00",)}`},
	"regclass": {"pg_class", "information_schema.tables"}, "regtype": {"integer", "text[]"}, "regproc": {"pg_catalog.now"}, "regprocedure": {"lower(text)"}, "regoper": {"pg_catalog.||/"},
	"regoperator": {"+(integer,integer)"}, "regrole": {"pg_monitor"}, "regnamespace": {"pg_catalog"}, "regcollation": {`"C"`}, "regconfig": {"simple"}, "regdictionary": {"simple"},
	"regdatabase": {"template1"}, "refcursor": {"c"}, "pg_snapshot": {"10:20:10,14,15"}, "txid_snapshot": {"10:20:10,14,15"}, "aclitem": {"=r/postgres"},
	"oidvector": {"1 2 3", ""}, "int2vector": {"1 -2 3", ""},
}

// withoutInput are types of which nobody can write a value.
var withoutInput = []string{"pg_node_tree", "pg_ndistinct", "pg_dependencies", "pg_mcv_list", "pg_brin_bloom_summary", "pg_brin_minmax_multi_summary", "gtsvector"}

// TestEveryType takes values of all types that the server has, and as many by chance,
// to JSON and back as parameters, and has the server compare them with what they were.
func TestEveryType(t *testing.T) {
	t.Parallel()
	name := database(t)
	db := open(t, name, func(o *pgtool.Options) { o.MaxBytes, o.MaxRows = 4<<20, 10_000 })
	conn := postgres.Admin(t, name)
	names := pgtest.Ask[[]string](t, conn, "SELECT array_agg(format_type(oid, NULL) ORDER BY oid) FROM pg_type WHERE typtype IN ('b', 'r', 'm') AND typcategory <> 'A' AND typnamespace = 'pg_catalog'::regnamespace")
	hasXML := conn.QueryRow(t.Context(), "SELECT '<a/>'::xml::text").Scan(new(string)) == nil
	random := rand.New(rand.NewPCG(7, 8))
	for _, typ := range names {
		values := samples[typ]
		switch {
		case slices.Contains(withoutInput, typ), typ == "xml" && !hasXML:
			continue
		case values == nil:
			t.Errorf("%s: there is no value to try", typ)
			continue
		}
		values = slices.Clone(values)
		if make := chances[typ]; make != nil {
			for range 200 {
				values = append(values, make(random))
			}
		}
		roundTrip(t, db, typ, values)
	}
}

// TestEveryKindOfUsersType does the same for what users can make.
func TestEveryKindOfUsersType(t *testing.T) {
	t.Parallel()
	name := database(t)
	pgtest.Exec(t, postgres.Admin(t, name), `CREATE TYPE public.mood AS ENUM ('sad', 'so so', 'a"b'); CREATE DOMAIN public.small AS int8 CHECK (VALUE < 10);
		CREATE TYPE public.pair AS (a int8, b text, c timestamptz); CREATE TYPE public.floatrange AS RANGE (subtype = float8)`)
	db := open(t, name, nil)
	for typ, values := range map[string][]string{
		"public.mood": {"sad", "so so", `a"b`}, "public.small": {"-9223372036854775808", "5"}, "public.floatrange": {"[0.1,1e300)", "empty"},
		"public.pair": {`(9007199254740993,"a ""b"" \ , é",infinity)`, "(,,)", `(1,"","2024-01-01 00:00:00+00")`}, "public.floatmultirange": {"{[0.1,0.2)}"},
	} {
		roundTrip(t, db, typ, values)
	}
}

// roundTrip takes values of a type to JSON and back.
func roundTrip(t *testing.T, db *pgtool.DB, typ string, values []string) {
	t.Helper()
	out := rows(t, db, "SELECT x::"+typ+" FROM unnest($1::text[]) WITH ORDINALITY AS u(x, i) ORDER BY i", array(values))
	back := make([]string, len(out))
	for i, text := range out {
		back[i] = parameter(t, typ, strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	}
	same := "a::" + typ + "::text = b::" + typ + "::text"
	switch typ {
	case "bytea":
		same = "a::bytea = decode(b, 'base64')"
	case "json": // line breaks go
		same = "a::jsonb = b::jsonb"
	}
	lost := rows(t, db, "SELECT a, b FROM unnest($1::text[], $2::text[]) AS u(a, b) WHERE ("+same+") IS NOT TRUE LIMIT 5", array(values), array(back))
	for _, l := range lost {
		t.Errorf("%s: not the same: %.300s", typ, l)
	}
	// Arrays have their elements in the same form, also in two dimensions.
	few := values[:min(len(values), 20)]
	got := row(t, db, "SELECT array_agg(x::"+typ+" ORDER BY i) || NULL::"+typ+", ARRAY[array_agg(x::"+typ+" ORDER BY i)] FROM unnest($1::text[]) WITH ORDINALITY AS u(x, i)", array(few))
	var elements []string
	for _, text := range out[:len(few)] {
		elements = append(elements, strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	}
	list := strings.Join(elements, ",")
	if want := "[[" + list + ",null],[[" + list + "]]]"; got != want && typ != "oidvector" && typ != "int2vector" {
		t.Errorf("arrays of %s:\n got %.500s\nwant %.500s", typ, got, want)
	}
}

// parameter is the JSON of a value as what a caller would pass.
func parameter(t *testing.T, typ, text string) string {
	t.Helper()
	if !json.Valid([]byte(text)) {
		t.Errorf("%s: not JSON: %s", typ, text)
	}
	if typ == "json" || typ == "jsonb" {
		var s string // what cannot be embedded is a string that holds it
		if json.Unmarshal([]byte(text), &s) == nil && json.Valid([]byte(s)) && strings.HasPrefix(s, "{") {
			return s
		}
		return text
	}
	exact := typ == "bigint" || typ == "numeric" || typ == "oid"
	if text[0] != '"' {
		if exact {
			t.Errorf("%s: %s is a number, which readers round", typ, text)
		}
		if typ == "oidvector" || typ == "int2vector" {
			return strings.NewReplacer("[", "", "]", "", ",", " ", `"`, "").Replace(text)
		}
		return text
	}
	var s string
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Errorf("%s: %v", typ, err)
	}
	return s
}

// array writes texts as an array.
func array(texts []string) string {
	quoted := make([]string, len(texts))
	for i, s := range texts {
		quoted[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
	}
	return "{" + strings.Join(quoted, ",") + "}"
}

// chances make values of the types of which there are many.
var chances = map[string]func(*rand.Rand) string{
	"bigint":           func(r *rand.Rand) string { return strconv.FormatInt(int64(r.Uint64()), 10) },
	"numeric":          func(r *rand.Rand) string { return digitsBy(r, 1+r.IntN(60)) + "." + digitsBy(r, 1+r.IntN(60)) },
	"double precision": func(r *rand.Rand) string { return float(math.Float64frombits(r.Uint64()), 64) },
	"real":             func(r *rand.Rand) string { return float(float64(math.Float32frombits(r.Uint32())), 32) },
	"money":            func(r *rand.Rand) string { return fmt.Sprintf("%d.%02d", r.Int64N(1<<55), r.IntN(100)) },
	"date":             func(r *rand.Rand) string { return day(r) },
	"timestamp without time zone": func(r *rand.Rand) string {
		return fmt.Sprintf("%s %02d:%02d:%02d.%06d", day(r), r.IntN(24), r.IntN(60), r.IntN(60), r.IntN(1e6))
	},
	"timestamp with time zone": func(r *rand.Rand) string {
		return fmt.Sprintf("%s %02d:%02d:%02d.%06d%+03d:%02d", day(r), r.IntN(24), r.IntN(60), r.IntN(60), r.IntN(1e6), r.IntN(28)-14, r.IntN(60))
	},
	"time with time zone": func(r *rand.Rand) string {
		return fmt.Sprintf("%02d:%02d:%02d.%06d%+03d:%02d:%02d", r.IntN(24), r.IntN(60), r.IntN(60), r.IntN(1e6), r.IntN(28)-14, r.IntN(60), r.IntN(60))
	},
	"interval": func(r *rand.Rand) string {
		return fmt.Sprintf("%d months %d days %d microseconds", r.IntN(1e6)-5e5, r.IntN(1e6)-5e5, r.Int64N(1e15)-5e14)
	},
	"bytea":       func(r *rand.Rand) string { return fmt.Sprintf(`\x%016x`, r.Uint64()) },
	"bit varying": func(r *rand.Rand) string { return strconv.FormatUint(r.Uint64(), 2) },
	"inet": func(r *rand.Rand) string {
		return fmt.Sprintf("2001:%x:%x::%x/%d", r.IntN(65536), r.IntN(65536), r.IntN(65536), r.IntN(129))
	},
	"text": func(r *rand.Rand) string {
		var b strings.Builder
		for range r.IntN(12) {
			b.WriteRune([]rune{rune(1 + r.IntN(127)), rune(0xa0 + r.IntN(0xd700-0xa0)), rune(0xe000 + r.IntN(0x110000-0xe000))}[r.IntN(3)])
		}
		return b.String()
	},
}

func digitsBy(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('0' + r.IntN(10))
	}
	return string(b)
}

func float(f float64, bits int) string { return strconv.FormatFloat(f, 'g', -1, bits) }

func day(r *rand.Rand) string {
	s := fmt.Sprintf("%04d-%02d-%02d", 1+r.IntN(4000), 1+r.IntN(12), 1+r.IntN(28))
	if r.IntN(4) == 0 {
		s = fmt.Sprintf("%05d-01-%02d", 10_000+r.IntN(200_000), 1+r.IntN(28))
	}
	return s
}
