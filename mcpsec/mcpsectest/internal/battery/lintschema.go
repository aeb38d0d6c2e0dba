package battery

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// eachSchema makes a check of one that looks at the schema of a tool's arguments.
func eachSchema(look func(t Tool) []Finding) func(context.Context, *Probe) []Finding {
	return func(_ context.Context, p *Probe) []Finding {
		var out []Finding
		for _, t := range p.Tools {
			if len(t.Raw) > maxDefinition {
				continue // lint/description says so
			}
			for _, f := range look(t) {
				f.Subject = t.Name
				out = append(out, f)
			}
		}
		return out
	}
}

const (
	maxDefinition = 256 << 10 // bytes; of longer ones the schema is not read
	maxDepth      = 24
	maxNodes      = 4000
)

// A visit walks through what a value may be: references are followed, and what is
// said in parts (allOf, anyOf) is put together, for each choice.
type visit struct {
	root  map[string]any
	nodes int
	see   func(path string, s map[string]any)
}

func walkSchema(root map[string]any, see func(path string, s map[string]any)) {
	v := &visit{root: root, see: see}
	v.walk("arguments", root, 0)
}

func (v *visit) walk(path string, schema any, depth int) {
	v.nodes++
	if depth > maxDepth || v.nodes > maxNodes {
		return
	}
	if b, ok := schema.(bool); ok {
		if b {
			v.see(path, map[string]any{})
		}
		return
	}
	s := expand(v.root, schema)
	if s == nil {
		return
	}
	for _, word := range []string{"anyOf", "oneOf"} {
		if choices, _ := s[word].([]any); len(choices) > 0 {
			for _, c := range choices {
				v.walk(path, merge(v.root, s, word, c), depth+1)
			}
			return
		}
	}
	v.see(path, s)
	properties, _ := s["properties"].(map[string]any)
	for _, name := range sortedKeys(properties) {
		v.walk(path+"."+name, properties[name], depth+1)
	}
	patterns, _ := s["patternProperties"].(map[string]any)
	for _, name := range sortedKeys(patterns) {
		v.walk(path+".*", patterns[name], depth+1)
	}
	if m, ok := s["additionalProperties"].(map[string]any); ok && len(m) > 0 {
		v.walk(path+".*", m, depth+1)
	}
	first, _ := s["prefixItems"].([]any)
	for i, item := range first {
		v.walk(path+"["+strconv.Itoa(i)+"]", item, depth+1)
	}
	if items, ok := s["items"]; ok {
		v.walk(path+"[]", items, depth+1)
	}
}

// expand replaces a reference by what it leads to, and takes allOf into the schema
// itself. It returns nil for what is no schema, or refers to itself.
func expand(root map[string]any, schema any) map[string]any {
	left := 200 // parts, which may refer to each other
	return expandPart(root, schema, &left)
}

func expandPart(root map[string]any, schema any, left *int) map[string]any {
	s, ok := schema.(map[string]any)
	if *left--; !ok || *left < 0 {
		return nil
	}
	if ref, ok := s["$ref"].(string); ok {
		target, _ := resolve(root, ref)
		to := expandPart(root, target, left)
		if to == nil || len(s) == 1 {
			return to // lint/reference says why there is none
		}
		s = join(to, s)
		delete(s, "$ref")
	}
	if parts, ok := s["allOf"].([]any); ok {
		s = maps.Clone(s)
		delete(s, "allOf")
		for _, part := range parts {
			if e := expandPart(root, part, left); e != nil {
				s = join(s, e)
			}
		}
	}
	return s
}

// merge is a schema with one of its choices.
func merge(root, s map[string]any, word string, choice any) any {
	c := expand(root, choice)
	if c == nil {
		return choice
	}
	rest := maps.Clone(s)
	delete(rest, word)
	return join(rest, c)
}

