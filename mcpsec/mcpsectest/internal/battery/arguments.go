package battery

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

var argumentChecks = []Check{
	{
		ID: "args/unknown", Severity: Low, Title: "unknown arguments are ignored",
		Proof:  "A valid call was accepted, and the same call with one more member was accepted too, though the schema does not ask for open objects. Medium where the schema says additionalProperties: false. A model that misspells a filter gets everything.",
		Remedy: "Refuse members that the schema does not name, and say additionalProperties: false.",
		Run:    eachAccepted(unknownArgument),
	},
	{
		ID: "args/duplicate", Severity: Low, Title: "an argument given twice is accepted",
		Proof:  "A valid call was accepted with one member written twice. What checks a call in front of the server may see the other value (smuggling).",
		Remedy: "Decode with a reader that refuses duplicate names.",
		Run:    eachAccepted(duplicateArgument),
	},
	{
		ID: "args/case", Severity: Medium, Title: "an argument in other letters is taken for the declared one",
		Proof:  "A call without a required member was refused, and one with the member's name in other letter case was accepted. A guard that looks for the declared name does not see it.",
		Remedy: "Compare names of members exactly.",
		Run:    eachAccepted(caseVariant),
	},
	{
		ID: "args/missing", Severity: Medium, Title: "a required argument may be left out",
		Proof:  "The schema requires the member and gives it no default, and a call without it was accepted.",
		Remedy: "Check calls against the schema that is declared.",
		Run:    eachAccepted(missingArgument),
	},
	{
		ID: "args/null", Severity: Low, Title: "null is accepted where the schema has no null",
		Proof:  "A required member of another type was null, and the call was accepted.",
		Remedy: "Check calls against the schema that is declared.",
		Run:    eachAccepted(nullArgument),
	},
	{
		ID: "args/type", Severity: Medium, Title: "an argument of the wrong type is accepted",
		Proof:  "The schema declares one type, the call had another that nothing converts (an object for a string, a word for a number), and was accepted.",
		Remedy: "Check calls against the schema that is declared.",
		Run:    eachAccepted(wrongType),
	},
	{
		ID: "args/bounds", Severity: Medium, Title: "a bound that the schema declares is not kept",
		Proof:  "A value beyond the declared minimum, maximum, length, number of items or enumeration was accepted.",
		Remedy: "Check calls against the schema that is declared.",
		Run:    eachAccepted(beyondBounds),
	},
	{
		ID: "args/integer", Severity: Medium, Title: "a number becomes another one",
		Proof:  "An integer of more than 53 bits was sent, and the answer shows its rounded or wrapped value and not what was sent; or a fraction or 1e400 was accepted for an integer (low). An id that changes names another record.",
		Remedy: "Decode integers exactly, and refuse what does not fit; or take them as strings.",
		Run:    eachAccepted(integerEdges),
	},
	{
		ID: "args/size", Severity: Low, Title: "an argument of 2 MiB is accepted",
		Proof:  "A string of 2 MiB was accepted where the schema names no greater length. Whoever talks to the model decides what the server stores and pays for.",
		Remedy: "Bound the length of strings, in the schema and in the server.",
		Run:    eachAccepted(hugeArgument),
	},
	{
		ID: "args/untested", Severity: Info, Title: "no call of a tool was accepted",
		Proof:  "The arguments that were made from the schema were refused, so that nothing can be said of damaged ones: the tool was not tested by the checks before this one. Tools that ask a person first are not named: state/forged looks at them.",
		Remedy: "Give valid arguments: -call 'NAME={...}', or Options.Call.",
		Run:    untested,
	},
}

// maxAttacked is how many tools are attacked, and how many members of each.
const maxAttacked, maxMembers = 60, 12

// eachAccepted makes a check of one that looks at a tool whose valid call is accepted:
// only then does it mean something that a damaged call is, too.
func eachAccepted(look func(ctx context.Context, p *Probe, t Tool) []Finding) func(context.Context, *Probe) []Finding {
	return func(ctx context.Context, p *Probe) []Finding {
		var out []Finding
		for _, t := range p.attacked() {
			if p.baseline(ctx, t).Accepted() {
				out = append(out, look(ctx, p, t)...)
			}
		}
		return out
	}
}

func (p *Probe) attacked() []Tool {
	all := p.callable()
	return all[:min(len(all), maxAttacked)]
}

// baseline is what a tool answers to a valid call. It is asked once.
func (p *Probe) baseline(ctx context.Context, t Tool) Reply {
	if r, ok := p.baselines[t.Name]; ok {
		return r
	}
	r := Reply{Outcome: Refused}
	if t.Valid != nil {
		p.wait()
		begin := time.Now()
		r = p.Call(ctx, t.Name, encode(t.Valid))
		p.took[t.Name] = time.Since(begin)
	}
	p.baselines[t.Name] = r
	return r
}

