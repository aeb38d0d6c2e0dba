package auth_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/auth"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// People come with tokens of an authorization server, a nightly job with a key.
// What needs no network is asked first.
func Example() {
	users, err := auth.JWT(auth.JWTOptions{
		Issuer:   "https://login.example.com",
		Audience: "https://orders.example.com/mcp", // this server
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	key := rand.Text() // from the environment: redact.SecretFromEnv
	jobs, err := auth.Keys(auth.Key{Name: "nightly", Secret: redact.NewSecret(key), Scopes: []string{"orders:write"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	verify := auth.Implies(auth.AnyOf(jobs, users), map[string][]string{"orders:write": {"orders:read"}})

	who, err := verify(context.Background(), key)
	fmt.Println(who.ID, who.Scopes, err)
	_, err = verify(context.Background(), "something else")
	fmt.Println(err, errors.Is(err, mcpsec.ErrInvalidToken))
	// Output:
	// nightly [orders:read orders:write] <nil>
	// mcpsec: invalid token: nobody takes it true
}

func ExampleKeys() {
	_, err := auth.Keys(auth.Key{Name: "nightly", Secret: redact.NewSecret("orders2026")})
	fmt.Println(err)
	// Output:
	// auth: key 1: its Secret is guessable or too short for a random key of 128 bits: make one by openssl rand -hex 32
}