// join is what holds if both hold, as far as the lint reads it.
func join(a, b map[string]any) map[string]any {
	out := maps.Clone(a)
	for word, v := range b {
		p, isMap := v.(map[string]any)
		q, both := out[word].(map[string]any)
		if word == "properties" && isMap && both {
			q = maps.Clone(q)
			maps.Copy(q, p)
			v = q
		}
		out[word] = v
	}
	return out
}

// resolve finds what a reference within a schema leads to.
func resolve(root map[string]any, ref string) (any, bool) {
	fragment, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return find(root, "$id", ref, 0)
	}
	if fragment == "" {
		return root, true
	}
	if !strings.HasPrefix(fragment, "/") {
		return find(root, "$anchor", fragment, 0)
	}
	if plain, err := url.PathUnescape(fragment); err == nil {
		fragment = plain
	}
	var at any = root
	for part := range strings.SplitSeq(fragment[1:], "/") {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		switch v := at.(type) {
		case map[string]any:
			if at, ok = v[part]; !ok {
				return nil, false
			}
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(v) {
				return nil, false
			}
			at = v[i]
		default:
			return nil, false
		}
	}
	return at, true
}

// find looks for the schema whose word has a value.
func find(v any, word, value string, depth int) (any, bool) {
	if depth > maxDepth {
		return nil, false
	}
	switch v := v.(type) {
	case map[string]any:
		if v[word] == value {
			return v, true
		}
		for _, name := range sortedKeys(v) {
			if found, ok := find(v[name], word, value, depth+1); ok {
				return found, true
			}
		}
	case []any:
		for _, e := range v {
			if found, ok := find(e, word, value, depth+1); ok {
				return found, true
			}
		}
	}
	return nil, false
}

func hasAny(s map[string]any, words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return s[w] != nil })
}

// types are the declared types.
func types(s map[string]any) []string {
	switch t := s["type"].(type) {
	case string:
		return []string{t}
	case []any:
		var out []string
		for _, e := range t {
			if name, ok := e.(string); ok {
				out = append(out, name)
			}
		}
		return out
	}
	return nil
}

func unboundedSchema(t Tool) []Finding {
	var wide, numbers []string
	walkSchema(t.Schema, func(path string, s map[string]any) {
		if hasAny(s, "enum", "const") {
			return
		}
		for _, kind := range types(s) {
			switch {
			case kind == "string" && !hasAny(s, "maxLength", "pattern", "format"),
				kind == "array" && !hasAny(s, "maxItems") && s["items"] != false:
				wide = append(wide, path)
			case (kind == "integer" || kind == "number") && !(hasAny(s, "minimum", "exclusiveMinimum") && hasAny(s, "maximum", "exclusiveMaximum")):
				numbers = append(numbers, path)
			}
		}
	})
	out := named(slices.Compact(slices.Sorted(slices.Values(wide))), "without a bound: ")
	for _, f := range named(slices.Compact(slices.Sorted(slices.Values(numbers))), "numbers without two bounds: ") {
		f.Title = "a schema bounds no number"
		out = append(out, f)
	}
	return out
}

func openSchema(t Tool) []Finding {
	if t.Schema == nil {
		return []Finding{{Evidence: "there is no inputSchema"}}
	}
	var open, untyped []string
	walkSchema(t.Schema, func(path string, s map[string]any) {
		kinds := types(s)
		switch {
		case hasAny(s, "enum", "const", "not"):
		case len(kinds) == 0 && s["properties"] == nil:
			untyped = append(untyped, path)
		case len(kinds) == 0 || slices.Contains(kinds, "object"):
			if s["additionalProperties"] != false && s["unevaluatedProperties"] != false && s["maxProperties"] == nil {
				open = append(open, path)
			}
		}
	})
	return append(named(slices.Compact(slices.Sorted(slices.Values(open))), "objects that take any member: "),
		named(slices.Compact(slices.Sorted(slices.Values(untyped))), "values without a type: ")...)
}