// with returns a tool's valid arguments, or none if there are none, with one member
// changed.
func (t Tool) with(name string, v any) string {
	args := maps.Clone(t.Valid)
	if args == nil {
		args = map[string]any{}
	}
	args[name] = v
	return encode(args)
}

func (t Tool) without(name string) string {
	args := maps.Clone(t.Valid)
	delete(args, name)
	return encode(args)
}

// A property is a member that the schema declares.
type property struct {
	name   string
	schema map[string]any
	kind   string // its type, if there is just one; "" else
}

func (t Tool) properties() []property {
	all, _ := t.Schema["properties"].(map[string]any)
	var out []property
	for _, name := range sortedKeys(all) {
		if schema, ok := all[name].(map[string]any); ok && len(out) < maxMembers {
			kind, _ := schema["type"].(string)
			out = append(out, property{name, schema, kind})
		}
	}
	return out
}

// of returns the properties of a kind.
func (t Tool) of(kind string) []property {
	return slices.DeleteFunc(t.properties(), func(p property) bool { return p.kind != kind })
}

func accepted(t Tool, sent string) Finding {
	return Finding{Subject: t.Name, Evidence: "accepted: " + sent}
}

func untested(ctx context.Context, p *Probe) []Finding {
	var names []string
	for _, t := range p.attacked() {
		if r := p.baseline(ctx, t); !r.Accepted() && !r.asks {
			names = append(names, t.Name)
		}
	}
	return named(names, "no accepted call: ")
}

func unknownArgument(ctx context.Context, p *Probe, t Tool) []Finding {
	additional, declared := t.Schema["additionalProperties"]
	if declared && additional != false {
		return nil
	}
	if sent := t.with("mcpsec_unknown", 1); p.Call(ctx, t.Name, sent).Accepted() {
		f := accepted(t, sent)
		if declared {
			f.Severity = Medium
		}
		return []Finding{f}
	}
	return nil
}

func duplicateArgument(ctx context.Context, p *Probe, t Tool) []Finding {
	valid := encode(t.Valid)
	params := `{"name":` + quote(t.Name) + `,"arguments":{},"arguments":` + valid + `}`
	if names := sortedKeys(t.Valid); len(names) > 0 {
		params = `{"name":` + quote(t.Name) + `,"arguments":{` + quote(names[0]) + `:` + encode(t.Valid[names[0]]) + `,` + valid[1:] + `}`
	}
	if p.Request(ctx, t.Name, "tools/call", params).Accepted() {
		return []Finding{accepted(t, params)}
	}
	return nil
}

// otherCase returns a name in other letters; "" if there is none.
func otherCase(name string) string {
	for _, v := range []string{strings.ToUpper(name), strings.ToLower(name)} {
		if v != name {
			return v
		}
	}
	return ""
}

// demanded are the required members that a valid call has.
func (t Tool) demanded() []property {
	names := required(t.Schema)
	return slices.DeleteFunc(t.properties(), func(p property) bool {
		_, given := t.Valid[p.name]
		_, fallback := p.schema["default"]
		return !slices.Contains(names, p.name) || !given || fallback
	})
}

func caseVariant(ctx context.Context, p *Probe, t Tool) []Finding {
	for _, m := range t.demanded() {
		other := otherCase(m.name)
		if other == "" || !p.Call(ctx, t.Name, t.without(m.name)).Denied() {
			continue
		}
		args := maps.Clone(t.Valid)
		delete(args, m.name)
		args[other] = t.Valid[m.name]
		if sent := encode(args); p.Call(ctx, t.Name, sent).Accepted() {
			return []Finding{accepted(t, sent)}
		}
	}
	return nil
}

func missingArgument(ctx context.Context, p *Probe, t Tool) []Finding {
	for _, m := range t.demanded() {
		if sent := t.without(m.name); p.Call(ctx, t.Name, sent).Accepted() {
			return []Finding{{Subject: t.Name, Evidence: "accepted without " + quote(m.name) + ": " + sent}}
		}
	}
	return nil
}

func nullArgument(ctx context.Context, p *Probe, t Tool) []Finding {
	for _, m := range t.demanded() {
		if m.kind == "" || m.kind == "null" || m.schema["nullable"] == true {
			continue
		}
		if !p.Call(ctx, t.Name, t.without(m.name)).Denied() {
			continue // that it may be missing is what is wrong
		}
		if sent := t.with(m.name, nil); p.Call(ctx, t.Name, sent).Accepted() {
			return []Finding{accepted(t, sent)}
		}
	}
	return nil
}

