// Package mcptest is what our own tests share: a client that talks to a server in
// lines, as no SDK's client would, what is golden, and a buffer. Users have
// mcpsec/mcpsectest.
package mcptest

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A Buffer may be written and read by several goroutines.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends p.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String is what was written.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Reset forgets what was written.
func (b *Buffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b.Reset()
}

// A Session is a session of MCP 2025-06-18 over a pipe. Its requests are one at a time;
// what goes wrong with one fails the test and does not end it, so that they may come
// from any goroutine.
type Session struct {
	Conn  net.Conn
	Lines *bufio.Reader // of the server

	t  testing.TB
	mu sync.Mutex
	id int
}

// Dial opens a session. said, if it is not nil, gets all that the server says.
func Dial(t testing.TB, srv *mcpsec.Server, said io.Writer) *Session {
	t.Helper()
	s := Pipe(t, srv, said)
	s.Request("initialize", `{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}`)
	s.Send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return s
}

// Pipe is Dial for who says by hand what opens a session.
func Pipe(t testing.TB, srv *mcpsec.Server, said io.Writer) *Session {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = ours.Close() })
	go func() { _ = srv.ServeStream(context.WithoutCancel(t.Context()), theirs, theirs) }()
	return &Session{Conn: ours, Lines: bufio.NewReaderSize(io.TeeReader(ours, cmp.Or(said, io.Discard)), 1<<20), t: t}
}

// Serve is Dial for tools whose log and audit are of no interest.
func Serve(t testing.TB, tools ...*mcpsec.Tool) *Session {
	t.Helper()
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, mcpsec.Options{Audit: mcpsec.NewAuditLog(io.Discard), Log: slog.DiscardHandler, Mode: mcpsec.Destroy})
	if err != nil {
		t.Fatal(err)
	}
	srv.Add(tools...)
	return Dial(t, srv, nil)
}

// Send sends a line.
func (s *Session) Send(line string) {
	s.t.Helper()
	if _, err := io.WriteString(s.Conn, line+"\n"); err != nil {
		s.t.Error(err)
	}
}

// Request sends a request, and returns the line that answers it: nil if none did. What
// the server says meanwhile is passed over.
func (s *Session) Request(method, params string) []byte {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.id++
	id := `"id":` + strconv.Itoa(s.id) + `,`
	s.Send(`{"jsonrpc":"2.0",` + id + `"method":"` + method + `","params":` + params + `}`)
	for {
		line, err := s.Lines.ReadBytes('\n')
		if err != nil {
			s.t.Errorf("%s: %v", method, err)
			return nil
		}
		if bytes.Contains(line[:min(len(line), 64)], []byte(id)) {
			return line
		}
	}
}

// Call calls a tool with arguments that are JSON, and returns the text that the model
// reads, of all contents, and whether it is that of a refusal or an error.
func (s *Session) Call(tool, arguments string) (text string, refused bool) {
	s.t.Helper()
	line := s.Request("tools/call", `{"name":`+strconv.Quote(tool)+`,"arguments":`+arguments+`}`)
	var m struct {
		Error  *struct{ Message string }
		Result struct {
			IsError bool
			Content []struct {
				Text     string
				Resource struct{ Text string }
			}
		}
	}
	if err := json.Unmarshal(line, &m); err != nil {
		s.t.Errorf("%s: %v: %s", tool, err, line)
		return "", true
	}
	if m.Error != nil {
		return m.Error.Message, true
	}
	var b strings.Builder
	for _, c := range m.Result.Content {
		b.WriteString(c.Text + c.Resource.Text)
	}
	return b.String(), m.Result.IsError
}

// Tools returns the tools that a client is shown, and how many bytes of a model's
// context the answer has.
func (s *Session) Tools() (list []*mcp.Tool, size int) {
	s.t.Helper()
	line := s.Request("tools/list", `{}`)
	var m struct{ Result mcp.ListToolsResult }
	if err := json.Unmarshal(line, &m); err != nil {
		s.t.Errorf("tools/list: %v: %s", err, line)
	}
	return m.Result.Tools, len(line)
}
