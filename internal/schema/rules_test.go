package schema

import (
	"net"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// one returns a struct type of a single field A.
func one(v any, tag string) reflect.Type {
	return reflect.StructOf([]reflect.StructField{{Name: "A", Type: reflect.TypeOf(v), Tag: reflect.StructTag(tag)}})
}

// pair returns a struct type of a field A with the rules and a field B.
func pair(a any, rules string, b any) reflect.Type {
	return reflect.StructOf([]reflect.StructField{
		{Name: "A", Type: reflect.TypeOf(a), Tag: reflect.StructTag(`validate:"` + rules + `"`)},
		{Name: "B", Type: reflect.TypeOf(b)},
	})
}

func refuse(t *testing.T, name string, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: got %v, want %q in it", name, err, want)
	}
}

func TestRulesThatDoNotApply(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		v     any
		rules string
		want  string
	}{
		{0, "datetime=2006", "does not apply to int"},
		{0, "excludes=1", "does not apply to int"},
		{0, "email", "does not apply to int"},
		{0, "omitempty,email|uuid", "does not apply to int"},
		{new(int), "omitempty,datetime=2006", "does not apply to int"},
		{[]int{}, "dive,datetime=2006", "does not apply to int"},
		{[]string{}, "excludesall=;", "does not apply to []string"},
		{[]string{}, "startsnotwith=-", "does not apply"},
		{[]byte{}, "base64", "does not apply"},
		{[]byte{}, "dive,max=3", "dive"},
		{"", "dive,max=3", "dive"},
		{true, "max=1", "does not apply"},
		{netip.Addr{}, "max=3", "does not apply"},
		{net.IP{}, "max=3", "does not apply"},
		{time.Time{}, "gt=5", "without a parameter"},
		{time.Time{}, "email", "does not apply"},
		{[][]string{}, "unique", "not compared by value"},
		{[]struct{ B []string }{}, "unique=B", "not compared by value"},
		{[]struct{ B string }{}, "unique=C", "no field C"},
		{"", "max=3,-", "switches the check off"},
		{[]struct{ B string }{}, "dive,structonly", "switches the check off"},
		{stands(""), "max=3", "another value"},
		{"", "max=010", "needs a whole number"},
		{"", "max=0x10", "needs a whole number"},
		{"", "max=-1", "needs a whole number"},
		{"", "lt=0", "needs a whole number"},
		{"", "omitempty,max=010|email", "needs a whole number"},
		{[]string{}, "max=03", "needs a whole number"},
		{0, "max=010", "needs a number"},
		{0, "max=1e3", "needs a number"},
		{0, "max=1.5", "needs a whole number"},
		{int64(0), "max=9007199254740993", "cannot be shown exactly"},
		{int64(0), "min=-9223372036854775808", "cannot be shown exactly"},
		{uint64(0), "max=18446744073709551615", "cannot be shown exactly"},
		{uint8(0), "min=-1", "never negative"},
		{0, "oneof=01 2", "no integer"},
	} {
		for kind, plan := range map[string]func(reflect.Type) (*Plan, error){"input": Input, "output": Output} {
			_, err := plan(one(tc.v, `validate:"`+tc.rules+`"`))
			refuse(t, kind+" "+tc.rules, err, tc.want)
		}
	}
}

// No rule may ask the world about a value. The list is that of the validator's
// functions which call into os or net for more than parsing.
func TestRulesThatLookOutside(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/secret"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, rule := range strings.Fields("file filepath image dir dirpath uds_exists tcp_addr tcp4_addr tcp6_addr " +
		"udp_addr udp4_addr udp6_addr ip_addr ip4_addr ip6_addr unix_addr") {
		for _, tag := range []string{rule, "omitempty," + rule, "email|" + rule} {
			_, err := Input(one("", `validate:"`+tag+`"`))
			refuse(t, tag, err, "tells its sender what is there")
		}
		_, err := Input(one([]string{}, `validate:"dive,`+rule+`"`))
		refuse(t, "dive,"+rule, err, "tells its sender what is there")
	}
}

func TestCrossFieldRules(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		a     any
		rules string
		b     any
		want  string // empty for accepted
	}{
		{"", "required_if=B abc", new(int), "no value that field B can have"},
		{"", "required_if=B 1.5", 0, "no value"},
		{"", "required_if=B 010", 0, "no value"},
		{"", "required_if=B 300", uint8(0), "no value"},
		{"", "required_if=B yes", true, "no value"},
		{"", "required_unless=B nil", new(int), "no value"},
		{"", "excluded_if=B x", 1.5, "no value"},
		{"", "skip_unless=B x", []string{}, "no value"},
		{"", "excluded_unless=B x", netip.Addr{}, "no value"},
		{"", "required_if=B x", struct{ C string }{}, "no value"},
		{"", "required_if=B 3", new(int), ""},
		{"", "required_if=B 'on hold'", "", ""},
		{"", "required_if=B true", true, ""},
		{"", "excluded_unless=B 2", []string{}, ""},
		{"", "required_if=B", "", "names no member"},
		{[]string{}, "dive,nefield=Nope", "", "no field Nope"},
		{map[string]string{}, "max=3,dive,keys,max=3,nefield=Nope,endkeys", "", "no field Nope"},
		{[]string{}, "dive,nefield=B", "", ""},
		{"", "nefield=B", 0, "not comparable"},
		{0, "fieldcontains=B", 0, "not comparable"},
		{[]string{}, "eqfield=B", []string{}, "not comparable"},
		{"", "gtfield=B", "", "not comparable"},
		{time.Time{}, "gtfield=B", struct{ C string }{}, "not comparable"},
		{time.Time{}, "gtfield=B", time.Time{}, ""},
		{1.5, "ltefield=B", 1.5, ""},
		{true, "nefield=B", true, ""},
		{"", "eqfield=B B", "", "takes one member"},
		{"", "excluded_without=B B", "", "takes one member"},
		{"", "max=3|eqfield=Nope", "", "no field Nope"},
		{"", "eqcsfield=B", "", "members of one struct"},
		{"", "postcode_iso3166_alpha2_field=B", "", "name the country"},
	} {
		_, err := Input(pair(tc.a, tc.rules, tc.b))
		if tc.want != "" {
			refuse(t, tc.rules, err, tc.want)
		} else if err != nil {
			t.Errorf("%s: %v", tc.rules, err)
		}
	}
	_, err := Input(reflect.TypeFor[outerEmb]())
	refuse(t, "a member of the outer struct", err, "no field Force")
}

