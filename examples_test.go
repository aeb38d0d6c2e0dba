package rules_test

import (
	"go/ast"
	"go/types"
	"path"
	"slices"
	"strings"
	"testing"
)

// Every function that a program may call is called in an example, which compiles and which
// pkg.go.dev shows: of its package, or a waiver of the package that takes it. Methods are
// shown by the examples of what returns their receiver.
func TestEntryPointsHaveExamples(t *testing.T) {
	t.Parallel()
	entries := map[string][]string{} // by directory
	shown := map[string]bool{}       // pkg.F that examples call
	walk(t, func(name, text string) {
		dir := path.Dir(name)
		if !library(strings.TrimSuffix(name, "_test.go")) || strings.Contains("/"+name, "/internal/") || strings.Contains(name, "/cmd/") {
			return
		}
		_, file := parse(t, name, text)
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			switch isTest := strings.HasSuffix(name, "_test.go"); {
			case !ok || f.Recv != nil:
			case !isTest && f.Name.IsExported():
				entries[dir] = append(entries[dir], f.Name.Name)
			case isTest && strings.HasPrefix(f.Name.Name, "Example"):
				ast.Inspect(f.Body, func(n ast.Node) bool {
					if s, ok := n.(*ast.SelectorExpr); ok {
						shown[types.ExprString(s)] = true
					}
					return true
				})
			}
		}
	}, ".go")
	for dir, names := range entries {
		for _, f := range names {
			if !shown[path.Base(dir)+"."+f] {
				t.Errorf("%s: no example calls %s: write func Example%s, or add it to the example of its idea", dir, f, f)
			}
		}
	}
	if all := slices.Concat(entries["mcpsec"], entries["pgtool"]); len(all) < 20 {
		t.Errorf("only %d entry points were found", len(all))
	}
}
