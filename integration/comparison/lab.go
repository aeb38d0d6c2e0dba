package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A framework is one on which the server was written.
type framework struct {
	name, title string
	source      string   // its one file
	argv        []string // in the lab's directory
	module      string   // "" for this one
}

var frameworks = []framework{
	{"gosdk", "go-sdk", "servers/gosdk/main.go", []string{"./gosdk"}, "github.com/modelcontextprotocol/go-sdk"},
	{"mcpgo", "mcp-go", "servers/mcpgo/main.go", []string{"./mcpgo"}, "github.com/mark3labs/mcp-go"},
	{"typescript", "TypeScript SDK", "servers/typescript/server.mjs", []string{"node", "server.mjs"}, "@modelcontextprotocol/sdk"},
	{"hardened", "mcpsec", "servers/hardened/main.go", []string{"./hardened", "audit.jsonl"}, ""},
}

// A lab is a directory with the programs, and what they run with.
type lab struct {
	dir, src string // src is this package's
	env      []string
	versions map[string]string // of the modules
}

// prepare makes a lab of what needs nothing but this module.
func prepare(ctx context.Context, dir string) (*lab, error) {
	password := rand.Text()
	l := &lab{dir: dir, env: append(os.Environ(), "CANARY="+password, "DATABASE_URL=postgres://app:"+password+"@db.internal/shop")}
	const ours = "github.com/mcpsec/mcpsec-go/"
	for program, pkg := range map[string]string{
		"mcpsec-check": ours + "mcpsec/mcpsectest/cmd/mcpsec-check",
		"gosdk":        ours + "integration/comparison/servers/gosdk",
		"hardened":     ours + "integration/comparison/servers/hardened",
	} {
		if _, err := l.run(ctx, "", nil, "go", "build", "-o", filepath.Join(dir, program), pkg); err != nil {
			return nil, err
		}
	}
	out, err := l.run(ctx, "", nil, "go", "list", "-f", "{{.Dir}}", ours+"integration/comparison")
	if err != nil {
		return nil, err
	}
	l.src = strings.TrimSpace(string(out))
	l.versions, err = pinned(l.src)
	return l, err
}

// fetch adds the frameworks that come from elsewhere.
func (l *lab) fetch(ctx context.Context) error {
	mcpgo := filepath.Join(l.src, "servers", "mcpgo")
	if _, err := l.run(ctx, mcpgo, []string{"GOWORK=off"}, "go", "build", "-o", filepath.Join(l.dir, "mcpgo"), "."); err != nil {
		return err
	}
	for _, file := range []string{"server.mjs", "package.json", "package-lock.json"} {
		text, err := os.ReadFile(filepath.Join(l.src, "servers", "typescript", file))
		if err == nil {
			err = os.WriteFile(filepath.Join(l.dir, file), text, 0o644)
		}
		if err != nil {
			return err
		}
	}
	_, err := l.run(ctx, l.dir, nil, "npm", "ci", "--no-audit", "--no-fund")
	return err
}

// pinned are the versions of the frameworks, of the package in dir.
func pinned(dir string) (map[string]string, error) {
	versions := map[string]string{}
	for name, file := range map[string]string{"gosdk": "../go.mod", "mcpgo": "servers/mcpgo/go.mod"} {
		mod, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(mod)) {
			if words := strings.Fields(strings.TrimPrefix(line, "require ")); len(words) > 1 && words[0] == module(name) {
				versions[name] = words[1]
			}
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "servers", "typescript", "package.json"))
	if err != nil {
		return nil, err
	}
	var p struct {
		Dependencies map[string]string `json:"dependencies"`
	}
	err = json.Unmarshal(text, &p)
	versions["typescript"] = p.Dependencies[module("typescript")]
	return versions, err
}

func module(name string) string {
	for _, f := range frameworks {
		if f.name == name {
			return f.module
		}
	}
	return ""
}

// run runs a program to its end, and returns what it prints.
func (l *lab) run(ctx context.Context, dir string, env []string, argv ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = dir, append(l.env, env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, stderr.String())
	}
	return out, nil
}

// A report is what mcpsec-check found, and how the server did.
type report struct {
	framework
	version string
	lines   int
	checks  map[string]bool
	worst   map[string]string // of a check: the severity of its worst finding
	figures
}

var severities = []string{"info", "low", "medium", "high", "critical"}

func (l *lab) attack(ctx context.Context, s framework) (report, error) {
	r := report{framework: s, version: l.versions[s.name], checks: map[string]bool{}, worst: map[string]string{}}
	out, err := l.run(ctx, l.dir, nil, append([]string{"./mcpsec-check", "-json", "-", "-fail", "critical", "-canary", "env:CANARY",
		"-call", `customer_initials={"name":"Ada Lovelace"}`, "-call", `sales_report={"year":2026}`, "--"}, s.argv...)...)
	if err != nil {
		return r, err
	}
	var found struct {
		Checks   []string
		Findings []struct{ Check, Severity string }
	}
	if err := json.Unmarshal(out, &found); err != nil {
		return r, err
	}
	for _, c := range found.Checks {
		r.checks[c] = true
	}
	for _, f := range found.Findings {
		if rank(f.Severity) > rank(r.worst[f.Check]) {
			r.worst[f.Check] = f.Severity
		}
	}
	source, err := os.ReadFile(filepath.Join(l.src, s.source))
	for line := range strings.Lines(string(source)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
			r.lines++
		}
	}
	return r, err
}

// rank is 0 for none.
func rank(severity string) int {
	for i, s := range severities {
		if s == severity {
			return i + 1
		}
	}
	return 0
}

// checks are the rows of mcpsec-check's own table: id and what is wrong.
func (l *lab) checks(ctx context.Context) ([][2]string, error) {
	out, err := l.run(ctx, l.dir, nil, "./mcpsec-check", "-list")
	if err != nil {
		return nil, err
	}
	var rows [][2]string
	for line := range strings.Lines(string(out)) {
		id, rest, found := strings.Cut(line, " (")
		_, title, _ := strings.Cut(rest, "): ")
		if found && id != "" && !strings.Contains(id, " ") {
			rows = append(rows, [2]string{id, strings.TrimSpace(title)})
		}
	}
	if len(rows) == 0 {
		return nil, errors.New("mcpsec-check -list has no table")
	}
	return rows, nil
}
