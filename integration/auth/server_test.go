package auth

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/modelcontextprotocol/go-sdk/auth/extauth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/auth"
)

type none struct{}

type who struct {
	ID string `json:"id"`
}

func whoami(ctx context.Context, _ none) (who, error) { return who{mcpsec.PrincipalFrom(ctx).ID}, nil }

// A site is an MCP server on a socket that takes the provider's tokens.
type site struct {
	*httptest.Server
	resource string
}

// newSite makes the provider issue tokens for it.
func newSite(t *testing.T, p *provider) *site {
	t.Helper()
	web := httptest.NewUnstartedServer(nil)
	s := &site{web, "http://" + web.Listener.Addr().String() + "/mcp"}
	verify, err := auth.JWT(auth.JWTOptions{Issuer: p.URL, Audience: s.resource})
	if err != nil {
		t.Fatal(err)
	}
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "orders", Version: "1.0.0"}, mcpsec.Options{
		Audit: mcpsec.NewAuditLog(io.Discard), Log: slog.DiscardHandler, StepUp: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Add(
		mcpsec.NewTool(mcpsec.ToolSpec{Name: "who", Description: "Say who calls.", Effect: mcpsec.Read,
			Scopes: []string{"orders:read"}}, whoami),
		mcpsec.NewTool(mcpsec.ToolSpec{Name: "export", Description: "Say who calls, to few.", Effect: mcpsec.Read,
			Scopes: []string{"orders:read", "orders:export"}}, whoami),
	)
	web.Config.Handler, err = srv.HTTP(mcpsec.HTTPOptions{
		Verifier: auth.Implies(verify, map[string][]string{"orders:all": {"orders:read", "orders:export"}}),
		Resource: s.resource, AuthorizationServers: []string{p.URL}, Scopes: []string{"orders:read"},
	})
	if err != nil {
		t.Fatal(err)
	}
	web.Start()
	t.Cleanup(web.Close)
	p.set(false, s.resource)
	return s
}

// A bearer sends its token, and remembers the last answer that was refused.
type bearer struct {
	mu        sync.Mutex
	token     string
	status    int
	challenge string
}

func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	res, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && res.StatusCode >= 400 {
		b.status, b.challenge = res.StatusCode, res.Header.Get("WWW-Authenticate")
	}
	return res, err
}

func (b *bearer) use(token string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.token = token
}

func (s *site) connect(t *testing.T, b *bearer) (*mcp.ClientSession, error) {
	t.Helper()
	cs, err := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1"}, nil).Connect(t.Context(),
		&mcp.StreamableClientTransport{Endpoint: s.resource, HTTPClient: &http.Client{Transport: b}}, nil)
	if err == nil {
		t.Cleanup(func() { cs.Close() })
	}
	return cs, err
}

// callAs returns whom the tool was called by.
func callAs(t *testing.T, cs *mcp.ClientSession, tool string) (string, error) {
	t.Helper()
	res, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: tool})
	if err != nil {
		return "", err
	}
	var said who
	if text, ok := res.Content[0].(*mcp.TextContent); res.IsError || !ok || json.Unmarshal([]byte(text.Text), &said) != nil {
		t.Errorf("%s: got %+v", tool, res)
	}
	return said.ID, nil
}

