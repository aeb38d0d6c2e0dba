package schema

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// formats are the rules that a JSON Schema format names.
var formats = map[string]string{
	"email": "email", "url": "uri", "uri": "uri", "http_url": "uri", "https_url": "uri",
	"uuid": "uuid", "uuid3": "uuid", "uuid4": "uuid", "uuid5": "uuid", "uuid_rfc4122": "uuid",
	"uuid3_rfc4122": "uuid", "uuid4_rfc4122": "uuid", "uuid5_rfc4122": "uuid",
	"hostname": "hostname", "hostname_rfc1123": "hostname", "fqdn": "hostname",
	"ipv4": "ipv4", "ipv6": "ipv6",
}

// exactFormats say all that their rule says; the others are also named.
var exactFormats = map[string]bool{"email": true, "url": true, "uri": true, "uuid": true, "hostname": true, "ipv4": true, "ipv6": true}

// patterns are the rules that a short regular expression says in full.
var patterns = map[string]string{
	"alpha":       `^[a-zA-Z]+$`,
	"alphanum":    `^[a-zA-Z0-9]+$`,
	"number":      `^[0-9]+$`,
	"numeric":     `^[-+]?[0-9]+(\.[0-9]+)?$`,
	"hexadecimal": `^(0[xX])?[0-9a-fA-F]+$`,
	"ulid":        `^[A-HJKMNP-TV-Za-hjkmnp-tv-z0-9]{26}$`,
	"hexcolor":    `^#([0-9a-fA-F]{3}|[0-9a-fA-F]{4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})$`,
	"e164":        `^\+?[1-9][0-9]{7,14}$`,
}

// express writes one rule into s as keywords, or in words where there are none.
func express(s *jsonschema.Schema, t reflect.Type, r rule) error {
	if len(r.alts) > 1 {
		say(s, "must satisfy one of: "+r.text)
		return nil
	}
	a := r.alts[0]
	switch a.name {
	case "omitempty", "omitnil", "omitzero":
		return nil
	case "required":
		expressRequired(s, t)
		return nil
	case "min", "max", "len", "gt", "gte", "lt", "lte", "eq", "ne":
		return expressBound(s, t, a)
	case "oneof":
		return expressEnum(s, t, a.param)
	case "unique":
		if s.Type == "array" && a.param == "" {
			s.UniqueItems = true
			return nil
		}
	case "datetime":
		return expressTime(s, a.param)
	case "startswith":
		addPattern(s, "^"+regexp.QuoteMeta(a.param))
		return nil
	case "endswith":
		addPattern(s, regexp.QuoteMeta(a.param)+"$")
		return nil
	case "contains":
		addPattern(s, regexp.QuoteMeta(a.param))
		return nil
	}
	if p, ok := patterns[a.name]; ok && t.Kind() == reflect.String {
		addPattern(s, p)
		return nil
	}
	if f, ok := formats[a.name]; ok {
		s.Format = f
		if exactFormats[a.name] {
			return nil
		}
	}
	say(s, words(a, t))
	return nil
}

// expressRequired tells what the validator means by required: present and not
// the zero value.
func expressRequired(s *jsonschema.Schema, t reflect.Type) {
	if ownForm(t) {
		return
	}
	switch k := t.Kind(); {
	case k == reflect.String && s.MinLength == nil:
		s.MinLength = ptr(1)
	case k == reflect.Bool:
		s.Const = ptr(any(true))
	case k >= reflect.Int && k <= reflect.Float64:
		s.Not = &jsonschema.Schema{Const: ptr(any(0))}
	}
}

