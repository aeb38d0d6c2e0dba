package pbtool

import (
	"slices"
	"strings"
)

// given are the rights that Options.Collections gives by a field's name: to read it, or
// a path that begins with it, and to write it.
func (k *Collection) given(field string) (rights []string) {
	for _, f := range k.Fields {
		if rest, ok := strings.CutPrefix(f, field); ok && (rest == "" || rest[0] == '.') {
			rights = append(rights, "read"+rest)
		}
	}
	if slices.Contains(k.Write, field) {
		rights = append(rights, "write")
	}
	return rights
}

// mayTakeName refuses a field a name by which tools may do with it what they may not
// now, in its collection or by a path from another.
func (d *draft) mayTakeName(t *table, name, to string) error {
	k := d.c.known[t.live.Name]
	more := k != nil && slices.ContainsFunc(k.given(to), func(r string) bool { return !slices.Contains(k.given(name), r) })
	for _, other := range d.c.known {
		more = more || slices.ContainsFunc(other.Fields, func(path string) bool {
			steps := strings.Split(path, ".")[1:]
			return slices.Contains(steps, to) && !slices.Contains(steps, name)
		})
	}
	if more {
		return denied("tools may do with a field called %s what they may not do with %s: an operator has to rename it", to, name)
	}
	return nil
}

// mayBecome refuses a collection a name by which tools may do other things with it.
func (d *draft) mayBecome(name, to string) error {
	a, b := d.c.known[name], d.c.known[to]
	if a != nil && b != nil && ((a.Fields == nil) != (b.Fields == nil) || !slices.Equal(a.Fields, b.Fields) || !slices.Equal(a.Write, b.Write) || a.Delete != b.Delete) {
		return denied("tools may do other things with a collection called %s than with %s: an operator has to rename it", to, name)
	}
	return nil
}
