package mcpsec_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// protected is a server of which all is said.
func protected() mcpsec.HTTPOptions {
	return mcpsec.HTTPOptions{
		Verifier: verify, Resource: "https://mcp.example.com/mcp", Hosts: []string{"mcp.example.com"},
		AuthorizationServers: []string{"https://login.example.com"}, Scopes: []string{"orders.read", "profile"},
	}
}

// Each way of sending no good token has its own status and challenge: RFC 6750,
// section 3, RFC 9728, section 5.1. None says what was wrong with the token.
// (P33, P34, AUTH-04, AUTH-05, AUTH-08)
func TestHTTPTokens(t *testing.T) {
	t.Parallel()
	const where = `scope="orders.read profile", resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"`
	for name, tc := range map[string]struct {
		change func(*http.Request)
		status int
		want   string // the challenge
	}{
		"good":            {func(r *http.Request) {}, 200, ""},
		"lower case":      {func(r *http.Request) { r.Header.Set("Authorization", "bearer alice-token") }, 200, ""},
		"none":            {func(r *http.Request) { r.Header.Del("Authorization") }, 401, "Bearer " + where},
		"basic":           {func(r *http.Request) { r.SetBasicAuth("alice", "hunter2") }, 401, "Bearer " + where},
		"scheme only":     {func(r *http.Request) { r.Header.Set("Authorization", "Bearer") }, 400, `Bearer error="invalid_request", ` + where},
		"empty":           {func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") }, 400, `Bearer error="invalid_request", ` + where},
		"two tokens":      {func(r *http.Request) { r.Header.Set("Authorization", "Bearer alice-token hunter2") }, 400, `Bearer error="invalid_request", ` + where},
		"two spaces":      {func(r *http.Request) { r.Header.Set("Authorization", "Bearer  alice-token") }, 400, `Bearer error="invalid_request", ` + where},
		"comma":           {func(r *http.Request) { r.Header.Set("Authorization", "Bearer alice-token, Basic hunter2") }, 400, `Bearer error="invalid_request", ` + where},
		"beyond ASCII":    {func(r *http.Request) { r.Header.Set("Authorization", "Bearer älice-token") }, 400, `Bearer error="invalid_request", ` + where},
		"padding only":    {func(r *http.Request) { r.Header.Set("Authorization", "Bearer ==") }, 400, `Bearer error="invalid_request", ` + where},
		"padding inside":  {func(r *http.Request) { r.Header.Set("Authorization", "Bearer a=b") }, 400, `Bearer error="invalid_request", ` + where},
		"huge":            {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+strings.Repeat("x", 9<<10)) }, 400, `Bearer error="invalid_request", ` + where},
		"two headers":     {func(r *http.Request) { r.Header.Add("Authorization", "Bearer bob-token") }, 400, `Bearer error="invalid_request", ` + where},
		"in the query":    {func(r *http.Request) { r.URL.RawQuery = "access_token=alice-token" }, 400, `Bearer error="invalid_request", ` + where},
		"only in a query": {func(r *http.Request) { r.URL.RawQuery = "access_token=alice-token"; r.Header.Del("Authorization") }, 400, `Bearer error="invalid_request", ` + where},
		"an empty query":  {func(r *http.Request) { r.URL.ForceQuery = true }, 400, `Bearer error="invalid_request", ` + where},
		"in a cookie": {func(r *http.Request) {
			r.Header.Del("Authorization")
			r.Header.Set("Cookie", "access_token=alice-token")
		}, 401, "Bearer " + where},
		"for a proxy": {func(r *http.Request) {
			r.Header.Del("Authorization")
			r.Header.Set("Proxy-Authorization", "Bearer alice-token")
		}, 401, "Bearer " + where},
		"unknown":          {func(r *http.Request) { r.Header.Set("Authorization", "Bearer hunter2") }, 401, `Bearer error="invalid_token", ` + where},
		"verifier fails":   {func(r *http.Request) { r.Header.Set("Authorization", "Bearer broken") }, 503, ""},
		"verifier panics":  {func(r *http.Request) { r.Header.Set("Authorization", "Bearer panic") }, 503, ""},
		"nobody's":         {func(r *http.Request) { r.Header.Set("Authorization", "Bearer nobody") }, 503, ""},
		"before the query": {func(r *http.Request) { r.Method = http.MethodGet; r.Header.Del("Authorization") }, 405, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newHTTP(t, protected(), nil, echo())
			res, body := f.do(t, pingBody, tc.change)
			if got := res.Header.Get("WWW-Authenticate"); res.StatusCode != tc.status || got != tc.want {
				t.Errorf("got %d %q\nwant %d %q", res.StatusCode, got, tc.status, tc.want)
			}
			if strings.Contains(body+fmt.Sprint(res.Header), "hunter2") {
				t.Errorf("echoed: %v %s", res.Header, body)
			}
			if !json.Valid([]byte(body)) {
				t.Errorf("body %s", body)
			}
			if strings.Contains(f.audit.String(), "hunter2") || (tc.status != 200) != strings.Contains(f.audit.String(), `"decision":"refused"`) {
				t.Errorf("recorded %s", f.audit.String())
			}
			if tc.status == 503 && !strings.Contains(f.log.String(), "token not verified") {
				t.Errorf("logged %s", f.log.String())
			}
		})
	}
}

