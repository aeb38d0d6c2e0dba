package schema

import (
	"reflect"
	"testing"
	"time"

	v2 "github.com/go-json-experiment/json"
)

// What the validator must not follow: it walks into whatever an interface holds
// and into fields that are no JSON members, for ever if they point in a circle.
type ring struct {
	Next *ring  `json:"-"`
	A    string `json:"a" validate:"max=3"`
}

// A loose one is known to no plan, and may be held by an interface only.
type loose struct {
	Next *loose
	A    string `validate:"max=3"`
}

type ringForm struct {
	Self *ringForm
	A    string `validate:"max=3"`
}

func (*ringForm) MarshalText() ([]byte, error) { return []byte("x"), nil }

func TestOutputCycles(t *testing.T) {
	t.Parallel()
	type holder struct {
		V    any            `json:"v"`
		P    *any           `json:"p"`
		List []any          `json:"list" validate:"max=5"`
		Dict map[string]any `json:"dict" validate:"max=5,dive,keys,max=9,endkeys"`
		Ring ring           `json:"ring"`
		Form *ringForm      `json:"form"`
		More []*ringForm    `json:"more"`
		S    string         `json:"s" validate:"max=9"`
	}
	p, err := Output(reflect.TypeFor[holder]())
	if err != nil {
		t.Fatal(err)
	}
	r := &ring{A: "a"}
	r.Next = r
	form := &ringForm{A: "longer"}
	form.Self = form
	l := &loose{A: "longer"}
	l.Next = l
	var held any = l
	v := &holder{V: l, P: &held, List: []any{l}, Dict: map[string]any{"a": l}, Ring: *r, Form: form, More: []*ringForm{form, nil}}
	if err := p.Check(v); err != nil { // without the guard the stack overflows
		t.Error(err)
	}
	v.S = "0123456789"
	refuse(t, "the rule beside it", p.Check(v), "s: must be at most 9")
	v.S, v.Ring.A = "", "abcd"
	refuse(t, "the rule beside the circle", p.Check(v), "ring.a: must be at most 3")
}

// We rely on the encoder to notice a circle before the stack ends.
func TestEncoderFindsCycles(t *testing.T) {
	t.Parallel()
	l, list, dict := &loose{}, make([]any, 1), map[string]any{}
	l.Next, list[0], dict["a"] = l, list, dict
	for _, v := range []any{l, list, dict} {
		if text, err := v2.Marshal(struct{ V any }{v}); err == nil {
			t.Errorf("%T: encoded as %.40s", v, text)
		}
	}
}

func TestOutputRefuses(t *testing.T) {
	t.Parallel()
	type tree struct{ Kids []*tree }
	for name, typ := range map[string]reflect.Type{
		"rules on any": one([]any{}, `validate:"dive,required"`),
		"rules on an any member": reflect.TypeFor[struct {
			A any `validate:"required"`
		}](),
		"recursion": reflect.TypeFor[tree](),
	} {
		if _, err := Output(typ); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// What only goes wrong with a value is found at start.
func TestTrialFinds(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		typ  reflect.Type
		want string
	}{
		"rule behind one that fails": {one("", `validate:"len=7,reqired"`), "reqired"},
		"rule on a pointer":          {one(new(string), `validate:"omitempty,reqired"`), "reqired"},
		"rule in an alternative":     {one("", `validate:"email|reqired"`), "reqired"},
		"rule on a map's key":        {one(map[string]int{}, `validate:"max=3,dive,keys,max=3,reqired,endkeys"`), "reqired"},
		"two values for one":         {pair("", "required_if=B 1 B 2", 0), "Duplicate"},
		"no JSON member":             {one(struct{ a int }{}, ""), "sample"},
	} {
		_, err := Input(tc.typ)
		refuse(t, name, err, tc.want)
	}
}

// The trial makes up values: types may refuse them without being refused.
func TestTrialForgives(t *testing.T) {
	t.Parallel()
	type in struct {
		Level  picky            `json:"level" validate:"required"`
		Levels map[picky]*picky `json:"levels" validate:"max=3,dive,keys,max=5,endkeys,required"`
		At     *time.Time       `json:"at" validate:"required,lt"`
		Once   [3]int           `json:"once" validate:"unique"`
	}
	for name, plan := range map[string]func(reflect.Type) (*Plan, error){"input": Input, "output": Output} {
		if _, err := plan(reflect.TypeFor[in]()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type picky string

func (picky) MarshalText() ([]byte, error)  { return nil, errPicky }
func (*picky) UnmarshalText(b []byte) error { return errPicky }

var errPicky = &reflect.ValueError{Method: "picky"}