// Which token gets which answer, exactly, with the SDK's client. (AUTH-02,
// AUTH-04 to 07, SBP-01)
func TestServerAnswers(t *testing.T) {
	t.Parallel()
	p := newProvider(t, op.AccessTokenTypeJWT)
	k1, k2 := p.keys[0], newSigningKey(t, "k2", jose.ES256)
	s := newSite(t, p)
	other := newProvider(t, op.AccessTokenTypeJWT)
	other.set(false, s.resource)
	metadata := `, resource_metadata="` + strings.TrimSuffix(s.resource, "/mcp") + `/.well-known/oauth-protected-resource/mcp"`
	const insufficient = `Bearer error="insufficient_scope", scope="orders:read orders:export"`
	invalid := `Bearer error="invalid_token", scope="orders:read"` + metadata

	oldKey := p.token(t, "orders:read")
	p.rotate(k1, k2)
	good := p.token(t, "orders:read")
	p.issue(user, -2*time.Minute)
	expired := p.token(t, "orders:read")
	p.issue(user, time.Minute)
	p.set(false, "https://other.example.com/mcp")
	elsewhere := p.token(t, "orders:read")
	p.set(false, s.resource)

	for _, tc := range []struct {
		name, token, tool string
		status            int // 0: answered
		challenge         string
	}{
		{"good", good, "who", 0, ""},
		{"the key before", oldKey, "who", 0, ""},
		{"missing scope", good, "export", 403, insufficient + metadata},
		{"no scope", p.token(t, "openid"), "who", 403, `Bearer error="insufficient_scope", scope="orders:read"` + metadata},
		{"both scopes", p.token(t, "orders:read orders:export"), "export", 0, ""},
		{"implied scopes", p.token(t, "orders:all"), "export", 0, ""},
		{"another audience", elsewhere, "who", 401, invalid},
		{"expired", expired, "who", 401, invalid},
		{"another issuer", other.token(t, "orders:read"), "who", 401, invalid},
		{"changed", good[:len(good)-8] + "AAAAAAAA", "who", 401, invalid},
		{"no JWT", "made-up", "who", 401, invalid},
		{"no token", "", "who", 400, `Bearer error="invalid_request", scope="orders:read"` + metadata},
	} {
		b := &bearer{token: tc.token}
		cs, err := s.connect(t, b)
		var id string
		if err == nil {
			id, err = callAs(t, cs, tc.tool)
		}
		if (err == nil) != (tc.status == 0) || b.status != tc.status || b.challenge != tc.challenge {
			t.Errorf("%s: got %d and %s (%v), want %d and %s", tc.name, b.status, b.challenge, err, tc.status, tc.challenge)
		}
		if want := p.URL + "|" + user; tc.status == 0 && id != want {
			t.Errorf("%s: called as %q, want %q", tc.name, id, want)
		}
	}

	p.rotate(newSigningKey(t, "k3", jose.RS256)) // too early to look at: the keys have just been fetched
	b := &bearer{token: p.token(t, "orders:read")}
	if _, err := s.connect(t, b); err == nil || b.status != 401 || b.challenge != invalid {
		t.Errorf("an unknown key: got %d and %s (%v)", b.status, b.challenge, err)
	}
	if n := p.fetches(); n != 1 {
		t.Errorf("keys were fetched %d times, want once", n)
	}
}

// Each call is its own token's, whatever the connection and the session carried
// before. (P30, P35, AUTH-03, SBP-02)
func TestServerKeepsPeopleApart(t *testing.T) {
	t.Parallel()
	p := newProvider(t, op.AccessTokenTypeJWT)
	s := newSite(t, p)
	tokens := map[string]string{}
	for _, subject := range []string{"alice", "bob"} {
		p.issue(subject, time.Minute)
		tokens[subject] = p.token(t, "orders:read")
	}
	var all sync.WaitGroup
	for subject, token := range tokens {
		cs, err := s.connect(t, &bearer{token: token})
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			for range 20 {
				if id, err := callAs(t, cs, "who"); err != nil || id != p.URL+"|"+subject {
					t.Errorf("%s is called %q (%v)", subject, id, err)
				}
			}
		})
	}
	all.Wait()

	b := &bearer{token: tokens["alice"]}
	cs, err := s.connect(t, b)
	if err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{"alice", "bob", "alice"} {
		b.use(tokens[subject])
		if id, err := callAs(t, cs, "who"); err != nil || id != p.URL+"|"+subject {
			t.Errorf("%s, in the session that alice began, is called %q (%v)", subject, id, err)
		}
	}
}

// The SDK's client finds its way from the first refusal to a token, and from the
// second to one with more scopes, by what the server says and nothing else.
// (AUTH-01, AUTH-05, AUTH-06)
func TestServerLeadsClientsToTokens(t *testing.T) {
	t.Parallel()
	p := newProvider(t, op.AccessTokenTypeJWT)
	s := newSite(t, p)
	login, err := extauth.NewClientCredentialsHandler(&extauth.ClientCredentialsHandlerConfig{Credentials: &oauthex.ClientCredentials{
		ClientID: clientID, ClientSecretAuth: &oauthex.ClientSecretAuth{ClientSecret: clientSecret},
	}})
	if err != nil {
		t.Fatal(err)
	}
	cs, err := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1"}, nil).Connect(t.Context(),
		&mcp.StreamableClientTransport{Endpoint: s.resource, OAuthHandler: login}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer cs.Close()
	for _, tool := range []string{"who", "export", "who"} {
		if id, err := callAs(t, cs, tool); err != nil || id != p.URL+"|"+user {
			t.Errorf("%s: called as %q (%v)", tool, id, err)
		}
	}
}
