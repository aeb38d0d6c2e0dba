package mailtool

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mailtool"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A session is a client of an MCP server that has all sets.
type session struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader

	mu      sync.Mutex
	asked   []string                     // what a person was asked
	approve func(q mcpsec.Question) bool // what they say; nil is yes
	log     buffer                       // what the server has logged and recorded
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func serve(t *testing.T, o mailtool.Options, more ...*mcpsec.Tool) *session {
	t.Helper()
	s := &session{t: t}
	o.Log = slog.New(slog.NewJSONHandler(&s.log, nil))
	c := newClient(t, o)
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, mcpsec.Options{
		Audit: mcpsec.NewAuditLog(&s.log), Log: slog.NewJSONHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug}), Mode: mcpsec.Destroy,
		Limits: mcpsec.Limits{CallsPerSecond: 100_000},
		Approver: func(_ context.Context, q mcpsec.Question) (string, bool, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.asked = append(s.asked, q.Text)
			return "tester", s.approve == nil || s.approve(q), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Add(mailtool.ReadTools(c)...)
	srv.Add(mailtool.SendTools(c)...)
	srv.Add(more...)
	ours, theirs := net.Pipe()
	s.conn, s.in = ours, bufio.NewReaderSize(ours, 1<<20)
	t.Cleanup(func() { _ = ours.Close() })
	go func() { _ = srv.ServeStream(context.WithoutCancel(t.Context()), theirs, theirs) }()
	s.request("initialize", `{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}`)
	if _, err := io.WriteString(ours, `{"jsonrpc":"2.0","method":"notifications/initialized"}`+"\n"); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *session) request(method, params string) []byte {
	if _, err := io.WriteString(s.conn, `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":`+params+"}\n"); err != nil {
		s.t.Error(err)
		return nil
	}
	line, err := s.in.ReadBytes('\n')
	if err != nil {
		s.t.Error(err)
	}
	return line
}

// call calls a tool, and returns its text and whether it refused.
func (s *session) call(tool string, arguments any) (string, bool) {
	s.t.Helper()
	raw, err := json.Marshal(arguments)
	if err != nil {
		s.t.Fatal(err)
	}
	line := s.request("tools/call", `{"name":"`+tool+`","arguments":`+string(raw)+`}`)
	var m struct {
		Error  *struct{ Message string }
		Result struct {
			IsError bool
			Content []struct{ Text string }
		}
	}
	if err := json.Unmarshal(line, &m); err != nil {
		s.t.Errorf("%v: %s", err, line)
		return "", true
	}
	if m.Error != nil {
		return m.Error.Message, true
	}
	var b strings.Builder
	for _, c := range m.Result.Content {
		b.WriteString(c.Text)
	}
	return b.String(), m.Result.IsError
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
