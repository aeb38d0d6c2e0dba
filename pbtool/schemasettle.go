package pbtool

import (
	"slices"
	"strings"
)

// settle looks at rules and queries as all operations leave them. No rule that was set
// leads to a collection that may not be used. None that was not set, and no query, is
// about another field or collection than before, because that has the name now.
func (d *draft) settle() error {
	for _, t := range d.all {
		for key, r := range t.live.ruleSet() {
			if *r == nil {
				continue
			}
			visit := func(at *table, field string, hops int) error {
				if what := at.another(field); what != "" {
					return denied("the %s rule of %s names %s, and would be asked of another of that name: set that rule in the same call, or choose another name", key, d.c.shownName(t.live.Name), what)
				}
				return nil
			}
			if t.changed[key+"Rule"] {
				visit = d.mayLead
				d.guesses(t, key, **r)
			}
			ws, _ := words(**r) // of what is not understood, as far as it is
			for _, w := range ws {
				if err := d.walk(t, w, visit); err != nil {
					return err
				}
			}
		}
		if err := d.settleQuery(t); err != nil {
			return err
		}
	}
	return nil
}

func (d *draft) settleQuery(view *table) error {
	for _, t := range d.all {
		if named(view.live.ViewQuery, t.live.Name) == 0 {
			continue
		}
		what := t.another("")
		for _, f := range t.live.Fields {
			if s := t.another(nameOf(f)); s != "" && named(view.live.ViewQuery, nameOf(f)) > 0 {
				what = s
			}
		}
		if what != "" {
			return denied("the query of the view %s may name %s, and would read another of that name: choose another name", d.c.shownName(view.live.Name), what)
		}
	}
	return nil
}

// mayShow refuses to let anybody into a view of what may not be used, or to ask it: its
// query is held to no rules.
func (d *draft) mayShow(view *table) error {
	if d.closed(view, maxViews) {
		return denied("the view %s may select from a collection that may not be used, or passwords: who is let in by it is an operator's to say", d.c.shownName(view.live.Name))
	}
	return nil
}

const maxViews = 10 // of views

func (d *draft) closed(view *table, depth int) bool {
	if depth == 0 || ownTables().MatchString(view.live.ViewQuery) {
		return true
	}
	return slices.ContainsFunc(d.all, func(t *table) bool {
		if t == view || named(view.live.ViewQuery, t.live.Name) == 0 {
			return false
		}
		_, err := d.c.collection(t.live.Name)
		return err != nil || d.c.isHistory(t.live.Name) || d.closed(t, depth-1)
	})
}

// mayLead is a visitor of walk's: relations lead a rule to collections that may be used
// only.
func (d *draft) mayLead(at *table, _ string, hops int) error {
	if err := d.mayShow(at); err != nil || hops == 0 {
		return err
	}
	_, err := d.c.collection(at.live.Name)
	if err == nil && d.c.isHistory(at.live.Name) {
		err = denied("a rule must not lead to the history of changes")
	}
	return err
}

// guesses warns of a rule that compares what is hidden, or another collection's, with
// what the caller sends: what it lets in tells whether that was right.
func (d *draft) guesses(t *table, key, rule string) {
	pairs, _ := comparisons(rule) // what is not understood was refused
	for _, p := range pairs {
		for i, side := range p {
			if !slices.ContainsFunc(p[1-i], fromCaller) {
				continue
			}
			for _, w := range side {
				_ = d.walk(t, w, func(at *table, field string, _ int) error {
					f := at.field(field)
					if hidden, ok := f["hidden"].(*bool); f != nil && (at != t || f["hidden"] == true || ok && *hidden) {
						d.warn("who is asked the %s rule of %s can guess at %s.%s: it is compared with what the caller sends", key, t.live.Name, at.live.Name, nameOf(f))
					}
					return nil
				})
			}
		}
	}
}

// another says which thing has its name by this call: a field or, without one, the
// collection.
func (t *table) another(field string) string {
	if field == "" {
		if t.live.Name != t.was {
			return t.live.Name
		}
		return ""
	}
	f := t.field(field)
	if f == nil || t.raw == nil {
		return ""
	}
	if id, _ := f["id"].(string); t.ids[strings.ToLower(field)] != id {
		return t.live.Name + "." + nameOf(f)
	}
	return ""
}

// walk follows an identifier of a rule of t's through relations. It calls visit for each
// field on the way, with the collection that has it and the number of relations so far,
// and without a field for each collection that is named.
func (d *draft) walk(t *table, word string, visit func(at *table, field string, hops int) error) error {
	path := strings.Split(word, ".")
	for i := range path {
		path[i], _, _ = strings.Cut(path[i], ":") // a modifier, or a collection's alias
	}
	from := []*table{t}
	switch {
	case path[0] == "@collection" && len(path) > 2:
		t = d.lookUp(path[1])
		if t == nil {
			return nil
		}
		if err := visit(t, "", 0); err != nil {
			return err
		}
		from, path = []*table{t}, path[2:]
	case path[0] == "@request" && len(path) > 2 && path[1] == "auth":
		from = slices.DeleteFunc(slices.Clone(d.all), func(t *table) bool { return t.live.Type != "auth" })
		path = path[2:]
	case path[0] == "@request" && len(path) > 2 && path[1] == "body":
		path = path[2:]
	case strings.HasPrefix(path[0], "@"):
		return nil
	}
	for _, t := range from {
		if err := d.steps(t, path, visit); err != nil {
			return err
		}
	}
	return nil
}

func (d *draft) steps(t *table, path []string, visit func(at *table, field string, hops int) error) error {
	for i := 0; i < len(path) && t != nil; i++ {
		s := path[i]
		if from, back, ok := strings.Cut(s, "_via_"); ok {
			if t = d.lookUp(from); t == nil {
				return nil
			}
			for _, field := range []string{"", back} {
				if err := visit(t, field, i+1); err != nil {
					return err
				}
			}
			continue
		}
		if i > 0 && i == len(path)-1 && s == "id" { // is what the relation before it has
			return nil
		}
		if err := visit(t, s, i); err != nil {
			return err
		}
		id, _ := t.field(s)["collectionId"].(string)
		t = d.lookUp(id)
	}
	return nil
}

// lookUp returns the collection that has an id or a name.
func (d *draft) lookUp(name string) *table {
	i := slices.IndexFunc(d.all, func(t *table) bool { return t.live.ID == name || strings.EqualFold(t.live.Name, name) })
	if i < 0 {
		return nil
	}
	return d.all[i]
}