// A field that another one shadows keeps its own rules, words and path.
func TestShadowedField(t *testing.T) {
	t.Parallel()
	p, err := Input(reflect.TypeFor[shadowOuter]())
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Schema.Properties["note"].Description; got != "Must equal kind." {
		t.Errorf("got %q", got)
	}
	v := &shadowOuter{Token: strings.Repeat("x", 20)}
	v.shadowEmb.Token = "123456"
	if err := p.Check(v); err == nil || err.Error() != "kind: must be at most 5 characters; note: must equal kind" {
		t.Errorf("got %v", err)
	}
}

// The words of each conditional rule hold on every combination of two members.
func TestConditionalWords(t *testing.T) {
	t.Parallel()
	type in struct{ A, B, C string }
	for rule, tc := range map[string]struct {
		words string
		free  func(a, b bool) bool // whether C may break the rule's wish
	}{
		"required_if=A x B x":      {"Required when A is x and B is x.", func(a, b bool) bool { return !(a && b) }},
		"required_unless=A x B x":  {"Required unless A is x or B is x.", func(a, b bool) bool { return a || b }},
		"skip_unless=A x B x":      {"Required when A is x and B is x.", func(a, b bool) bool { return !(a && b) }},
		"required_with=A B":        {"Required with any of A, B.", func(a, b bool) bool { return !a && !b }},
		"required_with_all=A B":    {"Required with all of A, B.", func(a, b bool) bool { return !(a && b) }},
		"required_without=A B":     {"Required when one of A, B is missing.", func(a, b bool) bool { return a && b }},
		"required_without_all=A B": {"Required when none of A, B is given.", func(a, b bool) bool { return a || b }},
		"excluded_if=A x B x":      {"Not allowed when A is x and B is x.", func(a, b bool) bool { return !(a && b) }},
		"excluded_unless=A x B x":  {"Not allowed unless A is x or B is x.", func(a, b bool) bool { return a || b }},
		"excluded_with=A B":        {"Not allowed with any of A, B.", func(a, b bool) bool { return !a && !b }},
		"excluded_with_all=A B":    {"Not allowed with all of A, B.", func(a, b bool) bool { return !(a && b) }},
		"excluded_without=A":       {"Not allowed without A.", func(a, b bool) bool { return a }},
		"excluded_without_all=A B": {"Not allowed when none of A, B is given.", func(a, b bool) bool { return a || b }},
	} {
		typ := reflect.TypeFor[in]()
		c := typ.Field(2)
		c.Tag = reflect.StructTag(`validate:"` + rule + `"`)
		typ = reflect.StructOf([]reflect.StructField{typ.Field(0), typ.Field(1), c})
		p, err := Input(typ)
		if err != nil {
			t.Fatalf("%s: %v", rule, err)
		}
		if got := p.Schema.Properties["C"].Description; got != tc.words {
			t.Errorf("%s: got %q, want %q", rule, got, tc.words)
		}
		for i := range 4 {
			a, b := i&1 != 0, i&2 != 0
			v := reflect.New(typ)
			for field, set := range []bool{a, b, strings.HasPrefix(rule, "excluded")} {
				if set {
					v.Elem().Field(field).SetString("x")
				}
			}
			if got := p.Check(v.Interface()) == nil; got != tc.free(a, b) {
				t.Errorf("%s with A %t, B %t: passes %t", rule, a, b, got)
			}
		}
	}
}

// Words that say when a rule holds must be true: validator/v10 knows skip_unless
// as another required_if.
func TestSkipUnlessIsRequiredIf(t *testing.T) {
	t.Parallel()
	type in struct {
		Mode string `json:"mode"`
		S    string `json:"s" validate:"skip_unless=Mode x,max=3"`
	}
	p, err := Input(reflect.TypeFor[in]())
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Schema.Properties["s"].Description; got != "Required when mode is x." {
		t.Errorf("got %q", got)
	}
	refuse(t, "required", p.Check(&in{Mode: "x"}), "s: required when mode is x")
	refuse(t, "not skipped", p.Check(&in{Mode: "y", S: "long"}), "s: must be at most 3")
	if err := p.Check(&in{Mode: "y"}); err != nil {
		t.Error(err)
	}
}
