package mcpsec_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// addScoped serves a prompt, a resource and a template that need a scope, and
// one of each that do not.
func addScoped(f *fixture, ran *atomic.Int64) {
	for _, scopes := range [][]string{{"orders.admin"}, nil} {
		name := "open"
		if scopes != nil {
			name = "admin"
		}
		note := func(context.Context, string) ([]string, error) { ran.Add(1); return []string{name}, nil }
		f.AddPrompt(mcpsec.NewPrompt(mcpsec.PromptSpec{Name: name, Description: "For tests.", Scopes: scopes, Complete: map[string]func(context.Context, string) ([]string, error){"id": note}},
			func(context.Context, orderIn) ([]mcpsec.Message, error) { ran.Add(1); return said(name), nil }))
		f.AddResource(
			mcpsec.NewResource(mcpsec.ResourceSpec{Name: name, Description: "For tests.", URI: "test://" + name, Scopes: scopes},
				func(context.Context, none) (mcpsec.Content, error) { ran.Add(1); return mcpsec.Content{}, nil }),
			mcpsec.NewResource(mcpsec.ResourceSpec{Name: name + "-t", Description: "For tests.", URI: "test://" + name + "/{id}", Scopes: scopes, Complete: map[string]func(context.Context, string) ([]string, error){"id": note}},
				func(context.Context, orderIn) (mcpsec.Content, error) { ran.Add(1); return mcpsec.Content{}, nil }))
	}
}

// asks are the ways to ask for what is named admin.
var asks = map[string]string{
	"prompts/get":          `"name":"admin","arguments":{"id":"1"}`,
	"resources/read":       `"uri":"test://admin"`,
	"resources/read ":      `"uri":"test://admin/1"`,
	"completion/complete":  `"ref":{"type":"ref/prompt","name":"admin"},"argument":{"name":"id","value":"a"}`,
	"completion/complete ": `"ref":{"type":"ref/resource","uri":"test://admin/{id}"},"argument":{"name":"id","value":"a"}`,
	"resources/subscribe":  `"uri":"test://admin"`,
}

// What a caller may not use is in no list, and the answer to asking for it is byte
// for byte that to asking for what does not exist. (RES-03, CMP-01)
func TestScopesHidePromptsAndResources(t *testing.T) {
	t.Parallel()
	eras(t, func(t *testing.T, modern bool) {
		var ran atomic.Int64
		f := newHTTP(t, protected(), nil)
		addScoped(f.fixture, &ran)
		send := func(method, params string) string {
			body, change := `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":{`+params+`}}`, func(*http.Request) {}
			if modern {
				name := ""
				for _, m := range []string{`"name":"`, `"uri":"`} {
					if _, after, ok := strings.Cut(params, m); ok && (method == "prompts/get" || method == "resources/read") {
						name, _, _ = strings.Cut(after, `"`)
					}
				}
				body, change = modernBody(method, params), modernHeaders(method, name)
			}
			res, got := f.do(t, body, func(r *http.Request) {
				change(r)
				r.Header.Set("Authorization", "Bearer bob-token")
			})
			res.Header.Del("Date")
			return fmt.Sprint(res.StatusCode, res.Header, got)
		}
		for _, list := range []string{"prompts/list", "resources/list", "resources/templates/list"} {
			if got := send(list, ""); strings.Contains(got, "admin") || !strings.Contains(got, "open") || !strings.Contains(got, `"cacheScope":"private"`) {
				t.Errorf("%s: got %s", list, got)
			}
		}
		for key, params := range asks {
			method := strings.TrimSpace(key)
			hidden, absent := send(method, params), send(method, strings.Replace(params, "admin", "adnim", 1))
			if hidden != absent || !strings.Contains(hidden, `"error"`) {
				t.Errorf("%s: a hidden one: %s\nan absent one: %s", method, hidden, absent)
			}
			open := send(method, strings.Replace(params, "admin", "open", 1))
			if method != "resources/subscribe" && !strings.Contains(open, `"result"`) { // which needs a session
				t.Errorf("%s: an open one: %s", method, open)
			}
		}
		if ran.Load() != 5 {
			t.Errorf("%d handlers ran", ran.Load())
		}
		if strings.Contains(f.audit.String(), "admin") {
			t.Errorf("recorded %s", f.audit.String())
		}
	})
}

// On a stream the same holds for Options.Principal.
func TestScopesHidePromptsAndResourcesOverStreams(t *testing.T) {
	t.Parallel()
	var ran atomic.Int64
	f := newFixture(t, nil)
	addScoped(f, &ran)
	r := f.dial(t)
	send := func(method, params string) string {
		return r.ask(`{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":{` + params + `}}`)
	}
	for key, params := range asks {
		method := strings.TrimSpace(key)
		if hidden, absent := send(method, params), send(method, strings.Replace(params, "admin", "adnim", 1)); hidden != absent || !strings.Contains(hidden, `"code":-32602`) {
			t.Errorf("%s: a hidden one: %s\nan absent one: %s", method, hidden, absent)
		}
		if open := send(method, strings.Replace(params, "admin", "open", 1)); !strings.Contains(open, `"result"`) {
			t.Errorf("%s: an open one: %s", method, open)
		}
	}
}

