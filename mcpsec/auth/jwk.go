package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"math/big"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxKeys      = 100
	maxKeyID     = 256 // bytes
	minRSA       = 2048
	maxRSA       = 8192 // what is longer costs too much to check
	minExponent  = 17   // bits: FIPS 186-5, section 5.4, wants more than 2^16
	maxExponent  = 31   // bits, which crypto/rsa takes
	uncompressed = 4    // SEC 1, section 2.3.3
)

// signatures are the algorithms that can be allowed: those with a public key.
var (
	signatures    = slices.Concat(rsaSignatures, []string{"ES256", "ES384", "ES512"}, edSignatures)
	rsaSignatures = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	edSignatures  = []string{"EdDSA", "Ed25519"}
)

// A publicKey is one of the issuer's keys and what it may be used for.
type publicKey struct {
	id   string
	algs []string
	key  crypto.PublicKey
}

// A jwk is a key as it is published (RFC 7517, section 4; RFC 7518, section 6;
// RFC 8037). Certificates in it are not looked at: its numbers are the key.
type jwk struct {
	Kty    string         `json:"kty"`
	Kid    string         `json:"kid"`
	Use    string         `json:"use"`
	KeyOps []string       `json:"key_ops"`
	Alg    string         `json:"alg"`
	Crv    string         `json:"crv"`
	N      string         `json:"n"`
	E      string         `json:"e"`
	X      string         `json:"x"`
	Y      string         `json:"y"`
	D      jsontext.Value `json:"d"` // private: whoever read it can sign
}

var errNoKeys = errors.New("it publishes no key that can be used")

// parseKeys reads a JWK set. Keys that are not for signatures, are of another
// kind, weak or malformed are left out (RFC 7517, section 5).
func parseKeys(doc []byte) ([]publicKey, error) {
	var set struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if decodeObject(doc, &set) != nil {
		return nil, errNotJSON
	}
	var keys []publicKey
	for _, raw := range set.Keys[:min(len(set.Keys), maxKeys)] {
		var k jwk
		if json.Unmarshal(raw, &k) != nil || !k.verifies() {
			continue
		}
		if key, algs := k.public(); key != nil {
			keys = append(keys, publicKey{id: k.Kid, algs: algs, key: key})
		}
	}
	if len(keys) == 0 {
		return nil, errNoKeys
	}
	return keys, nil
}

func (k *jwk) verifies() bool {
	return len(k.Kid) <= maxKeyID && k.D == nil && (k.Use == "" || k.Use == "sig") &&
		(k.KeyOps == nil || slices.Contains(k.KeyOps, "verify"))
}

// public returns the key and the algorithms it fits; one key serves one kind of
// algorithm only, and just one if it says so (RFC 8725, section 3.1).
func (k *jwk) public() (key crypto.PublicKey, algs []string) {
	switch k.Kty {
	case "RSA":
		key, algs = k.rsa(), rsaSignatures
	case "EC":
		key, algs = k.ec()
	case "OKP":
		key, algs = k.ed25519(), edSignatures
	}
	if k.Alg != "" {
		if !slices.Contains(algs, k.Alg) {
			return nil, nil
		}
		algs = []string{k.Alg}
	}
	return key, algs
}

// rsa returns an RSA key that is neither weak nor a burden.
func (k *jwk) rsa() crypto.PublicKey {
	n, e := new(big.Int).SetBytes(number(k.N)), new(big.Int).SetBytes(number(k.E))
	if bits := n.BitLen(); bits < minRSA || bits > maxRSA || n.Bit(0) == 0 {
		return nil
	}
	if bits := e.BitLen(); bits < minExponent || bits > maxExponent || e.Bit(0) == 0 {
		return nil
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}
}

// ec returns a key on one of NIST's curves. ParseUncompressedPublicKey refuses all
// others, checks the length of both coordinates together, and that the point lies
// on the curve.
func (k *jwk) ec() (crypto.PublicKey, []string) {
	curves := map[string]struct {
		elliptic.Curve
		alg string
	}{"P-256": {elliptic.P256(), "ES256"}, "P-384": {elliptic.P384(), "ES384"}, "P-521": {elliptic.P521(), "ES512"}}
	c := curves[k.Crv]
	x, y := number(k.X), number(k.Y)
	if len(x) != len(y) {
		return nil, nil
	}
	key, err := ecdsa.ParseUncompressedPublicKey(c.Curve, slices.Concat([]byte{uncompressed}, x, y))
	if err != nil {
		return nil, nil
	}
	return key, []string{c.alg}
}

func (k *jwk) ed25519() crypto.PublicKey {
	x := number(k.X)
	if k.Crv != "Ed25519" || len(x) != ed25519.PublicKeySize {
		return nil
	}
	return ed25519.PublicKey(x)
}

// number decodes base64url, or returns nothing.
func number(s string) []byte {
	if strings.ContainsAny(s, "\r\n") {
		return nil
	}
	b, err := base64url.DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}
