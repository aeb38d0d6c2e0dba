package battery

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

var leakChecks = []Check{
	{
		ID: "leak/echo", Severity: Low, Title: "an error repeats the argument's value",
		Proof:  "A value that has no place in a message of an error was sent as an argument of the wrong type, or as params of a wrong shape, and the error had it. Errors go to logs that arguments are kept out of.",
		Remedy: "Name the path and the rule in an error, never the value.",
		Run:    echoed,
	},
	{
		ID: "leak/secret", Severity: High, Title: "an answer holds a secret",
		Proof:  "An answer of this run holds one of the given canaries, or, in an error, what is by its form a password, key or token. Results are searched for canaries only (a document about passwords is none), and for passwords in URLs and private keys. The value is in no report.",
		Remedy: "Keep secrets out of what tools return, and redact results and errors at the end of the pipeline.",
		Run:    secretsInAnswers,
	},
	{
		ID: "leak/stack", Severity: Medium, Title: "an error holds a stack trace",
		Proof:  "An error's text has the form of a stack trace of Go, Java, JavaScript, Python, Ruby or .NET.",
		Remedy: "Answer a failure that nobody expected with a constant text and an id, and log the cause under that id.",
		Run:    inErrors(lazy.Regexp(`goroutine \d+ \[|\n\s*at .+[:(].+:\d+|Traceback \(most recent call last\)|\bFile "[^"]+", line \d+|\n\tat [\w.$]+\(|\.go:\d+ \+0x|\.rb:\d+:in `), nil),
	},
	{
		ID: "leak/sql", Severity: Medium, Title: "an error holds the server's SQL or the database's message",
		Proof:  "An error's text has a statement or a message of a database, and no SQL was sent.",
		Remedy: "Answer a failure that nobody expected with a constant text and an id, and log the cause under that id.",
		Run:    inErrors(lazy.Regexp(`(?i)\bselect\b.{1,200}\bfrom\b.{1,200}\bwhere\b|\binsert into\b.{1,200}\bvalues\b|\bupdate\b.{1,100}\bset\b.{1,100}=|\bdelete from\b|relation "[^"]*" does not exist|SQLITE_[A-Z]+|\bpq: |ORA-\d{5}`), sentSQL),
	},
	{
		ID: "leak/address", Severity: Medium, Title: "an error holds the address of a service behind the server",
		Proof:  "An error's text has a connection string or the address of a failed connection, which was not sent. Passwords in one are leak/secret.",
		Remedy: "Answer a failure that nobody expected with a constant text and an id, and log the cause under that id.",
		Run:    inErrors(lazy.Regexp(`\b(?:postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|redis|rediss|amqps?|sqlserver|clickhouse)://[^\s"']+|\bhost=\S+ .{0,60}\b(?:user|dbname|database)=|\bdial (?:tcp|udp|unix) \S+|\bconnect E[A-Z]+ \S+`), nil),
	},
	{
		ID: "leak/path", Severity: Low, Title: "an error holds a path of the machine",
		Proof:  "An error's text has an absolute path that was neither sent nor is in the server's command line.",
		Remedy: "Name files as the client knows them, relative to what it may see.",
		Run:    pathsInErrors,
	},
	{
		ID: "leak/log", Severity: Medium, Title: "the log holds a secret", Over: Stream,
		Proof:  "What the server wrote to standard error holds one of the given canaries (high), or what is by its form a password, key or token.",
		Remedy: "Redact the log: mcpsec/redact has a handler for log/slog.",
		Run:    secretsInLog,
	},
	{
		ID: "leak/log-arguments", Severity: Low, Title: "the log holds arguments", Over: Stream,
		Proof:  "A value that was sent as an argument stands in what the server wrote to standard error.",
		Remedy: "Log the shape of arguments: their names, types and sizes.",
		Run:    argumentsInLog,
	},
	{
		ID: "leak/size", Severity: Medium, Title: "an answer is larger than a model can read",
		Proof:  "An answer to one request of this run had more than 1 MiB.",
		Remedy: "Cap results, and say in the error how to ask for less.",
		Run:    oversized,
	},
}

// marker is a value that nothing but this battery sends.
const marker = "mcpsec-marker-70f1"

func echoed(ctx context.Context, p *Probe) []Finding {
	var out []Finding
	see := func(subject, sent string, r Reply) bool {
		text := r.Text()
		if !r.Denied() || !strings.Contains(text, marker) {
			return false
		}
		out = append(out, Finding{Subject: subject, Evidence: "sent " + sent + ", the error has " + around(text, marker)})
		return true
	}
	for _, t := range p.attacked() {
		for _, m := range t.properties() {
			v := any(marker)
			if m.kind == "string" || m.kind == "" {
				v = map[string]any{"a": marker}
			}
			if sent := t.with(m.name, v); see(t.Name, sent, p.Call(ctx, t.Name, sent)) {
				break
			}
		}
	}
	sent := `{"name":{"a":"` + marker + `"},"arguments":{}}`
	see("", sent, p.Request(ctx, "", "tools/call", sent))
	return out
}

