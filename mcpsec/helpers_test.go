package mcpsec_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

var impl = &mcp.Implementation{Name: "test", Version: "1.0.0"}

// A fixture is a server on one end of a stream and a test on the other.
type fixture struct {
	*mcpsec.Server
	audit, log mcptest.Buffer
	served     chan error
}

// newFixture makes a server that records into memory. change may adjust the
// options.
func newFixture(t testing.TB, change func(*mcpsec.Options), tools ...*mcpsec.Tool) *fixture {
	t.Helper()
	f := &fixture{served: make(chan error, 1)}
	o := mcpsec.Options{Audit: mcpsec.NewAuditLog(&f.audit), Log: slog.NewTextHandler(&f.log, nil)}
	if change != nil {
		change(&o)
	}
	srv, err := mcpsec.NewServer(impl, o)
	if err != nil {
		t.Fatal(err)
	}
	srv.Add(tools...)
	f.Server = srv
	return f
}

// serve starts the server on a pipe and returns the client's end.
func (f *fixture) serve(t testing.TB, ctx context.Context) net.Conn {
	t.Helper()
	client, server := net.Pipe()
	go func() { f.served <- f.ServeStream(ctx, server, server) }()
	t.Cleanup(func() { client.Close() })
	return client
}

// connect attaches the SDK's own client.
func (f *fixture) connect(t testing.TB) *mcp.ClientSession {
	t.Helper()
	conn := f.serve(t, t.Context())
	cs, err := mcp.NewClient(impl, nil).Connect(t.Context(), &mcp.IOTransport{Reader: conn, Writer: conn}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cs.Close() })
	return cs
}

// call calls a tool and returns the text that the model gets.
func call(t testing.TB, cs *mcp.ClientSession, tool string, args any) (string, bool) {
	t.Helper()
	res, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	if len(res.Content) != 1 {
		t.Fatalf("%s: %d contents", tool, len(res.Content))
	}
	return res.Content[0].(*mcp.TextContent).Text, res.IsError
}

// records returns the audit records as maps.
func (f *fixture) records(t testing.TB) []map[string]any {
	t.Helper()
	var out []map[string]any
	for line := range strings.Lines(f.audit.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		out = append(out, m)
	}
	return out
}

// raw talks to the server in lines.
type raw struct {
	t  testing.TB
	w  io.Writer
	br *bufio.Reader
}

func newRaw(t testing.TB, conn net.Conn) *raw { return &raw{t, conn, bufio.NewReader(conn)} }

// dial starts the server and initializes a session by hand.
func (f *fixture) dial(t testing.TB) *raw {
	t.Helper()
	r := newRaw(t, f.serve(t, t.Context()))
	r.ask(`{"jsonrpc":"2.0","id":"init","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`)
	r.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return r
}

func (r *raw) send(line string) {
	r.t.Helper()
	if _, err := io.WriteString(r.w, line+"\n"); err != nil {
		r.t.Fatal(err)
	}
}

func (r *raw) read() string {
	r.t.Helper()
	line, err := r.br.ReadString('\n')
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

func (r *raw) ask(line string) string {
	r.t.Helper()
	r.send(line)
	return r.read()
}

type echoIn struct {
	Text string `json:"text" validate:"required,max=100"`
}

type echoOut struct {
	Text string `json:"text"`
}

func echo() *mcpsec.Tool {
	return tool("echo", func(_ context.Context, in echoIn) (echoOut, error) { return echoOut(in), nil })
}

// tool makes a read tool.
func tool[In, Out any](name string, h func(context.Context, In) (Out, error)) *mcpsec.Tool {
	return mcpsec.NewTool(mcpsec.ToolSpec{Name: name, Description: "For tests.", Effect: mcpsec.Read}, h)
}

func newSecret(s string) mcpsec.Secret { return redact.NewSecret(s) }

// golden compares the records with want, which leaves out what differs from run
// to run.
func golden(t testing.TB, f *fixture, want string) {
	t.Helper()
	var b strings.Builder
	for _, r := range f.records(t) {
		b.WriteString(r["msg"].(string))
		for _, k := range []string{"method", "tool", "prompt", "resource", "principal", "effect", "arg_bytes", "args", "decision", "outcome", "rule", "reason", "result_bytes", "redacted", "stripped"} {
			if v, ok := r[k]; ok {
				fmt.Fprintf(&b, " %s=%v", k, v)
			}
		}
		b.WriteByte('\n')
	}
	if got := b.String(); got != want {
		t.Errorf("recorded\n%swant\n%s", got, want)
	}
}

// completing completes one argument with fixed values or an error.
func completing(argument string, values []string, err error) map[string]func(context.Context, string) ([]string, error) {
	return map[string]func(context.Context, string) ([]string, error){
		argument: func(context.Context, string) ([]string, error) { return values, err },
	}
}
