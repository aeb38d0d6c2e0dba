package auth_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/auth"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// A token whose key is known, and one that is refused for its signature.
func BenchmarkJWT(b *testing.B) {
	v, err := auth.JWT(options(publishing(allKeys()...)))
	if err != nil {
		b.Fatal(err)
	}
	claims := with(goodClaims(), "exp", time.Now().Add(time.Hour).Unix())
	for _, bench := range []struct {
		name, token string
	}{
		{"RS256", signed(rsaKey(), goodHead(), claims)},
		{"ES256", signed(ecKey(), object{"alg": "ES256", "kid": "e1"}, claims)},
		{"EdDSA", signed(edKey(), object{"alg": "EdDSA", "kid": "d1"}, claims)},
		{"unknown kid", signed(rsaKey(), with(goodHead(), "kid", "x"), claims)},
	} {
		b.Run(bench.name, func(b *testing.B) { verifyLoop(b, v, bench.token, bench.name != "unknown kid") })
	}
}

func BenchmarkKeys(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		keys, token := make([]auth.Key, n), ""
		for i := range keys {
			token = rand.Text()
			keys[i] = auth.Key{Name: fmt.Sprint("key-", i), Secret: redact.NewSecret(token), Scopes: []string{"orders:read"}}
		}
		v, err := auth.Keys(keys...)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) { verifyLoop(b, v, token, true) })
	}
}

func BenchmarkIntrospectionKept(b *testing.B) {
	v, err := auth.Introspection(introspecting(&server{handler: says(active())}))
	if err != nil {
		b.Fatal(err)
	}
	verifyLoop(b, v, opaque, true)
}

func verifyLoop(b *testing.B, v mcpsec.TokenVerifier, token string, good bool) {
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v(ctx, token); (err == nil) != good {
			b.Fatal(err)
		}
	}
}
