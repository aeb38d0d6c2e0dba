package auth

import (
	"context"
	"errors"
	"slices"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// AnyOf returns a verifier that asks the given ones in order. The first that
// takes the token decides whose it is. One that refuses it passes it on; one
// that cannot tell ends the search: otherwise an outage could make another
// principal of the same token. So put those first that need no network.
//
// [Introspection] sends whatever token it is asked about to its server, those
// that the verifiers before it have refused among them: do not combine it with
// verifiers of issuers whose tokens that server must not see.
//
// It panics without verifiers and with a nil one.
func AnyOf(verifiers ...mcpsec.TokenVerifier) mcpsec.TokenVerifier {
	if len(verifiers) == 0 || slices.ContainsFunc(verifiers, func(v mcpsec.TokenVerifier) bool { return v == nil }) {
		panic("auth: AnyOf needs verifiers, and none may be nil")
	}
	verifiers = slices.Clone(verifiers)
	return func(ctx context.Context, token string) (mcpsec.Principal, error) {
		for _, verify := range verifiers {
			if p, err := verify(ctx, token); !errors.Is(err, mcpsec.ErrInvalidToken) {
				return p, err
			}
		}
		return mcpsec.Principal{}, invalid("nobody takes it")
	}
}

// Implies returns a verifier that adds to the scopes which verify grants those
// that they stand for, and those that these stand for in turn:
//
//	auth.Implies(verify, map[string][]string{
//		"orders:admin": {"orders:write"},
//		"orders:write": {"orders:read"},
//	})
//
// A tool that requires orders:read is then open to orders:admin. Scopes that
// stand for each other are fine. It panics if verify is nil, and if a scope is
// none (RFC 6749, section 3.3) or what it stands for has a wildcard.
func Implies(verify mcpsec.TokenVerifier, hierarchy map[string][]string) mcpsec.TokenVerifier {
	if verify == nil {
		panic("auth: Implies needs a verifier")
	}
	implied := make(map[string][]string, len(hierarchy))
	for scope, others := range hierarchy {
		if !scopeToken(scope) || slices.ContainsFunc(others, func(s string) bool { return !grantable(s) }) {
			panic("auth: Implies needs scopes without spaces, quotes, backslashes, wildcards and control characters")
		}
		implied[scope] = closure(scope, hierarchy)
	}
	return func(ctx context.Context, token string) (mcpsec.Principal, error) {
		p, err := verify(ctx, token)
		if err != nil {
			return mcpsec.Principal{}, err
		}
		granted := slices.Clone(p.Scopes)
		for _, scope := range p.Scopes {
			granted = append(granted, implied[scope]...)
		}
		slices.Sort(granted)
		p.Scopes = slices.Compact(granted)
		return p, nil
	}
}

// closure returns all that scope stands for.
func closure(scope string, hierarchy map[string][]string) []string {
	seen := map[string]bool{scope: true}
	var out []string
	for next := []string{scope}; len(next) > 0; next = next[1:] {
		for _, s := range hierarchy[next[0]] {
			if !seen[s] {
				seen[s] = true
				out, next = append(out, s), append(next, s)
			}
		}
	}
	return out
}
