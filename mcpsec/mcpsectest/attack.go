package mcpsectest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest/internal/battery"
)

// A Target is an MCP server that [Run] attacks: see [Server], [Command] and [URL].
type Target struct{ target battery.Target }

// Server is a server in the test's own process. It is served over a pair of pipes, as
// [mcpsec.Server.Run] does over standard input and output.
func Server(srv *mcpsec.Server) Target {
	return Target{battery.Target{Serve: srv.ServeStream}}
}

// Command is a program and its arguments that serves standard input and output, in
// whatever language it is written. It gets the test's environment, is started anew
// when an attack has ended it, and is killed at the end.
func Command(argv ...string) Target { return Target{battery.Target{Argv: argv}} }

// URL is an endpoint of Streamable HTTP. The header goes with each request, as a rule
// with Authorization, and to no other address. Nil is none.
func URL(url string, header http.Header) Target {
	return Target{battery.Target{URL: url, Header: header}}
}

// Options say what [Run] may do and what it looks for.
type Options struct {
	// Canaries are values that the server has and must show nobody: keys,
	// passwords, rows of other tenants. Each has at least six bytes. They stand in
	// no report. Defaults to none; secrets that show themselves are found anyway.
	Canaries []string
	// Call lists the tools that may be called although they do not say that they
	// only read, with arguments that are valid, or nil to have some made from the
	// schema. "*" is all tools. A listed tool does what it does: list one only where
	// what it can reach may be lost. Defaults to none.
	Call map[string]any
	// Accept lists findings that are known, by check ("args/unknown") or by check
	// and subject ("args/unknown search"). They are logged, and fail nothing.
	// Defaults to none.
	Accept []string
	// Manifest is the path of the tool definitions that were reviewed: see
	// docs/check.md. Defaults to none: definitions are not compared.
	Manifest string
	// Update writes Manifest, in one step, instead of comparing with it: the value of
	// a test's flag -update, as a rule. Defaults to false.
	Update bool
	// Fail is the severity from which on a finding fails the test: "low", "medium",
	// "high" or "critical". Defaults to "medium".
	Fail string
	// Timeout is how long one exchange may take. Defaults to 10 seconds.
	Timeout time.Duration
}

// Run attacks an MCP server, and reports what it finds: one subtest for each check,
// which fails for each finding from [Options].Fail on, with what was seen and what to
// do. Findings below it are logged. The test ends at once if the server cannot be
// opened.
//
// A tool is called only if it has readOnlyHint and no name that contradicts it, or if
// [Options].Call lists it: what was not called is logged. docs/check.md says what each
// check proves.
func Run(t *testing.T, target Target, o Options) {
	t.Helper()
	fail, err := battery.ParseSeverity(cmp.Or(o.Fail, "medium"))
	if err != nil {
		t.Fatalf("mcpsectest: Options.Fail: %v", err)
	}
	call := map[string]json.RawMessage{}
	for name, arguments := range o.Call {
		if call[name], err = json.Marshal(arguments); err != nil {
			t.Fatalf("mcpsectest: Options.Call %s: %v", name, err)
		}
	}
	report, err := battery.Run(t.Context(), target.target, battery.Options{Canaries: o.Canaries, Call: call, Accept: o.Accept, Manifest: o.Manifest, Update: o.Update, Timeout: o.Timeout})
	if err != nil {
		t.Fatalf("mcpsectest: %v", err)
	}
	for _, check := range report.Checks {
		t.Run(check, func(t *testing.T) {
			for _, f := range report.Findings {
				switch {
				case f.Check != check:
				case f.Severity >= fail:
					t.Error(line(f))
				default:
					t.Log(line(f))
				}
			}
		})
	}
}

func line(f battery.Finding) string {
	subject := ""
	if f.Subject != "" {
		subject = f.Subject + ": "
	}
	return fmt.Sprintf("%s: %s%s\n\tseen: %s\n\tremedy: %s", f.Severity, subject, f.Title, f.Evidence, f.Remedy)
}
