package mcpsec_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"reflect"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type orderIn struct {
	ID string `json:"id" validate:"required,max=8" mcpsec:"log"`
}

func page(change func(*mcpsec.ResourceSpec)) *mcpsec.Resource {
	spec := mcpsec.ResourceSpec{Name: "page", Description: "A page.", URI: "test://page", MIMEType: "text/plain"}
	if change != nil {
		change(&spec)
	}
	return mcpsec.NewResource(spec, func(context.Context, none) (mcpsec.Content, error) { return mcpsec.Content{Text: "the page"}, nil })
}

func order(h func(orderIn) (mcpsec.Content, error)) *mcpsec.Resource {
	if h == nil {
		h = func(in orderIn) (mcpsec.Content, error) { return mcpsec.Content{Text: `{"id":"` + in.ID + `"}`}, nil }
	}
	return mcpsec.NewResource(mcpsec.ResourceSpec{Name: "order", Description: "An order.", URI: "test://orders/{id}/data", MIMEType: "application/json"},
		func(_ context.Context, in orderIn) (mcpsec.Content, error) { return h(in) })
}

func (r *raw) read1(uri string) string {
	r.t.Helper()
	b, err := json.Marshal(uri)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.ask(`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":` + string(b) + `}}`)
}

// The SDK's clients of both eras see resources and templates and read them.
func TestResources(t *testing.T) {
	t.Parallel()
	eras(t, func(t *testing.T, modern bool) {
		f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify}, nil)
		picture := mcpsec.NewResource(mcpsec.ResourceSpec{Name: "picture", Description: "A picture.", URI: "test://picture", MIMEType: "image/png"},
			func(context.Context, none) ([]mcpsec.Content, error) {
				return []mcpsec.Content{{Data: decode64(t, png64)}, {Text: "its text", MIMEType: "text/plain", URI: "test://picture#text"}}, nil
			})
		f.AddResource(page(nil), order(nil), picture)
		cs := f.connectHTTP(t, "alice-token", modern)
		list, err := cs.ListResources(t.Context(), nil)
		if err != nil || len(list.Resources) != 2 || list.Resources[0].URI != "test://page" || list.Resources[1].MIMEType != "image/png" || list.CacheScope != "private" {
			t.Errorf("got %+v, %v", list, err)
		}
		templates, err := cs.ListResourceTemplates(t.Context(), nil)
		if err != nil || len(templates.ResourceTemplates) != 1 || templates.ResourceTemplates[0].URITemplate != "test://orders/{id}/data" || templates.CacheScope != "private" {
			t.Errorf("got %+v, %v", templates, err)
		}
		for uri, want := range map[string][]*mcp.ResourceContents{
			"test://page":              {{URI: "test://page", MIMEType: "text/plain", Text: "the page"}},
			"test://orders/a%20b/data": {{URI: "test://orders/a%20b/data", MIMEType: "application/json", Text: `{"id":"a b"}`}},
			"test://picture":           {{URI: "test://picture", MIMEType: "image/png", Blob: decode64(t, png64)}, {URI: "test://picture#text", MIMEType: "text/plain", Text: "its text"}},
		} {
			res, err := cs.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri})
			if err != nil || !reflect.DeepEqual(res.Contents, want) || res.CacheScope != "private" {
				t.Errorf("%s: got %+v, %v", uri, res, err)
			}
		}
		_, err = cs.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "test://hunter2"})
		if err == nil || !strings.Contains(err.Error(), "unknown resource") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("got %v", err)
		}
	})
}

// A URI is read in one way or is of no resource. (RES-01, P13)
func TestResourceURIs(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.AddResource(page(nil), order(nil))
	r := f.dial(t)
	const unknown = `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"unknown resource: the lists name those that exist"}}`
	for _, uri := range []string{
		"test://page/", "test://PAGE", "TEST://page", "test://p%61ge", "test://page?", "test://page#x", " test://page", "test://page\n", "page", "",
		"test://orders/../data", "test://orders/%2e%2e/data", "test://orders/a%2fb/data", "test://orders/a%5cb/data", "test://orders/%00/data",
		"test://orders/a%0ab/data", "test://orders//data", "test://orders/a/b/data", "test://orders/%252e%252e/data", "test://orders/%E2%80%AE/data",
		"test://orders/a/data/", "test://orders/a/data?x=1", "file:///etc/passwd", "test://orders/{id}/data", "test://orders/" + strings.Repeat("a", 3000) + "/data",
	} {
		if got := r.read1(uri); got != unknown {
			t.Errorf("%q: got %s", uri, got)
		}
	}
	if got := r.read1("test://orders/123456789/data"); !strings.Contains(got, `"code":-32602,"message":"invalid arguments: id: must be at most 8 characters"`) {
		t.Errorf("got %s", got)
	}
	if got := r.read1("test://orders/50%25/data"); !strings.Contains(got, `{\"id\":\"50%\"}`) {
		t.Errorf("got %s", got)
	}
}