// With StepUp they are listed, and asking for one is challenged. (AUTH-06)
func TestScopesStepUpForPromptsAndResources(t *testing.T) {
	t.Parallel()
	var ran atomic.Int64
	f := newHTTP(t, protected(), func(o *mcpsec.Options) { o.StepUp = true })
	addScoped(f.fixture, &ran)
	for _, method := range []string{"prompts/get", "resources/read", "resources/read "} {
		name, noun := "admin", strings.TrimSuffix(strings.Split(method, "/")[0], "s")
		if strings.HasSuffix(method, " ") {
			name = "admin-t"
		}
		res, body := f.do(t, `{"jsonrpc":"2.0","id":1,"method":"`+strings.TrimSpace(method)+`","params":{`+asks[method]+`}}`, nil)
		if got := res.Header.Get("WWW-Authenticate"); res.StatusCode != 403 || !strings.Contains(got, `error="insufficient_scope", scope="orders.admin"`) || !strings.Contains(body, "lacks scopes") {
			t.Errorf("%s: got %d %s %s", method, res.StatusCode, got, body)
		}
		recs := f.records(t)
		if last := recs[len(recs)-1]; last["rule"] != "scope" || last[noun] != name {
			t.Errorf("%s: recorded %v", method, last)
		}
	}
	if _, body := f.do(t, `{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{`+asks["completion/complete"]+`}}`, nil); !strings.Contains(body, "it needs the scopes orders.admin") {
		t.Errorf("got %s", body)
	}
	if _, body := f.do(t, `{"jsonrpc":"2.0","id":1,"method":"prompts/list"}`, nil); !strings.Contains(body, "admin") {
		t.Errorf("got %s", body)
	}
	if ran.Load() != 0 {
		t.Errorf("%d handlers ran", ran.Load())
	}
}

// Lists are sorted, whatever the order in which things were added, and one page.
func TestListsAreDeterministic(t *testing.T) {
	t.Parallel()
	cursor := sdkCursor(t)
	var want string
	for i := range 4 {
		f := newFixture(t, nil)
		order := []string{"c", "a", "d", "b"}
		slices.Reverse(order[:i])
		for _, n := range order {
			f.AddPrompt(mcpsec.NewPrompt(mcpsec.PromptSpec{Name: n, Description: "d"}, func(context.Context, none) ([]mcpsec.Message, error) { return nil, nil }))
			f.AddResource(page(func(s *mcpsec.ResourceSpec) { s.Name, s.URI = n, "test://"+n }))
			f.AddResource(mcpsec.NewResource(mcpsec.ResourceSpec{Name: n + "t", Description: "d", URI: "t-" + n + "://{id}"}, func(context.Context, orderIn) (mcpsec.Content, error) { return mcpsec.Content{}, nil }))
		}
		r := f.dial(t)
		var got string
		for _, list := range []string{"prompts/list", "resources/list", "resources/templates/list"} {
			got += r.ask(`{"jsonrpc":"2.0","id":1,"method":"` + list + `"}`)
			if page := r.ask(`{"jsonrpc":"2.0","id":1,"method":"` + list + `","params":{"cursor":"` + cursor + `"}}`); !strings.Contains(page, "-32602") {
				t.Errorf("%s: a cursor: got %s", list, page)
			}
		}
		if strings.Contains(got, "nextCursor") {
			t.Errorf("there is another page: %s", got)
		}
		if want == "" {
			want = got
		}
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		nobody, server := net.Pipe()
		nobody.Close()
		if err := f.ServeStream(t.Context(), server, server); err != nil { // at whose end it is logged
			t.Error(err)
		}
		if !strings.Contains(f.log.String(), `prompts="[a b c d]" resources="[t-a://{id} t-b://{id}`) {
			t.Errorf("the inventory is %s", f.log.String())
		}
	}
}

// sdkCursor is one that the SDK would take.
func sdkCursor(t *testing.T) string {
	t.Helper()
	srv := mcp.NewServer(impl, &mcp.ServerOptions{PageSize: 1})
	for _, name := range []string{"a", "b"} {
		srv.AddPrompt(&mcp.Prompt{Name: name}, func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) { return nil, nil })
	}
	ct, st := mcp.NewInMemoryTransports()
	if _, err := srv.Connect(t.Context(), st, nil); err != nil {
		t.Fatal(err)
	}
	cs, err := mcp.NewClient(impl, nil).Connect(t.Context(), ct, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer cs.Close()
	list, err := cs.ListPrompts(t.Context(), nil)
	if err != nil || list.NextCursor == "" {
		t.Fatalf("got %v, %v", list, err)
	}
	return list.NextCursor
}