func expressBound(s *jsonschema.Schema, t reflect.Type, a alt) error {
	if ownForm(t) {
		say(s, words(a, t))
		return nil
	}
	switch k := t.Kind(); {
	case k == reflect.String && (a.name == "eq" || a.name == "ne"):
		c := &jsonschema.Schema{Const: ptr(any(a.param))}
		if a.name == "eq" {
			s.Const = c.Const
		} else {
			s.Not = c
		}
		return nil
	case k >= reflect.Int && k <= reflect.Float64:
		return expressNumber(s, a)
	case k == reflect.String || k == reflect.Slice || k == reflect.Map || k == reflect.Array:
		return expressSize(s, t, a)
	}
	return fmt.Errorf("rule %s does not apply to %s", a.name, t)
}

func expressNumber(s *jsonschema.Schema, a alt) error {
	n, err := strconv.ParseFloat(a.param, 64)
	if err != nil {
		return fmt.Errorf("rule %s needs a number, not %q", a.name, a.param)
	}
	switch a.name {
	case "min", "gte":
		s.Minimum = &n
	case "max", "lte":
		s.Maximum = &n
	case "gt":
		s.ExclusiveMinimum = &n
	case "lt":
		s.ExclusiveMaximum = &n
	case "eq", "len":
		s.Const = ptr(any(n))
	case "ne":
		s.Not = &jsonschema.Schema{Const: ptr(any(n))}
	}
	return nil
}

func expressSize(s *jsonschema.Schema, t reflect.Type, a alt) error {
	n, err := strconv.Atoi(a.param)
	if err != nil {
		return fmt.Errorf("rule %s needs a whole number, not %q", a.name, a.param)
	}
	lo, hi := &s.MinItems, &s.MaxItems
	switch {
	case t.Kind() == reflect.Map:
		lo, hi = &s.MinProperties, &s.MaxProperties
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8: // base64 spends 4 characters on 3 bytes
		return expressBytes(s, a, n)
	case t.Kind() == reflect.String:
		lo, hi = &s.MinLength, &s.MaxLength
	}
	switch a.name {
	case "min", "gte":
		*lo = &n
	case "max", "lte":
		*hi = &n
	case "gt":
		*lo = ptr(n + 1)
	case "lt":
		*hi = ptr(n - 1)
	case "len", "eq":
		*lo, *hi = &n, &n
	case "ne":
		say(s, words(a, t))
	}
	return nil
}

func expressBytes(s *jsonschema.Schema, a alt, n int) error {
	chars := (n + 2) / 3 * 4
	switch a.name {
	case "min", "gte":
		s.MinLength = &chars
	case "max", "lte", "lt":
		s.MaxLength = &chars
	case "len", "eq":
		s.MinLength, s.MaxLength = &chars, &chars
	}
	say(s, "decoded: "+bound(a, "bytes"))
	return nil
}

func expressEnum(s *jsonschema.Schema, t reflect.Type, param string) error {
	for _, w := range splitWords(param) {
		switch k := t.Kind(); {
		case k == reflect.String:
			s.Enum = append(s.Enum, w)
		case k >= reflect.Int && k <= reflect.Uint64:
			n, err := strconv.ParseInt(w, 10, 64)
			if err != nil || strconv.FormatInt(n, 10) != w { // the validator compares texts
				return fmt.Errorf("rule oneof: %q is no integer", w)
			}
			s.Enum = append(s.Enum, n)
		default:
			return fmt.Errorf("rule oneof does not apply to %s", t)
		}
	}
	return nil
}

func expressTime(s *jsonschema.Schema, layout string) error {
	switch layout {
	case "2006-01-02T15:04:05Z07:00":
		s.Format = "date-time"
	case "2006-01-02":
		s.Format = "date"
	default:
		say(s, "must be a time written like "+layout)
	}
	return nil
}

func addPattern(s *jsonschema.Schema, p string) {
	if s.Pattern == "" {
		s.Pattern = p
		return
	}
	s.AllOf = append(s.AllOf, &jsonschema.Schema{Pattern: p})
}

// say adds a sentence on a rule to the description.
func say(s *jsonschema.Schema, words string) {
	sentence := strings.ToUpper(words[:1]) + words[1:] + "."
	if s.Description != "" {
		s.Description += " "
	}
	s.Description += sentence
}
