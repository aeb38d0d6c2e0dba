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
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	v2 "github.com/go-json-experiment/json"
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

// value plans a value of type t under the rules tg, to which it adds the
// default bounds.
func (b *builder) value(t reflect.Type, tg *tag, anyOK bool) (*jsonschema.Schema, error) {
	if t.Kind() == reflect.Pointer {
		return b.pointer(t, tg, anyOK)
	}
	if s := special(t); s != nil {
		if b.input && s.Type == "" {
			return nil, fmt.Errorf("type %s decodes its own JSON, so its shape is not known", t)
		}
		return b.finish(s, t, tg)
	}
	switch k := t.Kind(); {
	case strictjson.IsRaw(t) || k == reflect.Interface:
		return b.raw(t, tg, anyOK)
	case k == reflect.String, k == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		s := &jsonschema.Schema{Type: "string"}
		if k == reflect.Slice {
			s.ContentEncoding = "base64"
		}
		return b.finish(s, t, tg)
	case k == reflect.Bool:
		return b.finish(&jsonschema.Schema{Type: "boolean"}, t, tg)
	case k >= reflect.Int && k <= reflect.Uint64:
		return b.finish(integer(t), t, tg)
	case k == reflect.Float32 || k == reflect.Float64:
		return b.finish(&jsonschema.Schema{Type: "number"}, t, tg)
	case k == reflect.Struct:
		s, err := b.object(t)
		if err != nil {
			return nil, err
		}
		return b.finish(s, t, tg)
	case k == reflect.Slice || k == reflect.Array:
		return b.array(t, tg, anyOK)
	case k == reflect.Map:
		return b.dict(t, tg, anyOK)
	}
	return nil, fmt.Errorf("type %s has no JSON form", t)
}

func (b *builder) pointer(t reflect.Type, tg *tag, anyOK bool) (*jsonschema.Schema, error) {
	// On a pointer, required means not nil, and says nothing of the value.
	required := tg.has("required")
	tg.rules = slices.DeleteFunc(tg.rules, func(r rule) bool { return r.text == "required" })
	optional, n := !required && !tg.has("omitempty", "omitnil"), len(tg.rules)
	s, err := b.value(t.Elem(), tg, anyOK)
	if err != nil {
		return nil, err
	}
	if required {
		tg.rules = slices.Insert(tg.rules, 0, parseRule("required"))
	} else if optional && len(tg.rules) > n { // default bounds were added: they must not refuse nil
		tg.rules = slices.Insert(tg.rules, n, parseRule("omitempty"))
	}
	if s.Type != "" && !required {
		s.Types, s.Type = []string{s.Type, "null"}, ""
		if s.Enum != nil {
			s.Enum = append(s.Enum, nil)
		}
	}
	return s, nil
}

// raw plans undecoded JSON, which a tool must ask for.
func (b *builder) raw(t reflect.Type, tg *tag, anyOK bool) (*jsonschema.Schema, error) {
	if !b.input {
		return &jsonschema.Schema{}, nil
	}
	if t.Kind() == reflect.Interface {
		return nil, fmt.Errorf("type %s accepts anything and rounds large integers: name the type, or use json.RawMessage with the tag `mcpsec:\"any\"`", t)
	}
	if !anyOK {
		return nil, errors.New("undecoded JSON accepts anything: name the type, or say so with the tag `mcpsec:\"any\"`")
	}
	if tg.String() != "" {
		return nil, errors.New("validate tags do not apply to undecoded JSON")
	}
	return &jsonschema.Schema{Description: "Any JSON value."}, nil
}

func (b *builder) array(t reflect.Type, tg *tag, anyOK bool) (*jsonschema.Schema, error) {
	if tg.dive == nil {
		tg.dive = &tag{}
	}
	items, err := b.value(t.Elem(), tg.dive, anyOK)
	if err != nil {
		return nil, err
	}
	b.trimDive(t, tg)
	s := &jsonschema.Schema{Type: "array", Items: items}
	if t.Kind() == reflect.Array {
		s.MinItems, s.MaxItems = ptr(t.Len()), ptr(t.Len())
	}
	return b.finish(s, t, tg)
}

func (b *builder) dict(t reflect.Type, tg *tag, anyOK bool) (*jsonschema.Schema, error) {
	if t.Key().Kind() != reflect.String {
		return nil, fmt.Errorf("map keys must be strings, not %s", t.Key())
	}
	if b.input && (!tg.has("max", "len", "lt", "lte", "eq") || tg.keys == nil) {
		return nil, errors.New(`a map takes any member: use a struct, or bound it, as in validate:"max=20,dive,keys,max=64,endkeys,max=200"`)
	}
	if tg.dive == nil {
		tg.dive = &tag{}
	}
	elem, err := b.value(t.Elem(), tg.dive, anyOK)
	if err != nil {
		return nil, err
	}
	s := &jsonschema.Schema{Type: "object", AdditionalProperties: elem}
	if tg.keys != nil {
		if s.PropertyNames, err = b.value(t.Key(), tg.keys, false); err != nil {
			return nil, err
		}
		s.PropertyNames.Type = "" // a name is always a string
	}
	b.trimDive(t, tg)
	return b.finish(s, t, tg)
}

// trimDive drops a dive that was made for an element without rules. Structs
// keep it: the validator looks into elements only when told to.
func (b *builder) trimDive(t reflect.Type, tg *tag) {
	e := t.Elem()
	for e.Kind() == reflect.Pointer {
		e = e.Elem()
	}
	if tg.keys == nil && tg.dive.String() == "" && (e.Kind() != reflect.Struct || special(e) != nil) {
		tg.dive = nil
	}
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

func integer(t reflect.Type) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "integer"}
	k := t.Kind()
	if k >= reflect.Uint {
		s.Minimum = ptr(0.0)
	}
	// The extremes of 64 bits are no exact floats, which schema bounds are here.
	if bits := t.Bits(); bits < 64 && k >= reflect.Uint {
		s.Maximum = ptr(float64(uint64(1)<<bits - 1))
	} else if bits < 64 {
		s.Minimum, s.Maximum = ptr(-float64(int64(1)<<(bits-1))), ptr(float64(int64(1)<<(bits-1)-1))
	}
	return s
}

var (
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	ownJSON         = []reflect.Type{
		reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler](),
		reflect.TypeFor[v2.MarshalerTo](), reflect.TypeFor[v2.UnmarshalerFrom](),
	}
)

// special returns the schema of a type that has a JSON form of its own, or nil.
func special(t reflect.Type) *jsonschema.Schema {
	p := reflect.PointerTo(t)
	switch {
	case t == reflect.TypeFor[time.Time]():
		return &jsonschema.Schema{Type: "string", Format: "date-time"}
	case strictjson.IsRaw(t):
		return nil
	case slices.ContainsFunc(ownJSON, p.Implements):
		return &jsonschema.Schema{}
	case p.Implements(textMarshaler) || p.Implements(textUnmarshaler):
		return &jsonschema.Schema{Type: "string"}
	}
	return nil
}

func ptr[T any](v T) *T { return &v }
