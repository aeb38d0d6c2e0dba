// Package schema turns a Go type and its validate tags into two things that
// cannot disagree: the JSON Schema that a model is shown and the check that is
// enforced. A tag that the schema cannot express is said in words in the
// description.
//
// Input types are bounded: a string or slice without an upper bound gets
// [DefaultMaxLength] or [DefaultMaxItems], in the schema and in the check. A
// type that cannot be bounded or read in one way only is refused.
package schema

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/go-playground/validator/v10"
	"github.com/google/jsonschema-go/jsonschema"

	"github.com/mcpsec/mcpsec-go/internal/strictjson"
)

// The bounds that an input string, in characters, and an input slice or map,
// in elements, get when their tags name none.
const (
	DefaultMaxLength = 4096
	DefaultMaxItems  = 100
)

// A Plan is a type's schema and its check. It is safe for concurrent use.
type Plan struct {
	Schema *jsonschema.Schema
	check  *validator.Validate // nil when no rule is left to check
	typ    reflect.Type
}

type builder struct {
	input  bool
	check  *validator.Validate
	stack  []reflect.Type // types being built, to refuse recursion
	tagged bool           // a rule was found
}

// Input plans the argument type t, which must be a struct. Nothing in it may be
// of unbounded size or of unknown shape: maps need explicit bounds on their
// length, keys and values, and undecoded JSON the tag `mcpsec:"any"`.
func Input(t reflect.Type) (*Plan, error) { return plan(t, true) }

// Output plans the result type t, which must be a struct or a pointer to one.
func Output(t reflect.Type) (*Plan, error) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return plan(t, false)
}

func plan(t reflect.Type, input bool) (p *Plan, err error) {
	if t.Kind() != reflect.Struct || special(t) != nil {
		return nil, fmt.Errorf("type %s: must be a struct, so that its members are known and named", t)
	}
	b := &builder{input: input, check: validator.New(validator.WithRequiredStructEnabled())}
	s, err := b.object(t)
	if err != nil {
		return nil, fmt.Errorf("type %s: %w", t, err)
	}
	p = &Plan{Schema: s, typ: t}
	if b.tagged {
		p.check = b.check
		// The validator parses tags on first use and panics on what it does not know.
		if err := p.trial(); err != nil {
			return nil, fmt.Errorf("type %s: %w", t, err)
		}
	}
	return p, nil
}

func (p *Plan) trial() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("validate tag: %v", r)
		}
	}()
	p.check.Struct(reflect.New(p.typ).Interface())
	return nil
}

// object plans struct type t.
func (b *builder) object(t reflect.Type) (*jsonschema.Schema, error) {
	if slices.Contains(b.stack, t) {
		return nil, errors.New("a recursive type has no bound on its depth")
	}
	b.stack = append(b.stack, t)
	defer func() { b.stack = b.stack[:len(b.stack)-1] }()
	fields, err := strictjson.Fields(t)
	if err != nil {
		return nil, err
	}
	s := &jsonschema.Schema{
		Type:                 "object",
		Properties:           map[string]*jsonschema.Schema{},
		AdditionalProperties: &jsonschema.Schema{Not: &jsonschema.Schema{}},
	}
	rules := map[reflect.Type]map[string]string{}
	for _, f := range fields {
		fs, tg, err := b.field(f, t)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.JSON, err)
		}
		s.Properties[f.JSON] = fs
		s.PropertyOrder = append(s.PropertyOrder, f.JSON)
		if b.required(f, fs, tg) {
			s.Required = append(s.Required, f.JSON)
		}
		if rules[f.Owner] == nil {
			rules[f.Owner] = map[string]string{}
		}
		rules[f.Owner][f.Name] = tg.String()
		b.tagged = b.tagged || tg.String() != ""
	}
	for owner, r := range rules {
		b.check.RegisterStructValidationMapRules(r, reflect.Zero(owner).Interface())
	}
	return s, nil
}

func (b *builder) field(f strictjson.Field, parent reflect.Type) (*jsonschema.Schema, *tag, error) {
	text := f.Tag.Get("validate")
	if b.input && (text == "-" || strings.Contains(text, "structonly") || strings.Contains(text, "nostructlevel")) {
		return nil, nil, fmt.Errorf("validate:%q switches the check off", text)
	}
	tg, err := parseTag(text)
	if err != nil {
		return nil, nil, fmt.Errorf("validate tag: %w", err)
	}
	if err := checkFieldNames(tg, parent); err != nil {
		return nil, nil, err
	}
	s, err := b.value(f.Type, tg, f.Tag.Get("mcpsec") == "any")
	if err != nil {
		return nil, nil, err
	}
	if d := f.Tag.Get("jsonschema"); d != "" {
		s.Description = strings.TrimSuffix(d, ".") + suffix(s.Description)
	}
	return s, tg, nil
}

func suffix(rules string) string {
	if rules == "" {
		return ""
	}
	return ". " + rules
}

// required says whether the schema must list f: for an output, whether it is
// always present; for an input, whether the check refuses its absence, which
// is found out by checking the zero value.
func (b *builder) required(f strictjson.Field, s *jsonschema.Schema, t *tag) bool {
	if !b.input {
		return !f.OmitZero
	}
	if t.has("required") || f.Type.Kind() == reflect.Struct && len(s.Required) > 0 {
		return true
	}
	own := &tag{rules: slices.DeleteFunc(slices.Clone(t.rules), func(r rule) bool { return crossField(r.alts[0].name) })}
	if own.String() == "" {
		return false
	}
	defer func() { _ = recover() }() // an unknown tag: the trial reports it
	return b.check.Var(reflect.Zero(f.Type).Interface(), own.String()) != nil
}

// finish writes the rules of tg into s and, for an input, adds the default
// bounds to both.
func (b *builder) finish(s *jsonschema.Schema, t reflect.Type, tg *tag) (*jsonschema.Schema, error) {
	if b.input {
		addBounds(t, tg)
	}
	for _, r := range tg.rules {
		if a := r.alts[0]; crossField(a.name) {
			say(s, crossWords(a, b.stack[len(b.stack)-1]))
			continue
		}
		if err := express(s, t, r); err != nil {
			return nil, err
		}
	}
	if s.Minimum != nil && *s.Minimum > 0 {
		s.Not = nil // required numbers are not 0, which the minimum says already
	}
	return s, nil
}

// bounded are the rules that end a string by their nature.
var bounded = []string{
	"max", "len", "lt", "lte", "eq", "oneof", "oneofci", "uuid", "uuid3", "uuid4", "uuid5", "uuid_rfc4122", "uuid3_rfc4122",
	"uuid4_rfc4122", "uuid5_rfc4122", "ulid", "ip", "ipv4", "ipv6", "ip_addr", "ip4_addr", "ip6_addr", "mac", "datetime",
	"e164", "boolean", "iso3166_1_alpha2", "iso3166_1_alpha3", "iso4217", "md5", "sha256", "sha384", "sha512", "hexcolor",
}

func addBounds(t reflect.Type, tg *tag) {
	switch k := t.Kind(); {
	case k == reflect.Array:
	case k == reflect.Slice || k == reflect.Map:
		if !tg.has("max", "len", "lt", "lte", "eq") {
			n := DefaultMaxItems
			if k == reflect.Slice && t.Elem().Kind() == reflect.Uint8 {
				n = DefaultMaxLength
			}
			tg.add("max=" + strconv.Itoa(n))
		}
	case k == reflect.String:
		if !tg.has(bounded...) {
			tg.add("max=" + strconv.Itoa(DefaultMaxLength))
		}
	}
}
