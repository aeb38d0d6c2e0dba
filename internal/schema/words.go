package schema

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/go-playground/validator/v10"

	"github.com/mcpsec/mcpsec-go/internal/strictjson"
)

// crossFields are the rules that look at other members, with the words that
// tell them. A %s stands for the members, or members and values, they name.
var crossFields = map[string]string{
	"required_if": "required when %s", "required_unless": "required unless %s",
	"required_with": "required with any of %s", "required_with_all": "required with all of %s",
	"required_without": "required without any of %s", "required_without_all": "required when none of %s is given",
	"excluded_if": "not allowed when %s", "excluded_unless": "not allowed unless %s",
	"excluded_with": "not allowed with any of %s", "excluded_with_all": "not allowed with all of %s",
	"excluded_without": "not allowed without %s", "excluded_without_all": "not allowed without any of %s",
	"skip_unless": "only checked when %s",
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

// checkFieldNames refuses a rule that names a member which does not exist: the
// validator would take it as absent, and the rule would never bite.
func checkFieldNames(t *tag, parent reflect.Type) error {
	for _, r := range t.rules {
		for _, a := range r.alts {
			if strings.HasSuffix(a.name, "csfield") {
				return fmt.Errorf("rule %s: compare members of one struct, with %s", a.name, strings.Replace(a.name, "cs", "", 1))
			}
			if !crossField(a.name) {
				continue
			}
			names := strings.Fields(a.param)
			if len(names) == 0 || conditional(a.name) && len(names)%2 != 0 {
				return fmt.Errorf("rule %s names no member", a.name)
			}
			for i, n := range names {
				if conditional(a.name) && i%2 == 1 {
					continue
				}
				if _, ok := parent.FieldByName(n); !ok {
					return fmt.Errorf("rule %s: there is no field %s", a.name, n)
				}
			}
		}
	}
	return nil
}

// crossWords tells a cross-field rule with the members' JSON names.
func crossWords(a alt, parent reflect.Type) string {
	names := strings.Fields(a.param)
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
	if conditional(a.name) {
		sep = " and "
	}
	return fmt.Sprintf(crossFields[a.name], strings.Join(parts, sep))
}

func jsonName(parent reflect.Type, field string) string {
	if parent != nil {
		fields, _ := strictjson.Fields(parent)
		for _, f := range fields {
			if f.Name == field {
				return f.JSON
			}
		}
	}
	return field
}

// words tells a rule in a clause, as in "must be at most 10 characters".
func words(a alt, t reflect.Type) string {
	switch a.name {
	case "required":
		return "is required and must not be empty"
	case "min", "max", "len", "gt", "gte", "lt", "lte", "eq", "ne":
		return bound(a, unit(t))
	case "oneof":
		return "must be one of " + a.param
	case "unique":
		return "must not hold a value twice"
	case "datetime":
		return "must be a time written like " + a.param
	case "ip", "ip_addr":
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
	t := p.typ
	_, rest, _ := strings.Cut(ns, ".")
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
		if name := jsonName(parent, f.Name); !f.Anonymous {
			path += "." + name
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
