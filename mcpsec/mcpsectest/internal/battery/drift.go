package battery

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
)

var driftChecks = []Check{
	{
		ID: "drift/manifest", Severity: Medium, Title: "a definition is not the one that was reviewed",
		Proof:  "The server's instructions, a tool, a prompt or a resource template was added or changed since the manifest was written (low where it was removed), or there is no manifest that can be relied on. Only where a manifest is given; _meta is not compared.",
		Remedy: "Review the change, and write the manifest anew: -update, or Options.Update. Commit it.",
		Run:    againstManifest,
	},
	{
		ID: "drift/session", Severity: Medium, Title: "definitions change while a client is there",
		Proof:  "Listed again in the same session, after calls, or in a new session, the server's instructions, a tool, a prompt or a template were other than at the start of this run. What was approved is then not what is called. Info where the server declares that its lists change, and one became longer or shorter; or where only the order differs.",
		Remedy: "Make definitions constants, the same for each connection.",
		Run:    whileConnected,
	},
	{
		ID: "drift/pages", Severity: Low, Title: "a list has no end",
		Proof:  "The list of tools, prompts or templates gave a cursor that it had given before, or more than 50 pages. A client that reads all pages does not return.",
		Remedy: "Leave nextCursor out on the last page.",
		Run:    endless,
	},
}

var definitionLists = []struct{ kind, capability, method, member, name string }{
	{kindTool, "tools", "tools/list", "tools", "name"},
	{kindPrompt, "prompts", "prompts/list", "prompts", "name"},
	{kindTemplate, "resources", "resources/templates/list", "resourceTemplates", "uriTemplate"},
}

// reviewed is the manifest of what the server said at the start of the run.
func (p *Probe) reviewed() (*manifest, error) {
	m := &manifest{}
	if p.Hello.Instructions != "" {
		if err := m.add(kindInstructions, "", []byte(quote(p.Hello.Instructions))); err != nil {
			return nil, err
		}
	}
	for _, t := range p.Tools {
		if err := m.add(kindTool, t.Name, t.Raw); err != nil {
			return nil, err
		}
	}
	for kind, all := range map[string][]Definition{kindPrompt: p.Prompts, kindTemplate: p.Templates} {
		for _, d := range all {
			if err := m.add(kind, d.Name, d.Raw); err != nil {
				return nil, err
			}
		}
	}
	m.seal()
	return m, nil
}

func againstManifest(_ context.Context, p *Probe) []Finding {
	if p.Options.Manifest == "" {
		return nil
	}
	now, err := p.reviewed()
	if err != nil {
		return []Finding{{Title: "a definition cannot be compared", Evidence: err.Error(), Remedy: "Write definitions with a library for JSON."}}
	}
	if p.Options.Update {
		if err := now.write(p.Options.Manifest); err != nil {
			return []Finding{{Title: "the manifest cannot be written", Evidence: err.Error()}}
		}
		return nil
	}
	then, err := readManifest(p.Options.Manifest)
	if err != nil {
		return []Finding{{Title: "there is no manifest to rely on", Evidence: err.Error()}}
	}
	return differences(then, now)
}

// differences are findings of what became of definitions.
func differences(then, now *manifest) []Finding {
	var out []Finding
	before, after := byName(then), byName(now)
	for _, e := range now.Definitions {
		key := e.Kind + " " + e.Name
		switch old := before[key]; {
		case old == nil:
			out = append(out, Finding{Subject: e.Name, Title: "a definition was added", Evidence: "new is the " + e.Kind + " " + e.Name})
		case !slices.Equal(hashes(old), hashes(after[key])):
			what := "is there more or less often"
			for i := range min(len(old), len(after[key])) {
				if old[i].SHA256 != after[key][i].SHA256 {
					what = changed(old[i].Definition, after[key][i].Definition)
				}
			}
			out = append(out, Finding{Subject: e.Name, Evidence: e.Kind + ": " + what})
			before[key] = after[key]
		}
	}
	for _, e := range then.Definitions {
		if after[e.Kind+" "+e.Name] == nil {
			out = append(out, Finding{Severity: Low, Subject: e.Name, Title: "a definition was removed", Evidence: "gone is the " + e.Kind + " " + e.Name})
		}
	}
	return out
}

