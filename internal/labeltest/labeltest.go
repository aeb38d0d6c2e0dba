// Package labeltest pins what tools say of their data, which guard.Flow goes by.
package labeltest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// Golden compares the labels of tools with testdata/labels.txt, or writes it.
func Golden(t testing.TB, update bool, sets ...[]*mcpsec.Tool) {
	t.Helper()
	var lines []string
	for _, tool := range slices.Concat(sets...) {
		lines = append(lines, fmt.Sprintf("%s: %s", tool.Name(), tool.Labels()))
	}
	slices.Sort(lines)
	got := strings.Join(slices.Compact(lines), "\n") + "\n"
	path := filepath.Join("testdata", "labels.txt")
	if update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs: a tool whose label is missing lets data out; run the test with -update and look. Got:\n%s", path, got)
	}
}
