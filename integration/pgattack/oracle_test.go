package pgattack

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/internal/sqlcatalog"
	"github.com/mcpsec/mcpsec-go/internal/sqlgate"
	"github.com/mcpsec/mcpsec-go/internal/sqllex"
	"github.com/mcpsec/mcpsec-go/internal/sqltree"
)

// An oracle asks the server what it makes of a statement: with the OIDs of all
// functions, relations and types, after names have been resolved and views put
// in. It judges these by rules of its own.
type oracle struct {
	conn     *pgx.Conn
	trees    []*pgconn.Notice
	snapshot *sqlcatalog.Snapshot

	functions map[uint32]string // that are harmful, by what they are
	relations map[uint32]string
	domains   map[uint32]bool
}

// harmful finds functions that no statement may reach. It knows nothing of the
// lists of the gate: what a user has written, what changes something or waits,
// and what shows more than a table.
const harmful = `
SELECT p.oid, p.oid::regprocedure::text FROM pg_proc p LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype IN ('e', 'i')
WHERE CASE WHEN p.oid < 16384 THEN
	p.provolatile = 'v' AND p.proname !~ '^(random.*|clock_timestamp|timeofday|gen_random_uuid|uuidv.|setseed|array_sample|array_shuffle|bernoulli|system|pg_.*_size)$'
	OR p.proname ~ '_to_xml|^(ts_stat|lo_|txid_|pg_(read|ls|stat_file|stat_get|show|config|sleep|advisory|try_advisory|notify|terminate|cancel|export|get_functiondef|get_function_sqlbody|logical|replication|control|hba|current_xact|current_snapshot|listening|backup|file|rotate|reload|promote|switch|create|drop|log|wal_replay|relation_file|postmaster|conf_load|tablespace_loc))'
		AND p.proname NOT IN ('pg_get_expr')
	ELSE d.objid IS NULL OR p.prosecdef OR p.provolatile = 'v' AND p.proname !~ '^uuid_generate' END`

// hidden are relations that no statement may name: those that PostgreSQL does
// not show to everybody, or that the hardened database takes away, and foreign
// tables.
const hidden = `
SELECT c.oid, c.oid::regclass::text FROM pg_class c
WHERE c.relkind = 'f' OR c.oid < 16384 AND c.relkind IN ('r', 'v') AND c.relnamespace = 'pg_catalog'::regnamespace AND (NOT EXISTS (
		SELECT 1 FROM aclexplode(c.relacl) a WHERE a.grantee = 0 AND a.privilege_type = 'SELECT')
	OR c.relname IN ('pg_user_mappings', 'pg_stats', 'pg_stats_ext', 'pg_stats_ext_exprs', 'pg_db_role_setting', 'pg_roles', 'pg_user', 'pg_stat_ssl',
		'pg_settings', 'pg_stat_replication', 'pg_foreign_server', 'pg_policies', 'pg_policy', 'pg_largeobject_metadata', 'pg_timezone_names'))
	AND c.relname NOT IN ('pg_statistic_ext', 'pg_subscription')`

func newOracle(t testing.TB, s *stage) *oracle {
	t.Helper()
	o := &oracle{functions: map[uint32]string{}, relations: map[uint32]string{}, domains: map[uint32]bool{}}
	config, err := pgx.ParseConfig(postgres.Server(t).URL(s.database, ""))
	if err != nil {
		t.Fatal(err)
	}
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { o.trees = append(o.trees, n) }
	if o.conn, err = pgx.ConnectConfig(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.conn.Close(context.Background()) })
	pgtest.Exec(t, o.conn, "SET search_path = pg_catalog, pg_temp")
	o.snapshot = o.load(t)
	for sql, m := range map[string]map[uint32]string{harmful: o.functions, hidden: o.relations} {
		rows, err := o.conn.Query(t.Context(), sql)
		if err != nil {
			t.Fatal(err)
		}
		var oid uint32
		var text string
		if _, err := pgx.ForEachRow(rows, []any{&oid, &text}, func() error { m[oid] = text; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	for _, oid := range pgtest.Ask[[]uint32](t, o.conn, "SELECT array_agg(oid) FROM pg_type WHERE typname IN ('checked', 'd_lock')") {
		o.domains[oid] = true
	}
	pgtest.Exec(t, o.conn, "SET search_path = pg_catalog, public, pg_temp; SET statement_timeout = '2s'; SET debug_pretty_print = off; SET debug_print_parse = on;"+
		"SET debug_print_rewritten = on; SET client_min_messages = log")
	return o
}

// load makes the gate's snapshot as pgtool does.
func (o *oracle) load(t testing.TB) *sqlcatalog.Snapshot {
	t.Helper()
	var all [][]string
	rows, err := o.conn.Query(t.Context(), "SELECT a::text, b::text, c::text, d::text, e::text, f::text FROM ("+sqlcatalog.SQL+") AS x(a, b, c, d, e, f)")
	if err != nil {
		t.Fatal(err)
	}
	all, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) ([]string, error) {
		v := make([]string, sqlcatalog.Columns)
		return v, r.Scan(&v[0], &v[1], &v[2], &v[3], &v[4], &v[5])
	})
	if err != nil {
		t.Fatal(err)
	}
	return sqlcatalog.New(rowsOf(all), sqlcatalog.Policy{})
}

