package auth_test

import (
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/auth"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// ending ends the goroutine of whoever sends a request.
type ending struct{}

func (ending) RoundTrip(*http.Request) (*http.Response, error) {
	runtime.Goexit()
	return nil, nil
}

// A Client that ends the goroutine leaves nobody waiting, and takes no place of
// those that are asked about.
func TestClientsMayEndTheGoroutine(t *testing.T) {
	t.Parallel()
	client := &http.Client{Transport: ending{}}
	jwt, err := auth.JWT(auth.JWTOptions{Issuer: "https://login.example.com", Audience: "https://orders.example.com", Client: client})
	if err != nil {
		t.Fatal(err)
	}
	introspection, err := auth.Introspection(auth.IntrospectionOptions{
		URL: "https://login.example.com/introspect", Issuer: "https://login.example.com", Audience: "https://orders.example.com",
		ClientID: "orders", ClientSecret: redact.NewSecret("tern-gull-heron-plover"), Client: client,
	})
	if err != nil {
		t.Fatal(err)
	}
	token := encode([]byte(`{"alg":"RS256","kid":"a"}`)) + "." + encode([]byte(`{"iss":"https://login.example.com"}`)) + ".AAAA"
	for name, verify := range map[string]mcpsec.TokenVerifier{"JWT": jwt, "introspection": introspection} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for n := range 100 {
					if _, err := verify(t.Context(), token); err == nil || !strings.Contains(err.Error(), "panicked") {
						t.Fatalf("%d: got %v", n, err)
					}
				}
			})
		})
	}
}
