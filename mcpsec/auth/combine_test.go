package auth_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/auth"
)

func knows(token, id string, scopes ...string) mcpsec.TokenVerifier {
	return func(_ context.Context, got string) (mcpsec.Principal, error) {
		if got != token {
			return mcpsec.Principal{}, fmt.Errorf("%w: of %s", mcpsec.ErrInvalidToken, id)
		}
		return mcpsec.Principal{ID: id, Scopes: scopes}, nil
	}
}

func away(context.Context, string) (mcpsec.Principal, error) {
	return mcpsec.Principal{}, errors.New("away")
}

func TestAnyOf(t *testing.T) {
	t.Parallel()
	v := auth.AnyOf(knows("a", "first"), knows("a", "second"), knows("b", "third"), away, knows("c", "fourth"))
	if p := allow(t, v, "a"); p.ID != "first" {
		t.Errorf("got %s, want the first", p.ID)
	}
	if p := allow(t, v, "b"); p.ID != "third" {
		t.Errorf("got %s", p.ID)
	}
	puzzled(t, v, "c", "away") // the fourth would make another principal of it than the third perhaps does
	deny(t, auth.AnyOf(knows("a", "first"), knows("b", "second")), "c", "nobody takes it")

	list := []mcpsec.TokenVerifier{knows("a", "first")}
	v = auth.AnyOf(list...)
	list[0] = knows("x", "evil")
	deny(t, v, "x", "nobody takes it")
}

// One scope may stand for others (AUTH-07), downwards only.
func TestImplies(t *testing.T) {
	t.Parallel()
	hierarchy := map[string][]string{
		"admin": {"write", "export"}, "write": {"read"}, // a chain
		"left": {"right"}, "right": {"left", "read"}, // a circle
		"self": {"self"},
	}
	for name, tc := range map[string]struct{ granted, want []string }{
		"nothing":     {nil, nil},
		"unknown":     {[]string{"other"}, []string{"other"}},
		"chain":       {[]string{"admin"}, []string{"admin", "export", "read", "write"}},
		"not upwards": {[]string{"read"}, []string{"read"}},
		"circle":      {[]string{"left"}, []string{"left", "read", "right"}},
		"itself":      {[]string{"self"}, []string{"self"}},
		"overlap":     {[]string{"write", "admin", "read"}, []string{"admin", "export", "read", "write"}},
	} {
		p := allow(t, auth.Implies(knows("a", "id", tc.granted...), hierarchy), "a")
		if p.ID != "id" || !slices.Equal(p.Scopes, tc.want) {
			t.Errorf("%s: got %q, want %q", name, p.Scopes, tc.want)
		}
	}
	granted := []string{"write", "admin", "", ""}[:2]
	allow(t, auth.Implies(knows("a", "id", granted...), hierarchy), "a")
	if whole := granted[:4]; !slices.Equal(whole, []string{"write", "admin", "", ""}) {
		t.Errorf("the verifier's own scopes became %q", whole)
	}
	deny(t, auth.Implies(knows("a", "id"), hierarchy), "b", "of id")
	puzzled(t, auth.Implies(away, hierarchy), "b", "away")
}

func TestWrongCombinations(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(){
		"none":            func() { auth.AnyOf() },
		"nil":             func() { auth.AnyOf(away, nil) },
		"nothing implied": func() { auth.Implies(nil, nil) },
		"a wildcard":      func() { auth.Implies(away, map[string][]string{"admin": {"orders:*"}}) }, // SBP-07
		"no scope":        func() { auth.Implies(away, map[string][]string{"admin": {"a b"}}) },
		"of no scope":     func() { auth.Implies(away, map[string][]string{"": {"a"}}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}
