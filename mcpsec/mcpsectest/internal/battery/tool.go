package battery

import (
	"encoding/json"
)

// A Tool is what a server lists as one, and whether it may be called.
type Tool struct {
	Name        string
	Description string
	Raw         json.RawMessage // as the server wrote it
	Schema      map[string]any  // of its arguments
	Annotations map[string]any
	// Callable says that a call does no harm, or that the caller listed the tool.
	Callable bool
	// Valid are arguments that should be accepted: the caller's, or made from the
	// schema. Nil: none could be made.
	Valid map[string]any
}

func (p *Probe) newTool(raw json.RawMessage) Tool {
	m, _ := decode(raw).(map[string]any)
	t := Tool{Raw: raw}
	t.Name, _ = m["name"].(string)
	t.Description, _ = m["description"].(string)
	t.Schema, _ = m["inputSchema"].(map[string]any)
	t.Annotations, _ = m["annotations"].(map[string]any)
	given, listed := p.Options.Call[t.Name]
	if !listed {
		given, listed = p.Options.Call["*"]
	}
	t.Callable = listed || t.hint("readOnlyHint") && !t.writes()
	if t.Valid, _ = decode(given).(map[string]any); t.Valid == nil {
		t.Valid, _ = valid(t.Schema, 0).(map[string]any)
	}
	return t
}

func (t Tool) hint(name string) bool {
	v, _ := t.Annotations[name].(bool)
	return v
}

// callable are the tools that may be called.
func (p *Probe) callable() []Tool {
	var out []Tool
	for _, t := range p.Tools {
		if t.Callable {
			out = append(out, t)
		}
	}
	return out
}
