package mcpsec_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A server over HTTP, for whom a verifier knows. Programs call
// srv.ListenAndServe; HTTP returns the handler alone.
func ExampleServer_HTTP() {
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "orders", Version: "1.0.0"}, mcpsec.Options{
		Audit: mcpsec.NewAuditLog(io.Discard),
		Log:   slog.DiscardHandler,
	})
	if err != nil {
		log.Fatal(err)
	}
	srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{
		Name:        "order_lookup",
		Description: "Fetch one order by its number.",
		Effect:      mcpsec.Read,
		Scopes:      []string{"orders.read"},
	}, lookup))
	handler, err := srv.HTTP(mcpsec.HTTPOptions{
		Verifier: func(_ context.Context, token string) (mcpsec.Principal, error) {
			if token != "ada-token" {
				return mcpsec.Principal{}, mcpsec.ErrInvalidToken
			}
			return mcpsec.Principal{ID: "ada", Scopes: []string{"orders.read"}}, nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	web := httptest.NewServer(handler)
	defer web.Close()

	for _, token := range []string{"ada-token", "guess"} {
		r, err := http.NewRequest(http.MethodPost, web.URL+"/mcp", strings.NewReader(
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"order_lookup","arguments":{"id":17}}}`))
		if err != nil {
			log.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			log.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s, shipped: %t, challenge: %q\n", res.Status, strings.Contains(string(body), `"status":"shipped"`), res.Header.Get("WWW-Authenticate"))
	}
	// Output:
	// 200 OK, shipped: true, challenge: ""
	// 401 Unauthorized, shipped: false, challenge: "Bearer error=\"invalid_token\""
}
