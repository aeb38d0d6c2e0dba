package battery

import (
	"slices"
	"strings"
)

// references looks at where each $ref of a schema leads.
func references(t Tool) []Finding {
	var out []Finding
	add := func(s Severity, title, evidence string) {
		f := Finding{Severity: s, Title: title, Evidence: evidence}
		if !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	eachRef(t.Schema, 0, func(ref string) {
		target, ok := resolve(t.Schema, ref)
		switch {
		case !ok && strings.Contains(ref, "://"):
			add(Medium, "a schema refers to another document", "$ref is "+ref)
		case !ok:
			add(0, "", "$ref "+ref+" has no target")
		case loops(t.Schema, target, 0):
			add(0, "", "$ref "+ref+" leads to itself")
		case holdsRef(t.Schema, target, ref):
			add(Info, "a schema holds itself", "what "+ref+" leads to refers to it")
		}
	})
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
