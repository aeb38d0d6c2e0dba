package schema

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/mcpsec/mcpsec-go/internal/strictjson"
)

type (
	myByte   uint8
	inEmb    struct{ Confirm string }
	emptyEmb struct {
		Confirm string `validate:"required_with=Force"`
	}
	outerEmb struct {
		emptyEmb
		Force bool
	}
	shadowEmb struct {
		Token string `json:"kind" validate:"max=5"`
		Note  string `json:"note" validate:"eqfield=Token"`
	}
	shadowOuter struct {
		shadowEmb
		Token string `json:"token" validate:"max=50"`
	}
	onlyMarshals   struct{ A string }
	onlyUnmarshals struct{ A string }
	onlyReadsJSON  struct{ A string }
	stands         string
	textish        string
)

func (onlyMarshals) MarshalText() ([]byte, error)     { return []byte("x"), nil }
func (*onlyUnmarshals) UnmarshalText([]byte) error    { return nil }
func (*onlyReadsJSON) UnmarshalJSON([]byte) error     { return nil }
func (stands) ValidatorValue() any                    { return "fine" }
func (s *textish) UnmarshalText(b []byte) error       { *s = textish("seen " + string(b)); return nil }
func (s textish) MarshalText() (text []byte, _ error) { return []byte(s), nil }

func TestTypesRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		typ     reflect.Type
		in, out string // what is said; empty for accepted
	}{
		"duration":            {one(time.Duration(0), ""), "timeout_seconds", "timeout_seconds"},
		"duration in a list":  {one([]time.Duration{}, ""), "timeout_seconds", "timeout_seconds"},
		"array of bytes":      {one([16]byte{}, ""), "use []byte", "use []byte"},
		"named bytes":         {one([]myByte{}, ""), "use []byte", "use []byte"},
		"array of named":      {one([4]myByte{}, ""), "use []byte", "use []byte"},
		"marshals only":       {one(onlyMarshals{}, ""), "needs UnmarshalText", ""},
		"list of them":        {one([]onlyMarshals{}, ""), "needs UnmarshalText", ""},
		"unmarshals only":     {one(&onlyUnmarshals{}, ""), "", "needs MarshalText"},
		"reads JSON only":     {one(onlyReadsJSON{}, ""), "decodes its own JSON", "does not encode"},
		"writes JSON":         {one(jsonschema.Schema{}, ""), "decodes its own JSON", ""},
		"address":             {one(netip.Addr{}, ""), "", ""},
		"required address":    {one(&netip.Addr{}, `validate:"required"`), "", ""},
		"unknown label":       {one("", `mcpsec:"logged"`), "unknown", "unknown"},
		"two labels":          {one("", `mcpsec:"log,any"`), "unknown", "unknown"},
		"log":                 {one("", `mcpsec:"log"`), "", "members of the input itself"},
		"log on a nested one": {one(struct{ B inEmb }{}, ""), "", ""},
		"nested log": {one(struct {
			B string `mcpsec:"log"`
		}{}, ""), "members of the input itself", "members of the input itself"},
		"malformed tag": {one("", `json:"a",validate:"uuid"`), "malformed", "malformed"},
		"named minus":   {one("", `json:"-,"`), "named", "named"},
		"hidden unknown": {one([]struct {
			B string `validate:"reqired"`
		}{}, `validate:"min=5"`), "reqired", "reqired"},
	} {
		for kind, plan := range map[string]func(reflect.Type) (*Plan, error){"input": Input, "output": Output} {
			want := tc.in
			if kind == "output" {
				want = tc.out
			}
			_, err := plan(tc.typ)
			if want != "" {
				refuse(t, kind+" "+name, err, want)
			} else if err != nil {
				t.Errorf("%s %s: %v", kind, name, err)
			}
		}
	}
}

// The text of a type that reads its own is bounded before the type sees it, and
// a time layout, which takes any number of digits and spaces, is a bound of none.
func TestTextsAreBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("1", DefaultMaxLength+1)
	for name, tc := range map[string]struct {
		typ reflect.Type
		doc string
		max int
	}{
		"zone":       {one(netip.Addr{}, ""), `{"A":"fe80::1%` + long + `"}`, DefaultMaxLength},
		"text":       {one(textish(""), ""), `{"A":"` + long + `"}`, DefaultMaxLength},
		"pointer":    {one(new(textish), ""), `{"A":"` + long + `"}`, DefaultMaxLength},
		"datetime":   {one("", `validate:"datetime=2006-01-02T15:04:05Z07:00"`), `{"A":"2020-01-01T00:00:00.` + long + `Z"}`, DefaultMaxLength},
		"time":       {one(time.Time{}, ""), `{"A":"2020-01-01T00:00:00.` + long[:maxTime] + `Z"}`, maxTime},
		"short rule": {one(textish(""), `validate:"max=9"`), `{"A":"` + long + `"}`, DefaultMaxLength},
	} {
		p, err := Input(tc.typ)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := p.Schema.Properties["A"].MaxLength; got == nil || *got != tc.max {
			t.Errorf("%s: maxLength is %v, want %d", name, got, tc.max)
		}
		err = strictjson.Decode([]byte(tc.doc), reflect.New(tc.typ).Interface(), p.Shape)
		refuse(t, name, err, "A: must be at most")
	}
}
