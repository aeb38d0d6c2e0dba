package pbtool

import (
	"regexp"
	"slices"
	"strings"
)

// find returns the collection that has an id or, in a rule, a name.
func (a *audit) find(name string) *audited {
	i := slices.IndexFunc(a.all, func(k *audited) bool { return k.ID == name || strings.EqualFold(k.Name, name) })
	if i < 0 {
		return nil
	}
	return a.all[i]
}

func (k *audited) field(name string) map[string]any {
	i := slices.IndexFunc(k.Fields, func(f map[string]any) bool { return strings.EqualFold(nameOf(f), name) })
	if i < 0 {
		return nil
	}
	return k.Fields[i]
}

// open is the most that anybody but a superuser may do.
func (a *audit) open(k *audited, action string) verdict {
	v := k.judge(action, asker{})
	for _, as := range a.visitors {
		v = max(v, k.judge(action, as))
	}
	return v
}

// leadsToHidden returns the hidden field that an identifier of a rule of k's names,
// through relations, or nothing.
func (a *audit) leadsToHidden(k *audited, word string) string {
	path := strings.Split(word, ".")
	switch {
	case path[0] == "@collection" && len(path) > 2:
		name, _, _ := strings.Cut(path[1], ":") // an alias
		k, path = a.find(name), path[2:]
	case strings.HasPrefix(path[0], "@"):
		return ""
	}
	for _, s := range path {
		if k == nil {
			return ""
		}
		s, _, _ = strings.Cut(s, ":")
		if from, _, ok := strings.Cut(s, "_via_"); ok {
			k = a.find(from)
			continue
		}
		f := k.field(s)
		if f == nil {
			return ""
		}
		if f["hidden"] == true {
			return a.name(k.Name) + "." + s
		}
		id, _ := f["collectionId"].(string)
		k = a.find(id)
	}
	return ""
}

// fromCaller reports whether an identifier of a rule is what the caller sends.
func fromCaller(word string) bool {
	return strings.HasPrefix(word, "@request.query.") || strings.HasPrefix(word, "@request.body.") || strings.HasPrefix(word, "@request.headers.")
}

// hidden looks for rules that compare a hidden field with what the caller sends: what
// they let in tells whether a guess was right.
func (a *audit) hidden(k *audited) {
	for _, action := range actions {
		if a.open(k, action) == never {
			continue
		}
		pairs, err := comparisons(**k.ruleSet()[action])
		if err != nil {
			continue // untold says so
		}
		for _, p := range pairs {
			for i, side := range p {
				at := slices.IndexFunc(side, func(w string) bool { return a.leadsToHidden(k, w) != "" })
				if at < 0 || !slices.ContainsFunc(p[1-i], fromCaller) {
					continue
				}
				k.found(medium, k.rule(action), "compare with what the server knows of the caller (@request.auth), or leave the check to a hook", "the rule to %s tells whether a guess at the hidden field %s is right: it compares it with what the caller sends", action, a.leadsToHidden(k, side[at]))
			}
		}
	}
}

// viewHidden looks for hidden fields that a view's query names more often than the view
// has hidden columns: one that is a bare field stays hidden, under any name, and one that
// is computed does not.
func (a *audit) viewHidden(k *audited) {
	if a.open(k, "list") == never && a.open(k, "view") == never {
		return
	}
	var may []string
	mentions := 0
	for _, t := range a.all {
		for _, f := range t.Fields {
			if n := nameOf(f); t != k && !t.System && f["hidden"] == true && !isSecret(n) && named(k.ViewQuery, t.Name) > 0 && named(k.ViewQuery, n) > 0 {
				may, mentions = append(may, a.name(t.Name)+"."+n), mentions+named(k.ViewQuery, n)
			}
		}
	}
	for _, f := range k.Fields {
		if f["hidden"] == true {
			mentions--
		}
	}
	if mentions > 0 {
		k.found(medium, k.ViewQuery, "take it out of the query, or hide the column", "the view may show the hidden field %s, or let callers filter by it", some(may))
	}
}

// named counts how often a query has a name.
func named(sql, name string) int {
	return len(regexp.MustCompile(`(?i)\b`+regexp.QuoteMeta(name)+`\b`).FindAllStringIndex(sql, -1))
}

// untold says what no schema tells.
func (a *audit) untold(show func(string) bool) []string {
	out := []string{"what hooks and routes of the server's own program allow", "what a list rule keeps back may show in how long filtered answers take"}
	var relations, rules []string
	for _, k := range a.all {
		if !show(k.Name) {
			continue
		}
		for _, f := range k.Fields {
			id, _ := f["collectionId"].(string)
			if t := a.find(id); t != nil && t != k && a.hides(k, t) {
				relations = append(relations, k.Name+"."+nameOf(f))
			}
		}
		for action, rule := range k.ruleSet() {
			if *rule == nil {
				continue
			}
			if _, err := comparisons(**rule); err != nil && **rule != "" {
				rules = append(rules, k.Name+" "+action)
			}
		}
	}
	slices.Sort(rules)
	if relations != nil {
		out = append(out, "the server's version: before 0.32 a filter through these relations guesses at fields, hidden ones not, of records that their own list rules do not show: "+some(relations))
	}
	if rules != nil {
		out = append(out, "what these rules mean, which are not understood and said as some: "+some(rules))
	}
	return out
}

// hides reports whether somebody may list records of k, and not all of t.
func (a *audit) hides(k, t *audited) bool {
	return slices.ContainsFunc(append([]asker{{}}, a.visitors...), func(as asker) bool { return k.judge("list", as) > never && t.judge("list", as) < always })
}
