package battery

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// A Probe is what checks work with: the target, what it offers, and sessions.
type Probe struct {
	Options   Options
	Target    Target
	Hello     Hello
	Tools     []Tool
	Prompts   []Definition
	Resources []Definition
	Templates []Definition
	Log       *record // what the server wrote to standard error

	redactor *redact.Redactor // of canaries and what is a secret by its form
	plain    *redact.Redactor // of the latter only
	shared   *Session
	mu       sync.Mutex
	seen     []observation
	deaths   []observation
	hangs    []observation
	noise    []string // that stood on standard output

	baselines map[string]Reply
	took      map[string]time.Duration // of the baselines
	failures  map[string]int           // of requests, by subject
	last      time.Time                // of the requests
	anonymous *answer                  // to a request without credentials
}

// A Definition is what a server lists: a prompt, a resource or a template.
type Definition struct {
	Name string          // or URI, or template
	Raw  json.RawMessage // as the server wrote it
}

// An observation is one exchange, for the checks that look at all of them.
type observation struct {
	subject string
	sent    string // what was sent, its beginning
	outcome Outcome
	denied  bool
	text    string // of the reply, its beginning
	size    int    // of the message
	canary  bool   // is in the reply, and was not sent
}

const (
	maxPages  = 50
	maxSeen   = 4000
	maxListed = 2000
)

// Fresh opens a new session: a process of its own, where the target is one.
func (p *Probe) Fresh(ctx context.Context) (*Session, error) {
	var errs []string
	for _, version := range []string{legacy, modern} {
		s, err := p.dial(ctx, version)
		if err == nil {
			return s, nil
		}
		if errs = append(errs, err.Error()); ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("the server cannot be opened: %s", strings.Join(errs, "; "))
}

func (p *Probe) dial(ctx context.Context, version string) (*Session, error) {
	s, err := p.Target.dial(p.Log, p.Options.timeout())
	if err != nil {
		return nil, err
	}
	if err := s.handshake(ctx, version); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Modern opens a new session in the protocol without sessions, or returns nil if the
// server does not speak it.
func (p *Probe) Modern(ctx context.Context) *Session {
	s, err := p.dial(ctx, modern)
	if err != nil {
		return nil
	}
	return s
}

// Session returns the session that checks share. One that has ended is opened anew.
func (p *Probe) Session(ctx context.Context) (*Session, error) {
	if p.shared != nil && !p.shared.Gone() {
		return p.shared, nil
	}
	p.drop()
	s, err := p.Fresh(ctx)
	if err != nil {
		return nil, err
	}
	p.shared = s
	return s, nil
}

func (p *Probe) drop() {
	if p.shared != nil {
		p.finish(p.shared)
		p.shared = nil
	}
}

// finish closes a session, and keeps what it had on standard output beside messages.
// It reports whether the server ended by itself.
func (p *Probe) finish(s *Session) bool {
	prompt := s.Close()
	p.noise = append(p.noise, s.Noise()...)
	return prompt
}

// Request sends a request in the shared session, and notes what came of it. After one
// that got no answer the session is opened anew, if it does not answer others either.
// A subject that failed three times is left alone: nothing is sent any more.
func (p *Probe) Request(ctx context.Context, subject, method, params string) Reply {
	const enough = 3 // of what takes the whole timeout, or a new process
	if p.failures[subject] >= enough {
		return Reply{Outcome: Silent}
	}
	s, err := p.Session(ctx)
	if err != nil {
		return Reply{Outcome: Silent}
	}
	p.wait()
	r := s.Request(ctx, method, params)
	p.observe(subject, method+" "+params, r)
	if ctx.Err() != nil {
		return r
	}
	switch r.Outcome {
	case Gone:
		p.failures[subject]++
		p.drop()
	case Silent:
		p.failures[subject]++
		if !s.Alive(ctx) {
			p.drop()
		}
	}
	return r
}

// wait keeps the pace below what servers allow one client.
func (p *Probe) wait() {
	const pace = time.Second / 80
	if p.Options.unpaced {
		return
	}
	time.Sleep(time.Until(p.last.Add(pace)))
	p.last = time.Now()
}

// Call calls a tool with arguments, the text of whatever stands there.
func (p *Probe) Call(ctx context.Context, tool, arguments string) Reply {
	return p.Request(ctx, tool, "tools/call", `{"name":`+quote(tool)+`,"arguments":`+arguments+`}`)
}

func (p *Probe) observe(subject, sent string, r Reply) {
	const most = 16 << 10
	text := r.Text()
	o := observation{subject: subject, sent: sent[:min(len(sent), most)], outcome: r.Outcome, denied: r.Denied(), text: text[:min(len(text), most)], size: len(r.Raw)}
	o.canary = len(p.Options.Canaries) > 0 && p.holdsCanary(text) && !p.holdsCanary(sent)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case r.Outcome == Gone && len(p.deaths) < maxSeen:
		p.deaths = append(p.deaths, o)
	case r.Outcome == Silent && len(p.hangs) < maxSeen:
		p.hangs = append(p.hangs, o)
	case len(p.seen) < maxSeen:
		p.seen = append(p.seen, o)
	}
}

// show is a text for a report: bounded, and without canaries and secrets.
func (p *Probe) show(text string) string { return bounded(p.redactor.String(text)) }

// list reads all pages of a list.
func list(ctx context.Context, s *Session, method, member string) ([]json.RawMessage, error) {
	var all []json.RawMessage
	size, params := 0, "{}"
	for range maxPages {
		r := s.Request(ctx, method, params)
		if !r.Accepted() {
			return all, fmt.Errorf("%s: %s", method, bounded(r.Text()))
		}
		var page map[string]json.RawMessage
		var items []json.RawMessage
		var cursor string
		if json.Unmarshal(r.Result, &page) != nil || json.Unmarshal(page[member], &items) != nil {
			return all, fmt.Errorf("%s: the result has no %s", method, member)
		}
		if all, size = append(all, items...), size+len(r.Raw); size > maxMessage {
			return nil, fmt.Errorf("%s: the list is longer than a client reads", method)
		}
		_ = json.Unmarshal(page["nextCursor"], &cursor)
		if cursor == "" || len(all) > maxListed {
			break
		}
		params = `{"cursor":` + quote(cursor) + `}`
	}
	return all[:min(len(all), maxListed)], nil
}

// discover reads what the server offers.
func (p *Probe) discover(ctx context.Context) error {
	s, err := p.Session(ctx)
	if err != nil {
		return err
	}
	p.Hello = s.Hello
	if p.Hello.Capabilities["tools"] != nil {
		raws, err := list(ctx, s, "tools/list", "tools")
		if err != nil {
			return err
		}
		for _, raw := range raws {
			p.Tools = append(p.Tools, p.newTool(raw))
		}
	}
	for _, kind := range []struct {
		capability, method, member, name string
		to                               *[]Definition
	}{
		{"prompts", "prompts/list", "prompts", "name", &p.Prompts},
		{"resources", "resources/list", "resources", "uri", &p.Resources},
		{"resources", "resources/templates/list", "resourceTemplates", "uriTemplate", &p.Templates},
	} {
		if p.Hello.Capabilities[kind.capability] == nil {
			continue
		}
		raws, _ := list(ctx, s, kind.method, kind.member) // a server need not have each of them
		for _, raw := range raws {
			m, _ := decode(raw).(map[string]any)
			name, _ := m[kind.name].(string)
			*kind.to = append(*kind.to, Definition{name, raw})
		}
	}
	return nil
}
