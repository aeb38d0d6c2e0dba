package rules_test

import (
	"go/ast"
	"go/types"
	"path"
	"slices"
	"strings"
	"testing"
)

// Every function that a program may call is called in an example of its package, which
// compiles and which pkg.go.dev shows. Methods are shown by the examples of what returns
// their receiver.
func TestEntryPointsHaveExamples(t *testing.T) {
	t.Parallel()
	entries := map[string][]string{}            // by directory
	shown := map[string]map[string]bool{}       // what its examples call
	note := func(dir string, e ast.Expr) bool { // pkg.F(…) or pkg.F[T](…)
		if s, ok := e.(*ast.SelectorExpr); ok {
			if _, ok := s.X.(*ast.Ident); ok {
				shown[dir][types.ExprString(s)] = true
			}
		}
		return true
	}
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
				if shown[dir] == nil {
					shown[dir] = map[string]bool{}
				}
				ast.Inspect(f.Body, func(n ast.Node) bool {
					e, ok := n.(ast.Expr)
					return !ok || note(dir, e)
				})
			}
		}
	}, ".go")
	for dir, names := range entries {
		for _, f := range names {
			if !shown[dir][path.Base(dir)+"."+f] {
				t.Errorf("%s: no example calls %s: write func Example%s, or add it to the example of its idea", dir, f, f)
			}
		}
	}
	if all := slices.Concat(entries["mcpsec"], entries["pgtool"]); len(all) < 20 {
		t.Errorf("only %d entry points were found", len(all))
	}
}
