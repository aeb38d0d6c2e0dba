package config

import (
	"fmt"
	"reflect"
	"strings"
	"text/tabwriter"
)

// Usage describes the variables of T, a line each, for the text that -help
// prints: name, kind, default and rules. It reads no environment. It panics as
// [Load] does.
func Usage[T any](prefix string) string {
	p := planFor(prefix, reflect.TypeFor[T]())
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	for _, f := range p.fields {
		fmt.Fprintf(w, "%s\t%s\n", f.env, strings.Join(p.facts(f), "; "))
	}
	_ = w.Flush() // a strings.Builder takes everything
	return out.String()
}

func (p *plan) facts(f *field) []string {
	facts := []string{kind(f.typ)}
	if f.secret() {
		facts[0] += ", or a file named by " + f.env + "_FILE"
	}
	if f.random {
		facts = append(facts, "random, such as by openssl rand -hex 32")
	}
	if f.def != "" {
		facts = append(facts, "default "+f.def)
	}
	for rule := range strings.SplitSeq(f.tag, ",") {
		if name, param, _ := strings.Cut(rule, "="); name != "" && !strings.HasPrefix(name, "omit") {
			facts = append(facts, p.ruleText(f, name, param))
		}
	}
	return facts
}
