package mcpsec

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

type principalKey struct{}

// principalOf says who makes a request: over HTTP whoever this very request's
// token names, which [Server.HTTP] has put into its context, and on a stream
// Options.Principal.
func (s *Server) principalOf(ctx context.Context) Principal {
	if p, ok := ctx.Value(principalKey{}).(Principal); ok {
		return p
	}
	return s.principal
}

// maxPrincipal bounds a Principal's ID, in bytes.
const maxPrincipal = 256

// checkID refuses an ID that fits into no key of package state, or that a record
// shows as another.
func checkID(id string) error {
	if len(id) > maxPrincipal || strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("a Principal's ID has at most %d bytes and no control characters", maxPrincipal)
	}
	return visible(id)
}

// lacks returns the scopes that a caller needs and does not all have.
func (o *operation) lacks(p Principal) []string {
	for _, scope := range o.spec.Scopes {
		if !slices.Contains(p.Scopes, scope) {
			return o.spec.Scopes
		}
	}
	return nil
}

// hasSession reports whether what a request sets lasts: on a stream, and over
// HTTP within a session.
func hasSession(ctx context.Context) bool {
	_, overHTTP := ctx.Value(principalKey{}).(Principal)
	return !overHTTP || sessionFrom(ctx) != nil || ctx.Value(streamKey{}) != nil
}

// missingScopes is the refusal of a call whose caller lacks scopes.
func missingScopes(scopes []string) *failure {
	return refused("scope", "not allowed: it needs the scopes "+strings.Join(scopes, " "))
}

// maxScope bounds a scope's name, in bytes.
const maxScope = 128

// checkScopes refuses what is no scope of RFC 6749, section 3.3, and what would
// grant everything or outlive the session.
func checkScopes(scopes []string) error {
	for i, s := range scopes {
		switch {
		case s == "" || len(s) > maxScope || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }):
			return fmt.Errorf("the scope %+q must be 1 to %d printable ASCII characters without space, quote and backslash", s, maxScope)
		case strings.Contains(s, "*"):
			return fmt.Errorf("the scope %q has a wildcard: name what is needed", s)
		case s == "offline_access":
			return fmt.Errorf("the scope %q is between client and authorization server", s)
		case slices.Contains(scopes[:i], s):
			return fmt.Errorf("the scope %q is named twice", s)
		}
	}
	return nil
}
