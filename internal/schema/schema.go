// Package schema turns a Go type and its validate tags into two things that
// cannot disagree: the JSON Schema that a model is shown and the check that is
// enforced. A tag that the schema cannot express is said in words in the
// description.
//
// Input types are bounded: a string or slice without an upper bound gets
// [DefaultMaxLength] or [DefaultMaxItems], in the schema and in the check. The
// reader gets the schema's bounds too, as a [strictjson.Shape], and refuses what
// is over them before it is built.
//
// A type that cannot be bounded or read in one way only is refused, and so is a
// rule that would not do what it says: one that panics or never bites on the
// type, is shown otherwise than it is enforced, or asks the file system or the
// network. Every type is tried at start, see trial.go. What a type's own methods
// do with a bounded text is the type's affair.
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
	Shape  *strictjson.Shape   // of an input: the schema's bounds, for decoding
	check  *validator.Validate // nil when no rule is left to check
	typ    reflect.Type
}

type builder struct {
	input   bool
	form    bool // with the tags that only forms have
	check   *validator.Validate
	stack   []reflect.Type // types being built, to refuse recursion
	owner   reflect.Type   // the struct that declares the field being built
	structs []reflect.Type // types that were built
	tagged  bool           // a rule was found
	headers []string       // names that members are mirrored in
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

func plan(t reflect.Type, input bool) (*Plan, error) { return planWith(t, &builder{input: input}) }

func planWith(t reflect.Type, b *builder) (p *Plan, err error) {
	if t.Kind() != reflect.Struct || ownForm(t) {
		return nil, fmt.Errorf("type %s: must be a struct, so that its members are known and named", t)
	}
	b.check = validator.New(validator.WithRequiredStructEnabled())
	p = &Plan{typ: t}
	if p.Schema, err = b.object(t); err == nil {
		err = b.tryStructs()
	}
	if err == nil {
		err = tryJSON(t, b.input)
	}
	if err != nil {
		return nil, fmt.Errorf("type %s: %w", t, err)
	}
	if b.input {
		p.Shape = shapeOf(t, p.Schema)
	}
	if b.tagged {
		p.check = b.check
	}
	return p, nil
}

// object plans struct type t.
func (b *builder) object(t reflect.Type) (*jsonschema.Schema, error) {
	if slices.Contains(b.stack, t) {
		return nil, errors.New("a recursive type has no bound on its depth")
	}
	b.stack, b.structs = append(b.stack, t), append(b.structs, t)
	defer func(owner reflect.Type) { b.stack, b.owner = b.stack[:len(b.stack)-1], owner }(b.owner)
	fields, err := strictjson.Fields(t)
	if err != nil {
		return nil, err
	}
	s := &jsonschema.Schema{Type: "object", Properties: map[string]*jsonschema.Schema{}}
	if b.input { // a result may get members in a later version
		s.AdditionalProperties = &jsonschema.Schema{Not: &jsonschema.Schema{}}
	}
	rules := map[reflect.Type]map[string]string{}
	ignore(t, rules)
	for _, f := range fields {
		fs, tg, err := b.field(f)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.JSON, err)
		}
		s.Properties[f.JSON] = fs
		s.PropertyOrder = append(s.PropertyOrder, f.JSON)
		if b.required(f, fs, tg) {
			s.Required = append(s.Required, f.JSON)
		}
		rules[f.Owner][f.Name] = tg.String()
		if deref(f.Type).Kind() == reflect.Interface { // whatever it holds may point to itself
			rules[f.Owner][f.Name] = "-"
		}
		b.tagged = b.tagged || tg.String() != ""
	}
	for owner, r := range rules {
		b.check.RegisterStructValidationMapRules(r, reflect.Zero(owner).Interface())
	}
	return s, nil
}

// ignore keeps the validator out of the fields of t that are no JSON members,
// which may hold anything, such as a pointer back: it would follow it for ever.
func ignore(t reflect.Type, rules map[reflect.Type]map[string]string) {
	rules[t] = map[string]string{}
	for i := range t.NumField() {
		switch f := t.Field(i); {
		case strictjson.Ignored(f):
			rules[t][f.Name] = "-"
		case strictjson.Flattened(f):
			ignore(f.Type, rules)
		}
	}
}

func (b *builder) field(f strictjson.Field) (*jsonschema.Schema, *tag, error) {
	if err := b.checkLabel(f.Tag.Get("mcpsec")); err != nil {
		return nil, nil, err
	}
	for _, key := range []string{"default", "titles", "enumNames"} {
		if _, ok := f.Tag.Lookup(key); ok && !b.form {
			return nil, nil, fmt.Errorf("the tag %s is for the forms of Elicit", key)
		}
	}
	tg, err := parseTag(f.Tag.Get("validate"))
	if err != nil {
		return nil, nil, fmt.Errorf("validate tag: %w", err)
	}
	b.owner = f.Owner
	s, err := b.value(f.Type, tg, f.Tag.Get("mcpsec") == "any")
	if err != nil {
		return nil, nil, err
	}
	if name, ok := strings.CutPrefix(f.Tag.Get("mcpsec"), headerLabel); ok {
		if err := b.header(f, s, name); err != nil {
			return nil, nil, err
		}
	}
	if d := f.Tag.Get("jsonschema"); d != "" {
		s.Description = strings.TrimSuffix(d, ".") + suffix(s.Description)
	}
	return s, tg, nil
}

// checkLabel refuses an mcpsec tag that nothing reads.
func (b *builder) checkLabel(label string) error {
	switch {
	case label == "" || label == "any":
		return nil
	case label != "log" && !strings.HasPrefix(label, headerLabel):
		return fmt.Errorf("mcpsec:%q is unknown: there are log, any and header=Name", label)
	case !b.input || b.form || len(b.stack) > 1:
		return errors.New("mcpsec tags log and header are for the members of the input itself")
	}
	return nil
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
	return b.check.Var(reflect.Zero(f.Type).Interface(), own.String()) != nil
}

// finish writes the rules of tg into s and, for an input, adds the default
// bounds to both.
func (b *builder) finish(s *jsonschema.Schema, t reflect.Type, tg *tag) (*jsonschema.Schema, error) {
	if err := checkRules(t, tg, b.owner); err != nil {
		return nil, err
	}
	if b.input && !ownForm(t) {
		addBounds(t, tg)
	}
	for _, r := range tg.rules {
		if a := r.alts[0]; len(r.alts) == 1 && crossField(a.name) {
			say(s, crossWords(a, b.owner))
			continue
		}
		if err := express(s, t, r); err != nil {
			return nil, err
		}
		if err := b.tryRule(t, r.text); err != nil {
			return nil, err
		}
	}
	if s.Minimum != nil && *s.Minimum > 0 {
		s.Not = nil // required numbers are not 0, which the minimum says already
	}
	if ownForm(t) && t.Kind() == reflect.Struct && s.Format == "" {
		tg.add("structonly") // its insides are its own, and may point in circles
	}
	return s, nil
}

// bounded are the rules that end a string by their nature.
var bounded = []string{
	"max", "len", "lt", "lte", "eq", "oneof", "oneofci", "uuid", "uuid3", "uuid4", "uuid5", "uuid_rfc4122", "uuid3_rfc4122",
	"uuid4_rfc4122", "uuid5_rfc4122", "ulid", "ip", "ipv4", "ipv6", "mac",
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
