package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var document = filepath.Join("..", "..", "docs", "mcp-conformance.md")

const (
	firstMark = "<!-- counts: written by go test ./integration/conformance -update -->\n"
	lastMark  = "<!-- end of counts -->\n"
)

// reasons say why a server of ours does not pass a check that the SDK's passes,
// by scenario. Each must name a test or the design.
var reasons = map[string]string{
	"input-required-result-ignore-extra-params": "the scenario brings answers in its first request, without a requestState: nothing was asked, so these answers are forgeries and answer nothing. The client is asked. A SHOULD, and only of keys that are not known",
	"sep-2164-resource-not-found":               "an error repeats nothing that was sent, and so no URI. A SHOULD",
	"server-sse-polling":                        "a stream is not cut off and resumed: that would keep results for whoever shows the id of an event. Not scored",
}

func table(all map[string]counted) string {
	var b strings.Builder
	b.WriteString("| Suite | Scenarios | Passed | Failed | Warnings | The SDK's: passed | failed | warnings |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		ours, sdk := all[name].Ours.total(), all[name].SDK.total()
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %d | %d |\n", name, len(all[name].Ours), ours.Passed, len(ours.Failed), len(ours.Warned), sdk.Passed, len(sdk.Failed), len(sdk.Warned))
	}
	b.WriteString("\nWhere the two servers differ:\n\n| Suite | Scenario | Ours | The SDK's | Why |\n| --- | --- | --- | --- | --- |\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		c := all[name]
		for _, scenario := range slices.Sorted(maps.Keys(c.SDK)) {
			if !sameCount(c.Ours[scenario], c.SDK[scenario]) {
				fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", name, scenario, c.Ours[scenario], c.SDK[scenario], reasons[scenario])
			}
		}
	}
	b.WriteString("\nWhat fails with both:\n\n| Suite | Scenario | Failed |\n| --- | --- | --- |\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		c := all[name]
		for _, scenario := range slices.Sorted(maps.Keys(c.SDK)) {
			if f := c.Ours[scenario].Failed; len(f) > 0 && sameCount(c.Ours[scenario], c.SDK[scenario]) {
				fmt.Fprintf(&b, "| %s | %s | %d |\n", name, scenario, len(f))
			}
		}
	}
	return b.String()
}

func (c count) String() string {
	s := fmt.Sprintf("%d passed", c.Passed)
	if len(c.Failed) > 0 {
		s += fmt.Sprintf(", %d failed (%s)", len(c.Failed), "`"+strings.Join(slices.Compact(slices.Sorted(slices.Values(c.Failed))), "`, `")+"`")
	}
	if len(c.Warned) > 0 {
		s += fmt.Sprintf(", %d warned (%s)", len(c.Warned), "`"+strings.Join(slices.Compact(slices.Sorted(slices.Values(c.Warned))), "`, `")+"`")
	}
	if c.Skipped > 0 {
		s += fmt.Sprintf(", %d skipped", c.Skipped)
	}
	return s
}

// inserted is the document with the counts.
func inserted(t *testing.T, counts string) string {
	t.Helper()
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), firstMark)
	_, after, ok2 := strings.Cut(rest, lastMark)
	if !ok || !ok2 {
		t.Fatal("docs/mcp-conformance.md has lost its marks")
	}
	return before + firstMark + "\n" + counts + "\n" + lastMark + after
}

// The document says what is on file, and every difference has its reason. Only
// the extensions that the SDK does not have may fail otherwise.
func TestConformanceIsDocumented(t *testing.T) {
	t.Parallel()
	if *update {
		t.Skip("-update writes what this test reads: run it again without")
	}
	all := readCounts(t)
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != inserted(t, table(all)) {
		t.Error("docs/mcp-conformance.md does not hold the counts on file: run the test with -update")
	}
	for name, c := range all {
		for scenario, ours := range c.Ours {
			theirs := c.SDK[scenario]
			worse := ours.Passed < theirs.Passed || len(ours.Failed) > len(theirs.Failed) || len(ours.Warned) > len(theirs.Warned)
			if worse && reasons[scenario] == "" {
				t.Errorf("%s, %s: %v, the SDK's %v, and no reason", name, scenario, ours, theirs)
			}
			if len(ours.Failed) > 0 && reasons[scenario] == "" && !strings.HasPrefix(scenario, "tasks-") {
				t.Errorf("%s, %s: fails: %v", name, scenario, ours)
			}
		}
	}
}

func indented(t *testing.T, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	return string(b) + "\n"
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
