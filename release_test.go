package rules_test

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A workflow runs what its author saw, with no more rights than it needs, and nothing that
// a stranger has written.
func TestWorkflows(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(".github/workflows/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	pinned := regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d`)
	gate := false
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		whole := string(text)
		for i, line := range strings.Split(whole, "\n") {
			line = strings.TrimPrefix(strings.TrimSpace(line), "- ")
			if action, ok := strings.CutPrefix(line, "uses: "); ok && !pinned.MatchString(action) {
				t.Errorf("%s:%d: pin the action by its commit, with its version behind it: %s", path, i+1, action)
			}
			if run, ok := strings.CutPrefix(line, "run: "); ok && strings.Contains(run, "${{") {
				t.Errorf("%s:%d: an expression within a command runs what it holds: give it by env", path, i+1)
			}
			gate = gate || line == "run: .ci/run"
		}
		for _, want := range []string{"\npermissions:\n  contents: read\n", "timeout-minutes: "} {
			if !strings.Contains(whole, want) {
				t.Errorf("%s: there is no %q", path, strings.TrimSpace(want))
			}
		}
		if strings.Count(whole, "actions/checkout@") != strings.Count(whole, "persist-credentials: false") {
			t.Errorf("%s: a checkout leaves its token behind", path)
		}
	}
	if !gate {
		t.Error("no workflow runs .ci/run")
	}
}

// A fuzz test begins with inputs that are known to matter.
func TestFuzzTestsHaveSeeds(t *testing.T) {
	t.Parallel()
	n, adds := 0, regexp.MustCompile(`\.Add\(|\w\(f[,)]`) // or has a helper add them
	walk(t, func(path, text string) {
		if !strings.HasSuffix(path, "_test.go") {
			return
		}
		_, file := parse(t, path, text)
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !strings.HasPrefix(f.Name.Name, "Fuzz") || f.Recv != nil {
				continue
			}
			n++
			corpus, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "testdata", "fuzz", f.Name.Name, "*"))
			body := text[f.Pos()-file.Pos() : f.End()-file.Pos()]
			if len(corpus) == 0 && !adds.MatchString(body) {
				t.Errorf("%s: %s has no seeds", path, f.Name.Name)
			}
		}
	}, ".go")
	if n < 20 {
		t.Errorf("only %d fuzz tests found", n)
	}
}
