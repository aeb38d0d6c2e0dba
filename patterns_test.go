package rules_test

import (
	"go/ast"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Patterns of packages are compiled when they are first used, so that a program does
// not pay at its start for those that it never uses; and one that does not compile is
// found here, not by then.
func TestPatterns(t *testing.T) {
	t.Parallel()
	consts := map[string]ast.Expr{} // by directory and name
	type pattern struct {
		dir string
		at  token.Position
		arg ast.Expr
	}
	var patterns []pattern
	walk(t, func(path, text string) {
		if !library(path) {
			return
		}
		fset, file := parse(t, path, text)
		for _, d := range file.Decls {
			gen, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, s := range gen.Specs {
				if v, ok := s.(*ast.ValueSpec); ok && gen.Tok == token.CONST && len(v.Names) == 1 && len(v.Values) == 1 {
					consts[filepath.Dir(path)+"."+v.Names[0].Name] = v.Values[0]
				}
			}
			ast.Inspect(gen, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok && called(call, "regexp", "MustCompile") {
					t.Errorf("%s: use lazy.Regexp for a package's pattern", fset.Position(call.Pos()))
				} else if ok && called(call, "lazy", "Regexp") {
					patterns = append(patterns, pattern{filepath.Dir(path), fset.Position(call.Pos()), call.Args[0]})
				}
				return true
			})
		}
	}, ".go")
	if len(patterns) < 50 {
		t.Errorf("%d patterns found: the rule looks at nothing", len(patterns))
	}
	for _, p := range patterns {
		text, ok := constant(p.arg, func(name string) ast.Expr { return consts[p.dir+"."+name] })
		if !ok {
			t.Errorf("%s: the pattern is not made of constants", p.at)
		} else if _, err := regexp.Compile(text); err != nil {
			t.Errorf("%s: %v", p.at, err)
		}
	}
}

// library reports whether the file at path is in what users import.
func library(path string) bool {
	top, _, _ := strings.Cut(path, "/")
	return top != "examples" && top != "integration" && !strings.HasSuffix(path, "_test.go")
}

func called(call *ast.CallExpr, pkg, name string) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	id, ok := sel.X.(*ast.Ident)
	return ok && id.Name == pkg
}

// constant returns the text of an expression of literals and named constants.
func constant(e ast.Expr, named func(string) ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.BinaryExpr:
		x, okX := constant(e.X, named)
		y, okY := constant(e.Y, named)
		return x + y, okX && okY && e.Op == token.ADD
	case *ast.Ident:
		if value := named(e.Name); value != nil {
			return constant(value, named)
		}
	}
	return "", false
}
