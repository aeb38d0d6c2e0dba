package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
)

// maxUnknown is how many unknown variables are named.
const maxUnknown = 20

// unknown names the variables that begin with the prefix and that no field is
// read from: one of them may be a misspelled setting that protects.
func (p *plan) unknown(env map[string]string) (problems []error) {
	if p.prefix == "" {
		return nil
	}
	n := 0
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if p.known[name] != nil || !strings.HasPrefix(name, p.prefix) {
			continue
		}
		if n++; n <= maxUnknown {
			problems = append(problems, fmt.Errorf("%s is not known%s", shownName(name), p.hint(name)))
		}
	}
	if n > maxUnknown {
		problems = append(problems, fmt.Errorf("and %d more variables that begin with %s are not known", n-maxUnknown, p.prefix))
	}
	return problems
}

// shownName makes a name fit for a terminal: the environment is anybody's.
func shownName(name string) string {
	const most = 100
	if len(name) > most {
		return fmt.Sprintf("%+.*q...", most, name)
	}
	if variable().MatchString(name) {
		return name
	}
	return fmt.Sprintf("%+q", name)
}

// What Kubernetes puts into each container for each service of the namespace.
var serviceLink = lazy.Regexp(`_SERVICE_(?:HOST|PORT(?:_[A-Z0-9_]+)?)$|_PORT(?:_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?$`)

func (p *plan) hint(name string) string {
	if best := p.nearest(name); best != "" {
		return ": did you mean " + best + "?"
	}
	if f := p.known[strings.TrimSuffix(name, "_FILE")]; f != nil && !f.secret() {
		return ": only secrets are read from files"
	}
	if serviceLink().MatchString(name) {
		return ": if it comes from a Kubernetes service, set enableServiceLinks: false for the pod"
	}
	return ": unset it, or correct its name"
}

// nearest returns the known variable that name was likely meant to be.
func (p *plan) nearest(name string) (best string) {
	name = name[len(p.prefix):]
	least := min(3, len(name)/3+1)
	if len(name) > 100 {
		return ""
	}
	for _, f := range p.fields {
		if d := distance(strings.ToUpper(name), f.env[len(p.prefix):]); d < least || d == least && best == "" {
			best, least = f.env, d
		}
	}
	return best
}

// distance counts the letters to insert, delete, replace or swap with their
// neighbour to make b of a.
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(last[j]+1, next[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, last = last, next
	}
	return last[len(b)]
}
