package config

import (
	"encoding"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/go-playground/validator/v10"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

var (
	secretType   = reflect.TypeFor[redact.Secret]()
	durationType = reflect.TypeFor[time.Duration]()
	urlType      = reflect.TypeFor[url.URL]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()

	variable = lazy.Regexp(`^[A-Z][A-Z0-9_]*$`)
)

// A plan is what is read into a struct, and how.
type plan struct {
	prefix string
	typ    reflect.Type
	fields []*field
	byPath map[string]*field
	known  map[string]*field // by variable, NAME_FILE of secrets included
	rules  *validator.Validate
}

// A field is read from one variable.
type field struct {
	path   string // Go's, such as DB.URL
	index  []int
	env    string
	typ    reflect.Type // without the pointer of an optional field
	opt    bool
	def    string
	tag    string   // the rules
	refs   []string // paths of the fields that the rules name
	random bool
}

func (f *field) secret() bool { return f.typ == secretType }

// planFor panics if the program is wrong.
func planFor(prefix string, t reflect.Type) *plan {
	if t.Kind() != reflect.Struct {
		panic(fmt.Sprintf("config: %s is not a struct", t))
	}
	if prefix != "" && !(variable().MatchString(prefix) && strings.HasSuffix(prefix, "_")) {
		panic(fmt.Sprintf("config: prefix %q must be capital letters, digits and _, and end with _", prefix))
	}
	p := &plan{prefix: prefix, typ: t, byPath: map[string]*field{}, known: map[string]*field{}, rules: newValidator()}
	p.walk(t, "", prefix, nil)
	for _, f := range p.fields {
		p.tryRules(f)
	}
	return p
}

func (p *plan) wrong(path, format string, args ...any) {
	panic(fmt.Sprintf("config: field %s.%s: %s", p.typ, path, fmt.Sprintf(format, args...)))
}

// walk collects the fields of t, a struct at path whose variables begin with
// prefix.
func (p *plan) walk(t reflect.Type, path, prefix string, index []int) {
	for i := range t.NumField() {
		sf := t.Field(i)
		at := path + sf.Name
		tag, tagged := sf.Tag.Lookup("env")
		name, option, _ := strings.Cut(tag, ",")
		sub := append(append([]int(nil), index...), i)
		switch {
		case tag == "-":
		case !sf.IsExported() && !(sf.Anonymous && isNested(sf.Type)): // the fields of an embedded one can be set
			if tagged {
				p.wrong(at, "is not exported, and has an env tag")
			}
		case isNested(sf.Type):
			p.nested(sf, at, prefix, name, sub)
		case !variable().MatchString(name):
			p.wrong(at, `needs a tag env:"NAME" of capital letters, digits and _, or env:"-"`)
		default:
			p.add(p.newField(sf, at, prefix+name, option, sub))
		}
	}
}

func isNested(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !scalar(t)
}

func (p *plan) nested(sf reflect.StructField, at, prefix, name string, index []int) {
	switch {
	case sf.Tag.Get("validate") != "" || sf.Tag.Get("default") != "":
		p.wrong(at, "is a struct: put rules and defaults on its fields")
	case name == "" && sf.Anonymous: // an embedded one adds nothing
	case !variable().MatchString(name) || !strings.HasSuffix(name, "_"):
		p.wrong(at, `is a struct and needs a tag such as env:"DB_", which ends with _`)
	}
	before := len(p.fields)
	if p.walk(sf.Type, at+".", prefix+name, index); len(p.fields) == before {
		p.wrong(at, "has no field that is read")
	}
}

func (p *plan) newField(sf reflect.StructField, at, env, option string, index []int) *field {
	f := &field{path: at, index: index, env: env, typ: sf.Type, tag: sf.Tag.Get("validate"), random: option == "random"}
	if f.typ.Kind() == reflect.Pointer {
		f.opt, f.typ = true, f.typ.Elem()
	}
	f.def = sf.Tag.Get("default")
	switch {
	case !scalar(f.typ):
		p.wrong(at, "has the type %s, which cannot be read from a variable", sf.Type)
	case option != "" && option != "random":
		p.wrong(at, "has the unknown option %q in its env tag", option)
	case f.random && !f.secret():
		p.wrong(at, "is random, and so must be a redact.Secret")
	case f.def != "" && f.secret():
		p.wrong(at, "is a secret with a default, which everybody who has the program knows")
	case f.def != "" && f.opt:
		p.wrong(at, "has a default and is a pointer: it would never be nil")
	}
	if f.def != "" && f.parse(reflect.New(f.typ).Elem(), f.def) != "" {
		p.wrong(at, "has a default that is no %s", kind(f.typ))
	}
	return f
}

func (p *plan) add(f *field) {
	names := []string{f.env}
	if f.secret() {
		names = append(names, f.env+"_FILE")
	}
	for _, name := range names {
		if other := p.known[name]; other != nil {
			p.wrong(f.path, "is read from %s, as %s is", name, other.path)
		}
		p.known[name] = f
	}
	p.fields = append(p.fields, f)
	p.byPath[f.path] = f
}
