package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest/internal/battery"
)

// The table in docs/check.md is that of the checks that there are.
func TestDocs(t *testing.T) {
	t.Parallel()
	file := filepath.Join("..", "..", "..", "..", "docs", "check.md")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- checks -->\n", "<!-- /checks -->\n"
	text := strings.ReplaceAll(string(b), "\r\n", "\n")
	head, rest, _ := strings.Cut(text, begin)
	_, tail, ok := strings.Cut(rest, end)
	if !ok {
		t.Fatal("docs/check.md has no place for the table")
	}
	want := head + begin + Markdown(battery.Checks) + end + tail
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if text != want {
		t.Error("docs/check.md is not up to date: run this test with -update")
	}
}
