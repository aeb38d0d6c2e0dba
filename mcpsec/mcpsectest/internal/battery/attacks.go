package battery

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
)

var attackChecks = []Check{
	{
		ID: "args/injection", Severity: Critical, Title: "an argument is executed",
		Proof:  "A string asked a shell or a template engine to multiply two numbers, and the product, which was not sent, is in the answer. Arguments that are commands by their name are left out.",
		Remedy: "Start programs without a shell, with arguments as a list; never build templates from input.",
		Run:    eachString(injected),
	},
	{
		ID: "args/sql", Severity: High, Title: "an argument is part of an SQL statement",
		Proof:  "A string with one quote makes the database complain of the statement's syntax, and with two it does not. Arguments that are SQL by their name are left out.",
		Remedy: "Pass values as parameters of the statement.",
		Run:    eachString(sqlInjected),
	},
	{
		ID: "args/path", Severity: High, Title: "a path leads to files of the system",
		Proof:  "The answer to a path with .. or from the root holds the content of /etc/passwd or win.ini. Only tools that read, by their hint or their verb, are tested.",
		Remedy: "Open files through os.Root, or what is like it elsewhere: a prefix that is compared does not hold.",
		Run:    eachString(traversed),
	},
	{
		ID: "args/fetch", Severity: Medium, Title: "an argument makes the server connect to its own machine",
		Proof:  "A listener on 127.0.0.1 that was opened for this check got a connection. Only servers on this machine are tested. What listens there, and in the network behind, often trusts whoever reaches it (SSRF).",
		Remedy: "Check the address when it is dialled, after resolution and each redirect: refuse loopback, private and link-local ones.",
		Run:    fetched,
	},
}

// eachString makes a check of one that looks at a string argument of a tool, with a
// value for it, or none for those that have no valid call.
func eachString(look func(ctx context.Context, p *Probe, t Tool, m property) []Finding) func(context.Context, *Probe) []Finding {
	return func(ctx context.Context, p *Probe) []Finding {
		var out []Finding
		for _, t := range p.attacked() {
			if t.Valid == nil {
				continue
			}
			for _, m := range t.of("string") {
				if m.schema["enum"] == nil {
					out = append(out, look(ctx, p, t, m)...)
				}
			}
		}
		return out
	}
}

// isA reports whether a member's name has one of the words.
func (m property) isA(words ...string) bool {
	name := strings.ToLower(m.name)
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(name, w) })
}

const product = "mcpsec1763" // 41*43, which is sent as such

func injected(ctx context.Context, p *Probe, t Tool, m property) []Finding {
	if m.isA("command", "cmd", "script", "code", "shell", "expression", "template") {
		return nil
	}
	const calc = "mcpsec$((41*43))"
	for _, payload := range []string{
		"x; echo " + calc, "x' ; echo " + calc + " ; '", `x" ; echo ` + calc + ` ; "`, "$(echo " + calc + ")", "x | echo " + calc, "x\necho " + calc,
		"mcpsec{{41*43}}", "mcpsec${41*43}", "mcpsec<%= 41*43 %>",
	} {
		sent := t.with(m.name, payload)
		if text := p.Call(ctx, t.Name, sent).Text(); strings.Contains(text, product) {
			return []Finding{{Subject: t.Name, Evidence: "sent " + sent + ", the answer has " + around(text, product)}}
		}
	}
	return nil
}

var sqlSyntax = lazy.Regexp(`(?i)unterminated quoted string|unrecognized token|syntax error at or near|error in your SQL syntax|unclosed quotation mark|ORA-01756|quoted string not properly terminated|SQLITE_ERROR|near "[^"]*": syntax error`)

func sqlInjected(ctx context.Context, p *Probe, t Tool, m property) []Finding {
	if m.isA("sql", "query", "statement") {
		return nil
	}
	one, two := t.with(m.name, "a'"), t.with(m.name, "a''")
	text := p.Call(ctx, t.Name, one).Text()
	if found := sqlSyntax().FindString(text); found != "" && !sqlSyntax().MatchString(p.Call(ctx, t.Name, two).Text()) {
		return []Finding{{Subject: t.Name, Evidence: "sent " + one + ", the answer has " + around(text, found)}}
	}
	return nil
}

var systemFile = lazy.Regexp(`root:[^:\n]*:0:0:|; for 16-bit app support`)

// escapes are paths to files that each system has.
var escapes = []string{
	"/etc/passwd", "../../../../../../../../../../etc/passwd", "..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc/passwd", "....//....//....//....//....//....//etc/passwd",
	"file:///etc/passwd", `C:\Windows\win.ini`, `..\..\..\..\..\..\..\..\Windows\win.ini`, "file:///C:/Windows/win.ini",
}

func traversed(ctx context.Context, p *Probe, t Tool, m property) []Finding {
	if v := verb(t.Name); !t.hint("readOnlyHint") && !slices.Contains(readVerbs, v) {
		return nil // where it works, it would overwrite what it should not even read
	}
	if !m.isA("path", "file", "dir", "folder", "uri", "url", "name", "document", "template", "root", "source", "src") {
		return nil
	}
	for _, path := range escapes {
		sent := t.with(m.name, path)
		if text := p.Call(ctx, t.Name, sent).Text(); systemFile().MatchString(text) {
			return []Finding{{Subject: t.Name, Evidence: "sent " + sent + ", the answer has " + around(text, systemFile().FindString(text))}}
		}
	}
	return nil
}

// A listener counts who connects to it. It opens when its address is first asked for.
type listener struct {
	net.Listener
	hits atomic.Int64
}

func (l *listener) address() (string, error) {
	if l.Listener == nil {
		var err error
		if l.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return "", err
		}
		go l.accept()
	}
	return l.Addr().String(), nil
}

func (l *listener) accept() {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		l.hits.Add(1)
		_ = c.Close()
	}
}

func fetched(ctx context.Context, p *Probe) []Finding {
	if p.Target.URL != "" {
		return nil // its loopback interface may be another one
	}
	var l listener
	defer func() {
		if l.Listener != nil {
			_ = l.Close()
		}
	}()
	return eachString(func(ctx context.Context, p *Probe, t Tool, m property) []Finding {
		if format, _ := m.schema["format"].(string); !m.isA("url", "uri", "link", "endpoint", "host", "address", "src", "source") && format != "uri" && format != "url" {
			return nil
		}
		address, err := l.address()
		if err != nil {
			return nil
		}
		before := l.hits.Load()
		p.Call(ctx, t.Name, t.with(m.name, "http://"+address+"/"))
		if l.hits.Load() == before {
			return nil
		}
		return []Finding{{Subject: t.Name, Evidence: quote(m.name) + ": the server connected to a port of 127.0.0.1 that was sent as a URL"}}
	})(ctx, p)
}
