package auth

import (
	"encoding/json"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

const (
	maxIssuer = 128 // bytes
	maxID     = 256 // bytes of a Principal's ID, which the HTTP transport takes
	maxScopes = 8 << 10
)

// plain reports whether s is printable ASCII without the separator of IDs. OIDC
// Core, section 2, asks for ASCII subjects; with it nobody can look like
// somebody else.
func plain(s string) bool { return ascii(s) && !strings.Contains(s, "|") }

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// newPrincipal names who has the subject at the issuer. The issuer holds no
// separator, so two pairs never make the same name.
func newPrincipal(issuer, subject string, scopes []string) (mcpsec.Principal, error) {
	id := issuer + "|" + subject
	if subject == "" || len(id) > maxID || !ascii(subject) || strings.TrimSpace(subject) != subject {
		return mcpsec.Principal{}, invalid("its subject is missing, too long or not printable")
	}
	return mcpsec.Principal{ID: id, Scopes: scopes}, nil
}

// names is a JSON string or an array of strings, as aud is (RFC 7519, section
// 4.1.3).
type names []string

func (n *names) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*n = make(names, 1)
		return json.Unmarshal(b, &(*n)[0])
	}
	return json.Unmarshal(b, (*[]string)(n))
}

// has reports whether one of them is the resource, with or without a slash at
// the end.
func (n names) has(resource string) bool { return oauthex.MatchesResource(n, resource) }

// scopes is a JSON string of words with a space between them, or an array of
// words.
type scopes []string

func (s *scopes) UnmarshalJSON(b []byte) error {
	if len(b) > maxScopes { // answers are kept
		return errNotJSON
	}
	var n names
	if err := n.UnmarshalJSON(b); err != nil {
		return err
	}
	if len(b) > 0 && b[0] == '"' {
		n = strings.Fields(n[0])
	}
	for _, word := range n {
		if !scopeToken(word) {
			return errNotJSON
		}
	}
	*s = scopes(n)
	return nil
}

// grantable reports whether s is a scope that a tool can require: without a
// wildcard, which would look as if it granted more than its name.
func grantable(s string) bool { return scopeToken(s) && !strings.Contains(s, "*") }

// scopeToken is that of RFC 6749, section 3.3.
func scopeToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || r == '"' || r == '\\'
	})
}