// wrong has for a type values that no server converts to it.
var wrong = map[string][]any{
	"string": {map[string]any{"a": 1}, []any{}}, "integer": {"one", map[string]any{}}, "number": {"one", map[string]any{}},
	"boolean": {"perhaps", map[string]any{}}, "array": {map[string]any{"a": 1}}, "object": {"text"},
}

func wrongType(ctx context.Context, p *Probe, t Tool) []Finding {
	for _, m := range t.properties() {
		for _, v := range wrong[m.kind] {
			if sent := t.with(m.name, v); p.Call(ctx, t.Name, sent).Accepted() {
				return []Finding{{Subject: t.Name, Evidence: quote(m.name) + " is of type " + m.kind + ", accepted: " + sent}}
			}
		}
	}
	return nil
}

func beyondBounds(ctx context.Context, p *Probe, t Tool) []Finding {
	var out []Finding
	for _, m := range t.properties() {
		for _, b := range beyond(m) {
			if sent := t.with(m.name, b.value); p.Call(ctx, t.Name, sent).Accepted() {
				out = append(out, Finding{Subject: t.Name, Evidence: quote(m.name) + " has " + b.rule + ", accepted: " + sent})
				break
			}
		}
	}
	return out[:min(len(out), 3)]
}

type breach struct {
	rule  string
	value any
}

// beyond returns values of a member's type that its schema excludes.
func beyond(m property) []breach {
	var out []breach
	add := func(word string, v any) { out = append(out, breach{word + " " + encode(m.schema[word]), v}) }
	const none = 1 << 40
	switch m.kind {
	case "integer", "number":
		if n := number(m.schema, "maximum", none); n < none {
			add("maximum", json.Number(encode(n+1)))
		}
		if n := number(m.schema, "minimum", -none); n > -none {
			add("minimum", json.Number(encode(n-1)))
		}
	case "string":
		if n := number(m.schema, "maxLength", none); n >= 0 && n < 200_000 {
			add("maxLength", strings.Repeat("a", int(n)+1))
		}
		if n := number(m.schema, "minLength", 0); n > 0 {
			add("minLength", "")
		}
	case "array":
		items, _ := m.schema["items"].(map[string]any)
		if n, v := number(m.schema, "maxItems", none), valid(items, 0); v != nil && n >= 0 && n < 1<<20/int64(len(encode(v))) {
			add("maxItems", slices.Repeat([]any{v}, int(n)+1))
		}
	}
	if list, _ := m.schema["enum"].([]any); len(list) > 0 && m.kind == "string" {
		add("enum", "mcpsec-none-of-these")
	}
	return out
}

func integerEdges(ctx context.Context, p *Probe, t Tool) []Finding {
	var out []Finding
	for _, m := range t.of("integer") {
		for _, e := range []struct {
			sent  string
			shown []string // what proves that it was changed
			plain bool     // being accepted is enough
		}{
			{sent: "9007199254740993", shown: []string{"9007199254740992", "9007199254740994", "9.007199254740992e+15"}},
			{sent: "9223372036854775808", shown: []string{"-9223372036854775808", "9223372036854775807", "9223372036854776000", "9.223372036854776e+18"}},
			{sent: "1.5", plain: true},
			{sent: "1e400", plain: true},
		} {
			sent := t.with(m.name, json.Number(e.sent))
			r := p.Call(ctx, t.Name, sent)
			text := r.Text()
			changed := r.Accepted() && !strings.Contains(text, e.sent) && slices.ContainsFunc(e.shown, func(s string) bool { return strings.Contains(text, s) })
			switch {
			case changed:
				out = append(out, Finding{Subject: t.Name, Evidence: "sent " + sent + ", the answer has another number: " + around(text, e.shown...)})
			case e.plain && r.Accepted():
				out = append(out, Finding{Severity: Low, Title: "a number that is no integer is accepted for one", Subject: t.Name, Evidence: "accepted: " + sent})
			}
		}
	}
	return out
}

// around returns what stands about the first of the words in a text.
func around(text string, words ...string) string {
	const margin = 60
	for _, w := range words {
		if i := strings.Index(text, w); i >= 0 {
			return strings.ToValidUTF8(text[max(0, i-margin):min(len(text), i+len(w)+margin)], "")
		}
	}
	return ""
}

func hugeArgument(ctx context.Context, p *Probe, t Tool) []Finding {
	const size = 2 << 20
	for _, m := range t.of("string") {
		if number(m.schema, "maxLength", size) < size || m.schema["enum"] != nil || m.schema["format"] != nil {
			continue
		}
		if p.Call(ctx, t.Name, t.with(m.name, strings.Repeat("a", size))).Accepted() {
			return []Finding{{Subject: t.Name, Evidence: quote(m.name) + ": a string of 2,097,152 letters was accepted"}}
		}
	}
	return nil
}