// Without resource and scopes there is nothing to say but the scheme.
func TestHTTPBareChallenge(t *testing.T) {
	t.Parallel()
	f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify}, nil, echo())
	res, _ := f.do(t, pingBody, func(r *http.Request) { r.Header.Del("Authorization") })
	if got := res.Header.Get("WWW-Authenticate"); got != "Bearer" {
		t.Errorf("got %q", got)
	}
}

// The metadata is at both places, open to all, and names what a client needs.
// (AUTH-01)
func TestHTTPMetadata(t *testing.T) {
	t.Parallel()
	const well = "/.well-known/oauth-protected-resource"
	for resource, paths := range map[string][]string{
		"https://mcp.example.com/mcp": {well, well + "/mcp"},
		"https://mcp.example.com/a/b": {well, well + "/a/b"},
		"https://mcp.example.com":     {well},
	} {
		o := protected()
		o.Resource = resource
		f := newHTTP(t, o, nil, echo())
		for _, path := range paths {
			res, body := f.do(t, "", func(r *http.Request) {
				r.Method, r.URL.Path = http.MethodGet, path
				r.Header.Del("Authorization")
			})
			want := `{"resource":"` + resource + `","authorization_servers":["https://login.example.com"],"scopes_supported":["orders.read","profile"],"bearer_methods_supported":["header"]}`
			if res.StatusCode != 200 || body != want || res.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s: got %d %v %s", path, res.StatusCode, res.Header, body)
			}
		}
		if res, _ := f.do(t, "", func(r *http.Request) { r.Method, r.URL.Path = http.MethodGet, well+"/other" }); res.StatusCode != 404 {
			t.Errorf("another resource: got %d", res.StatusCode)
		}
	}
}

// What a client sent to be let in is not there for those inside. (P36, AUTH-03)
func TestHTTPCredentialsStayOutside(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 2)
	look := func(ctx context.Context, what any) {
		for _, key := range []any{http.ServerContextKey, http.LocalAddrContextKey} {
			what = fmt.Sprintf("%v %v", what, ctx.Value(key))
		}
		seen <- fmt.Sprintf("%+v %v", what, ctx)
	}
	f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify}, func(o *mcpsec.Options) {
		o.Guards = []mcpsec.Guard{func(ctx context.Context, c *mcpsec.Call) error { look(ctx, c); return nil }}
	}, tool("x", func(ctx context.Context, in none) (echoOut, error) { look(ctx, in); return echoOut{}, nil }))
	res, body := f.do(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}`, func(r *http.Request) {
		r.Header.Set("Cookie", "session=hunter2")
		r.Header.Set("Proxy-Authorization", "Basic hunter2")
	})
	if res.StatusCode != 200 || strings.Contains(body, "isError") {
		t.Fatalf("got %d %s", res.StatusCode, body)
	}
	for range 2 {
		if got := <-seen; strings.Contains(got, "alice-token") || strings.Contains(got, "hunter2") {
			t.Errorf("inside: %s", got)
		}
	}
	if all := f.audit.String() + f.log.String(); strings.Contains(all, "alice-token") || strings.Contains(all, "hunter2") {
		t.Errorf("written: %s", all)
	}
}

// Addresses that are refused again and again are refused without a look at
// their tokens, and others go on.
func TestHTTPFloodOfBadTokens(t *testing.T) {
	t.Parallel()
	asked := 0
	f := newFixture(t, nil, echo())
	h, err := f.HTTP(mcpsec.HTTPOptions{BehindProxy: true, Hosts: []string{"mcp.example.com"}, Verifier: func(ctx context.Context, token string) (mcpsec.Principal, error) {
		asked++
		return verify(ctx, token)
	}})
	if err != nil {
		t.Fatal(err)
	}
	send := func(via, token string) int {
		r := post("mcp.example.com", pingBody)
		r.Header.Set("X-Forwarded-For", "192.0.2.1")
		r.Header.Add("X-Forwarded-For", via)
		r.Header.Set("Authorization", "Bearer "+token)
		return from(h, outside, r).Code
	}
	codes := map[int]int{}
	for i := range 1000 {
		codes[send(fmt.Sprintf("10.0.0.%d, 198.51.100.9", i%250), "guess")]++ // what comes first, the client wrote
		if i%100 == 0 {
			send(fmt.Sprintf("2001:db8:7::%d", i), "guess")
		}
	}
	if codes[429] < 900 || asked > 100 {
		t.Errorf("got %v, and %d tokens were looked at", codes, asked)
	}
	if got := send("198.51.100.9", "alice-token"); got != 429 {
		t.Errorf("the flooder's own: got %d", got)
	}
	if got := send("198.51.100.10", "alice-token"); got != 200 {
		t.Errorf("another address: got %d", got)
	}
	for i := range 30 {
		send(fmt.Sprintf("2001:db8:7::%x", 5000+i), "guess")
	}
	if got := send("2001:db8:7::ffff", "alice-token"); got != 429 {
		t.Errorf("another address of the same network: got %d", got)
	}
	if n := strings.Count(f.audit.String(), "\n"); n > 150 {
		t.Errorf("%d records of a flood", n)
	}
}

// Unauthenticated noise does not push a caller's refusals out of the record.
func TestHTTPNoiseDoesNotHideRefusals(t *testing.T) {
	t.Parallel()
	f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify}, nil, echo())
	for range 200 {
		f.do(t, pingBody, func(r *http.Request) { r.Header.Set("Authorization", "Bearer guess") })
	}
	f2 := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"secret_tool"}}`
	h, err := f.HTTP(mcpsec.HTTPOptions{Verifier: verify}) // with allowances of its own
	if err != nil {
		t.Fatal(err)
	}
	from(h, loopback, post("localhost", f2))
	recs := f.records(t)
	if last := recs[len(recs)-1]; last["principal"] != "alice" || last["rule"] != "unknown tool" {
		t.Errorf("the last record is %v", last)
	}
	if first := recs[0]; first["remote"] != "127.0.0.1" || first["principal"] != nil {
		t.Errorf("the first record is %v", first)
	}
}

