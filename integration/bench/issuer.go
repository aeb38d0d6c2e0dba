package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

const audience = "https://bench.example.com/mcp"

// An issuer publishes a key of each algorithm, and signs by them.
type issuer struct {
	*httptest.Server
	keys map[jose.SignatureAlgorithm]crypto.Signer
}

func newIssuer() (*issuer, error) {
	ec, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	rs, err2 := rsa.GenerateKey(rand.Reader, 2048)
	if err1 != nil || err2 != nil {
		return nil, fmt.Errorf("making keys: %v, %v", err1, err2)
	}
	i := &issuer{keys: map[jose.SignatureAlgorithm]crypto.Signer{jose.ES256: ec, jose.RS256: rs}}
	var set jose.JSONWebKeySet
	for alg, key := range i.keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Public(), KeyID: string(alg), Algorithm: string(alg), Use: "sig"})
	}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var doc any = set
		if r.URL.Path != "/keys" {
			doc = map[string]string{"issuer": i.URL, "jwks_uri": i.URL + "/keys"}
		}
		_ = json.NewEncoder(w).Encode(doc) // the server misses it
	}))
	return i, nil
}

// token is a new one of a client.
func (i *issuer) token(alg jose.SignatureAlgorithm, client int) (string, error) {
	key := jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: i.keys[alg], KeyID: string(alg)}}
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType("at+jwt"))
	if err != nil {
		return "", err
	}
	now := time.Now().Unix()
	claims, err := json.Marshal(map[string]any{
		"iss": i.URL, "aud": audience, "sub": fmt.Sprintf("client-%d", client), "client_id": "bench", "scope": "orders:read orders:write",
		"iat": now, "exp": now + 600, "jti": rand.Text(),
	})
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}
