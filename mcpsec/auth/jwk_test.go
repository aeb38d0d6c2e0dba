package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"math/big"
	"strings"
	"testing"
)

// Keys that must not be used count as not published.
func TestUnfitKeysAreLeftOut(t *testing.T) {
	t.Parallel()
	rsa := func(members ...any) object { return with(published("r1", rsaKey().Public()), members...) }
	ec := func(members ...any) object { return with(published("e1", ecKey().Public()), members...) }
	odd := func(bits uint) string {
		return encode(new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), bits-1), big.NewInt(1)).Bytes())
	}
	for name, key := range map[string]object{
		"RSA of 1024 bits":    published("r1", weakRSA().Public()),
		"RSA of 2047 bits":    rsa("n", odd(2047)),
		"RSA of 8193 bits":    rsa("n", odd(8193)),
		"even modulus":        rsa("n", encode(new(big.Int).Lsh(big.NewInt(1), 2047).Bytes())),
		"exponent 1":          rsa("e", "AQ"),
		"exponent 3":          rsa("e", "Aw"),
		"even exponent":       rsa("e", "AQAC"),
		"exponent of 16 bits": rsa("e", encode([]byte{0xff, 0xff})),
		"exponent of 32 bits": rsa("e", encode([]byte{0x80, 0, 0, 1})),
		"huge exponent":       rsa("e", encode([]byte{1, 0, 0, 0, 0, 0, 1, 0, 1})), // 65537 in its last 64 bits
		"no modulus":          rsa("n", nil),
		"padded modulus":      rsa("n", rsa()["n"].(string)+"="),
		"modulus with breaks": rsa("n", rsa()["n"].(string)[:4]+"\n"+rsa()["n"].(string)[4:]),
		"a number for n":      rsa("n", 7),
		"for encryption":      rsa("use", "enc"),
		"not to verify":       rsa("key_ops", []string{"sign"}),
		"private":             rsa("d", "AQ"),
		"HMAC algorithm":      rsa("alg", "HS256"),
		"long id":             rsa("kid", strings.Repeat("r", 257)),
		"symmetric":           {"kid": "r1", "kty": "oct", "k": "AAAA"},
		"unknown kind":        {"kid": "r1", "kty": "PQC", "x": "AAAA"},
		"off the curve":       ec("x", encode(make([]byte, 32))),
		"short coordinate":    ec("x", encode(make([]byte, 31))),
		"point cut elsewhere": cutElsewhere(),
		"compressed point":    ec("y", ""),
		"another curve":       ec("crv", "secp256k1"),
		"curve's other name":  ec("crv", "p-256"),
		"Ed448":               with(published("d1", edKey().Public()), "crv", "Ed448"),
		"X25519":              with(published("d1", edKey().Public()), "crv", "X25519"),
		"short Ed25519":       {"kid": "d1", "kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
	} {
		bubble(t, name, func(t *testing.T) {
			opts := options(publishing(key))
			opts.Algorithms = []string{"RS256", "ES256", "EdDSA"}
			head, signer := goodHead(), any(rsaKey())
			switch key["kid"] {
			case "e1":
				head, signer = object{"alg": "ES256", "kid": "e1"}, ecKey()
			case "d1":
				head, signer = object{"alg": "EdDSA", "kid": "d1"}, edKey()
			}
			puzzled(t, verifier(t, opts), signed(signer, head, goodClaims()), "no key that can be used")
		})
	}
}

// cutElsewhere is a point on the curve whose coordinates have other lengths.
func cutElsewhere() object {
	point := must(ecKey().PublicKey.Bytes())
	return object{"kid": "e1", "kty": "EC", "crv": "P-256", "x": encode(point[1:32]), "y": encode(point[32:])}
}

