package report

import (
	"encoding/xml"
	"io"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest/internal/battery"
)

type (
	junitSuites struct {
		XMLName  xml.Name   `xml:"testsuites"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Suite    junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		Failure *junitFailure `xml:"failure,omitempty"`
		Out     string        `xml:"system-out,omitempty"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes a report as a test suite: a case for each check, which fails for
// findings from a severity on.
func JUnit(w io.Writer, r *battery.Report, fail battery.Severity) error {
	suite := junitSuite{Name: "mcpsec-check"}
	for _, check := range r.Checks {
		group, _, _ := strings.Cut(check, "/")
		c := junitCase{Name: check, Class: "mcpsec." + group}
		var failures, rest []string
		for _, f := range r.Findings {
			switch {
			case f.Check != check:
			case f.Severity < fail:
				rest = append(rest, f.Severity.String()+": "+message(f))
			default:
				failures = append(failures, f.Severity.String()+": "+message(f))
				if c.Failure == nil {
					c.Failure = &junitFailure{Message: f.Title, Type: f.Severity.String()}
				}
			}
		}
		if c.Failure != nil {
			c.Failure.Text = strings.Join(failures, "\n\n")
			suite.Failures++
		}
		c.Out = strings.Join(rest, "\n\n")
		suite.Cases = append(suite.Cases, c)
	}
	suite.Tests = len(suite.Cases)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(junitSuites{Tests: suite.Tests, Failures: suite.Failures, Suite: suite}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
