package mcptest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// Labels pins what tools say of their data, which guard.Flow goes by, in labels.txt: a
// tool whose label is missing lets data out.
func Labels(t testing.TB, sets ...[]*mcpsec.Tool) {
	t.Helper()
	var lines []string
	for _, tool := range slices.Concat(sets...) {
		lines = append(lines, fmt.Sprintf("%s: %s", tool.Name(), tool.Labels()))
	}
	slices.Sort(lines)
	Golden(t, "labels.txt", []byte(strings.Join(slices.Compact(lines), "\n")+"\n"))
}
