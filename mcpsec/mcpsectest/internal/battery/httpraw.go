package battery

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// An answer is what came back for one request of HTTP, whoever made it.
type answer struct {
	status int // 0: nothing came
	header http.Header
	body   []byte // its beginning, or the first message of a stream
	reply  Reply  // the message in it
}

// accepted reports whether the server did what it was asked for.
func (a answer) accepted() bool { return a.status/100 == 2 && a.reply.Accepted() }

func (a answer) refused() bool { return a.status >= 400 && a.status < 500 }

// shoot sends the first message of a session (or server/discover, which needs none) as
// a well-behaved client does, but for one change. A session that comes of it is ended.
func (p *Probe) shoot(ctx context.Context, what string, change func(r *http.Request)) answer {
	a := p.fire(ctx, what, change)
	if id := a.header.Get("Mcp-Session-Id"); id != "" {
		p.leave(ctx, id)
	}
	return a
}

func (p *Probe) leave(ctx context.Context, session string) answer {
	return p.fire(ctx, "DELETE", func(r *http.Request) {
		r.Method, r.Body, r.ContentLength = http.MethodDelete, http.NoBody, 0
		r.Header.Set("Mcp-Session-Id", session)
	})
}

// greeting is the first message, and its headers.
func (p *Probe) greeting() packet {
	if p.shared != nil && p.shared.Version == modern {
		return packet{method: "server/discover", version: modern, raw: []byte(`{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{` + meta + `}}`)}
	}
	return packet{method: "initialize", raw: []byte(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"` + legacy + `","capabilities":{},"clientInfo":{"name":"mcpsec-check","version":"1"}}}`)}
}

// fire is shoot, but a session that comes of it is left as it is. A server that has let
// several requests run into their timeout is left alone.
func (p *Probe) fire(ctx context.Context, what string, change func(r *http.Request)) answer {
	const subject, enough = "HTTP", 5
	if p.failures[subject] >= enough {
		return answer{}
	}
	p.wait()
	ctx, cancel := context.WithTimeout(ctx, p.Options.timeout())
	defer cancel()
	c := newPoster(p.Target.URL, p.Target.Header.Clone())
	defer c.client.CloseIdleConnections()
	req, err := c.request(ctx, p.greeting())
	if err != nil {
		return answer{}
	}
	change(req)
	a := do(c.client, req)
	switch {
	case a.status != 0: // closing the connection is an answer, too, and no crash
		p.observe("", what+" "+req.Method, a.reply)
	case ctx.Err() != nil:
		p.failures[subject]++
	}
	if a.refused() && !p.Options.unpaced {
		time.Sleep(time.Second / 10) // so as not to be shut out for this
	}
	return a
}

// do makes a request, and reads what there is to read.
func do(client *http.Client, req *http.Request) answer {
	const most = 1 << 20
	resp, err := client.Do(req)
	if err != nil {
		return answer{reply: Reply{Outcome: Silent}}
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind == "text/event-stream" {
		a.body = firstEvent(io.LimitReader(resp.Body, most))
	} else {
		a.body, _ = io.ReadAll(io.LimitReader(resp.Body, most))
	}
	a.reply = Reply{Outcome: Refused, Status: a.status, Raw: a.body}
	if m, ok := decodeMessage(a.body); ok {
		a.reply = m.reply(a.body)
	}
	return a
}

// firstEvent is the first answer of a stream, which may go on for ever.
func firstEvent(body io.Reader) []byte {
	br := bufio.NewReader(body)
	for {
		line, err := readLine(br)
		if data, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			if m, ok := decodeMessage(data); ok && m.Method == nil {
				return bytes.TrimSpace(data)
			}
		}
		if err != nil {
			return nil
		}
	}
}

// address is the target's URL.
func (p *Probe) address() *url.URL {
	u, err := url.Parse(p.Target.URL)
	if err != nil {
		return &url.URL{}
	}
	return u
}

// local reports whether the server is for this machine only, by its address.
func (p *Probe) local() bool {
	host := p.address().Hostname()
	a, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && a.IsLoopback()
}

// open reports whether the server answers whoever comes.
func (p *Probe) open(ctx context.Context) bool {
	if len(p.Target.Header) == 0 {
		return true // it was opened so
	}
	if p.anonymous == nil {
		a := p.shoot(ctx, "without credentials", p.withoutCredentials)
		p.anonymous = &a
	}
	return p.anonymous.accepted()
}

// withoutCredentials takes all from a request that the caller gave.
func (p *Probe) withoutCredentials(r *http.Request) {
	for name := range p.Target.Header {
		switch http.CanonicalHeaderKey(name) {
		case "Accept", "Content-Type", "Mcp-Protocol-Version":
		default:
			r.Header.Del(name)
			delete(r.Header, name)
		}
	}
}

// bearer is the token that the caller gave.
func (p *Probe) bearer() string {
	scheme, token, _ := strings.Cut(p.Target.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// setBody replaces a request's body.
func setBody(r *http.Request, body []byte) {
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.GetBody = nil
	r.ContentLength = int64(len(body))
}

// setHeader makes a change of one header.
func setHeader(name, value string) func(r *http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// worse is the first severity if a condition holds, and else the second.
func worse(condition bool, yes, no Severity) Severity {
	if condition {
		return yes
	}
	return no
}

func one(s Severity, evidence string, args ...any) []Finding {
	return []Finding{{Severity: s, Evidence: fmt.Sprintf(evidence, args...)}}
}
