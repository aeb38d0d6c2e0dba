package battery

import (
	"context"
	"encoding/json"
	"strings"
)

var stabilityChecks = []Check{
	{
		ID: "stability/crash", Severity: High, Title: "one call ends the server",
		Proof:  "The server ended the connection, or its process, upon a request of this run: with odd strings, numbers or nesting as arguments, or one of any other check. Bad messages are wire/garbage.",
		Remedy: "Recover from what a handler throws, also in what it starts, and bound depth before decoding.",
		Run:    crashed,
	},
	{
		ID: "stability/hang", Severity: Medium, Title: "a call is not answered in time",
		Proof:  "A request of this run had no answer within the time that was given (-timeout). Low where that was a valid call, which may take long for good reasons.",
		Remedy: "Give each call a deadline, and answer when it passes.",
		Run:    hung,
	},
}

// odd are arguments that no schema asks for.
func odd() map[string]any {
	deep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	return map[string]any{
		"deep arrays": json.RawMessage(deep), "deep objects": json.RawMessage(strings.Repeat(`{"a":`, 20_000) + "1" + strings.Repeat("}", 20_000)),
		"NUL": "a\x00b", "a lone surrogate": json.RawMessage(`"\ud800"`), "format verbs": "%s%n%x%v{}{0}", "an empty string": "", "a direction mark": "\u202egnp.txt",
		"a prototype": map[string]any{"__proto__": map[string]any{"a": 1}, "constructor": nil}, "-0": json.RawMessage("-0"), "a huge exponent": json.RawMessage("1e999999"),
		"a long number": json.RawMessage(strings.Repeat("9", 5000)), "-1": -1, "true": true, "null": nil, "the least int64": json.RawMessage("-9223372036854775808"),
		"a regular expression": "((a+)+)+$", "an option": "--help", "a long name": map[string]any{strings.Repeat("n", 100_000): 1},
	}
}

func crashed(ctx context.Context, p *Probe) []Finding {
	values := odd()
	for _, t := range p.attacked() {
		for _, what := range sortedKeys(values) {
			for _, m := range t.properties()[:min(len(t.properties()), 4)] {
				p.Call(ctx, t.Name, rawWith(t, m.name, values[what]))
			}
		}
		for _, arguments := range []string{"null", "[]", `"text"`, "1"} {
			p.Call(ctx, t.Name, arguments)
		}
	}
	return unique(p.deaths, "the server ended after ")
}

// rawWith writes the arguments by hand: what encoding/json refuses to nest or to
// repeat is what is wanted.
func rawWith(t Tool, name string, v any) string {
	raw, ok := v.(json.RawMessage)
	if !ok {
		return t.with(name, v)
	}
	const place = "\"mcpsec-place\""
	return strings.Replace(t.with(name, "mcpsec-place"), place, string(raw), 1)
}

func hung(_ context.Context, p *Probe) []Finding {
	out := unique(p.hangs, "no answer to ")
	for i, f := range out {
		if p.baselines[f.Subject].Outcome == Silent {
			out[i].Severity, out[i].Title = Low, "a valid call takes longer than -timeout"
		}
	}
	return out
}

// unique is a finding for each subject.
func unique(all []observation, what string) []Finding {
	var out []Finding
	seen := map[string]bool{}
	for _, o := range all {
		if !seen[o.subject] {
			seen[o.subject] = true
			out = append(out, Finding{Subject: o.subject, Evidence: what + o.sent})
		}
	}
	return out
}