// Completion is bounded, cleaned, guarded and recorded like all else. (CMP-01)
func TestCompletion(t *testing.T) {
	t.Parallel()
	const secret = "correct-horse-battery"
	many := make([]string, 250)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	guard := func(_ context.Context, c *mcpsec.Call) error {
		if in := c.Args.(reviewIn); c.Method == "completion/complete" && in.Language != "" && in.Language[0] == 'x' {
			return &mcpsec.Error{Message: "no x"}
		}
		return nil
	}
	for name, tc := range map[string]struct {
		argument, value string
		complete        func(context.Context, string) ([]string, error)
		want            string
	}{
		"some":             {"language", "g", func(_ context.Context, p string) ([]string, error) { return []string{p + "o"}, nil }, `"completion":{"values":["go"]}}}`},
		"none":             {"language", "g", func(context.Context, string) ([]string, error) { return nil, nil }, `"completion":{"values":[]}}}`},
		"no completer":     {"focus", "g", nil, `"completion":{"values":[]}}}`},
		"many":             {"language", "", func(context.Context, string) ([]string, error) { return many, nil }, `"98","99"],"hasMore":true}}}`},
		"secret":           {"language", "", func(context.Context, string) ([]string, error) { return []string{"a" + "\u202E", secret}, nil }, `"values":["a","[redacted]"]`},
		"error":            {"language", "", func(context.Context, string) ([]string, error) { return nil, errors.New("hunter2") }, `"code":-32603,"message":"internal error`},
		"panic":            {"language", "", func(context.Context, string) ([]string, error) { panic("hunter2") }, `"code":-32603,"message":"internal error`},
		"large":            {"language", "", func(context.Context, string) ([]string, error) { return []string{strings.Repeat("x", 300<<10)}, nil }, `the result is larger than`},
		"guarded":          {"language", "xhunter2", nil, `"code":4030,"message":"not allowed: no x"`},
		"unknown argument": {"hunter2", "", nil, `"code":-32602,"message":"unknown argument`},
		"too long":         {"focus", strings.Repeat("hunter2", 10), nil, `"code":-32602,"message":"invalid arguments: focus: must be at most 20`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, func(o *mcpsec.Options) { o.Secrets = []mcpsec.Secret{newSecret(secret)} })
			f.AddPrompt(review(func(s *mcpsec.PromptSpec) {
				s.Guards = []mcpsec.Guard{guard}
				if tc.complete != nil {
					s.Complete = map[string]func(context.Context, string) ([]string, error){"language": tc.complete}
				}
			}))
			got := f.dial(t).ask(`{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"review"},"argument":{"name":"` + tc.argument + `","value":"` + tc.value + `"}}}`)
			if !strings.Contains(got, tc.want) || strings.Contains(got, "hunter2") || strings.Contains(got, "horse") {
				t.Errorf("got %s", got)
			}
			if strings.Contains(f.audit.String(), "hunter2") {
				t.Errorf("recorded %s", f.audit.String())
			}
		})
	}
	f := newFixture(t, func(o *mcpsec.Options) { o.Limits.CallsPerSecond = 2 })
	f.AddPrompt(review(func(s *mcpsec.PromptSpec) { s.Complete = completing("language", many, nil) }))
	r, busy := f.dial(t), 0
	for range 20 {
		if strings.Contains(r.ask(`{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"review"},"argument":{"name":"language","value":"g"}}}`), `"code":4290`) {
			busy++
		}
	}
	if busy < 10 {
		t.Errorf("%d of 20 were refused", busy)
	}
	if rec := f.records(t)[0]; rec["method"] != "completion/complete" || rec["prompt"] != "review" || rec["args"] != "language=string/1" {
		t.Errorf("recorded %v", rec)
	}
}

// The SDK's decoder refuses references of no kind; ours are whole.
func TestCompletionOfOddReferences(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.AddPrompt(review(nil))
	r := f.dial(t)
	for _, params := range []string{
		`{}`, `{"ref":null,"argument":{"name":"language","value":""}}`, `{"ref":{"type":"ref/hunter2"},"argument":{"name":"a","value":""}}`,
		`{"ref":{"type":"ref/prompt","name":"hunter2"},"argument":{"name":"a","value":""}}`, `{"ref":{"type":"ref/resource","uri":"hunter2"},"argument":{"name":"a","value":""}}`,
		`{"ref":{"type":"ref/prompt","name":"review"}}`, `{"ref":5}`, `null`,
	} {
		if got := r.ask(`{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":` + params + `}`); !strings.Contains(got, `"error":{"code":-326`) || strings.Contains(got, "hunter2") {
			t.Errorf("%s: got %s", params, got)
		}
	}
}
