package battery

import (
	"context"
	"encoding/json"
)

var stateChecks = []Check{
	{
		ID: "state/forged", Severity: Critical, Title: "a confirmation can be forged",
		Proof:  "A tool that asks a person first (input_required) was called with an answer and a requestState that the server never issued, that was changed by one letter, or that was issued for other arguments, and did what it asks for. Only listed tools, over protocol 2026-07-28.",
		Remedy: "Seal requestState (AEAD), and bind it to the caller, the tool, the arguments and a time.",
		Run:    eachAsking(forged),
	},
	{
		ID: "state/replayed", Severity: High, Title: "a confirmation can be used twice",
		Proof:  "The same requestState and answer were accepted a second time. Only listed tools, over protocol 2026-07-28.",
		Remedy: "Remember which states were used, until they expire.",
		Run:    eachAsking(replayed),
	},
}

// A question is what a tool asks before it does what it does.
type question struct {
	State    string                     `json:"requestState"`
	Requests map[string]json.RawMessage `json:"inputRequests"`
}

// eachAsking makes a check of one that looks at a tool that asks when it is called.
func eachAsking(look func(ctx context.Context, p *Probe, s *Session, t Tool, q question) []Finding) func(context.Context, *Probe) []Finding {
	return func(ctx context.Context, p *Probe) []Finding {
		asking := p.asking()
		if len(asking) == 0 {
			return nil
		}
		s := p.Modern(ctx)
		if s == nil {
			return nil
		}
		defer p.finish(s)
		var out []Finding
		for _, t := range asking {
			if q, ok := p.ask(ctx, s, t); ok {
				out = append(out, look(ctx, p, s, t, q)...)
			}
		}
		return out
	}
}

// asking are the listed tools: nobody asks before a tool that reads.
func (p *Probe) asking() []Tool {
	var out []Tool
	for _, t := range p.attacked() {
		if t.Valid != nil && !t.hint("readOnlyHint") {
			out = append(out, t)
		}
	}
	return out
}

func (p *Probe) ask(ctx context.Context, s *Session, t Tool) (q question, ok bool) {
	r := p.resume(ctx, s, t, encode(t.Valid), "")
	return q, r.asks && json.Unmarshal(r.Result, &q) == nil && q.State != "" && len(q.Requests) > 0
}

// resume calls a tool with more members of params, in a session of its own.
func (p *Probe) resume(ctx context.Context, s *Session, t Tool, arguments, more string) Reply {
	p.wait()
	params := `{"name":` + quote(t.Name) + `,"arguments":` + arguments + more + `}`
	r := s.Request(ctx, "tools/call", params)
	p.observe(t.Name, params, r)
	return r
}

// yes answers all that was asked as a person does who agrees.
func (q question) yes(state string) string {
	answers := map[string]any{}
	for name, raw := range q.Requests {
		request, _ := decode(raw).(map[string]any)
		params, _ := request["params"].(map[string]any)
		schema, _ := params["requestedSchema"].(map[string]any)
		answers[name] = map[string]any{"action": "accept", "content": agree(schema)}
	}
	return `,"requestState":` + quote(state) + `,"inputResponses":` + encode(answers)
}

func agree(schema map[string]any) map[string]any {
	content := map[string]any{}
	properties, _ := schema["properties"].(map[string]any)
	for name, p := range properties {
		property, _ := p.(map[string]any)
		if content[name] = valid(property, 0); property["type"] == "boolean" {
			content[name] = true
		}
	}
	return content
}

func forged(ctx context.Context, p *Probe, s *Session, t Tool, q question) []Finding {
	found := func(what string) []Finding {
		return []Finding{{Subject: t.Name, Evidence: "the call was carried out with " + what}}
	}
	valid := encode(t.Valid)
	if p.resume(ctx, s, t, valid, q.yes("forged")).Accepted() {
		return found("a requestState that the server did not issue")
	}
	if changed := flip(q.State); p.resume(ctx, s, t, valid, q.yes(changed)).Accepted() {
		return found("a requestState that was changed by one letter")
	}
	for _, m := range t.properties() {
		if v, ok := other(t.Valid[m.name]); ok {
			if p.resume(ctx, s, t, t.with(m.name, v), q.yes(q.State)).Accepted() {
				return found("the requestState of other arguments: " + quote(m.name) + " was changed after the question")
			}
		}
	}
	return nil
}

// flip changes a letter in the middle of a state.
func flip(state string) string {
	b := []byte(state)
	if i := len(b) / 2; b[i] == 'A' {
		b[i] = 'B'
	} else {
		b[i] = 'A'
	}
	return string(b)
}

// other is another value of the same kind.
func other(v any) (any, bool) {
	switch v := v.(type) {
	case string:
		return v + "b", true
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i + 1, true
		}
	case bool:
		return !v, true
	}
	return nil, false
}

func replayed(ctx context.Context, p *Probe, s *Session, t Tool, q question) []Finding {
	for range 2 {
		if !p.resume(ctx, s, t, encode(t.Valid), q.yes(q.State)).Accepted() {
			return nil
		}
	}
	return []Finding{{Subject: t.Name, Evidence: "one requestState was accepted twice"}}
}
