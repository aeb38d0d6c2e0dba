package hostile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// An issuer publishes one key and signs what it is told to.
type issuer struct {
	*httptest.Server
	key *ecdsa.PrivateKey
}

type object = map[string]any

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{key: key}
	pub, err := key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		t.Fatal(err)
	}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		doc := object{"issuer": i.URL, "jwks_uri": i.URL + "/keys"}
		if r.URL.Path == "/keys" {
			doc = object{"keys": []object{{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "k1", "x": b64(pub[1:33]), "y": b64(pub[33:])}}}
		}
		_ = json.NewEncoder(w).Encode(doc) // the server misses it
	}))
	t.Cleanup(i.Close)
	return i
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func head() object { return object{"alg": "ES256", "typ": "at+jwt", "kid": "k1"} }

// claims are alice's, who may do everything, or mallory's, who may read.
func (i *issuer) claims(who string) object {
	scope := "orders:read"
	if who == "alice" {
		scope += " orders:write"
	}
	now := time.Now().Unix()
	return object{"iss": i.URL, "aud": resource, "sub": who, "scope": scope, "iat": now, "exp": now + 3600, "jti": rand.Text()}
}

func (i *issuer) sign(header, claims object) string {
	h, err1 := json.Marshal(header)
	c, err2 := json.Marshal(claims)
	signed := b64(h) + "." + b64(c)
	sum := sha256.Sum256([]byte(signed))
	r, s, err3 := ecdsa.Sign(rand.Reader, i.key, sum[:])
	if err1 != nil || err2 != nil || err3 != nil {
		panic(fmt.Sprint(err1, err2, err3))
	}
	return signed + "." + b64(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

func (i *issuer) token(who string) string { return i.sign(head(), i.claims(who)) }

func with(o object, name string, value any) object {
	o = maps.Clone(o)
	o[name] = value
	return o
}

// forged returns what looks like alice's token and is none.
func (i *issuer) forged(r *mathrand.Rand, marker string) string {
	good := i.token("alice")
	parts := strings.Split(good, ".")
	switch r.IntN(14) {
	case 0: // one character of the signature or of what is signed, not a last one, whose bits may not count
		at := r.IntN(len(good) - 1)
		for good[at] == '.' || good[at+1] == '.' {
			at = r.IntN(len(good) - 1)
		}
		c := byte('A')
		if good[at] == c {
			c = 'B'
		}
		return good[:at] + string(c) + good[at+1:]
	case 1:
		return b64([]byte(`{"alg":"none"}`)) + "." + parts[1] + "."
	case 2:
		return i.sign(with(head(), "alg", "HS256"), i.claims("alice"))
	case 3:
		return i.sign(head(), with(i.claims("alice"), "exp", time.Now().Add(-time.Hour).Unix()))
	case 4:
		return i.sign(head(), with(i.claims("alice"), "aud", "https://"+marker+".example.com/mcp"))
	case 5:
		return i.sign(head(), with(i.claims("alice"), "iss", "https://"+marker+".example.com"))
	case 6:
		return i.sign(with(head(), "kid", marker), i.claims("alice"))
	case 7:
		return i.sign(with(head(), "jwk", object{"kty": "EC"}), i.claims("alice"))
	case 8:
		return i.sign(with(head(), "crit", []string{marker}), i.claims("alice"))
	case 9:
		return parts[0] + "." + parts[1] + "."
	case 10:
		return parts[0] + "." + b64([]byte(`{"sub":"alice","scope":"orders:write","iss":"`+i.URL+`"}`)) + "." + parts[2]
	case 11:
		return i.sign(head(), with(i.claims("alice"), "sub", "ali\u200bce"+marker))
	case 12:
		return marker + strings.Repeat("A", r.IntN(12_000))
	}
	return i.sign(with(head(), "typ", "JWT"), with(i.claims("alice"), "cnf", object{"jkt": marker}))
}
