package auth_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/auth"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// A server that takes the tokens of an authorization server. Who comes without
// one is told where to get it.
func Example() {
	const resource = "https://orders.example.com/mcp"
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "orders", Version: "1.0.0"}, mcpsec.Options{
		Audit: mcpsec.NewAuditLog(io.Discard), // OpenAuditLog, in a program
		Log:   slog.DiscardHandler,
	})
	if err != nil {
		log.Fatal(err)
	}
	verify, err := auth.JWT(auth.JWTOptions{Issuer: "https://login.example.com", Audience: resource})
	if err != nil {
		log.Fatal(err)
	}
	options := mcpsec.HTTPOptions{
		Verifier: verify, Resource: resource, AuthorizationServers: []string{"https://login.example.com"},
	}
	handler, err := srv.HTTP(options) // a program calls srv.ListenAndServe(ctx, ":443", options)
	if err != nil {
		log.Fatal(err)
	}

	web := httptest.NewServer(handler)
	defer web.Close()
	res, err := http.Post(web.URL+"/mcp", "application/json", strings.NewReader("{}"))
	if err != nil {
		log.Fatal(err)
	}
	res.Body.Close()
	fmt.Println(res.Status)
	fmt.Println(res.Header.Get("WWW-Authenticate"))
	// Output:
	// 401 Unauthorized
	// Bearer resource_metadata="https://orders.example.com/.well-known/oauth-protected-resource/mcp"
}

// People come with tokens of an authorization server, a nightly job with a key.
// What needs no network is asked first.
func ExampleAnyOf() {
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
