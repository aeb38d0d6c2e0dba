package schema

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-playground/validator/v10"

	"github.com/mcpsec/mcpsec-go/internal/strictjson"
)

// crossFields are the rules that look at other members, with the words that
// tell them. A %s stands for the members, or members and values, they name.
var crossFields = map[string]string{
	"required_if": "required when %s", "required_unless": "required unless %s",
	"required_with": "required with any of %s", "required_with_all": "required with all of %s",
	"required_without": "required when one of %s is missing", "required_without_all": "required when none of %s is given",
	"excluded_if": "not allowed when %s", "excluded_unless": "not allowed unless %s",
	"excluded_with": "not allowed with any of %s", "excluded_with_all": "not allowed with all of %s",
	"excluded_without": "not allowed without %s", "excluded_without_all": "not allowed when none of %s is given",
	"skip_unless": "required when %s", // validator/v10 skips nothing but this rule
	"eqfield":     "must equal %s", "nefield": "must differ from %s",
	"gtfield": "must be greater than %s", "gtefield": "must be at least %s",
	"ltfield": "must be less than %s", "ltefield": "must be at most %s",
	"fieldcontains": "must contain the characters of %s", "fieldexcludes": "must not contain the characters of %s",
}

func crossField(name string) bool { return crossFields[name] != "" }

// conditional reports whether the parameter is made of pairs of member and value.
func conditional(name string) bool {
	return strings.HasSuffix(name, "_if") || strings.HasSuffix(name, "_unless")
}

// crossWords tells a cross-field rule with the members' JSON names.
func crossWords(a alt, parent reflect.Type) string {
	names := splitWords(a.param)
	var parts []string
	for i := 0; i < len(names); i++ {
		n := jsonName(parent, names[i])
		if conditional(a.name) && i+1 < len(names) {
			i++
			n += " is " + names[i]
		}
		parts = append(parts, n)
	}
	sep := ", "
	switch {
	case a.name == "required_unless" || a.name == "excluded_unless": // one of the pairs is enough
		sep = " or "
	case conditional(a.name):
		sep = " and "
	}
	return fmt.Sprintf(crossFields[a.name], strings.Join(parts, sep))
}

// jsonName returns the JSON name of a field of parent, or its Go name if it is
// no member.
func jsonName(parent reflect.Type, field string) string {
	if parent != nil {
		sf, _ := parent.FieldByName(field)
		if f, ok := member(parent, sf.Index); ok {
			return f.JSON
		}
	}
	return field
}

func member(parent reflect.Type, path []int) (strictjson.Field, bool) {
	fields, _ := strictjson.Fields(parent)
	i := slices.IndexFunc(fields, func(f strictjson.Field) bool { return slices.Equal(f.Path, path) })
	if i < 0 {
		return strictjson.Field{}, false
	}
	return fields[i], true
}

// words tells a rule in a clause, as in "must be at most 10 characters".
func words(a alt, t reflect.Type) string {
	switch a.name {
	case "required":
		return "is required and must not be empty"
	case "min", "max", "len", "gt", "gte", "lt", "lte", "eq", "ne":
		if t == reflect.TypeFor[time.Time]() {
			return times[a.name]
		}
		if t != nil && t.Kind() == reflect.String && a.name == "eq" {
			return fmt.Sprintf("must be %q", a.param)
		}
		if t != nil && t.Kind() == reflect.String && a.name == "ne" {
			return fmt.Sprintf("must not be %q", a.param)
		}
		return bound(a, unit(t))
	case "oneof":
		return "must be one of " + a.param
	case "unique":
		return "must not hold a value twice"
	case "datetime":
		return "must be a time written like " + a.param
	case "ip":
		return "must be an IPv4 or IPv6 address"
	}
	if f, ok := formats[a.name]; ok && exactFormats[a.name] {
		return "must be a valid " + f
	}
	if a.param != "" {
		return "must satisfy the rule " + a.name + "=" + a.param
	}
	return "must satisfy the rule " + a.name
}

var times = map[string]string{
	"gt": "must be later than now", "gte": "must not be earlier than now",
	"lt": "must be earlier than now", "lte": "must not be later than now",
}

func bound(a alt, unit string) string {
	if unit != "" {
		unit = " " + unit
	}
	switch a.name {
	case "min", "gte":
		return "must be at least " + a.param + unit
	case "max", "lte":
		return "must be at most " + a.param + unit
	case "gt":
		return "must be more than " + a.param + unit
	case "lt":
		return "must be less than " + a.param + unit
	case "ne":
		return "must not be " + a.param + unit
	}
	return "must be exactly " + a.param + unit
}

func unit(t reflect.Type) string {
	if t == nil {
		return ""
	}
	switch k := t.Kind(); {
	case k == reflect.String:
		return "characters"
	case k == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return "bytes"
	case k == reflect.Slice || k == reflect.Map || k == reflect.Array:
		return "items"
	}
	return ""
}

// maxReported bounds how many violations one answer names.
const maxReported = 8

// Check applies the rules to v, a pointer to the planned type. A violation is a
// [*strictjson.Error] whose text names paths and rules, never a value.
func (p *Plan) Check(v any) error {
	if p.check == nil {
		return nil
	}
	err := p.check.Struct(v)
	if err == nil {
		return nil
	}
	var all validator.ValidationErrors
	if !errors.As(err, &all) {
		return fmt.Errorf("checking arguments: %w", err)
	}
	var parts []string
	for i, e := range all {
		if i == maxReported {
			parts = append(parts, fmt.Sprintf("and %d more", len(all)-i))
			break
		}
		parts = append(parts, p.explain(e))
	}
	return &strictjson.Error{Rule: strings.Join(parts, "; ")}
}

func (p *Plan) explain(e validator.FieldError) string {
	path, parent := p.locate(e.StructNamespace())
	a := alt{e.Tag(), e.Param()}
	text := words(a, e.Type())
	if crossField(a.name) {
		text = crossWords(a, parent)
	} else if strings.Contains(a.name, "|") {
		text = "must satisfy one of: " + a.name
	}
	return path + ": " + text
}

// locate turns a validator's namespace, such as Order.Lines[3].Price, into a
// JSON path and the struct that declares the field. A map's key is the sender's
// text: it becomes a star, and what follows it is looked for behind the last
// bracket, since a key may hold brackets and dots itself.
func (p *Plan) locate(ns string) (path string, parent reflect.Type) {
	t, rest := p.typ, ns
	if n := t.Name(); n != "" { // that of a generic type holds dots and brackets itself
		rest = strings.TrimPrefix(ns[min(len(n), len(ns)):], ".")
	}
	for rest != "" {
		n := strings.IndexAny(rest, ".[")
		if n < 0 {
			n = len(rest)
		}
		f, ok := t.FieldByName(rest[:n])
		if !ok {
			break
		}
		parent, t, rest = t, f.Type, strings.TrimPrefix(rest[n:], ".")
		if m, ok := member(parent, f.Index); ok { // a flattened struct is none
			path += "." + m.JSON
		}
		for {
			for t.Kind() == reflect.Pointer {
				t = t.Elem()
			}
			if !strings.HasPrefix(rest, "[") || t.Kind() == reflect.Struct {
				break
			}
			end := strings.IndexByte(rest, ']')
			key := rest[:end+1]
			if t.Kind() == reflect.Map {
				end, key = strings.LastIndexByte(rest, ']'), "[*]"
			}
			path, rest, t = path+key, strings.TrimPrefix(rest[end+1:], "."), t.Elem()
		}
		if t.Kind() != reflect.Struct {
			break
		}
	}
	return strings.TrimPrefix(path, "."), parent
}
