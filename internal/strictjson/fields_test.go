package strictjson

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

type base struct{ A string }

type Named struct{ A string }

type shadowed struct {
	Token string `json:"kind"`
	Other string `json:"other"`
}

type outer struct {
	First string `json:"first"`
	shadowed
	Token string `json:"token"`
}

func TestFieldsRefuses(t *testing.T) {
	t.Parallel()
	hand := func(tag string) reflect.Type { // vet would not let these be written
		return reflect.StructOf([]reflect.StructField{{Name: "A", Type: reflect.TypeFor[string](), Tag: reflect.StructTag(tag)}})
	}
	for name, tc := range map[string]struct {
		typ  reflect.Type
		want string
	}{
		"case-insensitive": {hand(`json:"a,case:ignore"`), "not accepted"},
		"quoted number":    {hand(`json:"a,string"`), "not accepted"},
		"quoted name":      {hand(`json:"'a'"`), "quotes"},
		"catch-all": {reflect.TypeFor[struct {
			A map[string]string `json:",inline"`
		}](), "not accepted"},
		"one name twice": {reflect.TypeFor[struct {
			base
			A string
		}](), "second member"},
		"embedded pointer": {reflect.TypeFor[struct{ *base }](), "must be a struct"},
		"named unexported embedded": {reflect.TypeFor[struct {
			base `json:"b"`
		}](), "must be exported"},
		"rules on an embedded struct": {reflect.TypeFor[struct {
			base `validate:"-"`
		}](), "on an embedded struct"},
		"any rule on an embedded struct": {reflect.TypeFor[struct {
			Named `validate:"omitempty"`
		}](), "on an embedded struct"},
		"label on an embedded struct": {reflect.TypeFor[struct {
			Named `mcpsec:"log"`
		}](), "on an embedded struct"},
		"rule on an ignored field": {reflect.TypeFor[struct {
			A string `json:"-" validate:"required"`
		}](), "no JSON member"},
		"label on an ignored field": {reflect.TypeFor[struct {
			A string `json:"-" mcpsec:"log"`
		}](), "no JSON member"},
		"unexported with a name": {reflect.StructOf([]reflect.StructField{{Name: "a", PkgPath: "p", Type: reflect.TypeFor[string](), Tag: `json:"a"`}}), "must be exported"},
		"named minus":            {hand(`json:"-,"`), `cannot be named "-"`},
		"comma between":          {hand(`json:"a",validate:"uuid"`), "malformed"},
		"nothing between":        {hand(`json:"a"validate:"uuid"`), "malformed"},
		"no quotes":              {hand(`json:a validate:"uuid"`), "malformed"},
		"space after the colon":  {hand(`json: "a"`), "malformed"},
		"no closing quote":       {hand(`json:"a" validate:"uuid`), "malformed"},
		"a bare word":            {hand(`required`), "malformed"},
		"single quotes":          {hand(`json:'a'`), "malformed"},
		"one key twice":          {hand(`validate:"max=3" validate:"uuid"`), "twice"},
	} {
		f, err := Fields(tc.typ)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %+v, %v, want %q", name, f, err, tc.want)
		}
	}
}

func TestFieldsPath(t *testing.T) {
	t.Parallel()
	fields, err := Fields(reflect.TypeFor[outer]())
	if err != nil {
		t.Fatal(err)
	}
	v := reflect.ValueOf(outer{First: "first", shadowed: shadowed{Token: "kind", Other: "other"}, Token: "token"})
	var names []string
	for _, f := range fields {
		names = append(names, f.JSON)
		if got := v.FieldByIndex(f.Path).String(); got != f.JSON {
			t.Errorf("%s reads %s", f.JSON, got)
		}
	}
	if want := []string{"first", "kind", "other", "token"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}

func TestFieldsAccepts(t *testing.T) {
	t.Parallel()
	type in struct {
		A string `json:"a,omitempty"   validate:"max=3" jsonschema:"what \"a\" is"`
		B string `json:"-" validate:"-"`
		_ int
	}
	fields, err := Fields(reflect.TypeFor[in]())
	if err != nil || len(fields) != 1 || fields[0].JSON != "a" || !fields[0].OmitZero {
		t.Errorf("got %+v, %v", fields, err)
	}
}
