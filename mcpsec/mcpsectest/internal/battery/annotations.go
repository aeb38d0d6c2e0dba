package battery

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

var toolChecks = []Check{
	{
		ID: "tool/unannotated", Severity: Low, Title: "tools do not say what they do to data",
		Proof:  "The named tools have neither readOnlyHint nor destructiveHint. A client takes them for destructive, or asks for nothing at all.",
		Remedy: "Set readOnlyHint on tools that only read, and destructiveHint on all others.",
		Run:    unannotated,
	},
	{
		ID: "tool/not-read-only", Severity: Medium, Title: "a tool says that it only reads, and is named for a change",
		Proof:  "readOnlyHint is true, and the verb of the tool's name, or the first word of its description, changes something: delete, create, send. Clients call such a tool without asking. Its effect was not tried.",
		Remedy: "Remove readOnlyHint, or rename the tool.",
		Run:    notReadOnly,
	},
	{
		ID: "tool/not-additive", Severity: Medium, Title: "a tool says that it destroys nothing, and is named for it",
		Proof:  "destructiveHint is false, and the verb of the tool's name is one that destroys: delete, drop, purge.",
		Remedy: "Set destructiveHint to true, so that a client asks a person.",
		Run:    notAdditive,
	},
	{
		ID: "tool/not-called", Severity: Info, Title: "tools were not called",
		Proof:  "The named tools do not say that they only read, and were not listed as callable. Whatever is wrong with their arguments and results was not seen.",
		Remedy: "Run against a server whose data may be lost, and list the tools: -call NAME, or Options.Call.",
		Run:    notCalled,
	},
}

// Verbs that say what a tool does. Words that are as often a noun (post, set, run) are
// on neither list.
var (
	readVerbs = words("get list read search find query show describe count check fetch lookup look explain preview view inspect status health export plan review validate verify test estimate dry simulate compare diff analyze analyse audit summarize")
	destroys  = words("delete remove drop purge truncate destroy wipe erase")
	changes   = append(words("create update insert write send upsert edit rename move add modify upload publish cancel refund grant revoke kill execute"), destroys...)
)

func words(s string) []string { return strings.Fields(s) }

// verb returns the first word of a name that is a verb: get_updates gets, and
// shop_delete_order deletes.
func verb(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	for _, w := range strings.FieldsFunc(b.String(), func(r rune) bool { return !unicode.IsLetter(r) }) {
		if slices.Contains(readVerbs, w) || slices.Contains(changes, w) {
			return w
		}
	}
	return ""
}

// writes reports whether a tool's name, or the first word of its description, says
// that it changes something.
func (t Tool) writes() bool { return t.changing() != "" }

func (t Tool) changing() string {
	v := verb(t.Name)
	if v != "" {
		if slices.Contains(changes, v) {
			return v
		}
		return ""
	}
	first, _, _ := strings.Cut(strings.TrimSpace(strings.ToLower(t.Description)), " ")
	for _, c := range changes {
		if first == c || first == c+"s" || strings.HasSuffix(c, "e") && first == c+"s" {
			return c
		}
	}
	return ""
}

func unannotated(_ context.Context, p *Probe) []Finding {
	var names []string
	for _, t := range p.Tools {
		_, reads := t.Annotations["readOnlyHint"].(bool)
		_, destructive := t.Annotations["destructiveHint"].(bool)
		if !reads && !destructive {
			names = append(names, t.Name)
		}
	}
	return named(names, "neither readOnlyHint nor destructiveHint: ")
}

func notReadOnly(_ context.Context, p *Probe) []Finding {
	var out []Finding
	for _, t := range p.Tools {
		if v := t.changing(); v != "" && t.hint("readOnlyHint") {
			out = append(out, Finding{Subject: t.Name, Evidence: fmt.Sprintf("readOnlyHint is true, and the tool's verb is %q", v)})
		}
	}
	return out
}

func notAdditive(_ context.Context, p *Probe) []Finding {
	var out []Finding
	for _, t := range p.Tools {
		hint, ok := t.Annotations["destructiveHint"].(bool)
		if v := verb(t.Name); ok && !hint && !t.hint("readOnlyHint") && slices.Contains(destroys, v) {
			out = append(out, Finding{Subject: t.Name, Evidence: fmt.Sprintf("destructiveHint is false, and the tool's verb is %q", v)})
		}
	}
	return out
}

func notCalled(_ context.Context, p *Probe) []Finding {
	var names []string
	for _, t := range p.Tools {
		if !t.Callable {
			names = append(names, t.Name)
		}
	}
	return named(names, "not called: ")
}

// named is one finding for several names.
func named(names []string, what string) []Finding {
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	return []Finding{{Evidence: fmt.Sprintf("%s%d: %s", what, len(names), strings.Join(names, ", "))}}
}
