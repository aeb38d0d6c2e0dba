package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

const (
	resource = "https://orders.example.com/mcp"
	user     = "id1" // one of the example storage's

	clientID     = "sid1"
	clientSecret = "very" + "secret"
)

// A provider is zitadel's OpenID provider with its example storage, where
// clients get tokens for a resource and the keys can be exchanged.
type provider struct {
	*storage.Storage
	*httptest.Server
	form op.AccessTokenType
	api  string // the secret of the client that introspects

	mu        sync.Mutex
	keys      []signingKey // the last one signs
	audience  []string
	subject   string
	lifetime  time.Duration
	keyHits   int
	wholeDown bool
	revoked   map[string]bool
}

type signingKey struct {
	id  string
	alg jose.SignatureAlgorithm
	key crypto.Signer
}

func (k signingKey) ID() string                                  { return k.id }
func (k signingKey) Algorithm() jose.SignatureAlgorithm          { return k.alg }
func (k signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return k.alg }
func (k signingKey) Use() string                                 { return "sig" }
func (k signingKey) Key() any                                    { return k.key }

// publicKey is a signingKey as it is published.
type publicKey struct{ signingKey }

func (k publicKey) Key() any { return k.key.Public() }

func newSigningKey(t *testing.T, id string, alg jose.SignatureAlgorithm) signingKey {
	t.Helper()
	var key crypto.Signer
	var err error
	if alg == jose.ES256 {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signingKey{id, alg, key}
}

func newProvider(t *testing.T, form op.AccessTokenType) *provider {
	t.Helper()
	p := &provider{form: form, api: rand.Text(), audience: []string{resource, "api"}, subject: user, lifetime: time.Minute,
		keys: []signingKey{newSigningKey(t, "k1", jose.RS256)}, revoked: map[string]bool{}}
	var inner http.Handler
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		down := p.wholeDown
		if r.URL.Path == "/keys" {
			p.keyHits++
		}
		p.mu.Unlock()
		if down {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(p.Close)
	api := storage.WebClient("api", p.api)
	p.Storage = storage.NewStorageWithClients(storage.NewUserStore(p.URL), map[string]*storage.Client{"api": api})
	provider, err := op.NewProvider(&op.Config{CryptoKey: [32]byte([]byte(rand.Text() + "padding")), AuthMethodPost: true, CodeMethodS256: true}, p,
		op.StaticIssuer(p.URL), op.WithAllowInsecure(), op.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	inner = provider
	return p
}

func (p *provider) rotate(keys ...signingKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = keys
}

func (p *provider) set(down bool, audience ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wholeDown, p.audience = down, audience
}

// issue says whose tokens are made from now on, and for how long.
func (p *provider) issue(subject string, lifetime time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.subject, p.lifetime = subject, lifetime
}

func (p *provider) fetches() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keyHits
}

func (p *provider) SigningKey(context.Context) (op.SigningKey, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys[len(p.keys)-1], nil
}

func (p *provider) KeySet(context.Context) ([]op.Key, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []op.Key
	for _, k := range p.keys {
		out = append(out, publicKey{k})
	}
	return out, nil
}

// A client gets tokens of the provider's form.
type client struct {
	op.Client
	form op.AccessTokenType
}

func (c client) AccessTokenType() op.AccessTokenType { return c.form }

func (p *provider) ClientCredentials(ctx context.Context, id, secret string) (op.Client, error) {
	c, err := p.Storage.ClientCredentials(ctx, id, secret)
	return client{c, p.form}, err
}

func (p *provider) ClientCredentialsTokenRequest(_ context.Context, _ string, scopes []string) (op.TokenRequest, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return &oidc.JWTTokenRequest{Subject: p.subject, Audience: p.audience, Scopes: scopes}, nil
}

// CreateAccessToken gives tokens the provider's lifetime.
func (p *provider) CreateAccessToken(ctx context.Context, req op.TokenRequest) (string, time.Time, error) {
	id, _, err := p.Storage.CreateAccessToken(ctx, req)
	p.mu.Lock()
	defer p.mu.Unlock()
	return id, time.Now().Add(p.lifetime), err
}

// GetPrivateClaimsFromScopes adds the scopes, as RFC 9068 wants it.
func (p *provider) GetPrivateClaimsFromScopes(_ context.Context, _, _ string, scopes []string) (map[string]any, error) {
	return map[string]any{"scope": strings.Join(scopes, " ")}, nil
}

// SetIntrospectionFromToken adds what RFC 7662 leaves open.
func (p *provider) SetIntrospectionFromToken(ctx context.Context, r *oidc.IntrospectionResponse, token, subject, id string) error {
	err := p.Storage.SetIntrospectionFromToken(ctx, r, token, subject, id)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.revoked[token] {
		err = errors.New("revoked")
	}
	r.Subject, r.Audience, r.Issuer, r.TokenType = subject, p.audience, p.URL, "Bearer"
	return err
}

// RevokeToken lets the API revoke clients' tokens, which the example does not.
func (p *provider) RevokeToken(_ context.Context, token, _, _ string) *oidc.Error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.revoked[token] = true
	return nil
}

// token gets one by client credentials (RFC 6749, section 4.4).
func (p *provider) token(t *testing.T, scopes string) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {clientID}, "client_secret": {clientSecret}, "scope": {scopes}}
	res, err := http.PostForm(p.URL+"/oauth/token", form)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	var said struct {
		Token string `json:"access_token"`
	}
	if err != nil || json.Unmarshal(body, &said) != nil || said.Token == "" {
		t.Fatalf("no token: %v, %d, %s", err, res.StatusCode, body)
	}
	return said.Token
}
