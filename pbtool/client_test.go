package pbtool

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/insecure"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// jwt makes a token as PocketBase does, but for its signature.
func jwt(t *testing.T, collection string, expires time.Time, refreshable bool) string {
	t.Helper()
	b, err := json.Marshal(map[string]any{"type": "auth", "collectionId": collection, "exp": expires.Unix(), "refreshable": refreshable, "n": nextToken.Add(1)})
	if err != nil {
		t.Fatal(err)
	}
	return "e30." + base64.RawURLEncoding.EncodeToString(b) + ".c2ln"
}

var nextToken atomic.Int64

// fake answers as PocketBase does, with what a test says.
func fake(t *testing.T, o Options, answer http.HandlerFunc) *Client {
	t.Helper()
	web := httptest.NewServer(answer)
	t.Cleanup(web.Close)
	o.URL = web.URL
	c, err := newClient(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// No request goes anywhere but to a route of names.
func TestTarget(t *testing.T) {
	t.Parallel()
	c := offline(t)
	c.o.URL = "https://pb.example.com/sub"
	if to, err := c.target(request{path: []string{"collections", "posts", "records", "abc"}, query: url.Values{"filter": {`a="&b#`}}}); err != nil || to != "https://pb.example.com/sub/api/collections/posts/records/abc?filter=a%3D%22%26b%23" {
		t.Errorf("got %s, %v", to, err)
	}
	for _, path := range [][]string{
		nil, {""}, {"."}, {".."}, {"..."}, {"a", ".."}, {"a/b"}, {"a%2fb"}, {`a\b`}, {"a?b"}, {"a#b"}, {"a b"}, {"a\x00"}, {"a\nb"}, {"é"}, {".hidden"}, {strings.Repeat("a", 256)}, {"sql"}, {"SQL"}, {"sql", "x"},
	} {
		if to, err := c.target(request{path: path}); err == nil {
			t.Errorf("%q: got %s", path, to)
		}
	}
}

// What the server says of an error becomes fixed words, names of fields and codes.
func TestErrorsAreOurWords(t *testing.T) {
	t.Parallel()
	secret := "can" + "ary-" + "value"
	for _, tc := range []struct {
		status int
		body   string
		want   string
	}{
		{400, `{"data":{"title":{"code":"validation_required","message":"` + secret + `"},"x":{"code":"validation_min","message":"` + secret + `"}},"message":"` + secret + `","status":400}`, "PocketBase refuses it; title: is required; x: is not valid (validation_min)"},
		{400, `{"data":{"` + secret + `!":{"code":"validation_required"},"y":{"code":"` + secret + `"},"z":"` + secret + `"},"message":"` + secret + `"}`, "PocketBase refuses it; y: is not valid"},
		{400, `{"data":{"fields":{"0":{"name":{"code":"validation_required","message":"` + secret + `"}},"12":{"values":{"3":{"code":"validation_x","message":"` + secret + `"}}},"` + secret + `":{"a":{"code":"y"}}}}}`,
			"PocketBase refuses it; fields.0.name: is required; fields.12.values.3: is not valid (validation_x)"},
		{400, `{"data":{"a":{"b":{"c":{"d":{"e":{"f":{"code":"deep"}}}}}},"7":{"code":"x"},"y":{"code":7},"z":{}}}`, "PocketBase refuses it; a.b.c.d.e: is not valid; y: is not valid; z: is not valid"},
		{400, `{"message":"` + secret + `","data":{}}`, "PocketBase refuses it: a field"},
		{400, secret, "PocketBase refuses it: a field"},
		{400, `{"data":{"requests":{"3":{"code":"batch_request_failed","message":"` + secret + `","response":{"status":403,"message":"` + secret + `","data":{}}}}}}`, "request 3 of the batch (status 403)"},
		{400, `{"data":{"requests":{"1":{"code":"batch_request_failed","response":{"status":400,"data":{"title":{"code":"validation_required","message":"` + secret + `"}}}}}}}`, "title: is required"},
		{401, `{"message":"` + secret + `"}`, "do not allow"}, {403, secret, "do not allow"}, {404, secret, "there is no such record"}, {413, secret, "larger"}, {429, secret, "too many"},
	} {
		c := fake(t, Options{}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(tc.status)
			_, _ = io.WriteString(w, tc.body)
		})
		_, err := c.do(t.Context(), actor{}, request{method: http.MethodGet, path: []string{"x"}})
		var e *mcpsec.Error
		if !errors.As(err, &e) || !strings.Contains(e.Message, tc.want) {
			t.Errorf("%d: got %v, want %s", tc.status, err, tc.want)
		}
		for ; err != nil; err = errors.Unwrap(err) {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%d: the error quotes the server: %v", tc.status, err)
			}
		}
	}
	c := fake(t, Options{}, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, secret)
	})
	_, err := c.do(t.Context(), actor{}, request{method: http.MethodGet, path: []string{"x"}})
	var e *mcpsec.Error
	if err == nil || errors.As(err, &e) || strings.Contains(err.Error(), secret) {
		t.Errorf("500: got %v, want an internal error", err)
	}
}

