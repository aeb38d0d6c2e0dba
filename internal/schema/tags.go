package schema

import (
	"fmt"
	"strings"
)

// A rule is one comma-separated part of a validate tag: a name with a
// parameter, or several alternatives of which one must hold.
type rule struct {
	text string // as written
	alts []alt
}

type alt struct{ name, param string }

// A tag is a parsed validate tag. dive holds the rules for the elements of a
// slice or map, keys those for the keys of a map.
type tag struct {
	rules []rule
	dive  *tag
	keys  *tag
}

// parseTag reads a validate tag in the grammar of validator/v10.
func parseTag(s string) (*tag, error) {
	if s == "" {
		return &tag{}, nil
	}
	t, rest, err := parseParts(strings.Split(s, ","))
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%q without keys before it", "endkeys")
	}
	return t, err
}

func parseParts(parts []string) (*tag, []string, error) {
	t := &tag{}
	for i, p := range parts {
		switch p {
		case "dive":
			var err error
			rest := parts[i+1:]
			t.dive = &tag{}
			if len(rest) > 0 && rest[0] == "keys" {
				if t.keys, rest, err = parseParts(rest[1:]); err != nil {
					return nil, nil, err
				}
				if len(rest) == 0 {
					return nil, nil, fmt.Errorf("keys without endkeys")
				}
				rest = rest[1:]
			}
			keys := t.keys
			t.dive, rest, err = parseParts(rest)
			t.keys = keys
			return t, rest, err
		case "endkeys":
			return t, parts[i:], nil
		case "keys":
			return nil, nil, fmt.Errorf("keys must come right after dive")
		case "":
			return nil, nil, fmt.Errorf("an empty rule")
		case "-", "structonly", "nostructlevel":
			return nil, nil, fmt.Errorf("%q switches the check off", p)
		default:
			t.rules = append(t.rules, parseRule(p))
		}
	}
	return t, nil, nil
}

// unescape restores the two characters that the tag grammar takes for itself.
var unescape = strings.NewReplacer("0x2C", ",", "0x7C", "|")

func parseRule(s string) rule {
	r := rule{text: s}
	for a := range strings.SplitSeq(s, "|") {
		name, param, _ := strings.Cut(a, "=")
		r.alts = append(r.alts, alt{name, unescape.Replace(param)})
	}
	return r
}

// has reports whether one of the names stands alone among the rules.
func (t *tag) has(names ...string) bool {
	_, ok := t.get(names...)
	return ok
}

// get returns the first rule of one of the names that has no alternatives.
func (t *tag) get(names ...string) (alt, bool) {
	for _, r := range t.rules {
		for _, n := range names {
			if len(r.alts) == 1 && r.alts[0].name == n {
				return r.alts[0], true
			}
		}
	}
	return alt{}, false
}

func (t *tag) add(text string) { t.rules = append(t.rules, parseRule(text)) }

// String writes the tag as validator/v10 reads it; a nil tag is empty.
func (t *tag) String() string {
	if t == nil {
		return ""
	}
	parts := make([]string, 0, len(t.rules)+4)
	for _, r := range t.rules {
		parts = append(parts, r.text)
	}
	if t.dive != nil {
		parts = append(parts, "dive")
		if keys := t.keys.String(); keys != "" {
			parts = append(parts, "keys", keys, "endkeys")
		}
		if s := t.dive.String(); s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ",")
}
