package battery

import (
	"bytes"
	"context"
	"fmt"
	"strings"
)

var wireChecks = []Check{
	{
		ID: "wire/garbage", Severity: Medium, Title: "one bad line ends the server", Over: Stream,
		Proof:  "After a line that is no request (no JSON, half a message, another version of JSON-RPC, an array 5,000 deep) the server had ended, or answered no ping.",
		Remedy: "Answer what cannot be read with -32700 or -32600, and go on.",
		Run:    garbage,
	},
	{
		ID: "wire/batch", Severity: Low, Title: "batches are carried out",
		Proof:  "Two requests in one array were both answered; the protocol has no batches since 2025-06-18. Limits that count messages count one. Medium where the batch ended the server.",
		Remedy: "Refuse a message that is an array, and go on.",
		Run:    batches,
	},
	{
		ID: "wire/utf8", Severity: Low, Title: "text that is no UTF-8 is accepted",
		Proof:  "A request with the bytes FF FE in a string was answered with a result. What was compared before is then not what is used after. Medium where it ended the server.",
		Remedy: "Refuse messages that are not valid UTF-8.",
		Run:    invalidUTF8,
	},
	{
		ID: "wire/duplicate", Severity: Low, Title: "a message with a member twice is accepted",
		Proof:  "A request with the member method twice was carried out. A gateway that reads the first and a server that reads the last decide on different calls.",
		Remedy: "Decode messages with a reader that refuses duplicate names.",
		Run:    duplicateMember,
	},
	{
		ID: "wire/size", Severity: Low, Title: "a message of 24 MiB is accepted",
		Proof:  "A ping with 24 MiB of padding was answered with a result. Medium where it ended the server.",
		Remedy: "Bound the size of a message before it is read, to 1 MiB or so.",
		Run:    hugeMessage,
	},
	{
		ID: "wire/id", Severity: Low, Title: "an answer has another id than its request", Over: Stream,
		Proof:  "A request with the id 2.7 or 9007199254740993 was answered under another number: the answer of another request. Medium where it ended the server.",
		Remedy: "Refuse ids that are neither strings nor integers, and repeat others byte for byte.",
		Run:    changedID,
	},
	{
		ID: "wire/method", Severity: Low, Title: "an unknown method is not refused",
		Proof:  "A method that does not exist, also in the letters of one that does, was answered with a result, or not at all.",
		Remedy: "Answer unknown methods with -32601, and compare names exactly.",
		Run:    unknownMethod,
	},
	{
		ID: "wire/eof", Severity: Low, Title: "the server stays when its client has left", Over: Stream,
		Proof:  "Three seconds after its standard input had ended, with no call running, the server was still there. Each client that leaves adds one.",
		Remedy: "End when standard input does.",
		Run:    staysBehind,
	},
	{
		ID: "wire/stdout", Severity: Medium, Title: "standard output has lines that are no messages", Over: Stream,
		Proof:  "In the sessions of this run a line came that is not JSON-RPC. What can be made to print there can forge answers.",
		Remedy: "Write logs to standard error, and point standard output there for all but the protocol.",
		Run:    noisy,
	},
}

// fragile sends something, and says what became of the server: "" if it works.
func (p *Probe) fragile(ctx context.Context, send func(s *Session) Reply) (r Reply, fate string) {
	s, err := p.Session(ctx)
	if err != nil {
		return Reply{Outcome: Silent}, "" // that is not the fault of what was not sent
	}
	s.Strays() // are of others
	p.wait()
	r = send(s)
	switch {
	case s.Alive(ctx) || ctx.Err() != nil:
		return r, ""
	case s.Gone():
		fate = "the server ended the connection"
	default:
		fate = "the server answered nothing more"
	}
	p.drop()
	return r, fate
}

// ended is a finding of what ended the server.
func ended(fate, what string) Finding {
	return Finding{Severity: Medium, Title: "one bad message ends the server", Evidence: fate + " after " + what}
}

func garbage(ctx context.Context, p *Probe) []Finding {
	var fatal []string
	for _, g := range []struct{ what, line string }{
		{"text", "garbage"},
		{"half a message", `{"jsonrpc":"2.0","id":901,"method":"ping"`},
		{"JSON-RPC 1.0", `{"jsonrpc":"1.0","id":902,"method":"ping"}`},
		{"null", "null"},
		{"a number", "42"},
		{"an empty object", "{}"},
		{"params that are a string", `{"jsonrpc":"2.0","id":903,"method":"tools/call","params":"x"}`},
		{"nested arrays", strings.Repeat("[", 5000) + strings.Repeat("]", 5000)},
	} {
		_, fate := p.fragile(ctx, func(s *Session) Reply {
			ctx, cancel := context.WithTimeout(ctx, p.Options.timeout())
			defer cancel()
			_ = s.conn.send(ctx, packet{raw: []byte(g.line)})
			return Reply{}
		})
		if fate != "" {
			fatal = append(fatal, g.what)
		}
	}
	if fatal == nil {
		return nil
	}
	return []Finding{{Evidence: "the server ended, or answered no ping, after each of: " + strings.Join(fatal, "; ")}}
}