// byName groups definitions: a list may have a name twice.
func byName(m *manifest) map[string][]entrant {
	out := map[string][]entrant{}
	for _, e := range m.Definitions {
		out[e.Kind+" "+e.Name] = append(out[e.Kind+" "+e.Name], e)
	}
	return out
}

func hashes(all []entrant) []string {
	var out []string
	for _, e := range all {
		out = append(out, e.SHA256)
	}
	return out
}

// relist reads all definitions anew.
func (p *Probe) relist(ctx context.Context, s *Session) (*Probe, error) {
	again := &Probe{Hello: s.Hello}
	for _, l := range definitionLists {
		if p.Hello.Capabilities[l.capability] == nil {
			continue
		}
		raws, err := list(ctx, s, l.method, l.member)
		if err != nil && l.kind == kindTool {
			return nil, err
		}
		for _, raw := range raws {
			m, _ := decode(raw).(map[string]any)
			name, _ := m[l.name].(string)
			switch l.kind {
			case kindTool:
				again.Tools = append(again.Tools, Tool{Name: name, Raw: raw})
			case kindPrompt:
				again.Prompts = append(again.Prompts, Definition{name, raw})
			case kindTemplate:
				again.Templates = append(again.Templates, Definition{name, raw})
			}
		}
	}
	return again, nil
}

func whileConnected(ctx context.Context, p *Probe) []Finding {
	first, err := p.reviewed()
	if err != nil {
		return nil // drift/manifest says so
	}
	s, err := p.Session(ctx)
	if err != nil {
		return nil
	}
	out := p.since(ctx, first, s, "in the session of the calls")
	if i := slices.IndexFunc(p.Tools, func(t Tool) bool { return t.Callable && t.Valid != nil }); i >= 0 {
		p.Call(ctx, p.Tools[i].Name, encode(p.Tools[i].Valid))
	}
	if s, err = p.Session(ctx); err == nil {
		out = append(out, p.since(ctx, first, s, "after a call")...)
	}
	if s, err = p.Fresh(ctx); err == nil {
		out = append(out, p.since(ctx, first, s, "in a new session")...)
		p.finish(s)
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(out, func(f Finding) bool { // it is enough to say when it was first seen
		again := seen[f.Subject+f.Title]
		seen[f.Subject+f.Title] = true
		return again
	})
}

// since are findings of what is no longer as it was.
func (p *Probe) since(ctx context.Context, first *manifest, s *Session, when string) []Finding {
	again, err := p.relist(ctx, s)
	if err != nil {
		return nil
	}
	now, err := again.reviewed()
	if err != nil {
		return nil
	}
	out := differences(first, now)
	for i, f := range out {
		if f.Title != "" && p.listsChange() {
			out[i].Severity = Info
		}
		out[i].Evidence = when + ", " + f.Evidence
	}
	if len(out) == 0 && !slices.EqualFunc(p.Tools, again.Tools, func(a, b Tool) bool { return a.Name == b.Name }) {
		out = []Finding{{Severity: Info, Title: "the order of tools changes", Evidence: when + ", the tools come in another order"}}
	}
	return out
}

// listsChange reports whether the server declares so.
func (p *Probe) listsChange() bool {
	for _, l := range definitionLists {
		var c struct {
			ListChanged bool `json:"listChanged"`
		}
		if json.Unmarshal(p.Hello.Capabilities[l.capability], &c) == nil && c.ListChanged {
			return true
		}
	}
	return false
}

func endless(ctx context.Context, p *Probe) []Finding {
	s, err := p.Session(ctx)
	if err != nil {
		return nil
	}
	var out []Finding
	for _, l := range definitionLists {
		if p.Hello.Capabilities[l.capability] == nil {
			continue
		}
		seen := map[string]bool{}
		params := "{}"
		for {
			var page struct {
				NextCursor string `json:"nextCursor"`
			}
			r := s.Request(ctx, l.method, params)
			if !r.Accepted() || json.Unmarshal(r.Result, &page) != nil || page.NextCursor == "" {
				break
			}
			if seen[page.NextCursor] || len(seen) > maxPages {
				out = append(out, Finding{Evidence: fmt.Sprintf("%s gave nextCursor %s again, or one more, after %d pages", l.method, quote(page.NextCursor), len(seen)+1)})
				break
			}
			seen[page.NextCursor] = true
			params = `{"cursor":` + quote(page.NextCursor) + `}`
		}
	}
	return out
}
