package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mcpsec/mcpsec-go/examples/internal/tour"
)

// rawLines are what no client library would send.
var rawLines = []struct{ asked, line, want, why string }{
	{"garbage instead of a message", "hello?", "-32700", "answered without echo, and the server lives on"},
	{"a batch of calls", `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, "batches are not accepted", "one message a line"},
	{"one name twice, to fool a gateway", `{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}`, "a member occurs twice", "two readers must not read two things"},
	{"100,000 levels of nesting", strings.Repeat(`{"a":[`, 50_000), "nested too deeply", "bounded before anything is parsed"},
	{"a message of 5 MB", `{"jsonrpc":"2.0","id":1,"method":"` + strings.Repeat("x", 5<<20) + `"}`, "too long", "read to its end and dropped"},
	{"and a good one", `{"jsonrpc":"2.0","id":2,"method":"ping"}`, `"result":{}`, "still there"},
}

// rawAttacks talks to a server of its own in lines.
func rawAttacks(ctx context.Context, p *tour.Printer, urls []string, audit string) error {
	cmd, err := child(ctx, urls, audit)
	if err != nil {
		return err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	answers := bufio.NewReader(out)
	for _, a := range rawLines {
		if _, err := io.WriteString(in, a.line+"\n"); err != nil {
			return err
		}
		got, err := answers.ReadString('\n')
		if err != nil {
			return err
		}
		got = strings.TrimSpace(got)
		ok := strings.Contains(got, a.want)
		p.Row(ok, a.asked, tour.Excerpt(got, a.want), a.why)
		if !ok {
			return fmt.Errorf("%s: the server answered %q", a.asked, got)
		}
	}
	return errors.Join(in.Close(), cmd.Wait())
}

// checkLog looks at the server's own log: the causes are in it, the password is
// not.
func checkLog(p *tour.Printer, s *tour.Session) error {
	log, err := s.Written()
	if err != nil {
		return err
	}
	if !strings.Contains(log, "index out of range") || !strings.Contains(log, "tour/server.go") {
		return errors.New("the panic and its stack are not in the server's log")
	}
	if strings.Contains(log, passwordPrefix) {
		return errors.New("the password is in the audit log or in the server's log")
	}
	for line := range strings.Lines(log) {
		if _, cause, ok := strings.Cut(line, `error="connecting to `); ok {
			p.Good("The server's log has the cause of the outage, and no password: connecting to %s", strings.TrimSuffix(cause, "\"\n"))
			return nil
		}
	}
	return errors.New("the cause of the outage is not in the server's log")
}

// connectAdvice says how to go on.
func connectAdvice(p *tour.Printer) {
	heading(p, 8)
	p.Say(`Build the server over a database of your own, and give it a role that may only read:

  go build -o mcp-postgres ./examples/postgres
  export PGTOOL_DATABASE_URL='postgres://mcp_reader:PASSWORD@db.example.com/shop'

Claude Desktop, Cursor, Windsurf (their mcp.json):

  {"mcpServers": {"shop": {"command": "/path/to/mcp-postgres", "env": {"PGTOOL_DATABASE_URL": "postgres://…"}}}}

VS Code (.vscode/mcp.json):

  {"servers": {"shop": {"type": "stdio", "command": "/path/to/mcp-postgres", "env": {"PGTOOL_DATABASE_URL": "postgres://…"}}}}

Claude Code:      claude mcp add shop -e PGTOOL_DATABASE_URL="$PGTOOL_DATABASE_URL" -- /path/to/mcp-postgres
MCP Inspector:    npx @modelcontextprotocol/inspector --cli -e PGTOOL_DATABASE_URL="$PGTOOL_DATABASE_URL" /path/to/mcp-postgres --method tools/list

Stripe:           examples/stripe, with STRIPETOOL_KEY in place of the URL
Your own tools:   examples/quickstart, then mcpsec/doc.go`)
	heading(p, 9)
	p.Say(`PocketBase goes the same way, with the rights of one of its users; its schema is changed as planned
and only after a person's yes. It takes a minute to compile the first time:

  %s`, pocketbaseCommand)
}
