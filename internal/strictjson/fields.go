package strictjson

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// A Field is one JSON member of a struct, embedded structs flattened.
type Field struct {
	reflect.StructField
	JSON     string       // the member's exact name
	OmitZero bool         // omitempty or omitzero: may be absent from an output
	Owner    reflect.Type // the struct that declares it

	// Path leads from the outer struct to the field, for FieldByIndex. A look-up
	// by name may find another field, which shadows an embedded struct's.
	Path []int
}

// Fields lists the JSON members of struct type t in order of declaration. It
// refuses what would make decoding less than strict or exact: a case-insensitive
// or quoted member, a catch-all for unknown ones, an embedded pointer, two
// fields of one name. And it refuses tags that would be lost without a word: one
// that is malformed, or on a field that is no member.
func Fields(t reflect.Type) ([]Field, error) {
	l := lister{seen: map[string]bool{}}
	err := l.walk(t, nil)
	return l.out, err
}

type lister struct {
	out  []Field
	seen map[string]bool
}

func (l *lister) walk(t reflect.Type, path []int) error {
	for i := range t.NumField() {
		f := t.Field(i)
		err := checkTag(string(f.Tag))
		if err == nil {
			err = l.field(t, f, append(slices.Clone(path), i))
		}
		if err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
	}
	return nil
}

func (l *lister) field(owner reflect.Type, f reflect.StructField, path []int) error {
	name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
	switch {
	case Ignored(f):
		return checkIgnored(f)
	case Flattened(f):
		if tagged(f, "validate") || tagged(f, "mcpsec") {
			return errors.New("a validate or mcpsec tag on an embedded struct would hold for all of it or for nothing: tag its fields")
		}
		return l.walk(f.Type, path)
	case f.Anonymous && name == "":
		return errors.New("an embedded field must be a struct or have a json name")
	case f.Anonymous && !f.IsExported():
		return errors.New("an embedded field with a json name must be exported")
	case name == "-":
		return errors.New(`a member cannot be named "-": json:"-" leaves the field out`)
	case strings.ContainsAny(name, `'"\`):
		return errors.New("quotes and backslashes are not accepted in a json name")
	}
	if name == "" {
		name = f.Name
	}
	if l.seen[name] {
		return fmt.Errorf("a second member is named %q", name)
	}
	l.seen[name] = true
	omit, err := omitted(opts)
	l.out = append(l.out, Field{StructField: f, JSON: name, OmitZero: omit, Owner: owner, Path: path})
	return err
}

// Ignored reports whether f is no JSON member.
func Ignored(f reflect.StructField) bool {
	return f.Tag.Get("json") == "-" || !f.IsExported() && !f.Anonymous
}

// Flattened reports whether f is an embedded struct whose members stand among
// those of the outer one.
func Flattened(f reflect.StructField) bool {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct
}

func tagged(f reflect.StructField, key string) bool {
	_, ok := f.Tag.Lookup(key)
	return ok
}

// checkIgnored refuses tags that say that a field is an argument when it is
// none: the writer believes in a check that never runs.
func checkIgnored(f reflect.StructField) error {
	if j := f.Tag.Get("json"); j != "" && j != "-" {
		return errors.New("a field with a json name must be exported")
	}
	if v := f.Tag.Get("validate"); v != "" && v != "-" || tagged(f, "mcpsec") {
		return errors.New("a validate or mcpsec tag on a field that is no JSON member has no effect")
	}
	return nil
}

// omitted reads the options of a json tag.
func omitted(opts string) (bool, error) {
	omit := false
	for opt := range strings.SplitSeq(opts, ",") {
		switch opt {
		case "":
		case "omitempty", "omitzero":
			omit = true
		default:
			return false, fmt.Errorf("json option %q is not accepted", opt)
		}
	}
	return omit, nil
}

// checkTag refuses a struct tag that is not key:"value" pairs with spaces
// between them: reflect stops reading at the first flaw, and the rules behind it
// are lost.
func checkTag(tag string) error {
	malformed := fmt.Errorf("the struct tag `%s` is malformed", tag)
	seen := map[string]bool{}
	for rest := strings.TrimLeft(tag, " "); rest != ""; {
		key, after, ok := strings.Cut(rest, ":")
		if !ok || key == "" || strings.ContainsAny(key, "\", \t\n`") {
			return malformed
		}
		value, err := strconv.QuotedPrefix(after)
		if err != nil || value[0] != '"' {
			return malformed
		}
		if seen[key] {
			return fmt.Errorf("the struct tag has %s twice", key)
		}
		seen[key] = true
		after = after[len(value):]
		if rest = strings.TrimLeft(after, " "); rest != "" && rest == after {
			return malformed
		}
	}
	return nil
}
