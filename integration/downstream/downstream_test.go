package downstream

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table into docs/design.md")

const (
	module = "github.com/mcpsec/mcpsec-go"
	design = "../../docs/design.md"
	begin  = "<!-- downstream: begin -->\n"
	end    = "<!-- downstream: end -->\n"
)

// foreign are modules that examples and tests need, and users must not get.
var foreign = []string{
	"pocketbase/pocketbase", "modernc.org/", "fergusstrange/embedded-postgres", "stripe/stripe-mock", "toxiproxy", "emersion/go-smtp",
	"miekg/dns", "go-jose", "zitadel/oidc", "go.opentelemetry.io/otel/sdk", "go.opentelemetry.io/otel/exporters", "prometheus/client_golang", module + "/integration", module + "/examples",
}

// A program that imports one package builds, outside of the repository, and gets the
// modules that docs/design.md says.
func TestDownstream(t *testing.T) {
	t.Parallel()
	var table strings.Builder
	table.WriteString("| import | modules | lines of go.sum |\n| --- | ---: | ---: |\n")
	for _, pkg := range []string{"mcpsec", "mcpsec/redact", "mcpsec/mcpsectest", "mcpsec/otelmcp", "pgtool", "pbtool", "stripetool", "mailtool"} {
		modules, lines := downstream(t, pkg)
		fmt.Fprintf(&table, "| `%s` | %d | %d |\n", pkg, modules, lines)
	}
	text, err := os.ReadFile(design)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), begin)
	was, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("docs/design.md has no place for the table")
	}
	if was == table.String() {
		return
	}
	if *update {
		if err := os.WriteFile(design, []byte(head+begin+table.String()+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("users get other modules than docs/design.md says; if they must, run the test with -update. Now:\n%s", table.String())
}

// downstream builds a program that imports a package, and counts what came along.
func downstream(t *testing.T, pkg string) (modules, lines int) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("main.go", "package main\n\nimport _ \""+module+"/"+pkg+"\"\n\nfunc main() {}\n")
	write("go.mod", "module example.com/user\n\ngo 1.25.0\n\nrequire "+module+" v0.0.0\n\nreplace "+module+" => "+root+"\n")
	run := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: go %s: %v\n%s", pkg, strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	run("mod", "tidy")
	run("build", "-o", os.DevNull, ".")
	graph := run("list", "-m", "all")
	for _, f := range foreign {
		if strings.Contains(graph, f) {
			t.Errorf("%s brings %s along", pkg, f)
		}
	}
	sum, err := os.ReadFile(filepath.Join(dir, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(graph, "\n") - 1, strings.Count(string(sum), "\n") // without the program's own
}
