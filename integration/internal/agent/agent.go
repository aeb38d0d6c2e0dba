// Package agent has what tests of incidents share: a model that does to the letter what it
// reads, behind a server with or without the guard of data flow.
package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/guard"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// An Arm is how the server of an incident is set up.
type Arm struct {
	Name    string
	guarded bool
	refuse  bool
	injects bool // the text that is read has an instruction in it
	Through bool // what sends something out is done
	asks    int  // how often a person is asked, who says no
}

// Arms are those of every incident: without the guard the attack gets through, with it
// not, and the honest job passes without a question.
var Arms = []Arm{
	{Name: "unguarded", injects: true, Through: true},
	{Name: "asked", guarded: true, injects: true, asks: 1},
	{Name: "refused", guarded: true, refuse: true, injects: true},
	{Name: "honest", guarded: true, Through: true},
	{Name: "honest, refusing", guarded: true, refuse: true, Through: true},
}

// An Agent calls tools.
type Agent struct {
	t     testing.TB
	arm   Arm
	cs    *mcp.ClientSession
	asked int
	audit bytes.Buffer
}

// New serves tools to an agent. A person who is asked says no.
func New(t testing.TB, arm Arm, store state.Documents, sets ...[]*mcpsec.Tool) *Agent {
	t.Helper()
	a := &Agent{t: t, arm: arm}
	o := mcpsec.Options{
		Audit: mcpsec.NewAuditLog(&a.audit), Log: slog.DiscardHandler, Mode: mcpsec.Destroy,
		Approver: func(context.Context, mcpsec.Question) (string, bool, error) {
			a.asked++
			return "ann", false, nil
		},
	}
	if arm.guarded {
		o.Guards = []mcpsec.Guard{guard.Flow(store, guard.FlowOptions{Refuse: arm.refuse})}
	}
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "incident", Version: "1"}, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range sets {
		srv.Add(set...)
	}
	ours, theirs := net.Pipe()
	go srv.ServeStream(context.WithoutCancel(t.Context()), theirs, theirs)
	a.cs, err = mcp.NewClient(&mcp.Implementation{Name: "agent", Version: "1"}, nil).Connect(t.Context(), &mcp.IOTransport{Reader: ours, Writer: ours}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.cs.Close() })
	return a
}

// Injected reports whether what the agent reads has an instruction in it.
func (a *Agent) Injected() bool { return a.arm.injects }

// Call returns what a tool answers, and whether that is no error.
func (a *Agent) Call(tool string, args any) (string, bool) {
	a.t.Helper()
	res, err := a.cs.CallTool(a.t.Context(), &mcp.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		a.t.Fatal(err)
	}
	return res.Content[0].(*mcp.TextContent).Text, !res.IsError
}

// Read is Call for what every arm allows.
func (a *Agent) Read(tool string, args any) string {
	a.t.Helper()
	text, ok := a.Call(tool, args)
	if !ok {
		a.t.Fatalf("%s: %s", tool, text)
	}
	return text
}

// Ended checks what came of the call that sends something out.
func (a *Agent) Ended(answer string, ok bool) {
	a.t.Helper()
	if ok != a.arm.Through || a.asked != a.arm.asks {
		a.t.Errorf("done: %v, want %v; a person was asked %d times, want %d: %s", ok, a.arm.Through, a.asked, a.arm.asks, answer)
	}
	if noted := strings.Contains(a.audit.String(), `"note":"untrusted `); noted != (a.arm.guarded && a.arm.injects) {
		a.t.Errorf("noted in the record: %v\n%s", noted, a.audit.String())
	}
}

// Labelled gives tools the labels that whoever runs the server knows they have.
func Labelled(tools []*mcpsec.Tool, labels map[string]mcpsec.Label) []*mcpsec.Tool {
	var out []*mcpsec.Tool
	for _, t := range tools {
		if l, ok := labels[t.Name()]; ok {
			t = t.WithLabels(l)
		}
		out = append(out, t)
	}
	return out
}

// Member returns a text out of a JSON object.
func Member(t testing.TB, object, name string) string {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(object), &m); err != nil {
		t.Fatal(err)
	}
	s, ok := m[name].(string)
	if !ok {
		t.Fatalf("no text %q in %s", name, object)
	}
	return s
}