func TestResourceErrors(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		h         func(orderIn) (mcpsec.Content, error)
		want, rec string
	}{
		"absent": {func(orderIn) (mcpsec.Content, error) {
			return mcpsec.Content{}, &fs.PathError{Op: "open", Path: "hunter2", Err: fs.ErrNotExist}
		}, `"error":{"code":-32602,"message":"unknown resource: the lists name those that exist"}}`, `"outcome":"refused","rule":"not found"`},
		"plain": {func(orderIn) (mcpsec.Content, error) { return mcpsec.Content{}, errors.New("open /etc/hunter2") }, `"error":{"code":-32603,"message":"internal error (call `, `"outcome":"failed"`},
		"refused": {func(orderIn) (mcpsec.Content, error) {
			return mcpsec.Content{}, &mcpsec.Error{Message: "archived", Rule: "archive"}
		}, `"error":{"code":4030,"message":"archived"}}`, `"outcome":"refused","rule":"archive"`},
		"panic": {func(orderIn) (mcpsec.Content, error) { panic("hunter2") }, `"error":{"code":-32603,"message":"internal error (call `, `"outcome":"panicked"`},
		"link":  {func(orderIn) (mcpsec.Content, error) { return mcpsec.Content{Name: "n"}, nil }, `"error":{"code":-32603`, `"outcome":"failed"`},
		"data": {func(orderIn) (mcpsec.Content, error) {
			return mcpsec.Content{Data: []byte("k=hunter2-hunter2"), MIMEType: "image/png"}, nil
		}, `"error":{"code":4030,"message":"the result holds what looks like a secret`, `"rule":"secret"`},
		"large": {func(orderIn) (mcpsec.Content, error) { return mcpsec.Content{Text: strings.Repeat("x", 300<<10)}, nil }, `"message":"the result is larger than 262144 bytes: ask for less"`, `"outcome":"failed"`},
	} {
		f := newFixture(t, func(o *mcpsec.Options) { o.Secrets = []mcpsec.Secret{newSecret("hunter2-hunter2")} })
		f.AddResource(order(tc.h))
		got := f.dial(t).read1("test://orders/7/data")
		if !strings.Contains(got, tc.want) || strings.Contains(got, "hunter2") || !strings.Contains(f.audit.String(), tc.rec) {
			t.Errorf("%s: got %s, recorded %s", name, got, f.audit.String())
		}
	}
	f := newFixture(t, nil)
	f.AddResource(mcpsec.NewResource(mcpsec.ResourceSpec{Name: "x", Description: "d", URI: "test://x"},
		func(context.Context, none) ([]mcpsec.Content, error) { return nil, nil }))
	if got := f.dial(t).read1("test://x"); !strings.Contains(got, `"code":-32603`) { // RES-04
		t.Errorf("no contents: got %s", got)
	}
}

func TestResourceRecords(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.AddResource(page(nil), order(nil))
	r := f.dial(t)
	r.read1("test://page")
	r.read1("test://orders/17/data")
	r.read1("test://orders/hunter2hunter2/data")
	r.read1("test://hunter2")
	r.ask(`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":5}}`)
	golden(t, f, ``+
		`decision method=resources/read resource=page principal=local effect=read arg_bytes=2 decision=allowed
outcome resource=page outcome=ok result_bytes=65
decision method=resources/read resource=order principal=local effect=read arg_bytes=11 args=id="17" decision=allowed
outcome resource=order outcome=ok result_bytes=88
decision method=resources/read resource=order principal=local effect=read arg_bytes=23 decision=refused rule=arguments reason=invalid arguments: id: must be at most 8 characters
decision principal=local decision=refused rule=unknown resource reason=unknown resource: the lists name those that exist
decision principal=local decision=refused rule=message reason=invalid params: they do not have the shape that the method takes
`)
}

