package main

import (
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/docs"
)

// The page is of the versions that are pinned, and of the checks that there are.
func TestPageIsOfThisTree(t *testing.T) {
	t.Parallel()
	versions, err := pinned(".")
	if err != nil || len(versions) != len(frameworks)-1 {
		t.Fatalf("got %v, %v", versions, err)
	}
	for name, v := range versions {
		if !strings.Contains(docs.Comparison, " | "+v+" | ") {
			t.Errorf("docs/comparison.md is not of %s %s: run make comparison", name, v)
		}
	}
	for _, s := range servers {
		if !strings.Contains(docs.Comparison, strings.Join(s.argv(), " ")) {
			t.Errorf("docs/comparison.md lacks %s: run make comparison", s.name)
		}
	}
}

// The attacks tell the bare server from the hardened one, and the page says so.
func TestAttacksTellServersApart(t *testing.T) {
	t.Parallel()
	lab, err := prepare(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	checks, err := lab.checks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var reports []report
	for _, f := range frameworks {
		if f.module != "" && f.name != "gosdk" {
			continue
		}
		r, err := lab.attack(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		if r.figures, err = lab.measure(t.Context(), f, 1); err != nil {
			t.Fatal(err)
		}
		reports = append(reports, r)
	}
	bare, hardened := reports[0], reports[1]
	if bare.worst["stability/crash"] != "high" || bare.worst["leak/secret"] != "high" {
		t.Errorf("the bare server: %v", bare.worst)
	}
	for check, severity := range hardened.worst {
		if severity != "info" {
			t.Errorf("the hardened server: %s %s", severity, check)
		}
	}
	for _, c := range checks {
		if bare.checks[c[0]] && !strings.Contains(docs.Comparison, "`"+c[0]+"`") {
			t.Errorf("docs/comparison.md lacks %s: run make comparison", c[0])
		}
	}
	text := page(checks, reports, nil)
	if !strings.Contains(text, "| `stability/crash` | one call ends the server | high | · |") {
		t.Errorf("the page: %s", text)
	}
}
