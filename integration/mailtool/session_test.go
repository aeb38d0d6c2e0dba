package mailtool

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/mailtool"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A session is a client of an MCP server that has all sets.
type session struct {
	*mcptest.Session
	t *testing.T

	mu      sync.Mutex
	asked   []string                     // what a person was asked
	approve func(q mcpsec.Question) bool // what they say; nil is yes
	log     mcptest.Buffer               // what the server has logged and recorded
}

func serve(t *testing.T, o mailtool.Options, more ...*mcpsec.Tool) *session {
	t.Helper()
	s := &session{t: t}
	s.Session = mcptest.Dial(t, s.server(o, s.person, more...), nil)
	return s
}

// person is one who approves.
func (s *session) person(_ context.Context, q mcpsec.Question) (string, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, q.Text)
	return "tester", s.approve == nil || s.approve(q), nil
}

// server makes a server of all sets. Without an approver only a client's person is asked.
func (s *session) server(o mailtool.Options, approver mcpsec.Approver, more ...*mcpsec.Tool) *mcpsec.Server {
	s.t.Helper()
	o.Log = slog.New(slog.NewJSONHandler(&s.log, nil))
	c := newClient(s.t, o)
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, mcpsec.Options{
		Audit: mcpsec.NewAuditLog(&s.log), Log: slog.NewJSONHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug}), Mode: mcpsec.Destroy,
		Limits: mcpsec.Limits{CallsPerSecond: 100_000}, Approver: approver,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	srv.Add(mailtool.ReadTools(c)...)
	srv.Add(mailtool.SendTools(c)...)
	srv.Add(more...)
	return srv
}

// call calls a tool, and returns its text and whether it refused.
func (s *session) call(tool string, arguments any) (string, bool) {
	s.t.Helper()
	raw, err := json.Marshal(arguments)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.Call(tool, string(raw))
}

// ok calls a tool that must answer, with a text that has each of the parts in it.
func (s *session) ok(tool string, arguments any, parts ...string) string {
	s.t.Helper()
	text, refused := s.call(tool, arguments)
	for _, p := range parts {
		if !strings.Contains(text, p) {
			s.t.Errorf("%s: got %s, want %s in it", tool, text, p)
		}
	}
	if refused {
		s.t.Errorf("%s: refused: %s", tool, text)
	}
	return text
}

// deny calls a tool that must refuse, with a text that has why in it.
func (s *session) deny(why, tool string, arguments any) {
	s.t.Helper()
	if text, refused := s.call(tool, arguments); !refused || !strings.Contains(text, why) {
		s.t.Errorf("%s: got %q, want a refusal with %q", tool, text, why)
	}
}

func (s *session) questions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}
