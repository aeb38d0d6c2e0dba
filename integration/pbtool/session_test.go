//go:build !race

package pbtool

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/pbtool"
)

// sets are all sets of tools. The tests of canaries and of injections call whatever
// is in them.
var sets = map[string]func(*pbtool.Client) []*mcpsec.Tool{
	"RecordReadTools":  pbtool.RecordReadTools,
	"RecordWriteTools": pbtool.RecordWriteTools,
	"SchemaReadTools":  pbtool.SchemaReadTools,
	"SchemaWriteTools": pbtool.SchemaWriteTools,
	"AdminTools":       func(c *pbtool.Client) []*mcpsec.Tool { return pbtool.AdminTools(c, allowed) },
	"FileTools":        pbtool.FileTools,
	"AuthTools":        pbtool.AuthTools,
}

// A session is a client of an MCP server that has all sets.
type session struct {
	*mcptest.Session
	t testing.TB

	approve func(q mcpsec.Question) bool // what a person says; nil is yes
	asked   []string                     // what a person was asked
	guards  []mcpsec.Guard               // the server's
	log     mcptest.Buffer               // what the server has logged and recorded
	said    mcptest.Buffer               // what has left the server
}

// had returns the tools of a set, if the client is one that it can be had with.
func had(set func(*pbtool.Client) []*mcpsec.Tool, c *pbtool.Client) (tools []*mcpsec.Tool) {
	defer func() { _ = recover() }()
	return set(c)
}

func serve(t testing.TB, c *pbtool.Client) *session {
	t.Helper()
	return serveAs(t, c, "local")
}

// serveAs serves all sets to one principal.
func serveAs(t testing.TB, c *pbtool.Client, principal string) *session {
	t.Helper()
	var tools [][]*mcpsec.Tool
	for _, set := range sets {
		tools = append(tools, had(set, c))
	}
	return serveTools(t, c, principal, tools...)
}

func serveTools(t testing.TB, c *pbtool.Client, principal string, tools ...[]*mcpsec.Tool) *session {
	t.Helper()
	s := &session{t: t}
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, mcpsec.Options{
		Audit: mcpsec.NewAuditLog(&s.log), Log: slog.NewJSONHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug}), Mode: mcpsec.Destroy,
		Limits: mcpsec.Limits{CallsPerSecond: 100_000}, Principal: mcpsec.Principal{ID: principal},
		Guards: []mcpsec.Guard{func(ctx context.Context, call *mcpsec.Call) error {
			for _, g := range s.guards {
				if err := g(ctx, call); err != nil {
					return err
				}
			}
			return nil
		}},
		Approver: func(_ context.Context, q mcpsec.Question) (string, bool, error) {
			s.asked = append(s.asked, q.Text)
			_, _ = s.said.Write([]byte(q.Text + "\n"))
			return "tester", s.approve == nil || s.approve(q), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range tools {
		srv.Add(set...)
	}
	srv.AddResource(pbtool.Resources(c)...)
	srv.AddPrompt(pbtool.Prompts(c)...)
	s.Session = mcptest.Dial(t, srv, &s.said)
	return s
}

// until reads what the server says until a line has text in it.
func (s *session) until(text string) string {
	s.t.Helper()
	_ = s.Conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	defer func() { _ = s.Conn.SetReadDeadline(time.Time{}) }()
	for {
		line, err := s.Lines.ReadBytes('\n')
		if err != nil {
			s.t.Fatalf("waiting for %s: %v", text, err)
		}
		if bytes.Contains(line, []byte(text)) {
			return string(line)
		}
	}
}

// quiet fails if the server says something that nobody has asked for.
func (s *session) quiet(why string) {
	s.t.Helper()
	_ = s.Conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	defer func() { _ = s.Conn.SetReadDeadline(time.Time{}) }()
	if line, err := s.Lines.ReadBytes('\n'); err == nil {
		s.t.Errorf("%s: %s", why, line)
	}
}

type answer struct {
	text    string
	refused bool
}

// call calls a tool with arguments that are JSON.
func (s *session) call(tool, arguments string) answer {
	s.t.Helper()
	text, refused := s.Call(tool, arguments)
	return answer{text, refused}
}

// ok calls a tool that must answer, and decodes the answer.
func (s *session) ok(tool, arguments string, out any) {
	s.t.Helper()
	a := s.call(tool, arguments)
	if a.refused {
		s.t.Fatalf("%s %s: %s", tool, arguments, a.text)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal([]byte(a.text), out); err != nil {
		s.t.Fatalf("%s %s: %v: %s", tool, arguments, err, a.text)
	}
}

// deny calls a tool that must refuse, with a text that has why in it.
func (s *session) deny(why, tool, arguments string) {
	s.t.Helper()
	if a := s.call(tool, arguments); !a.refused || !strings.Contains(a.text, why) {
		s.t.Errorf("%s %s: got %q, want a refusal with %q", tool, arguments, a.text, why)
	}
}
