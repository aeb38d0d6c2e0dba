package auth_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/auth"
)

// Any three parts, signed by the issuer or not: nothing panics, errors tell
// nothing, and who gets in is whom the claims name, read by another reader.
func FuzzJWT(f *testing.F) {
	s := publishing(allKeys()...)
	v, err := auth.JWT(options(s))
	if err != nil {
		f.Fatal(err)
	}
	head, claims := must(json.Marshal(goodHead())), must(json.Marshal(with(goodClaims(), "exp", time.Now().Add(24*time.Hour).Unix())))
	f.Add(string(head), string(claims), true)
	f.Add(`{"alg":"none"}`, string(claims), false)
	f.Add(`{"alg":"RS256","kid":"r1","crit":["exp"]}`, string(claims), true)
	f.Add(string(head), `{"iss":"`+issuerURL+`","sub":"ann","aud":["`+resource+`"],"exp":4102444800.5,"nbf":1,"iat":1,"scp":["a"]}`, true)
	f.Add(string(head), `{"iss":"`+issuerURL+`","sub":"ann","sub":"root","aud":"`+resource+`","exp":4102444800}`, true)
	f.Fuzz(func(t *testing.T, head, claims string, sign bool) {
		token := encode([]byte(head)) + "." + encode([]byte(claims)) + ".AAAA"
		if sign {
			token = signed(rsaKey(), head, claims)
		}
		p, err := v(context.Background(), token)
		if err != nil {
			if !errors.Is(err, mcpsec.ErrInvalidToken) || p.ID != "" {
				t.Fatalf("got %v and %v", p, err)
			}
			return
		}
		var again struct{ Iss, Sub string }
		if !sign || json.Unmarshal([]byte(claims), &again) != nil || p.ID != issuerURL+"|"+again.Sub || again.Iss != issuerURL {
			t.Fatalf("%s %s: got %+v", head, claims, p)
		}
	})
}

// Bytes that claim to be a token are one exactly or not at all: no other
// spelling of a good token is good.
func FuzzSpelling(f *testing.F) {
	v, err := auth.JWT(options(publishing(allKeys()...)))
	if err != nil {
		f.Fatal(err)
	}
	token := signed(edKey(), object{"alg": "EdDSA", "kid": "d1"}, with(goodClaims(), "exp", time.Now().Add(24*time.Hour).Unix()))
	f.Add(uint(0), "\n")
	f.Add(uint(len(token)), "=")
	f.Add(uint(len(token)), ".")
	f.Fuzz(func(t *testing.T, at uint, insert string) {
		at %= uint(len(token)) + 1
		spelled := token[:at] + insert + token[at:]
		if _, err := v(context.Background(), spelled); (err == nil) != (spelled == token) {
			t.Fatalf("%q: got %v", spelled, err)
		}
	})
}

// A key set is from the issuer, who may be anybody's mistake.
func FuzzKeySet(f *testing.F) {
	f.Add(string(must(json.Marshal(object{"keys": allKeys()}))))
	f.Add(`{"keys":[{"kty":"EC","crv":"P-256","x":"","y":""},{"kty":"RSA","n":"","e":""},null]}`)
	f.Add(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"` + base64.RawURLEncoding.EncodeToString(make([]byte, 32)) + `"}]}`)
	f.Fuzz(func(t *testing.T, doc string) {
		v, err := auth.JWT(options(&server{handler: says(doc)}))
		if err != nil {
			t.Fatal(err)
		}
		token := signed(otherRSA(), goodHead(), goodClaims())
		if p, err := v(context.Background(), token); err == nil && !strings.Contains(doc, `"n"`) {
			t.Fatalf("%s: got %+v", doc, p)
		}
	})
}
