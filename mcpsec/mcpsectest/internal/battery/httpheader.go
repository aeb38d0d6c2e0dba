package battery

import (
	"context"
	"fmt"
	"net/http"
)

var headerChecks = []Check{
	{
		ID: "http/version", Severity: Low, Over: HTTP, Title: "a version that does not exist is accepted",
		Proof:  "A request in a session with MCP-Protocol-Version: 1999-01-01, or one in protocol 2026-07-28 whose header and _meta name different versions, was answered with a result; the specification asks for 400.",
		Remedy: "Compare the header with the versions that the server speaks.",
		Run:    wrongVersion,
	},
	{
		ID: "http/headers", Severity: Medium, Over: HTTP, Title: "headers may say other than the message",
		Proof:  "In protocol 2026-07-28, a request whose Mcp-Method or Mcp-Name is not that of the message was answered with a result. Proxies that route, limit or refuse by these headers are passed by.",
		Remedy: "Compare the headers with the message, and answer with 400 and error -32020.",
		Run:    otherHeaders,
	},
}

// inSession sends a message in a session that is open, but for one change.
func (p *Probe) inSession(ctx context.Context, s *Session, m packet, change func(r *http.Request)) answer {
	c, ok := s.conn.(*poster)
	if !ok {
		return answer{}
	}
	p.wait()
	ctx, cancel := context.WithTimeout(ctx, p.Options.timeout())
	defer cancel()
	m.version = s.Version
	req, err := c.request(ctx, m)
	if err != nil {
		return answer{}
	}
	change(req)
	a := do(c.client, req)
	if a.status != 0 {
		p.observe("", m.method+" with other headers", a.reply)
	}
	return a
}

func wrongVersion(ctx context.Context, p *Probe) []Finding {
	const none = "1999-01-01"
	s, err := p.Session(ctx)
	if err != nil {
		return nil
	}
	as := setHeader("Mcp-Protocol-Version", none)
	if p.inSession(ctx, s, s.ping("1", "", "{}"), as).accepted() {
		return one(0, "a request with MCP-Protocol-Version: %s was answered with a result", none)
	}
	if s = p.Modern(ctx); s == nil {
		return nil
	}
	defer p.finish(s)
	if p.inSession(ctx, s, s.ping("1", "", "{}"), setHeader("Mcp-Protocol-Version", legacy)).accepted() {
		return one(0, "a request with MCP-Protocol-Version: %s, and %s in _meta, was answered with a result", legacy, modern)
	}
	return nil
}

func otherHeaders(ctx context.Context, p *Probe) []Finding {
	s := p.Modern(ctx)
	if s == nil {
		return nil
	}
	defer p.finish(s)
	try := func(method, params, header, value string) []Finding {
		_, m := s.message(method, params)
		if p.inSession(ctx, s, m, setHeader(header, value)).accepted() {
			return one(0, "%s with %s: %s was answered with a result", method, header, value)
		}
		return nil
	}
	if f := try("tools/list", "{}", "Mcp-Method", "server/discover"); f != nil {
		return f
	}
	for _, t := range p.callable() {
		if t.Valid == nil {
			continue
		}
		return try("tools/call", fmt.Sprintf(`{"name":%s,"arguments":%s}`, quote(t.Name), encode(t.Valid)), "Mcp-Name", "mcpsec_none")
	}
	return nil
}
