package battery

import (
	"context"
	"fmt"
	"strings"
)

// Severity says how much a finding matters.
type Severity uint8

// Severities, from what is worth knowing to what must not go out.
const (
	Info     Severity = 1 + iota // nothing is wrong: what was not tested, and why
	Low                          // helps an attacker, alone it does little
	Medium                       // a rule that the server declares or needs is not kept
	High                         // one request stops the server, or shows what is secret
	Critical                     // one request runs code or undoes a confirmation
)

var severities = [...]string{Info: "info", Low: "low", Medium: "medium", High: "high", Critical: "critical"}

// String returns the severity's name: "info", "low", "medium", "high" or "critical".
func (s Severity) String() string {
	if s < Info || s > Critical {
		return fmt.Sprintf("severity(%d)", uint8(s))
	}
	return severities[s]
}

// MarshalText returns the severity's name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// ParseSeverity reads a severity's name.
func ParseSeverity(name string) (Severity, error) {
	for s := Info; s <= Critical; s++ {
		if severities[s] == name {
			return s, nil
		}
	}
	return 0, fmt.Errorf("no severity %q: want one of %s", name, strings.Join(severities[Info:], ", "))
}

// A Finding is one thing that a check saw.
type Finding struct {
	Check    string   `json:"check"`             // its id: "args/unknown"
	Severity Severity `json:"severity"`          // zero in what a check returns: that of the check
	Subject  string   `json:"subject,omitempty"` // the tool, prompt or resource; "" is the server
	Title    string   `json:"title"`             // "" in what a check returns: that of the check
	Evidence string   `json:"evidence"`          // what was sent and seen: bounded, and without secrets
	Remedy   string   `json:"remedy"`            // "" in what a check returns: that of the check
}

// Transport says over what a check can be made.
type Transport uint8

// The ways to a server.
const (
	Stream Transport = 1 << iota // lines: a process's standard input and output, or a server in this process
	HTTP                         // Streamable HTTP

	Any = Stream | HTTP
)

// A Check looks for one flaw. Its texts are the documentation.
type Check struct {
	ID       string    // group and rule: "args/unknown"
	Severity Severity  // of its findings, where they do not say otherwise
	Title    string    // what is wrong, as a sentence without an end: "unknown arguments are ignored"
	Proof    string    // what was observed when it fires, and what it is silent about
	Remedy   string    // what to do
	Over     Transport // zero is Any
	// Run makes the check. It leaves of a finding what the check says already. It
	// returns when ctx ends, and none of its exchanges takes longer than
	// Options.Timeout.
	Run func(ctx context.Context, p *Probe) []Finding
}