func scoped(name string, scopes ...string) *mcpsec.Tool {
	return mcpsec.NewTool(mcpsec.ToolSpec{Name: name, Description: "For tests.", Effect: mcpsec.Read, Scopes: scopes},
		func(context.Context, none) (echoOut, error) { return echoOut{"ran"}, nil })
}

func names(t *testing.T, cs *mcp.ClientSession) string {
	t.Helper()
	list, err := cs.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, tool := range list.Tools {
		out = append(out, tool.Name)
	}
	if list.NextCursor != "" {
		t.Error("there is another page")
	}
	return strings.Join(out, " ")
}

// A tool that the caller lacks scopes for is not listed, and a call of it is
// answered as one of a tool that does not exist. (TOOL-02, TOOL-05, TOOL-06)
func TestScopesHideTools(t *testing.T) {
	t.Parallel()
	eras(t, func(t *testing.T, modern bool) {
		f := newHTTP(t, protected(), nil, scoped("both", "orders.read", "orders.write"), scoped("admin", "orders.admin", "orders.read"), scoped("open"))
		alice, bob := f.connectHTTP(t, "alice-token", modern), f.connectHTTP(t, "bob-token", modern)
		for range 3 {
			if got := names(t, alice); got != "both open" {
				t.Errorf("alice sees %q", got)
			}
			if got := names(t, bob); got != "open" {
				t.Errorf("bob sees %q", got)
			}
		}
		if text, isErr := call(t, alice, "both", none{}); isErr || !strings.Contains(text, "ran") {
			t.Errorf("got %s", text)
		}
		answer := func(name string) string {
			res, body := f.do(t, strings.Replace(echoBody, "echo", name, 1), func(r *http.Request) { r.Header.Set("Authorization", "Bearer bob-token") })
			res.Header.Del("Date")
			return fmt.Sprint(res.StatusCode, res.Header, body)
		}
		if hidden, absent := answer("admin"), answer("adnim"); hidden != absent {
			t.Errorf("a hidden tool: %s\nan absent one: %s", hidden, absent)
		}
		if strings.Contains(f.audit.String(), "ran") {
			t.Error("a hidden tool ran")
		}
	})
}

