package auth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/mcpsec/mcpsec-go/mcpsec/auth"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// Tokens that only the authorization server can read. It is asked, and a token that was
// revoked is not taken for longer than MaxAge.
func ExampleIntrospection() {
	const resource = "https://orders.example.com/mcp"
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.FormValue("token") != "opaque-4711" {
			fmt.Fprint(w, `{"active":false}`)
			return
		}
		fmt.Fprintf(w, `{"active":true,"sub":"ada","aud":%q,"scope":"orders:read"}`, resource)
	}))
	defer issuer.Close()
	verify, err := auth.Introspection(auth.IntrospectionOptions{
		URL:          issuer.URL + "/introspect",
		Issuer:       "https://login.example.com",
		Audience:     resource, // this server
		ClientID:     "orders",
		ClientSecret: redact.NewSecret("from a file or the environment"), // redact.SecretFromEnv("CLIENT_SECRET")
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	who, err := verify(context.Background(), "opaque-4711")
	fmt.Println(who.ID, who.Scopes, err)
	_, err = verify(context.Background(), "opaque-4712")
	fmt.Println(err)
	// Output:
	// https://login.example.com|ada [orders:read] <nil>
	// mcpsec: invalid token: it is not active
}

// Users of a PocketBase come with the tokens that it has given them.
func ExamplePocketBase() {
	verify, err := auth.PocketBase(auth.PocketBaseOptions{
		URL:        "https://pb.example.com",
		Collection: "users",
		Scopes: func(record map[string]any) []string { // of a field that only an admin may write
			if record["role"] == "support" {
				return []string{"orders:read", "orders:refund"}
			}
			return []string{"orders:read"}
		},
	})
	fmt.Println(verify != nil, err)
	// Output: true <nil>
}
