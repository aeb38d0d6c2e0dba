package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"flag"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest/internal/battery"
)

var update = flag.Bool("update", false, "write golden files")

// checks are made up, so that a new one changes no golden file.
var checks = []battery.Check{
	{ID: "args/unknown", Severity: battery.Low, Title: "unknown arguments are ignored", Proof: "A | call.", Remedy: "Refuse them."},
	{ID: "stability/crash", Severity: battery.High, Title: "one call ends the server", Proof: "It ended.", Remedy: "Recover.", Over: battery.Stream},
	{ID: "http/origin", Severity: battery.Medium, Title: "any page may call", Proof: "It answered.", Remedy: "Check Origin.", Over: battery.HTTP},
}

func finding(check int, s battery.Severity, subject, evidence string) battery.Finding {
	c := checks[check]
	return battery.Finding{Check: c.ID, Severity: s, Subject: subject, Title: c.Title, Evidence: evidence, Remedy: c.Remedy}
}

func sample() *battery.Report {
	return &battery.Report{
		Server: "shop 1.0", Protocol: "2025-06-18", Tools: 5, Called: 4, Checks: []string{"args/unknown", "stability/crash", "http/origin"},
		Findings: []battery.Finding{
			finding(0, battery.Low, "search", `accepted: {"a":1}`), finding(0, battery.Low, "list", `accepted: {"b":"<&>"}`), finding(0, battery.Low, "show", "accepted: {}"),
			finding(0, battery.Info, "known", "accepted"),
			finding(1, battery.High, "", "ended after ]]> and \"quotes\""),
		},
	}
}

func golden(t *testing.T, name string, write func(w io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if want = bytes.ReplaceAll(want, []byte("\r\n"), []byte("\n")); !bytes.Equal(b.Bytes(), want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, b.Bytes(), want)
	}
	return b.Bytes()
}

func TestGolden(t *testing.T) {
	t.Parallel()
	golden(t, "report.txt", func(w io.Writer) error { return Text(w, sample()) })
	golden(t, "list.txt", func(w io.Writer) error { return List(w, checks) })
	golden(t, "table.md", func(w io.Writer) error { _, err := io.WriteString(w, Markdown(checks)); return err })
	if !json.Valid(golden(t, "report.json", func(w io.Writer) error { return JSON(w, sample()) })) {
		t.Error("the JSON is none")
	}
}

func TestJUnit(t *testing.T) {
	t.Parallel()
	out := golden(t, "report.xml", func(w io.Writer) error { return JUnit(w, sample(), battery.Medium) })
	var suites junitSuites
	if err := xml.Unmarshal(out, &suites); err != nil {
		t.Fatal(err)
	}
	if s := suites.Suite; suites.Failures != 1 || s.Tests != len(s.Cases) || s.Cases[0].Failure != nil || s.Cases[1].Failure == nil || !strings.Contains(s.Cases[1].Failure.Text, "]]>") {
		t.Errorf("got %+v", suites)
	}
}

// What the standard demands of what is written here: section 3 of SARIF 2.1.0.
func TestSARIF(t *testing.T) {
	t.Parallel()
	out := golden(t, "report.sarif", func(w io.Writer) error { return SARIF(w, sample(), checks, `.\dist\my server.js`) })
	var log sarifLog
	d := json.NewDecoder(bytes.NewReader(out))
	d.DisallowUnknownFields()
	if err := d.Decode(&log); err != nil {
		t.Fatal(err)
	}
	levels := []string{"none", "note", "warning", "error"}
	rules := log.Runs[0].Tool.Driver.Rules
	if log.Version != "2.1.0" || len(log.Runs) != 1 || log.Runs[0].Tool.Driver.Name == "" || len(log.Runs[0].Results) != len(sample().Findings) {
		t.Errorf("got %+v", log)
	}
	for _, r := range rules {
		if r.ID == "" || r.ShortDescription.Text == "" || !slices.Contains(levels, r.DefaultConfiguration.Level) || r.Properties.SecuritySeverity == "" {
			t.Errorf("rule %+v", r)
		}
	}
	for _, r := range log.Runs[0].Results {
		if rules[r.RuleIndex].ID != r.RuleID || r.Message.Text == "" || !slices.Contains(levels, r.Level) || len(r.Locations) != 1 {
			t.Errorf("result %+v", r)
		}
		u, err := url.Parse(r.Locations[0].PhysicalLocation.ArtifactLocation.URI)
		if err != nil || u.IsAbs() || u.Path != "dist/my server.js" {
			t.Errorf("a location is %v, %v", u, err)
		}
	}
}

// A run without findings has empty lists, not null.
func TestCleanReports(t *testing.T) {
	t.Parallel()
	clean := &battery.Report{Server: "s", Checks: []string{"args/unknown"}, Findings: []battery.Finding{}}
	var sarif, plain bytes.Buffer
	if err := SARIF(&sarif, clean, nil, "x"); err != nil || strings.Contains(sarif.String(), "null") {
		t.Errorf("%v: %s", err, &sarif)
	}
	if err := JSON(&plain, clean); err != nil || strings.Contains(plain.String(), "null") {
		t.Errorf("%v: %s", err, &plain)
	}
}