// A key fits one kind of algorithm, and one curve one hash.
func TestKeysFitTheirAlgorithm(t *testing.T) {
	t.Parallel()
	all := []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
	ec521, _ := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	keys := map[string]object{"r": published("r", rsaKey().Public()), "e": published("e", ecKey().Public()),
		"f": published("f", ec384().Public()), "g": published("g", ec521.Public()), "d": published("d", edKey().Public())}
	signers := map[string]any{"RS": rsaKey(), "PS": rsaKey(), "ES256": ecKey(), "ES384": ec384(), "ES512": ec521, "Ed": edKey()}
	fits := map[string]string{"RS": "r", "PS": "r", "ES256": "e", "ES384": "f", "ES512": "g", "Ed": "d"}
	for _, alg := range all {
		kind := alg
		if _, ok := signers[kind]; !ok {
			kind = alg[:2]
		}
		bubble(t, alg, func(t *testing.T) {
			opts := options(publishing(keys["r"], keys["e"], keys["f"], keys["g"], keys["d"]))
			opts.Algorithms = all
			v := verifier(t, opts)
			for kid := range keys {
				token := signed(signers[kind], object{"alg": alg, "kid": kid}, goodClaims())
				if kid == fits[kind] {
					allow(t, v, token)
				} else {
					deny(t, v, token, "key is not known")
				}
			}
		})
	}
}

// A key that names its algorithm serves no other.
func TestKeysNameTheirAlgorithm(t *testing.T) {
	t.Parallel()
	bubble(t, "PS256", func(t *testing.T) {
		v := verifier(t, options(publishing(with(published("r1", rsaKey().Public()), "alg", "PS256"))))
		allow(t, v, signed(rsaKey(), with(goodHead(), "alg", "PS256"), goodClaims()))
		deny(t, v, good(), "key is not known")
	})
	bubble(t, "Ed25519", func(t *testing.T) {
		v := verifier(t, options(publishing(with(published("d1", edKey().Public()), "alg", "Ed25519"))))
		allow(t, v, signed(edKey(), object{"alg": "Ed25519", "kid": "d1"}, goodClaims()))
		deny(t, v, signed(edKey(), object{"alg": "EdDSA", "kid": "d1"}, goodClaims()), "key is not known")
	})
}

// The numbers are the key; a certificate beside them is somebody's claim.
func TestCertificatesAreNotKeys(t *testing.T) {
	t.Parallel()
	bubble(t, "x5c", func(t *testing.T) {
		v := verifier(t, options(publishing(with(published("r1", rsaKey().Public()), "x5c", []string{encode([]byte("the certificate of another key"))}))))
		allow(t, v, good())
		deny(t, v, signed(otherRSA(), goodHead(), goodClaims()), "signature is wrong")
	})
}

// A token that two keys fit says too little.
func TestAmbiguousKeys(t *testing.T) {
	t.Parallel()
	bubble(t, "no kid", func(t *testing.T) {
		v := verifier(t, options(publishing(published("r1", rsaKey().Public()), published("r2", otherRSA().Public()))))
		allow(t, v, good())
		deny(t, v, signed(rsaKey(), object{"alg": "RS256"}, goodClaims()), "key is not known")
	})
	bubble(t, "one kid twice", func(t *testing.T) {
		v := verifier(t, options(publishing(published("r1", rsaKey().Public()), published("r1", otherRSA().Public()))))
		deny(t, v, good(), "key is not known")
	})
	bubble(t, "one kid for two kinds", func(t *testing.T) {
		v := verifier(t, options(publishing(published("r1", rsaKey().Public()), published("r1", ecKey().Public()))))
		allow(t, v, good())
	})
}

func TestKeysAreBounded(t *testing.T) {
	t.Parallel()
	bubble(t, "the hundred and first", func(t *testing.T) {
		var keys []object
		for n := range 100 {
			keys = append(keys, published(fmt.Sprint("e", n), ecKey().Public()))
		}
		v := verifier(t, options(publishing(append(keys, published("r1", rsaKey().Public()))...)))
		allow(t, v, signed(ecKey(), object{"alg": "ES256", "kid": "e99"}, goodClaims()))
		deny(t, v, good(), "key is not known")
	})
}
