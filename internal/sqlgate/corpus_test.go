package sqlgate

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

var (
	//go:embed testdata/benign.jsonl
	benignLines string
	//go:embed testdata/attacks.jsonl
	attackLines string
)

// A sample is a line of a corpus.
type sample struct {
	ID, Category, SQL string
	Gen               []any // prefix, repeated part, count, suffix
}

func samples(t *testing.T, lines string) []sample {
	t.Helper()
	var all []sample
	for in := bufio.NewScanner(strings.NewReader(lines)); in.Scan(); {
		var s sample
		if err := json.Unmarshal(in.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		if s.Gen != nil {
			s.SQL = s.Gen[0].(string) + strings.Repeat(s.Gen[1].(string), int(s.Gen[2].(float64))) + s.Gen[3].(string)
		}
		all = append(all, s)
	}
	if len(all) < 100 {
		t.Fatalf("got %d samples, want a corpus", len(all))
	}
	return all
}

// TestHonestQueries: refusing honest work is a fault too.
func TestHonestQueries(t *testing.T) {
	t.Parallel()
	for _, s := range samples(t, benignLines) {
		allowWith(t, Options{AllowExplainAnalyze: true}, s.SQL)
		if _, err := Check(s.SQL, Options{}); err != nil && s.ID != "B143" {
			t.Errorf("%s: got %v", s.ID, err)
		}
	}
}

// TestAttacks states for every attack of the corpus whether this layer stops
// it. What passes is a single honest-looking query that does harm by what it
// names, and is left to the layers behind.
func TestAttacks(t *testing.T) {
	t.Parallel()
	// In these categories everything is refused but the ones listed.
	passes := map[string][]string{
		"tx-escape":     nil,
		"parser-crash":  nil,
		"write":         {"A037"},                         // a view that calls a deleting function
		"session-state": {"A055", "A057", "A066", "A068"}, // SELECT set_config(…)
	}
	// In the others everything passes but the ones listed.
	refused := map[string][]string{
		"admin":        {"A127", "A128", "A129"}, // CHECKPOINT, REINDEX, ANALYZE
		"exec":         {"A094", "A096"},         // DO, ALTER SYSTEM
		"hidden-call":  {"A234", "A283"},         // U&"…" name, CALL
		"dos-time":     {"A152"},                 // EXPLAIN ANALYZE
		"dos-output":   {"A171"},                 // DO
		"leak-catalog": {"A186"},                 // SHOW hba_file
		"leak-error":   {"A209"},                 // U&"…" name
	}
	got, want := make(map[string]bool), make(map[string]bool)
	for _, s := range samples(t, attackLines) {
		_, err := Check(s.SQL, Options{})
		got[s.ID] = err != nil
		if through, ok := passes[s.Category]; ok {
			want[s.ID] = !slices.Contains(through, s.ID)
		} else {
			want[s.ID] = slices.Contains(refused[s.Category], s.ID)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(got)) {
		if got[id] != want[id] {
			t.Errorf("%s: got refused %v, want %v", id, got[id], want[id])
		}
	}
}
