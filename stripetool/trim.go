package stripetool

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// A tree says which members of an object may be read: those that it names, as far
// as they are texts, numbers and booleans, and of objects and lists what it names
// within. The name * stands for all, of texts only: metadata.*
type tree map[string]tree

// fields makes a tree of paths, as in "id charges.data.id metadata.*".
func fields(paths string) tree {
	t := tree{}
	for _, p := range strings.Fields(paths) {
		at := t
		for name := range strings.SplitSeq(p, ".") {
			if at[name] == nil {
				at[name] = tree{}
			}
			at = at[name]
		}
	}
	return t
}

// secretive reports whether a member is one that lets its reader act, wherever it
// stands: client_secret of intents, above all.
func secretive(name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, "secret") || strings.Contains(name, "fingerprint") || strings.Contains(name, "password") || name == "token"
}

// trim returns what may be read of raw, or nothing.
func (t tree) trim(raw json.RawMessage) (json.RawMessage, bool) {
	switch raw = bytes.TrimSpace(raw); {
	case len(raw) == 0:
		return nil, false
	case raw[0] == '{':
		return t.trimObject(raw)
	case raw[0] == '[':
		return t.trimList(raw)
	}
	return raw, len(t) == 0
}

func (t tree) trimObject(raw json.RawMessage) (json.RawMessage, bool) {
	var in map[string]json.RawMessage
	if len(t) == 0 || json.Unmarshal(raw, &in) != nil {
		return nil, false
	}
	out := map[string]json.RawMessage{}
	for _, name := range slices.Sorted(maps.Keys(in)) {
		sub, ok := t[name]
		if !ok {
			sub, ok = t["*"]
		}
		if !ok || secretive(name) || string(in[name]) == "null" {
			continue
		}
		if v, ok := sub.trim(in[name]); ok {
			out[name] = v
		}
	}
	b, err := json.Marshal(out)
	return b, err == nil && len(out) > 0
}

func (t tree) trimList(raw json.RawMessage) (json.RawMessage, bool) {
	var in []json.RawMessage
	if json.Unmarshal(raw, &in) != nil {
		return nil, false
	}
	out := []json.RawMessage{}
	for _, e := range in {
		if v, ok := t.trim(e); ok {
			out = append(out, v)
		}
	}
	b, err := json.Marshal(out)
	return b, err == nil && len(out) > 0
}