// With StepUp all are listed, and a call is challenged for all it needs at once.
// (AUTH-06)
func TestScopesStepUp(t *testing.T) {
	t.Parallel()
	f := newHTTP(t, protected(), func(o *mcpsec.Options) { o.StepUp, o.Limits.CallsPerSecond = true, 5 }, scoped("admin", "orders.read", "orders.admin"), scoped("open"))
	if got := names(t, f.connectHTTP(t, "bob-token", true)); got != "admin open" {
		t.Errorf("bob sees %q", got)
	}
	res, body := f.do(t, strings.Replace(echoBody, "echo", "admin", 1), nil)
	want := `Bearer error="insufficient_scope", scope="orders.read orders.admin", resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"`
	if got := res.Header.Get("WWW-Authenticate"); res.StatusCode != 403 || got != want || !strings.Contains(body, "lacks scopes") {
		t.Errorf("got %d %s %s", res.StatusCode, got, body)
	}
	recs := f.records(t)
	if last := recs[len(recs)-1]; last["principal"] != "alice" || last["rule"] != "scope" || last["tool"] != "admin" {
		t.Errorf("recorded %v", last)
	}
	codes := map[int]int{}
	for range 50 { // who asks again and again is slowed down like anyone
		res, _ := f.do(t, strings.Replace(echoBody, "echo", "admin", 1), nil)
		codes[res.StatusCode]++
	}
	if codes[429] < 20 {
		t.Errorf("a flood: got %v", codes)
	}
}

// On a stream the same holds for Options.Principal.
func TestScopesOverStreams(t *testing.T) {
	t.Parallel()
	principal := mcpsec.Principal{ID: "local", Scopes: []string{"orders.read"}}
	f := newFixture(t, func(o *mcpsec.Options) { o.Principal = principal }, scoped("read", "orders.read"), scoped("admin", "orders.admin"))
	cs := f.connect(t)
	if got := names(t, cs); got != "read" {
		t.Errorf("listed %q", got)
	}
	if _, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: "admin"}); err == nil || !strings.Contains(err.Error(), "unknown tool") {
		t.Errorf("got %v", err)
	}
	f = newFixture(t, func(o *mcpsec.Options) { o.Principal, o.StepUp = principal, true }, scoped("read", "orders.read"), scoped("admin", "orders.admin"))
	cs = f.connect(t)
	if got := names(t, cs); got != "admin read" {
		t.Errorf("listed %q", got)
	}
	if text, isErr := call(t, cs, "admin", none{}); !isErr || text != "not allowed: it needs the scopes orders.admin" {
		t.Errorf("got %q", text)
	}
	if text, isErr := call(t, cs, "read", none{}); isErr {
		t.Errorf("got %q", text)
	}
	if recs := f.records(t); recs[0]["rule"] != "scope" {
		t.Errorf("recorded %v", recs)
	}
}

// What one caller gets, no cache gives to another. (CACHE-01)
func TestListsArePrivate(t *testing.T) {
	t.Parallel()
	f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify}, nil, echo())
	for _, method := range []string{"tools/list", "server/discover"} {
		if _, body := f.do(t, modernBody(method, ""), modernHeaders(method, "")); !strings.Contains(body, `"cacheScope":"private"`) {
			t.Errorf("%s: got %s", method, body)
		}
	}
}

// A verifier that hangs is asked for one address a bounded number of times at
// once; what it says of a token is not logged with it.
func TestHTTPVerifierIsNotFlooded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil, echo())
		var asked atomic.Int64
		h, err := f.HTTP(mcpsec.HTTPOptions{BehindProxy: true, Hosts: []string{"mcp.example.com"}, Verifier: func(ctx context.Context, token string) (mcpsec.Principal, error) {
			asked.Add(1)
			<-ctx.Done()
			return mcpsec.Principal{}, fmt.Errorf("asking about %q: %w", token, ctx.Err())
		}})
		if err != nil {
			t.Fatal(err)
		}
		codes := make(chan int, 200)
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				r := post("mcp.example.com", pingBody)
				r.Header.Set("X-Forwarded-For", fmt.Sprintf("198.51.100.%d", i%2))
				codes <- from(h, outside, r).Code
			})
		}
		wg.Wait()
		close(codes)
		count := map[int]int{}
		for c := range codes {
			count[c]++
		}
		if asked.Load() != 64 || count[503] != 64 || count[429] != 136 {
			t.Errorf("asked %d times, answered %v", asked.Load(), count)
		}
		if log := f.log.String(); strings.Contains(log, "alice-token") || strings.Count(log, "not verified") > 50 {
			t.Errorf("logged %s", log)
		}
	})
}

// A verifier that does not answer is not waited for, nor one that answers late.
func TestHTTPSlowVerifier(t *testing.T) {
	t.Parallel()
	f := newHTTP(t, mcpsec.HTTPOptions{Verifier: func(ctx context.Context, _ string) (mcpsec.Principal, error) {
		deadline, ok := ctx.Deadline()
		if !ok || time.Until(deadline) > 11*time.Second {
			return mcpsec.Principal{ID: "alice"}, nil
		}
		return mcpsec.Principal{}, context.DeadlineExceeded
	}}, nil, echo())
	if res, _ := f.do(t, pingBody, nil); res.StatusCode != 503 {
		t.Errorf("got %d", res.StatusCode)
	}
}
