package sqltree

import (
	"embed"
	"maps"
	"slices"
	"strings"
	"testing"
)

//go:embed testdata/*.txt
var trees embed.FS

// golden returns a tree that a server has written, of
//
//	SELECT upper(c.relname) AS "First Name", sum(c.oid::int8) OVER (ORDER BY c.oid::int RANGE BETWEEN 1 PRECEDING AND CURRENT ROW)
//	FROM pg_class c JOIN naps n ON n.id > 0 WHERE (c.oid, 1) < (5, 6) AND c.relname = ANY ('{a,b}') AND c.relname::text ~ $1
//	UNION ALL (SELECT 'x', 1 ORDER BY greatest(1, 2), 1)
//
// where naps is a view that calls pg_sleep.
func golden(t testing.TB, name string) string {
	t.Helper()
	b, err := trees.ReadFile("testdata/" + name + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const (
	head = "{QUERY :commandType 1 :hasForUpdate false :hasModifyingCTE false :targetList ("
	tail = ")}"
)

func inQuery(t testing.TB, inner string) (*Uses, error) {
	t.Helper()
	return Read(head + inner + tail)
}

func TestRead(t *testing.T) {
	t.Parallel()
	uses, err := inQuery(t, `{FUNCEXPR :funcid 870 :funcresulttype 25 :funcretset false :funcformat 0 :args ({VAR :varno 1 :vartype 17000 :location 20000})}
		{FUNCEXPR :funcid 16400 :funcresulttype 25 :funcformat 2 :args ({CONST :consttype 23 :constvalue 4 [ 1 0 -1 0 ] :location -1})}
		{OPEXPR :opno 96 :opfuncid 65 :args <>} {AGGREF :aggfnoid 2803 :aggargtypes (o 17001)} {ROWCOMPAREEXPR :opnos (o 97 16500)}
		{WINDOWCLAUSE :startInRangeFunc 4128 :endInRangeFunc 0} {TABLESAMPLECLAUSE :tsmhandler 3313} {SORTGROUPCLAUSE :eqop 96 :sortop 16501}
		{RTE :alias {ALIAS :aliasname :relid :colnames ("a\ b" "c")} :rtekind 0 :relid 16600 :requiredPerms 2 :checkAsUser 16999 :selectedCols (b 0 7 9)}
		{RTEPERMISSIONINFO :relid 16601 :selectedCols (b 8)} {COERCETODOMAIN :resulttype 17002 :resulttypmod -1} {RTE :funccoltypes (o 17003) :funccoltypmods (i -1 20000)}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		got  map[uint32]bool
		want []uint32
	}{
		{"Calls", uses.Calls, []uint32{870, 2803, 3313, 4128}},
		{"Implied", uses.Implied, []uint32{65, 16400}},
		{"Operators", uses.Operators, []uint32{96, 97, 16500, 16501}},
		{"Types", uses.Types, []uint32{23, 25, 17000, 17001, 17002, 17003}},
		{"Relations", uses.Relations, []uint32{16600, 16601}},
	} {
		if got := slices.Sorted(maps.Keys(c.got)); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	if got := slices.Sorted(maps.Keys(uses.Columns[16600])); !slices.Equal(got, []int{-7, 0, 2}) {
		t.Errorf("columns: got %v", got)
	}
	if got := slices.Sorted(maps.Keys(uses.Columns[16601])); !slices.Equal(got, []int{1}) {
		t.Errorf("columns: got %v", got)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for inner, want := range map[string]string{
		`{NEXTVALUEEXPR :seqid 1}`:                             "not known (NEXTVALUEEXPR)",
		`{RANGETBLREF :newthing 16384}`:                        "not known (newthing)",
		`{RANGETBLREF :newthings (o 12)}`:                      "not known (newthings)",
		`{QUERY :commandType 3}`:                               "not a SELECT",
		`{QUERY :commandType 6}`:                               "not a SELECT",
		`{QUERY :hasForUpdate true}`:                           "locks or writes",
		`{QUERY :hasModifyingCTE true}`:                        "locks or writes",
		`{ROWMARKCLAUSE :rti 1}`:                               "not known (ROWMARKCLAUSE)",
		`{VAR :varno}`:                                         "cannot be read",
		`{VAR :varno 1 2}`:                                     "cannot be read",
		`{VAR varno 1}`:                                        "cannot be read",
		`{VAR :vartype 4294967296}`:                            "cannot be read",
		`{RTE :selectedCols (b 9)}`:                            "cannot be read",
		`{RTE :relid 1 :selectedCols (b x)}`:                   "cannot be read",
		`{ROWCOMPAREEXPR :opnos (o 97 x)}`:                     "cannot be read",
		`{VAR :varno 1`:                                        "cannot be read",
		`{VAR :a ` + strings.Repeat("( ", 1001):                "nested too deeply",
		`{VAR :a ` + strings.Repeat("{VAR :a ", 1_001):         "nested too deeply",
		`{CONST :constvalue 1 [ 1 ]} } {FUNCEXPR :funcid 2100`: "cannot be read",
		`{ALIAS :aliasname ` + strings.Repeat("x", 77) + `}`:   "too long to be read safely",
		`{ALIAS :aliasname ` + strings.Repeat("x", 40) + "\\\n" + strings.Repeat("x", 40) + `}`: "too long to be read safely",
	} {
		if _, err := inQuery(t, inner); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: got %v, want %q", inner, err, want)
		}
	}
	for _, tree := range []string{"", "{}", "{VAR :a 1}", head + tail + " " + head + tail, "(" + head + tail + ")", head + tail + ")", head + tail + strings.Repeat(" ", MaxBytes)} {
		if _, err := Read(tree); err == nil {
			t.Errorf("%.40s: want an error", tree)
		}
	}
	for _, tree := range []string{"", "()", head + tail, "(" + head + tail, "(" + head + tail + " " + head + tail + ")"} {
		if _, err := ReadRewritten(tree); err == nil {
			t.Errorf("rewritten %.40s: want an error", tree)
		}
	}
}

// TestPolicies leaves out what a table's owner has put into its row security
// policies, which only rewriting puts into a tree.
func TestPolicies(t *testing.T) {
	t.Parallel()
	const policy = head + `{RTE :relid 16600 :securityQuals ({FUNCEXPR :funcid 16400 :args ({VAR :vartype 16401})})} {FUNCEXPR :funcid 16402}` + tail
	uses, err := ReadRewritten("(" + policy + ")")
	if err != nil || uses.Calls[16400] || uses.Types[16401] || !uses.Calls[16402] {
		t.Errorf("got %v, %v", uses, err)
	}
	if uses, err = Read(policy); err != nil || !uses.Calls[16400] {
		t.Errorf("before rewriting: got %v, %v", uses, err)
	}
}

// TestNames takes no name for structure, whatever it looks like.
func TestNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{`:funcid`, `:securityQuals`, `\}`, `\(`, `\\`, `\{FUNCEXPR\ :funcid\ 2100\}`, `\<>`, `\7`, `""`, `"`, "a\\\nb"} {
		uses, err := ReadRewritten("(" + head + `{ALIAS :aliasname ` + name + ` :colnames ("` + name + `")} {FUNCEXPR :funcid 16402}` + tail + ")")
		if err != nil || !maps.Equal(uses.Calls, map[uint32]bool{16402: true}) {
			t.Errorf("%s: got %v, %v", name, uses, err)
		}
	}
}

// TestServers reads what servers have written.
func TestServers(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"15", "18"} {
		parsed, err := Read(golden(t, "parsed"+version))
		if err != nil {
			t.Fatal(err)
		}
		rewritten, err := ReadRewritten(golden(t, "rewritten"+version))
		if err != nil {
			t.Fatal(err)
		}
		const upper, pgSleep, pgClass = 871, 2626, 1259
		if !parsed.Calls[upper] || parsed.Calls[pgSleep] || !rewritten.Calls[pgSleep] || !parsed.Relations[pgClass] {
			t.Errorf("%s: got %v and %v", version, parsed.Calls, rewritten.Calls)
		}
		if parsed.Columns[pgClass] == nil || len(parsed.Columns[pgClass]) != 2 {
			t.Errorf("%s: got columns %v", version, parsed.Columns)
		}
	}
}

// broken breaks lines as the server does, in format_node_dump.
func broken(dump string) string {
	const length = 78
	var b strings.Builder
	for i := 0; ; {
		line := dump[i:min(i+length, len(dump))]
		if i += len(line); i == len(dump) {
			if line != "" {
				b.WriteString(line + "\n")
			}
			return b.String()
		}
		if dump[i] == ' ' {
			i++
		} else if k := strings.LastIndexByte(line, ' '); k > 0 {
			i -= len(line) - k - 1
			line = line[:k]
		}
		b.WriteString(line + "\n")
	}
}

// FuzzRead checks that a tree means the same however the server breaks its lines, or
// is refused.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"parsed15", "parsed18", "rewritten15", "rewritten18"} {
		f.Add(golden(f, name))
	}
	f.Add(head + `{ALIAS :aliasname ` + strings.Repeat(`\(`, 39) + ` :colnames ("a")} {FUNCEXPR :funcid 16402}` + tail)
	f.Add(head + `{ALIAS :aliasname x` + strings.Repeat(`\}`, 63) + `} {CONST :constvalue 2 [ 1 2 ]}` + tail)
	f.Fuzz(func(t *testing.T, dump string) {
		for _, rewritten := range []bool{false, true} {
			plain, err1 := readUnbroken(dump, rewritten)
			text := broken(dump)
			if unbroken(text) != nil {
				continue
			}
			wrapped, err2 := readUnbroken(text, rewritten)
			if (err1 == nil) != (err2 == nil) {
				t.Fatalf("%q: %v, and with lines broken %v", dump, err1, err2)
			}
			if err1 == nil && !same(plain, wrapped) {
				t.Fatalf("%q: %v, and with lines broken %v", dump, plain, wrapped)
			}
		}
	})
}

func same(a, b *Uses) bool {
	return maps.Equal(a.Calls, b.Calls) && maps.Equal(a.Implied, b.Implied) && maps.Equal(a.Operators, b.Operators) &&
		maps.Equal(a.Types, b.Types) && maps.Equal(a.Relations, b.Relations) && maps.EqualFunc(a.Columns, b.Columns, maps.Equal[map[int]bool])
}

func BenchmarkRead(b *testing.B) {
	tree := golden(b, "rewritten18")
	b.SetBytes(int64(len(tree)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ReadRewritten(tree); err != nil {
			b.Fatal(err)
		}
	}
}
