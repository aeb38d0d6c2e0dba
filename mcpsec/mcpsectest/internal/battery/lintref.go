package battery

import (
	"maps"
	"slices"
	"strings"
)

// references looks at where each $ref of a schema leads.
func references(t Tool) []Finding {
	const most = 100
	refs := map[string]bool{}
	eachRef(t.Schema, 0, func(ref string) {
		if len(refs) < most {
			refs[ref] = true
		}
	})
	var out []Finding
	for _, ref := range slices.Sorted(maps.Keys(refs)) {
		target, ok := resolve(t.Schema, ref)
		switch {
		case !ok && strings.Contains(ref, "://"):
			out = append(out, Finding{Severity: Medium, Title: "a schema refers to another document", Evidence: "$ref is " + ref})
		case !ok:
			out = append(out, Finding{Evidence: "$ref " + ref + " has no target"})
		case loops(t.Schema, target, 0):
			out = append(out, Finding{Evidence: "$ref " + ref + " leads to itself"})
		case holdsRef(t.Schema, target, ref):
			out = append(out, Finding{Severity: Info, Title: "a schema holds itself", Evidence: "what " + ref + " leads to refers to it"})
		}
	}
	return out
}

// eachRef visits what stands in a schema as $ref; names of properties may be called so,
// too, and are none.
func eachRef(v any, depth int, see func(ref string)) {
	if depth > maxDepth {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		for _, name := range sortedKeys(v) {
			switch ref, isText := v[name].(string); {
			case (name == "$ref" || name == "$dynamicRef") && isText:
				see(ref)
			case name == "enum" || name == "const" || name == "default" || name == "examples":
			default:
				eachRef(v[name], depth+1, see)
			}
		}
	case []any:
		for _, e := range v {
			eachRef(e, depth+1, see)
		}
	}
}

// loops reports whether references lead in a circle with no value between.
func loops(root map[string]any, target any, depth int) bool {
	s, _ := target.(map[string]any)
	ref, ok := s["$ref"].(string)
	if !ok {
		return false
	}
	next, found := resolve(root, ref)
	return found && (depth > maxDepth || loops(root, next, depth+1))
}

// holdsRef reports whether what ref leads to refers to it, by whatever way.
func holdsRef(root map[string]any, target any, ref string) bool {
	seen := map[string]bool{}
	var search func(v any) bool
	search = func(v any) (found bool) {
		eachRef(v, 0, func(inner string) {
			if found = found || inner == ref; found || seen[inner] {
				return
			}
			seen[inner] = true
			next, _ := resolve(root, inner)
			found = search(next)
		})
		return found
	}
	return search(target)
}