func TestNewResourceRefuses(t *testing.T) {
	t.Parallel()
	spec := mcpsec.ResourceSpec{Name: "x", Description: "d", URI: "test://x"}
	fixed := func(change func(*mcpsec.ResourceSpec)) func() {
		return func() { page(change) }
	}
	template := func(uri string) func() {
		s := spec
		s.URI = uri
		return func() {
			mcpsec.NewResource(s, func(context.Context, orderIn) (mcpsec.Content, error) { return mcpsec.Content{}, nil })
		}
	}
	type number struct {
		ID int `json:"id"`
	}
	add := func(uris ...string) func() {
		return func() {
			f := newFixture(t, nil)
			for i, uri := range uris {
				s := mcpsec.ResourceSpec{Name: string(rune('a' + i)), Description: "d", URI: uri}
				if strings.Contains(uri, "{") {
					f.AddResource(mcpsec.NewResource(s, func(context.Context, orderIn) (mcpsec.Content, error) { return mcpsec.Content{}, nil }))
				} else {
					f.AddResource(mcpsec.NewResource(s, func(context.Context, none) (mcpsec.Content, error) { return mcpsec.Content{}, nil }))
				}
			}
		}
	}
	for name, f := range map[string]func(){
		"no name":            fixed(func(s *mcpsec.ResourceSpec) { s.Name = "" }),
		"no description":     fixed(func(s *mcpsec.ResourceSpec) { s.Description = "" }),
		"bidi description":   fixed(func(s *mcpsec.ResourceSpec) { s.Description = "a\u202Eb" }),
		"no URI":             fixed(func(s *mcpsec.ResourceSpec) { s.URI = "" }),
		"hidden URI":         fixed(func(s *mcpsec.ResourceSpec) { s.URI = "test://a\u200b" }),
		"dots":               fixed(func(s *mcpsec.ResourceSpec) { s.URI = "test://a/../b" }),
		"script":             fixed(func(s *mcpsec.ResourceSpec) { s.URI = "javascript:x" }),
		"odd media type":     fixed(func(s *mcpsec.ResourceSpec) { s.MIMEType = "png" }),
		"odd scope":          fixed(func(s *mcpsec.ResourceSpec) { s.Scopes = []string{"a b"} }),
		"nil guard":          fixed(func(s *mcpsec.ResourceSpec) { s.Guards = []mcpsec.Guard{nil} }),
		"unknown completer":  fixed(func(s *mcpsec.ResourceSpec) { s.Complete = completing("id", nil, nil) }),
		"negative limit":     fixed(func(s *mcpsec.ResourceSpec) { s.MaxConcurrent = -1 }),
		"variable, no field": fixed(func(s *mcpsec.ResourceSpec) { s.URI = "test://{id}" }),
		"field, no variable": template("test://x"),
		"other variable":     template("test://{key}"),
		"one too many":       template("test://{id}/{key}"),
		"query":              template("test://x?{id}"),
		"operator":           template("test://x{?id}"),
		"no handler":         func() { mcpsec.NewResource[none, mcpsec.Content](spec, nil) },
		"number": func() {
			s := spec
			s.URI = "test://{id}"
			mcpsec.NewResource(s, func(context.Context, number) (mcpsec.Content, error) { return mcpsec.Content{}, nil })
		},
		"added nothing": func() { newFixture(t, nil).AddResource(nil) },
		"same name": func() {
			newFixture(t, nil).AddResource(page(nil), page(func(s *mcpsec.ResourceSpec) { s.URI = "test://other" }))
		},
		"same URI":           add("test://x", "test://x"),
		"same template":      add("test://{id}", "test://{id}"),
		"template over URI":  add("test://{id}", "test://x"),
		"URI under template": add("test://x", "test://{id}"),
		"rest over template": add("test://a/{+id}", "test://a/b/{id}"),
	} {
		func() {
			defer func() {
				if p, _ := recover().(string); !strings.HasPrefix(p, "mcpsec: ") {
					t.Errorf("%s: panicked with %q", name, p)
				}
			}()
			f()
		}()
	}
	add("test://x", "test://y/{id}", "test://z/{+id}", "other://{id}", "test://x?a=1")()
}
