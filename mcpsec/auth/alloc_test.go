package auth_test

import (
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/racing"
	"github.com/mcpsec/mcpsec-go/mcpsec/auth"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// What a token costs in allocations: most of a JWT's are its claims.
func TestVerifyAllocates(t *testing.T) { // not parallel: it counts
	if racing.Enabled {
		t.Skip("the race detector allocates for itself")
	}
	jwt, err := auth.JWT(options(publishing(allKeys()...)))
	if err != nil {
		t.Fatal(err)
	}
	const token = "kT9vXq2LrW7cYb4NzE8mPd5HsJ3aGf6U"
	keys, err := auth.Keys(auth.Key{Name: "k", Secret: redact.NewSecret(token)})
	if err != nil {
		t.Fatal(err)
	}
	signedToken := signed(ecKey(), object{"alg": "ES256", "kid": "e1"}, with(goodClaims(), "exp", time.Now().Add(time.Hour).Unix()))
	for name, tc := range map[string]struct {
		verify func() error
		most   float64
	}{
		"a JWT": {func() error { _, err := jwt(t.Context(), signedToken); return err }, 45},
		"a key": {func() error { _, err := keys(t.Context(), token); return err }, 1},
	} {
		got := testing.AllocsPerRun(100, func() {
			if err := tc.verify(); err != nil {
				t.Error(name, err)
			}
		})
		if got > tc.most {
			t.Errorf("%s: %v allocations, %v is the limit", name, got, tc.most)
		}
	}
}