// errorsSeen are the texts of errors, and what was sent for them.
func (p *Probe) errorsSeen(look func(o observation) (evidence string)) []Finding {
	var out []Finding
	seen := map[string]bool{}
	for _, o := range p.seen {
		if !o.denied || seen[o.subject] {
			continue
		}
		if evidence := look(o); evidence != "" {
			seen[o.subject] = true // one for each tool is enough
			out = append(out, Finding{Subject: o.subject, Evidence: evidence})
		}
	}
	return out
}

// inErrors looks for what has a form in the texts of errors, unless it was sent.
func inErrors(form func() *regexp.Regexp, except func(sent string) bool) func(context.Context, *Probe) []Finding {
	return func(_ context.Context, p *Probe) []Finding {
		return p.errorsSeen(func(o observation) string {
			found := form().FindString(o.text)
			if found == "" || strings.Contains(o.sent, strings.TrimSpace(found)) || except != nil && except(o.sent) {
				return ""
			}
			return "the error has " + p.redactor.String(around(o.text, found))
		})
	}
}

func sentSQL(sent string) bool {
	sent = strings.ToLower(sent)
	return strings.Contains(sent, "sql") || strings.Contains(sent, "query") || strings.Contains(sent, "select ") || strings.Contains(sent, "statement")
}

var absolute = lazy.Regexp(`(?:^|[\s"'(=:\[])((?:/(?:home|root|Users|usr|var|opt|tmp|etc|app|srv|work|mnt|data|private|nix)(?:/[\w.@+-]+)+)|(?:[A-Za-z]:\\(?:[\w.@ +-]+\\)+[\w.@+-]+))`)

func pathsInErrors(_ context.Context, p *Probe) []Finding {
	return p.errorsSeen(func(o observation) string {
		for _, m := range absolute().FindAllStringSubmatch(o.text, -1) {
			path := m[1]
			known := func(arg string) bool {
				return strings.Contains(arg, path) || len(arg) > 3 && strings.HasPrefix(path, arg)
			}
			if strings.Contains(o.sent, strings.ReplaceAll(path, `\`, `\\`)) || slices.ContainsFunc(p.Target.Argv, known) || slices.ContainsFunc(escapes, known) {
				continue
			}
			return "the error has " + around(o.text, path)
		}
		return ""
	})
}

// plainSecret is what is a secret also in the middle of a document.
var plainSecret = lazy.Regexp(`\b[a-z][a-z0-9+.-]*://[^/\s:@"']+:[^/\s@"']{3,}@[\w.-]+|-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----[\s\\n]+[A-Za-z0-9+/=]{20}`)

func secretsInAnswers(_ context.Context, p *Probe) []Finding {
	var out []Finding
	seen := map[string]bool{}
	for _, o := range p.seen {
		if seen[o.subject] {
			continue
		}
		what := ""
		switch masked := p.redactor.String(o.text); {
		case o.canary:
			what = "the answer holds a canary"
		case masked == o.text || o.sent != "" && p.redactor.String(o.sent) != o.sent:
			continue
		case o.denied || plainSecret().MatchString(o.text):
			what = "the answer has " + around(masked, redact.Mask)
		default:
			continue
		}
		seen[o.subject] = true
		out = append(out, Finding{Subject: o.subject, Evidence: what})
	}
	return out
}

func (p *Probe) holdsCanary(text string) bool {
	return slices.ContainsFunc(p.Options.Canaries, func(c string) bool { return strings.Contains(text, c) }) || p.redactor.String(text) != p.plain.String(text)
}

func secretsInLog(_ context.Context, p *Probe) []Finding {
	p.drop() // after which all is in the log
	log := p.Log.String()
	if p.holdsCanary(log) {
		return []Finding{{Severity: High, Evidence: "standard error holds a canary"}}
	}
	for line := range strings.Lines(log) {
		if masked := p.redactor.String(line); masked != line && !strings.Contains(line, redact.Mask) {
			return []Finding{{Evidence: "standard error has " + around(masked, redact.Mask)}}
		}
	}
	return nil
}

func argumentsInLog(ctx context.Context, p *Probe) []Finding {
	for _, t := range p.attacked() {
		for _, m := range t.of("string") {
			if t.Valid != nil && m.schema["enum"] == nil {
				p.Call(ctx, t.Name, t.with(m.name, marker))
				break
			}
		}
	}
	p.drop() // after which all is in the log
	log := p.Log.String()
	if !strings.Contains(log, marker) {
		return nil
	}
	return []Finding{{Evidence: "standard error has " + p.redactor.String(around(log, marker))}}
}

func oversized(_ context.Context, p *Probe) []Finding {
	var out []Finding
	seen := map[string]bool{}
	for _, o := range p.seen {
		if o.size > 1<<20 && !seen[o.subject] && !strings.Contains(o.sent, strings.Repeat("a", 1000)) {
			seen[o.subject] = true
			out = append(out, Finding{Subject: o.subject, Evidence: "more than 1 MiB for " + o.sent})
		}
	}
	return out
}
