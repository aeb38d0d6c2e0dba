package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/go-playground/validator/v10"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

func newValidator() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	// Rules see the value of a secret; messages are made from rules alone.
	v.RegisterCustomTypeFunc(func(s reflect.Value) any { return s.Interface().(redact.Secret).Reveal() }, redact.Secret{})
	return v
}

// tryRules finds at once what would otherwise be found when a value comes
// along, or never: rules that do not exist, that do not fit the type, or that
// name no field.
func (p *plan) tryRules(f *field) {
	if f.tag == "" {
		return
	}
	sample := sampleOf(f.typ)
	for rule := range strings.SplitSeq(f.tag, ",") {
		name, param, _ := strings.Cut(rule, "=")
		switch {
		case rule == "dive" && f.typ.Kind() == reflect.Slice:
			sample = "1"
		case isCross(name):
			f.refs = append(f.refs, p.references(f, name, param)...)
		case !strings.HasPrefix(name, "omit"):
			p.guarded(f, func() { _ = p.rules.Var(sample, rule) })
		}
	}
	p.guarded(f, func() { _ = p.rules.StructPartial(reflect.New(p.typ).Interface(), f.path) })
}

// guarded turns the validator's panic into one that names the field. It speaks
// of the tag alone: what the validator says may hold a value.
func (p *plan) guarded(f *field, try func()) {
	defer func() {
		if recover() != nil {
			p.wrong(f.path, "has a validate tag that does not exist or does not fit its type: %q", f.tag)
		}
	}()
	try()
}

func sampleOf(t reflect.Type) any {
	v := reflect.New(t).Elem()
	switch {
	case t == secretType:
		return "1"
	case t.Kind() == reflect.String:
		v.SetString("1")
	case t.Kind() == reflect.Slice:
		v.Set(reflect.Append(v, reflect.ValueOf("1").Convert(t.Elem())))
	case v.CanInt():
		v.SetInt(1)
	case v.CanUint():
		v.SetUint(1)
	case v.CanFloat():
		v.SetFloat(1)
	case t.Kind() == reflect.Bool:
		v.SetBool(true)
	}
	return v.Interface()
}

// isCross reports whether a rule's parameter names other fields.
func isCross(rule string) bool {
	return strings.HasPrefix(rule, "required_") || strings.HasPrefix(rule, "excluded_") || rule == "skip_unless" ||
		strings.HasSuffix(rule, "field") || rule == "fieldcontains" || rule == "fieldexcludes"
}

// references returns the paths that a rule names. The validator would take a
// name that does not exist for a field that is empty.
func (p *plan) references(f *field, rule, param string) (paths []string) {
	words := strings.Fields(param)
	for i, word := range words {
		if i%2 == 1 && hasValues(rule) {
			continue
		}
		path := p.resolve(f, rule, word)
		if p.byPath[path] == nil {
			p.wrong(f.path, "has the rule %s=%s, and there is no field %s", rule, param, word)
		}
		paths = append(paths, path)
	}
	if len(paths) == 0 {
		p.wrong(f.path, "has the rule %s without a field", rule)
	}
	return paths
}

// hasValues reports whether each second word of the parameter is a value.
func hasValues(rule string) bool {
	return strings.HasSuffix(rule, "_if") || strings.HasSuffix(rule, "_unless")
}

// resolve returns the path of a field that a rule names: beside f, or from the
// top in rules such as eqcsfield.
func (p *plan) resolve(f *field, rule, word string) string {
	if strings.HasSuffix(rule, "csfield") {
		return word
	}
	return f.path[:strings.LastIndexByte(f.path, '.')+1] + word
}

// dependsOn reports whether a rule names a field that could not be read.
func (f *field) dependsOn(read map[string]error) bool {
	return slices.ContainsFunc(f.refs, func(path string) bool { return read[path] != nil })
}

// check applies the rules of f to the struct v.
func (p *plan) check(f *field, v reflect.Value, set bool) (problems []error) {
	if f.tag == "" || f.opt && !set && len(f.refs) == 0 && !strings.Contains(f.tag, "required") {
		return nil
	}
	var failed validator.ValidationErrors
	p.guarded(f, func() { errors.As(p.rules.StructPartial(v.Addr().Interface(), f.path), &failed) })
	for _, e := range failed {
		problems = append(problems, errors.New(f.env+element(e)+" "+p.words(f, e.Tag(), e.Param(), set)))
	}
	return problems
}

var indexed = lazy.Regexp(`\[(\d+)\]$`)

// element names the element of a list.
func element(e validator.FieldError) string {
	m := indexed().FindStringSubmatch(e.StructNamespace())
	if m == nil {
		return ""
	}
	n, _ := strconv.Atoi(m[1]) // digits
	return fmt.Sprintf(", element %d,", n+1)
}

// words says what a rule demands.
func (p *plan) words(f *field, rule, param string, set bool) string {
	text := p.ruleText(f, rule, param)
	switch {
	case rule == "required" && set:
		return "must not be zero or false (required)"
	case rule == "required":
		return "is required: set it" + f.orFile()
	case strings.HasPrefix(rule, "required_"):
		return "is required (" + text + "): set it" + f.orFile()
	case strings.HasPrefix(rule, "excluded_"):
		return "must not be set (" + text + ")"
	case rule == "oneof":
		return "must be one of: " + param
	case !set && f.def == "":
		return "is not set, and must satisfy " + text
	}
	return "must satisfy " + text
}

func (f *field) orFile() string {
	if !f.secret() {
		return ""
	}
	return ", or " + f.env + "_FILE to the path of a file"
}

// ruleText writes a rule with variables in place of fields.
func (p *plan) ruleText(f *field, rule, param string) string {
	if param == "" {
		return rule
	}
	words := strings.Fields(param)
	for i, word := range words {
		if other := p.byPath[p.resolve(f, rule, word)]; isCross(rule) && other != nil && !(i%2 == 1 && hasValues(rule)) {
			words[i] = other.env
		}
	}
	return rule + "=" + strings.Join(words, " ")
}
