package mcptest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// GoldenLabels pins in labels.txt what tools say of their data, which guard.Flow goes by:
// a tool whose label is missing lets data out.
func GoldenLabels(t testing.TB, sets ...[]*mcpsec.Tool) {
	t.Helper()
	var lines []string
	for _, tool := range slices.Concat(sets...) {
		lines = append(lines, fmt.Sprintf("%s: %s", tool.Name(), tool.Labels()))
	}
	slices.Sort(lines)
	Golden(t, "labels.txt", []byte(strings.Join(slices.Compact(lines), "\n")+"\n"))
}