// A request that writes is sent once, whatever becomes of it, and what nobody knows
// is said to be so.
func TestWritesAreSentOnce(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		method string
		times  int32
		want   string
	}{
		{http.MethodGet, 3, "does not answer"}, {http.MethodPost, 1, "may or may not"}, {http.MethodPatch, 1, "may or may not"}, {http.MethodDelete, 1, "may or may not"}, {http.MethodPut, 1, "may or may not"},
	} {
		var n atomic.Int32
		c := fake(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
			n.Add(1)
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_ = conn.Close()
		})
		_, err := c.do(t.Context(), actor{}, request{method: tc.method, path: []string{"x"}, body: []byte("{}")})
		if err == nil || !strings.Contains(err.Error(), tc.want) || n.Load() != tc.times {
			t.Errorf("%s: got %v after %d requests, want %d", tc.method, err, n.Load(), tc.times)
		}
	}
}

// A token that is refused is got anew, once.
func TestRefusedTokens(t *testing.T) {
	t.Parallel()
	good := jwt(t, superusersID, time.Now().Add(time.Hour), true)
	logins, takes := 0, 2
	c := fake(t, Options{Superuser: Login{Identity: "x", Password: redact.NewSecret("y")}}, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/auth-with-password") {
			logins++
			fmt.Fprintf(w, `{"token":%q}`, good+strings.Repeat("x", logins))
			return
		}
		if r.Header.Get("Authorization") != good+strings.Repeat("x", takes) {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	as, err := c.superuser()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.do(t.Context(), as, request{method: http.MethodPost, path: []string{"x"}}); err != nil || logins != 2 {
		t.Errorf("got %v after %d logins", err, logins)
	}
	takes = 99
	if _, err := c.do(t.Context(), as, request{method: http.MethodPost, path: []string{"x"}}); err == nil || logins != 3 {
		t.Errorf("got %v after %d logins", err, logins)
	}
}

// A server that reads filters in the old way gets no backslash.
func TestOldServers(t *testing.T) {
	t.Parallel()
	for _, old := range []bool{true, false} {
		var probes, lists atomic.Int32
		c := fake(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
			switch f := r.URL.Query().Get("filter"); {
			case f == `'a\\'='a\\'` && old:
				probes.Add(1)
				w.WriteHeader(http.StatusBadRequest)
			case f == `'a\\'='a\\'`:
				probes.Add(1)
				_, _ = io.WriteString(w, `{"items":[]}`)
			default:
				if lists.Add(1); strings.Contains(f, `\\`) && old {
					t.Errorf("an old server gets %s", f)
				}
				_, _ = io.WriteString(w, `{"items":[{"id":"a"}]}`)
			}
		})
		for v, safe := range map[string]bool{`a\`: false, `\" || 1=1 //`: false, `a"b`: true, "a_b": true} {
			f, err := Bind("title = {:v}", map[string]any{"v": v})
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.List(t.Context(), "posts", Query{Filter: f})
			if (err != nil) != (old && !safe) {
				t.Errorf("old %v, %q: got %v", old, v, err)
			}
			raw, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			for _, op := range []string{"eq", "contains", "starts"} {
				w, err := Where{{Condition: Condition{Field: "title", Op: op, Value: raw}}}.Filter()
				if err != nil {
					t.Fatal(err)
				}
				_, err = c.List(t.Context(), "posts", Query{Filter: w})
				if refused := old && strings.Contains(w.text, `\\`); (err != nil) != refused {
					t.Errorf("old %v, %s %q: got %v", old, op, v, err)
				}
			}
		}
		if !old && probes.Load() != 1 {
			t.Errorf("%d probes, want 1", probes.Load())
		}
	}
}

// Of a record nothing leaves but what may, whatever the server sends.
func TestTrim(t *testing.T) {
	t.Parallel()
	c := offline(t, Collection{Name: "posts", Fields: []string{"title", "author"}}, Collection{Name: "users"})
	k, err := c.collection("posts")
	if err != nil {
		t.Fatal(err)
	}
	body := `{"page":1,"totalItems":7,"items":[{"collectionId":"x","collectionName":"posts","id":"a","title":"t","body":"no","password":"no","tokenKey":"no","author":"u",` +
		`"expand":{"author":{"collectionName":"users","id":"u","name":"n","PASSWORD":"no","tokenKey":"no","expand":{"deep":{"collectionName":"posts","id":"b","body":"no","title":"d"}}},` +
		`"vault":{"collectionName":"vault","note":"no"},"list":[{"collectionName":"vault","note":"no"},{"collectionName":"posts","id":"c","body":"no"}],"odd":"no","none":{"note":"no"},"own":{"collectionName":"_superusers","email":"no"}}}]}`
	items, total, err := trim{c: c}.page([]byte(body), k)
	want := `{"id":"a","title":"t","author":"u","expand":{"author":{"collectionName":"users","id":"u","name":"n","expand":{"deep":{"collectionName":"posts","id":"b","title":"d"}}},"list":[{"collectionName":"posts","id":"c"}]}}`
	if err != nil || total != 7 || len(items) != 1 || string(items[0]) != want {
		t.Errorf("got %s, %d, %v\nwant %s", items, total, err, want)
	}
	for _, bad := range []string{"", "[]", "{}", `{"items":{}}`, `{"items":[1]}`, `{"items":[{]}`, `{"items":[{"a":1]}`, `{"items":[{"a":1,"a":2}]}`, "null", `{"items":[],"totalItems":"7"}`, `{"items":[{"id":"a"}`} {
		if items, _, err := (trim{c: c}).page([]byte(bad), k); err == nil {
			t.Errorf("%s: got %s", bad, items)
		}
	}
	deep := `{"items":[` + strings.Repeat(`{"collectionName":"users","id":"a","expand":{"x":`, 6) + "null" + strings.Repeat("}}", 6) + `]}`
	items, _, err = trim{c: c}.page([]byte(deep), k)
	if err != nil || strings.Count(string(items[0]), "expand") > maxExpand {
		t.Errorf("got %s, %v", items, err)
	}
	// Escapes in names hide nothing, and what was decided of a name is not true of another
	// or of what is expanded.
	users, err := c.collection("users")
	if err != nil {
		t.Fatal(err)
	}
	escaped := `{"items":[{"id":"a","\u0065xpand":{"no":1},"p\u0061ssword":"no","Password":"no","collection\u0049d":"no","n\u0061me":"yes","collectionName":"users"},` +
		`{"name":"yes","expand":{"x":{"collectionName":"posts","id":"b","name":"no","body":"no"}},"tokenKey":"no"}]}`
	items, _, err = trim{c: c}.page([]byte(escaped), users)
	if got, want := fmt.Sprintf("%s", items), `[{"id":"a","n\u0061me":"yes"} {"name":"yes","expand":{"x":{"collectionName":"posts","id":"b"}}}]`; err != nil || got != want {
		t.Errorf("got %s, %v\nwant %s", got, err, want)
	}
}

// Many callers at once, for the race detector.
func TestConcurrentCalls(t *testing.T) {
	t.Parallel()
	user := jwt(t, "users", time.Now().Add(time.Hour), false)
	super := jwt(t, superusersID, time.Now().Add(time.Hour), true)
	c := fake(t, Options{
		Superuser: Login{Identity: "x", Password: redact.NewSecret("y")},
		As: func(_ context.Context, p mcpsec.Principal) (User, error) {
			return User{Collection: "users", ID: fmt.Sprint("user", nextToken.Add(1)%7)}, nil
		},
	}, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.Contains(r.URL.Path, "/impersonate/"):
			fmt.Fprintf(w, `{"token":%q}`, user)
		case strings.HasSuffix(r.URL.Path, "/auth-with-password"):
			fmt.Fprintf(w, `{"token":%q}`, super)
		default:
			_, _ = io.WriteString(w, `{"items":[{"id":"a"}]}`)
		}
	})
	f, err := Bind("a = {:v}", map[string]any{"v": `\`})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			if p, err := c.List(t.Context(), "posts", Query{Filter: f}); err != nil || len(p.Items) != 1 {
				t.Errorf("got %d and error %v", len(p.Items), err)
			}
		})
	}
	all.Wait()
}

// A change that asks a person is not made when nobody was asked, whatever calls the
// handler.
func TestUnconfirmed(t *testing.T) {
	t.Parallel()
	c := offline(t)
	for _, p := range []plan{{digest: "a"}, {}} {
		if err := c.confirmed(t.Context(), mcpsec.Destroy, p); err == nil {
			t.Errorf("%+v: made", p)
		}
	}
	if err := c.confirmed(t.Context(), mcpsec.Write, plan{digest: "a"}); err != nil {
		t.Error(err)
	}
}

// A filter that PocketBase would refuse for a word in a value is refused with the
// reason.
func TestMarkedValues(t *testing.T) {
	t.Parallel()
	c := fake(t, Options{}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	for _, v := range []string{"@request.auth", "x@collection.y"} {
		f, err := Bind("a = {:v}", map[string]any{"v": v})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.List(t.Context(), "posts", Query{Filter: f}); err == nil || !strings.Contains(err.Error(), "not even in a value") {
			t.Errorf("%s: got %v", v, err)
		}
	}
}

// Plain text is for this machine, unless that was waived.
func TestPlaintext(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]bool{
		"http://127.0.0.1:8090": true, "http://localhost:8090": true, "http://[::1]:8090": true, "https://pb.example.com": true, "https://pb.example.com/base/": true,
		"http://10.0.0.1": false, "http://localhost.example.com": false, "http://127.0.0.1.example.com": false, "ftp://pb.example.com": false, "pb.example.com": false, "https://": false, "https://pb.example.com/a b": false, "https://pb.example.com#x": false, "https://root:pw@pb.example.com": false, "https://pb.example.com?x=1": false, "https://pb.example.com/..": false,
	} {
		if _, err := newClient(Options{URL: url}); (err == nil) != want {
			t.Errorf("%s: got %v", url, err)
		}
	}
	if _, err := newClient(Options{URL: "http://10.0.0.1", Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Waive: []mcpsec.Waiver{insecure.PlaintextHTTP("a test")}}); err != nil {
		t.Error(err)
	}
}

// What a rule that is null or empty means is said in words.
func TestRuleWords(t *testing.T) {
	t.Parallel()
	empty, some := "", "id != ''"
	got := schema{Type: "auth", ViewRule: &empty, CreateRule: &some, AuthRule: &empty}.rules()
	for rule, want := range map[string]string{
		"list": "superusers only", "view": "everyone, guests included", "create": "who fulfils: id != ''", "auth": "every account can sign in", "manage": "nobody but superusers manages others' accounts",
	} {
		if got[rule] != want {
			t.Errorf("%s: got %q, want %q", rule, got[rule], want)
		}
	}
	if got := (schema{Type: "view"}).rules(); len(got) != 2 {
		t.Errorf("a view has the rules %v", got)
	}
	if got := (schema{Type: "auth"}).rules()["auth"]; got != "nobody can sign in" {
		t.Errorf("got %q", got)
	}
}