func rowsOf(all [][]string) iter.Seq[sqlcatalog.Row] {
	return func(yield func(sqlcatalog.Row) bool) {
		for _, v := range all {
			oid, _ := strconv.ParseUint(v[1], 10, 32)
			ref, _ := strconv.ParseUint(v[2], 10, 32)
			if !yield(sqlcatalog.Row{Kind: v[0][0], OID: uint32(oid), Ref: uint32(ref), Schema: v[3], Name: v[4], Info: v[5]}) {
				return
			}
		}
	}
}

// gate is what pgtool decides on a statement, and the query in it.
func (o *oracle) gate(sql string) (query string, err error) {
	st, err := sqlgate.Check(sql, sqlgate.Options{})
	if err != nil {
		return "", err
	}
	if _, err := o.snapshot.Check(st); err != nil || st.Kind == sqlgate.Show {
		return "", err
	}
	return st.SQL[st.Query[0].Pos:], nil
}

var (
	oidRE = regexp.MustCompile(`:(funcid|opfuncid|aggfnoid|winfnoid|tsmhandler|relid|resulttype|startInRangeFunc|endInRangeFunc) (\d+)`)
	// what catalogs that are shown to everybody use, and callers may not
	inCatalogs = regexp.MustCompile(`^pg_(stat_get|lock_status|get_|sequence_last_value|available_ext)`)
)

// errNotJudged is about a statement that the server does not accept.
var errNotJudged = errors.New("the server does not accept it")

// judge returns what is wrong with a query, which it does not run, and what the
// check of what the server says finds wrong with it.
func (o *oracle) judge(t testing.TB, query string) (harm, check error) {
	t.Helper()
	o.trees = nil
	_, err := o.conn.PgConn().Prepare(t.Context(), "", query, nil)
	if o.conn.IsClosed() {
		t.Fatalf("%s: %v", query, err)
	}
	if err != nil {
		return errNotJudged, errNotJudged
	}
	if len(o.trees) != 2 {
		return errors.New("the server shows no tree"), errors.New("there is none")
	}
	parsed, err1 := sqltree.Read(o.trees[0].Detail)
	rewritten, err2 := sqltree.ReadRewritten(o.trees[1].Detail)
	if err := errors.Join(err1, err2); err != nil {
		return err, err
	}
	complete(t, query, o.trees[0].Detail, parsed)
	complete(t, query, o.trees[1].Detail, rewritten)
	return errors.Join(o.harm(parsed, true), o.harm(rewritten, false)), o.snapshot.CheckUses(parsed, rewritten)
}

// complete fails the test if the reader has passed over an OID.
func complete(t testing.TB, query, tree string, uses *sqltree.Uses) {
	t.Helper()
	for _, m := range oidRE.FindAllStringSubmatch(strings.Join(strings.Fields(tree), " "), -1) {
		n, _ := strconv.ParseUint(m[2], 10, 32)
		oid := uint32(n)
		if oid != 0 && !uses.Calls[oid] && !uses.Implied[oid] && !uses.Relations[oid] && !uses.Types[oid] && !strings.Contains(tree, ":securityQuals (") {
			t.Errorf("%s: the reader has passed over %s %d", query, m[1], oid)
		}
	}
}

func (o *oracle) harm(uses *sqltree.Uses, direct bool) error {
	for _, m := range []map[uint32]bool{uses.Calls, uses.Implied} {
		for oid := range m {
			if text, bad := o.functions[oid]; bad && (direct || !inCatalogs.MatchString(text)) {
				return fmt.Errorf("function %s", text)
			}
		}
	}
	for oid := range uses.Relations {
		if text, bad := o.relations[oid]; bad && direct {
			return fmt.Errorf("relation %s", text)
		}
	}
	for oid := range uses.Types {
		if o.domains[oid] && direct {
			return errors.New("a domain that calls a function")
		}
	}
	return nil
}

