package stripetool

import (
	"bytes"
	"log/slog"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The comment of ResourceNames names what it does not return, and all of it.
func TestOptInIsDocumented(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("resource.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, line := range regexp.MustCompile(`(?m)^//   - [A-Za-z ]+: (.+)$`).FindAllStringSubmatch(string(source), -1) {
		names = append(names, strings.Split(line[1], ", ")...)
	}
	slices.Sort(names)
	if want := slices.Sorted(maps.Keys(optIn)); !slices.Equal(names, want) {
		t.Errorf("the comment has %q, want %q", names, want)
	}
	for name, r := range optIn {
		if slices.Contains(ResourceNames(), name) || resources[name] != r || len(r.prefixes) == 0 {
			t.Errorf("%s is no resource that has to be named", name)
		}
		if r.required != "" && !slices.Contains(r.filters, r.required) {
			t.Errorf("%s needs the filter %s, and has none", name, r.required)
		}
	}
	if len(resources) != len(ordinary)+len(optIn) {
		t.Error("a name is in both")
	}
}

// A restricted key needs to read what was named.
func TestOptInIsNeeded(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	_, err := New(Options{Key: key("sk_" + "test_"), Resources: []string{"issuing_cards", "accounts", "charges"}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil || !strings.Contains(log.String(), `read="accounts, charges, issuing_cards"`) {
		t.Errorf("got %v, %q", err, log.String())
	}
}
