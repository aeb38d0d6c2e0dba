package mcpsec_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// The tokens of the tests and whose they are.
var people = map[string]mcpsec.Principal{
	"alice-token": {ID: "alice", Scopes: []string{"orders.read", "orders.write"}},
	"bob-token":   {ID: "bob"},
	"nobody":      {},
}

func verify(_ context.Context, token string) (mcpsec.Principal, error) {
	switch token {
	case "broken":
		return mcpsec.Principal{}, errors.New("keys fetched from http://10.1.2.3/?apikey=hunter2")
	case "panic":
		panic("hunter2")
	}
	p, ok := people[token]
	if !ok {
		return p, fmt.Errorf("signature of kid=hunter2: %w", mcpsec.ErrInvalidToken)
	}
	return p, nil
}

// An httpFixture is a fixture that is served over HTTP.
type httpFixture struct {
	*fixture
	*httptest.Server
}

func newHTTP(t testing.TB, o mcpsec.HTTPOptions, change func(*mcpsec.Options), tools ...*mcpsec.Tool) *httpFixture {
	t.Helper()
	f := newFixture(t, change, tools...)
	h, err := f.HTTP(o)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return &httpFixture{f, srv}
}

// A request is built from a good one: change says what is different.
func (f *httpFixture) request(t testing.TB, body string, change func(*http.Request)) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.URL+"/mcp", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	r.Header.Set("Authorization", "Bearer alice-token")
	if change != nil {
		change(r)
	}
	return r
}

func (f *httpFixture) do(t testing.TB, body string, change func(*http.Request)) (*http.Response, string) {
	t.Helper()
	res, err := f.Client().Transport.RoundTrip(f.request(t, body, change))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

const (
	pingBody = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	listBody = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	echoBody = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"}}}`
)

// as sends a token with everything.
type as struct {
	token string
	http.RoundTripper
}

func (a as) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+a.token)
	return a.RoundTripper.RoundTrip(r)
}

// connectHTTP attaches the SDK's client, of the newest protocol or of one with
// sessions.
func (f *httpFixture) connectHTTP(t testing.TB, token string, modern bool) *mcp.ClientSession {
	t.Helper()
	version := "2025-11-25"
	if modern {
		version = "2026-07-28"
	}
	cs, err := mcp.NewClient(impl, nil).Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint: f.URL + "/mcp", HTTPClient: &http.Client{Transport: as{token, f.Client().Transport}},
	}, &mcp.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cs.Close() })
	return cs
}

// eras runs a test with clients of both.
func eras(t *testing.T, test func(t *testing.T, modern bool)) {
	for name, modern := range map[string]bool{"modern": true, "legacy": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, modern)
		})
	}
}

// The SDK's clients of both eras list, call, are refused and get progress. Who
// calls is told by each request's token. (P30, P35)
func TestHTTPServesClients(t *testing.T) {
	t.Parallel()
	eras(t, func(t *testing.T, modern bool) {
		f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify}, nil, echo(),
			tool("who", func(ctx context.Context, _ none) (echoOut, error) {
				return echoOut{mcpsec.PrincipalFrom(ctx).ID}, nil
			}))
		alice, bob := f.connectHTTP(t, "alice-token", modern), f.connectHTTP(t, "bob-token", modern)
		for range 3 {
			for want, cs := range map[string]*mcp.ClientSession{"alice": alice, "bob": bob} {
				if text, isErr := call(t, cs, "who", none{}); isErr || text != `{"text":"`+want+`"}` {
					t.Errorf("%s is told %s", want, text)
				}
			}
		}
		if text, isErr := call(t, alice, "echo", map[string]any{"text": 7}); !isErr || !strings.HasPrefix(text, "invalid arguments") {
			t.Errorf("got %s", text)
		}
		list, err := alice.ListTools(t.Context(), nil)
		if err != nil || len(list.Tools) != 2 {
			t.Errorf("%v, %v", list, err)
		}
		if _, err := alice.CallTool(t.Context(), &mcp.CallToolParams{Name: "absent"}); err == nil || !strings.Contains(err.Error(), "unknown tool") {
			t.Errorf("got %v", err)
		}
	})
}