func oracleStage(t testing.TB) *oracle {
	t.Helper()
	s := newStage(t, "superuser")
	if err := statements(t.Context(), s.conn, more); err != nil {
		t.Fatal(err)
	}
	return newOracle(t, s)
}

// every returns all statements that there are.
func every(t testing.TB) (all []string) {
	for _, a := range attacks(t) {
		if a.Gen == nil {
			all = append(all, a.SQL)
		}
	}
	for _, b := range lines[struct{ SQL string }](t, "../../internal/sqlgate/testdata/benign.jsonl") {
		all = append(all, b.SQL)
	}
	for _, kind := range own {
		all = append(all, kind...)
	}
	return append(all, honest...)
}

// TestOracle compares the gate with what the server makes of every statement: it
// may refuse more, and never allows more.
func TestOracle(t *testing.T) {
	o := oracleStage(t)
	var agreed, refused, unjudged, both int
	for _, sql := range every(t) {
		query, gate := o.gate(sql)
		if gate == nil && query == "" {
			continue // SHOW
		}
		if gate != nil {
			query = sql
		}
		err, check := o.judge(t, query)
		if err != nil && check == nil {
			t.Errorf("the server check allows %s: %v", sql, err)
		}
		switch {
		case err == errNotJudged:
			unjudged++
		case gate == nil && check != nil:
			t.Errorf("refused by the server check alone: %.150s: %v", sql, check)
		case gate == nil && err != nil:
			t.Errorf("allowed %s: %v", sql, err)
		case gate != nil && err == nil && check != nil:
			both++
		case gate != nil && err == nil:
			refused++
			t.Logf("refused by the gate alone: %.150s: %v", sql, gate)
		default:
			agreed++
		}
	}
	t.Logf("%d agreed, %d refused by the gate alone, %d by the server check too, %d that the server does not accept", agreed, refused, both, unjudged)
}

// TestOracleOfMutations compares them on statements that are put together from
// pieces of others.
func TestOracleOfMutations(t *testing.T) {
	o := oracleStage(t)
	pieces := every(t)
	random := rand.New(rand.NewPCG(5, 6))
	const tries = 40_000
	judged, alone := 0, 0
	for i := range tries {
		sql := splice(random, pieces)
		query, gate := o.gate(sql)
		if gate == nil && query == "" || gate != nil && i%4 > 0 {
			continue
		}
		if gate != nil {
			query = sql
		}
		err, check := o.judge(t, query)
		if err == errNotJudged {
			continue
		}
		if gate == nil {
			judged++
		} else {
			alone++
		}
		if err != nil && gate == nil {
			t.Errorf("allowed %s: %v", sql, err)
		}
		if err != nil && check == nil {
			t.Errorf("the server check allows %s: %v", sql, err)
		}
		if err == nil && check != nil && gate == nil {
			t.Errorf("refused by the server check alone: %s: %v", sql, check)
		}
	}
	if judged < 200 || alone < 200 {
		t.Errorf("the server accepted %d and %d of %d, want at least 200", judged, alone, tries)
	}
	t.Logf("%d judged, and %d that the gate refuses", judged, alone)
}

// splice puts tokens of other statements into one: one for another of its kind,
// which the server often accepts, or a run of them.
func splice(random *rand.Rand, pieces []string) string {
	a := words(random, pieces)
	for range 1 + random.IntN(3) {
		b := words(random, pieces)
		i, from := random.IntN(len(a)), random.IntN(len(b))
		if random.IntN(3) > 0 {
			if k := slices.IndexFunc(b[from:], func(t sqllex.Token) bool { return t.Kind == a[i].Kind }); k >= 0 {
				a[i] = b[from+k]
			}
			continue
		}
		j := min(len(a), i+random.IntN(3))
		to := min(len(b), from+1+random.IntN(5))
		a = slices.Concat(a[:i], b[from:to], a[j:])
	}
	texts := make([]string, len(a))
	for i, t := range a {
		texts[i] = t.Text
	}
	return strings.Join(texts, " ")
}

func words(random *rand.Rand, pieces []string) []sqllex.Token {
	for {
		if tokens, err := sqllex.Scan(pieces[random.IntN(len(pieces))]); err == nil && len(tokens) > 0 && len(tokens) < 200 {
			return tokens
		}
	}
}
