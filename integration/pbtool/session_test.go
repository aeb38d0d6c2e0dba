//go:build !race

package pbtool

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
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

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
	t    testing.TB
	mu   sync.Mutex
	conn net.Conn
	in   *bufio.Reader
	id   int

	approve func(q mcpsec.Question) bool // what a person says; nil is yes
	asked   []string                     // what a person was asked
	guards  []mcpsec.Guard               // the server's
	log     safeBuffer                   // what the server has logged and recorded
	said    safeBuffer                   // what has left the server
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
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
	ours, theirs := net.Pipe()
	s.conn, s.in = ours, bufio.NewReaderSize(io.TeeReader(ours, &s.said), 1<<20)
	t.Cleanup(func() { _ = ours.Close() })
	go func() { _ = srv.ServeStream(context.WithoutCancel(t.Context()), theirs, theirs) }()
	s.request("initialize", `{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}`)
	s.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return s
}

func (s *session) send(line string) {
	s.t.Helper()
	if _, err := io.WriteString(s.conn, line+"\n"); err != nil {
		s.t.Fatal(err)
	}
}

func (s *session) request(method, params string) []byte {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.id++
	id, err := json.Marshal(s.id)
	if err != nil {
		s.t.Fatal(err)
	}
	s.send(`{"jsonrpc":"2.0","id":` + string(id) + `,"method":"` + method + `","params":` + params + `}`)
	for {
		line, err := s.in.ReadBytes('\n')
		if err != nil {
			s.t.Fatal(err)
		}
		if bytes.Contains(line[:min(len(line), 64)], []byte(`"id":`+string(id)+`,`)) {
			return line
		}
	}
}

// until reads what the server says until a line has text in it.
func (s *session) until(text string) string {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	defer func() { _ = s.conn.SetReadDeadline(time.Time{}) }()
	for {
		line, err := s.in.ReadBytes('\n')
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
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	defer func() { _ = s.conn.SetReadDeadline(time.Time{}) }()
	if line, err := s.in.ReadBytes('\n'); err == nil {
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
	name, err := json.Marshal(tool)
	if err != nil {
		s.t.Fatal(err)
	}
	line := s.request("tools/call", `{"name":`+string(name)+`,"arguments":`+arguments+`}`)
	var m struct {
		Error  *struct{ Message string }
		Result struct {
			IsError bool
			Content []struct {
				Text     string
				Resource struct{ Text, URI, MIMEType string }
			}
		}
	}
	if err := json.Unmarshal(line, &m); err != nil {
		s.t.Fatal(err)
	}
	if m.Error != nil {
		return answer{m.Error.Message, true}
	}
	var b strings.Builder
	for _, c := range m.Result.Content {
		b.WriteString(c.Text + c.Resource.Text)
	}
	return answer{b.String(), m.Result.IsError}
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

func (s *session) tools() (list []*mcp.Tool, size int) {
	s.t.Helper()
	line := s.request("tools/list", `{}`)
	var m struct{ Result mcp.ListToolsResult }
	if err := json.Unmarshal(line, &m); err != nil {
		s.t.Fatal(err)
	}
	return m.Result.Tools, len(line)
}