// ping is a request of an era, with its id and more of its members, or of its params.
func (s *Session) ping(id, members, params string) packet {
	method := "ping"
	if s.Version == modern {
		method = "server/discover"
	}
	return packet{method: method, raw: fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,%s"method":%q,"params":%s}`, id, members, method, s.params(params))}
}

func batches(ctx context.Context, p *Probe) []Finding {
	answered := false
	_, fate := p.fragile(ctx, func(s *Session) Reply {
		one, two := s.ping("911", "", "{}"), s.ping("912", "", "{}")
		m := one
		m.raw = fmt.Appendf(nil, "[%s,%s]", one.raw, two.raw)
		r := s.Exchange(ctx, "911", m.quick())
		answered = r.Accepted() && s.Version >= legacy
		for _, stray := range s.Strays() { // an array comes in one piece
			answered = answered || bytes.Contains(stray.Raw, []byte(`912`)) && bytes.Contains(stray.Raw, []byte(`"result"`))
		}
		return r
	})
	switch {
	case fate != "":
		return []Finding{ended(fate, "an array of two requests")}
	case answered:
		return []Finding{{Evidence: "an array of two pings was answered with results"}}
	}
	return nil
}

// judged is what most checks of messages do with the answer.
func judged(r Reply, fate, what string) []Finding {
	switch {
	case fate != "":
		return []Finding{ended(fate, what)}
	case r.Accepted():
		return []Finding{{Evidence: what + " was answered with a result"}}
	}
	return nil
}

func invalidUTF8(ctx context.Context, p *Probe) []Finding {
	r, fate := p.fragile(ctx, func(s *Session) Reply {
		return s.Exchange(ctx, "921", s.ping("921", "", "{\"x\":\"\xff\xfe\"}").quick())
	})
	return judged(r, fate, "a request with the bytes FF FE in a string")
}

func duplicateMember(ctx context.Context, p *Probe) []Finding {
	r, fate := p.fragile(ctx, func(s *Session) Reply {
		return s.Exchange(ctx, "922", s.ping("922", `"method":"tools/list",`, "{}").quick())
	})
	return judged(r, fate, "a request with two members method")
}

func hugeMessage(ctx context.Context, p *Probe) []Finding {
	padding := strings.Repeat("a", 24<<20)
	r, fate := p.fragile(ctx, func(s *Session) Reply {
		return s.Exchange(ctx, "923", s.ping("923", "", `{"x":"`+padding+`"}`))
	})
	return judged(r, fate, "a request of 24 MiB")
}

func changedID(ctx context.Context, p *Probe) []Finding {
	var out []Finding
	for _, id := range []string{"2.7", "9007199254740993"} {
		_, fate := p.fragile(ctx, func(s *Session) Reply {
			r := s.Exchange(ctx, id, s.ping(id, "", "{}").quick())
			for _, stray := range s.Strays() {
				if got := string(stray.ID); stray.Accepted() && got != id && got != "null" && got != "" {
					out = append(out, Finding{Evidence: "sent a request with id " + id + ", the answer has id " + got})
				}
			}
			return r
		})
		if fate != "" {
			out = append(out, ended(fate, "a request with id "+id))
		}
	}
	return out
}

func unknownMethod(ctx context.Context, p *Probe) []Finding {
	var out []Finding
	for _, method := range []string{"mcpsec/none", "TOOLS/LIST", "constructor"} {
		r, fate := p.fragile(ctx, func(s *Session) Reply { return s.Request(ctx, method, "{}") })
		switch {
		case fate != "":
			out = append(out, ended(fate, "a request of method "+method))
		case r.Accepted():
			out = append(out, Finding{Evidence: "method " + method + " was answered with a result"})
		case r.Outcome == Silent:
			out = append(out, Finding{Evidence: "method " + method + " was not answered"})
		}
	}
	return out
}

func staysBehind(ctx context.Context, p *Probe) []Finding {
	s, err := p.Fresh(ctx)
	if err != nil {
		return nil
	}
	if p.finish(s) {
		return nil
	}
	return []Finding{{Evidence: "the server was still running 3 seconds after its input had ended"}}
}

func noisy(_ context.Context, p *Probe) []Finding {
	p.drop()
	if len(p.noise) == 0 {
		return nil
	}
	return []Finding{{Evidence: "on standard output: " + p.noise[0]}}
}
