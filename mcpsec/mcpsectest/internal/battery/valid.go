package battery

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// valid makes the smallest value that a schema allows, as far as that can be told; nil
// if it cannot.
func valid(schema map[string]any, depth int) any {
	if depth > 8 {
		return nil
	}
	for _, word := range []string{"const", "default"} {
		if v, ok := schema[word]; ok && v != nil {
			return v
		}
	}
	for _, word := range []string{"examples", "enum"} {
		if list, _ := schema[word].([]any); len(list) > 0 && list[0] != nil {
			return list[0]
		}
	}
	for _, word := range []string{"anyOf", "oneOf", "allOf"} {
		for _, option := range objects(schema[word]) {
			if v := valid(option, depth+1); v != nil {
				return v
			}
		}
	}
	switch typeOf(schema) {
	case "string":
		return validString(schema)
	case "integer", "number":
		return validNumber(schema)
	case "boolean":
		return false
	case "array":
		return validArray(schema, depth)
	case "object":
		return validObject(schema, depth)
	}
	return nil
}

func objects(v any) []map[string]any {
	list, _ := v.([]any)
	var out []map[string]any
	for _, e := range list {
		if m, ok := e.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// typeOf returns the first type that is not null; "" if none is declared.
func typeOf(schema map[string]any) string {
	switch t := schema["type"].(type) {
	case string:
		return t
	case []any:
		for _, e := range t {
			if s, _ := e.(string); s != "" && s != "null" {
				return s
			}
		}
	}
	if _, ok := schema["properties"]; ok {
		return "object"
	}
	return ""
}

// number returns an integer of a schema, or what it is without one.
func number(schema map[string]any, word string, without int64) int64 {
	n, ok := schema[word].(json.Number)
	if !ok {
		return without
	}
	if i, err := n.Int64(); err == nil {
		return i
	}
	f, err := n.Float64()
	if err != nil {
		return without
	}
	return int64(f)
}

func validString(schema map[string]any) any {
	formats := map[string]string{
		"uri": "https://example.com/", "url": "https://example.com/", "email": "a@example.com", "uuid": "00000000-0000-4000-8000-000000000000",
		"date-time": "2020-01-01T00:00:00Z", "date": "2020-01-01", "time": "00:00:00Z", "hostname": "example.com", "ipv4": "192.0.2.1", "ipv6": "2001:db8::1",
	}
	least, most := number(schema, "minLength", 0), number(schema, "maxLength", 1<<40)
	format, _ := schema["format"].(string)
	pattern, _ := schema["pattern"].(string)
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil
	}
	for _, s := range []string{formats[format], "a", "1", "example", "A", "AAA", "00000000-0000-4000-8000-000000000000", "2020-01-01", "a@example.com", "https://example.com/"} {
		if s == "" {
			continue
		}
		if n := least - int64(len(s)); n > 0 && n < 10_000 && formats[format] == "" {
			s += strings.Repeat(s[:1], int(n))
		}
		if n := int64(len(s)); n >= least && n <= most && re.MatchString(s) {
			return s
		}
	}
	return nil
}

func validNumber(schema map[string]any) any {
	n := int64(1)
	n = max(n, number(schema, "minimum", n), number(schema, "exclusiveMinimum", n-1)+1)
	n = min(n, number(schema, "maximum", n), number(schema, "exclusiveMaximum", n+1)-1)
	if m := number(schema, "multipleOf", 1); m > 1 {
		n = (n + m - 1) / m * m
	}
	return json.Number(encode(n))
}

// maxValue is how long a value that is made may be, as JSON: a schema can ask for
// arrays of arrays of arrays.
const maxValue = 64 << 10

func validArray(schema map[string]any, depth int) any {
	n := number(schema, "minItems", 0)
	if n <= 0 {
		return []any{}
	}
	items, _ := schema["items"].(map[string]any)
	v := valid(items, depth+1)
	if v == nil || n > maxValue/int64(len(encode(v))) {
		return nil
	}
	return slices.Repeat([]any{v}, int(n))
}

func validObject(schema map[string]any, depth int) any {
	out := map[string]any{}
	properties, _ := schema["properties"].(map[string]any)
	for _, name := range required(schema) {
		property, _ := properties[name].(map[string]any)
		v := valid(guessed(name, property), depth+1)
		if v == nil {
			return nil
		}
		out[name] = v
	}
	return out
}

// guessed is a member's schema with a value that its name suggests, where it has none.
func guessed(name string, schema map[string]any) map[string]any {
	p := property{name: name}
	value := ""
	switch {
	case typeOf(schema) != "string" || schema["enum"] != nil || schema["format"] != nil || schema["pattern"] != nil || schema["examples"] != nil:
	case p.isA("sql", "query", "statement"):
		value = "SELECT 1"
	case p.isA("mail", "address"):
		value = "a@example.com"
	case p.isA("url", "uri"):
		value = "https://example.com/"
	}
	if value == "" {
		return schema
	}
	with := maps.Clone(schema)
	with["examples"] = []any{value}
	return with
}

// required are the members that an object must have.
func required(schema map[string]any) []string {
	list, _ := schema["required"].([]any)
	var out []string
	for _, e := range list {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}
