package auth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/auth"
)

const (
	issuerURL = "https://login.example.com"
	resource  = "https://orders.example.com/mcp"
)

var (
	rsaKey   = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	otherRSA = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	weakRSA  = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 1024)) })
	ecKey    = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	ec384    = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)) })
	edKey    = sync.OnceValue(func() ed25519.PrivateKey { _, k, err := ed25519.GenerateKey(rand.Reader); return must(k, err) })
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

type object = map[string]any

// with returns a copy of o with members set, or removed when nil.
func with(o object, members ...any) object {
	out := object{}
	for k, v := range o {
		out[k] = v
	}
	for i := 0; i < len(members); i += 2 {
		if out[members[i].(string)] = members[i+1]; members[i+1] == nil {
			delete(out, members[i].(string))
		}
	}
	return out
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// signed makes a token. Header and claims are objects, or text to be taken as
// it is.
func signed(key any, head, claims any) string {
	text := func(v any) string {
		if s, ok := v.(string); ok {
			return encode([]byte(s))
		}
		return encode(must(json.Marshal(v)))
	}
	h, ok := head.(object)
	if !ok {
		h = object{"alg": "RS256"}
	}
	input := text(head) + "." + text(claims)
	method := jwt.GetSigningMethod(h["alg"].(string))
	if h["alg"] == "Ed25519" {
		method = jwt.SigningMethodEdDSA
	}
	if method == nil || method.Alg() == "none" {
		return input + "."
	}
	return input + "." + encode(must(method.Sign(input, key)))
}

// published is a key as an issuer shows it.
func published(id string, public crypto.PublicKey) object {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return object{"kid": id, "kty": "RSA", "n": encode(k.N.Bytes()), "e": encode(big.NewInt(int64(k.E)).Bytes())}
	case *ecdsa.PublicKey:
		point := must(k.Bytes())
		half := len(point) / 2
		return object{"kid": id, "kty": "EC", "crv": k.Params().Name, "x": encode(point[1 : 1+half]), "y": encode(point[1+half:])}
	case ed25519.PublicKey:
		return object{"kid": id, "kty": "OKP", "crv": "Ed25519", "x": encode(k)}
	}
	panic("no such key")
}

// A server answers without a network, so that it works in a synctest bubble.
type server struct {
	mu      sync.Mutex
	hits    []string // "GET https://host/path"
	handler http.HandlerFunc
}

func (s *server) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.hits = append(s.hits, req.Method+" "+req.URL.String())
	handler := s.handler
	s.mu.Unlock()
	answer := make(chan *http.Response, 1)
	broken := make(chan any, 1)
	go func() {
		defer func() { broken <- recover() }()
		rec := httptest.NewRecorder()
		handler(rec, req)
		answer <- rec.Result()
	}()
	select {
	case res := <-answer:
		return res, nil
	case p := <-broken:
		if p == nil {
			return <-answer, nil
		}
		if err, ok := p.(error); ok {
			return nil, err
		}
		panic(p)
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
}

func (s *server) client() *http.Client { return &http.Client{Transport: s} }

func (s *server) answer(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handler = h
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.hits)
}

func says(v any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if text, ok := v.(string); ok {
			_, _ = w.Write([]byte(text))
			return
		}
		_ = json.NewEncoder(w).Encode(v)
	}
}

func fails(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "https://evil.example.com/keys")
		http.Error(w, "hunter2", status)
	}
}

func breaks(err error) http.HandlerFunc {
	return func(http.ResponseWriter, *http.Request) { panic(err) }
}

func hangs(w http.ResponseWriter, req *http.Request) { <-req.Context().Done() }

// publishing is an issuer with these keys.
func publishing(keys ...object) *server {
	return &server{handler: says(object{"keys": keys})}
}

func allKeys() []object {
	return []object{published("r1", rsaKey().Public()), published("e1", ecKey().Public()), published("d1", edKey().Public())}
}

func options(s *server) auth.JWTOptions {
	return auth.JWTOptions{Issuer: issuerURL, Audience: resource, KeysURL: issuerURL + "/keys", Client: s.client()}
}

func verifier(t *testing.T, opts auth.JWTOptions) mcpsec.TokenVerifier {
	t.Helper()
	v, err := auth.JWT(opts)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func goodHead() object { return object{"alg": "RS256", "kid": "r1", "typ": "at+jwt"} }

func goodClaims() object {
	now := time.Now().Unix()
	return object{"iss": issuerURL, "sub": "ann", "aud": resource, "iat": now, "exp": now + 300, "scope": "orders:read orders:write"}
}

func good() string { return signed(rsaKey(), goodHead(), goodClaims()) }

func allow(t *testing.T, v mcpsec.TokenVerifier, token string) mcpsec.Principal {
	t.Helper()
	p, err := v(t.Context(), token)
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	return p
}

// deny demands that the token is refused, for the reason.
func deny(t *testing.T, v mcpsec.TokenVerifier, token, reason string) {
	t.Helper()
	p, err := v(t.Context(), token)
	if !errors.Is(err, mcpsec.ErrInvalidToken) || !strings.Contains(err.Error(), reason) || p.ID != "" || p.Scopes != nil {
		t.Fatalf("got %v and %v, want that %s", p, err, reason)
	}
	clean(t, err, token)
}

// puzzled demands that the token cannot be checked, for the reason.
func puzzled(t *testing.T, v mcpsec.TokenVerifier, token, reason string) {
	t.Helper()
	p, err := v(t.Context(), token)
	if err == nil || errors.Is(err, mcpsec.ErrInvalidToken) || !strings.Contains(err.Error(), reason) || p.ID != "" || p.Scopes != nil {
		t.Fatalf("got %v and %v, want that %s", p, err, reason)
	}
	clean(t, err, token)
}

// clean demands that an error tells nothing of token, claims, server or answer.
func clean(t *testing.T, err error, token string) {
	t.Helper()
	for _, piece := range append(strings.Split(token, "."), "ann", "hunter2", "example.com", "r1") {
		if len(piece) > 1 && strings.Contains(err.Error(), piece) {
			t.Errorf("%q holds %q", err, piece)
		}
	}
}

// bubble runs f in parallel with others, on a clock of its own.
func bubble(t *testing.T, name string, f func(*testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, f)
	})
}

var background = context.Background()

func contextFor(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), d)
}
