// Package report writes what a battery found: for people, and as JSON, SARIF and
// JUnit. The same findings give the same bytes.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest/internal/battery"
)

// Text writes a report for people, the gravest first.
func Text(w io.Writer, r *battery.Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, protocol %s: %d tools, %d of them called, %d checks\n", r.Server, r.Protocol, r.Tools, r.Called, len(r.Checks))
	counts := map[battery.Severity]int{}
	for s := battery.Critical; s >= battery.Info; s-- {
		for _, group := range grouped(r.Findings, s) {
			counts[s] += len(group)
			write(&b, group)
		}
	}
	b.WriteString("\n")
	for s := battery.Critical; s > battery.Info; s-- {
		fmt.Fprintf(&b, "%d %s, ", counts[s], s)
	}
	fmt.Fprintf(&b, "%d %s\n", counts[battery.Info], battery.Info)
	_, err := io.WriteString(w, b.String())
	return err
}

// grouped are the findings of a severity, those of the same flaw together.
func grouped(all []battery.Finding, s battery.Severity) [][]battery.Finding {
	var out [][]battery.Finding
	at := map[[2]string]int{}
	for _, f := range all {
		if f.Severity != s {
			continue
		}
		flaw := [2]string{f.Check, f.Title}
		i, ok := at[flaw]
		if !ok {
			i = len(out)
			at[flaw], out = i, append(out, nil)
		}
		out[i] = append(out[i], f)
	}
	return out
}

// write writes findings of one flaw: the evidence of the first ones, and where else it
// was found.
func write(b *strings.Builder, group []battery.Finding) {
	const shown = 2
	fmt.Fprintf(b, "\n%-8s  %s: %s\n", strings.ToUpper(group[0].Severity.String()), group[0].Check, group[0].Title)
	var rest []string
	for i, f := range group {
		switch {
		case f.Subject == "":
			fmt.Fprintf(b, "  seen:    %s\n", f.Evidence)
		case i < shown:
			fmt.Fprintf(b, "  seen:    %s: %s\n", f.Subject, f.Evidence)
		default:
			rest = append(rest, f.Subject)
		}
	}
	if rest != nil {
		fmt.Fprintf(b, "  and:     %s\n", strings.Join(rest, ", "))
	}
	fmt.Fprintf(b, "  remedy:  %s\n", group[0].Remedy)
}

// JSON writes a report as one JSON object.
func JSON(w io.Writer, r *battery.Report) error { return indented(w, r) }

func indented(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// List writes what each check proves.
func List(w io.Writer, checks []battery.Check) error {
	var b strings.Builder
	for _, c := range checks {
		fmt.Fprintf(&b, "%s (%s%s): %s\n  %s\n  %s\n\n", c.ID, c.Severity, over(c), c.Title, c.Proof, c.Remedy)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func over(c battery.Check) string {
	switch c.Over {
	case battery.Stream:
		return ", over standard input and output"
	case battery.HTTP:
		return ", over HTTP"
	}
	return ""
}

// Markdown returns the checks as a table for docs/check.md.
func Markdown(checks []battery.Check) string {
	var b strings.Builder
	b.WriteString("| Check | Severity | What is wrong | What a finding proves |\n| --- | --- | --- | --- |\n")
	for _, c := range checks {
		fmt.Fprintf(&b, "| `%s` | %s%s | %s | %s |\n", c.ID, c.Severity, over(c), cell(c.Title), cell(c.Proof))
	}
	return b.String()
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
