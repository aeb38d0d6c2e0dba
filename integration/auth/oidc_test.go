package auth

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/auth"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

func allow(t *testing.T, v mcpsec.TokenVerifier, token string) mcpsec.Principal {
	t.Helper()
	p, err := v(t.Context(), token)
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	return p
}

func deny(t *testing.T, v mcpsec.TokenVerifier, token, reason string) {
	t.Helper()
	p, err := v(t.Context(), token)
	if !errors.Is(err, mcpsec.ErrInvalidToken) || !strings.Contains(err.Error(), reason) || p.ID != "" {
		t.Fatalf("got %v and %v, want that %s", p, err, reason)
	}
}

func jwtVerifier(t *testing.T, p *provider) mcpsec.TokenVerifier {
	t.Helper()
	v, err := auth.JWT(auth.JWTOptions{Issuer: p.URL, Audience: resource})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Tokens of a real provider, its keys found by its metadata.
func TestProviderJWT(t *testing.T) {
	t.Parallel()
	p := newProvider(t, op.AccessTokenTypeJWT)
	v := jwtVerifier(t, p)
	who := allow(t, v, p.token(t, "orders:read orders:write"))
	if who.ID != p.URL+"|"+user || !slices.Equal(who.Scopes, []string{"orders:read", "orders:write"}) {
		t.Errorf("got %+v", who)
	}
	for range 20 {
		allow(t, v, p.token(t, "orders:read"))
	}
	if n := p.fetches(); n != 1 {
		t.Errorf("keys were fetched %d times, want once", n)
	}

	p.set(false, "https://other.example.com/mcp")
	deny(t, v, p.token(t, "orders:read"), "another audience")

	other := newProvider(t, op.AccessTokenTypeJWT) // the same software, somebody else's
	deny(t, v, other.token(t, "orders:read"), "another issuer")
}

// A provider that changes its key at once, and its algorithm, as none should:
// tokens of the new key are refused until the clock allows a look, and a new
// verifier takes them. Old tokens are refused once their key is withdrawn.
func TestProviderRotation(t *testing.T) {
	t.Parallel()
	p := newProvider(t, op.AccessTokenTypeJWT)
	v := jwtVerifier(t, p)
	old := p.token(t, "orders:read")
	allow(t, v, old)
	p.rotate(p.keys[0], newSigningKey(t, "k2", jose.ES256))
	for range 50 {
		deny(t, v, p.token(t, "orders:read"), "key is not known")
	}
	if n := p.fetches(); n != 1 {
		t.Errorf("keys were fetched %d times, want once", n)
	}
	next := jwtVerifier(t, p)
	allow(t, next, p.token(t, "orders:read"))
	allow(t, next, old)
	p.rotate(p.keys[1])
	deny(t, jwtVerifier(t, p), old, "key is not known")
}

func TestProviderDown(t *testing.T) {
	t.Parallel()
	p := newProvider(t, op.AccessTokenTypeJWT)
	v, token := jwtVerifier(t, p), p.token(t, "orders:read")
	allow(t, v, token)
	p.set(true)
	allow(t, v, token)
	p.Close()
	allow(t, v, token)
	if _, err := jwtVerifier(t, p)(t.Context(), token); err == nil || errors.Is(err, mcpsec.ErrInvalidToken) {
		t.Errorf("got %v, want that it cannot be checked", err)
	}
}

// Opaque tokens, which the provider is asked about, until one is revoked.
func TestProviderIntrospection(t *testing.T) {
	t.Parallel()
	p := newProvider(t, op.AccessTokenTypeBearer)
	opts := auth.IntrospectionOptions{URL: p.URL + "/oauth/introspect", Issuer: p.URL, Audience: resource,
		ClientID: "api", ClientSecret: redact.NewSecret(p.api), MaxAge: 1}
	v, err := auth.Introspection(opts)
	if err != nil {
		t.Fatal(err)
	}
	token := p.token(t, "orders:read")
	if who := allow(t, v, token); who.ID != p.URL+"|"+user || !slices.Equal(who.Scopes, []string{"orders:read"}) {
		t.Errorf("got %+v", who)
	}
	deny(t, v, token[:len(token)-3]+"AAA", "not active")
	deny(t, v, "made-up", "not active")

	revoke(t, p, token)
	deny(t, v, token, "not active")

	opts.ClientSecret = redact.NewSecret(strings.ToLower(p.api))
	v, err = auth.Introspection(opts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v(t.Context(), token); err == nil || errors.Is(err, mcpsec.ErrInvalidToken) || strings.Contains(err.Error(), "secret") {
		t.Errorf("with a wrong secret: got %v", err)
	}
}

func revoke(t *testing.T, p *provider, token string) {
	t.Helper()
	res, err := http.PostForm(p.URL+"/revoke", url.Values{"token": {token}, "client_id": {"api"}, "client_secret": {p.api}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("revoking: status %d", res.StatusCode)
	}
}
