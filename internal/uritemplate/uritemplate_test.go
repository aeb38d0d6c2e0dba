package uritemplate

import (
	"fmt"
	"maps"
	"net/url"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func mustParse(t testing.TB, s string) *Template {
	t.Helper()
	tmpl, err := Parse(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return tmpl
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, ok := range []string{
		"test://static", "test://template/{id}/data", "orders://{id}", "urn:order:{id}", "files:///{+path}",
		"a://h/{x}/v-{y}.json", "db://h/q?x=1", "a+b.c-d:x", "x:a%20b",
	} {
		if tmpl := mustParse(t, ok); tmpl.String() != ok {
			t.Errorf("%s: got %s", ok, tmpl)
		}
	}
	for _, bad := range []string{
		"", "noscheme", "x:", "{s}://a", "Test://a", "te{s}t://a", "javascript:{x}", "data:{x}", "DATA:x",
		"a://{x", "a://x}", "a://{}", "a://{x}{y}", "a://{x}/{x}", "a://{+x}/y", "a://p{+x}", "a://{+x}p", "a://{?q}", "a://{/p}", "a://{x:3}", "a://{x*}", "a://{x,y}",
		"a://h?{x}", "a://h#f", "a://h/#{x}", "a://h/../{x}", "a://h/./x", "a://h/%2e%2e/x", "a://h/%2f", "a://h/%00/{x}", "a://h/%zz", "a://h/a b", "a://h/\u202e", "a://h/é",
		"a://h/" + strings.Repeat("x", MaxURI), "a://h/x\\y", "a://h:x/", "a://[x", "a://h/it's/{x}", "a://h/%252e", "://a", "1a://b", "a://{x}/\n",
	} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ template, uri, want string }{
		{"t://s", "t://s", "map[]"},
		{"t://s", "t://S", "no"},
		{"t://s", "t://%73", "no"},
		{"t://{id}/data", "t://123/data", "map[id:123]"},
		{"t://{id}/data", "t://a%20b/data", "map[id:a b]"},
		{"t://{id}/data", "t://%C3%A9/data", "map[id:é]"},
		{"t://{id}/data", "t://a@b:c/data", "map[id:a@b:c]"},
		{"t://{id}/data", "t://50%25/data", "map[id:50%]"},
		{"t://{id}/data", "t:///data", "no"},
		{"t://{id}/data", "t://a/b/data", "no"},
		{"t://{id}/data", "t://a/data/", "no"},
		{"t://{id}/data", "T://a/data", "no"},
		{"t://{id}/data", "t://a/data?x", "no"},
		{"t://{id}/data", "t://a/data#x", "no"},
		{"t://{id}", "t://a?x", "no"},
		{"t://{id}", "t://a#x", "no"},
		{"t://{id}", "t://..", "no"},
		{"t://{id}", "t://.", "no"},
		{"t://{id}", "t://...", "no"},
		{"t://{id}", "t://%20", "no"},
		{"t://{id}", "t://%2e%2E", "no"},
		{"t://{id}", "t://a%2fb", "no"},
		{"t://{id}", "t://a%5Cb", "no"},
		{"t://{id}", "t://a%00", "no"},
		{"t://{id}", "t://a%0a", "no"},
		{"t://{id}", "t://a%7f", "no"},
		{"t://{id}", "t://a%C2%85", "no"},
		{"t://{id}", "t://a%E2%80%AEb", "no"},
		{"t://{id}", "t://a%E2%80%8Bb", "no"},
		{"t://{id}", "t://%C0%AF", "no"},
		{"t://{id}", "t://%FF", "no"},
		{"t://{id}", "t://%252e%252e", "no"},
		{"t://{id}", "t://a%252fb", "no"},
		{"t://{id}", "t://%", "no"},
		{"t://{id}", "t://%4", "no"},
		{"t://{id}", "t://%zz", "no"},
		{"t://{id}", "t://a\\b", "no"},
		{"t://{id}", "t://é", "no"},
		{"t://{id}", "t://a b", "no"},
		{"t://{id}", "t://" + strings.Repeat("a", MaxURI), "no"},
		{"t://v-{id}.json", "t://v-7.json", "map[id:7]"},
		{"t://v-{id}.json", "t://v-.json", "no"},
		{"t://v-{id}.json", "t://v-7.json.json", "map[id:7.json]"},
		{"t://a{x}a", "t://a", "no"},
		{"f:///{+path}", "f:///a", "map[path:a]"},
		{"f:///{+path}", "f:///a/b%20c/d", "map[path:a/b c/d]"},
		{"f:///{+path}", "f:///", "no"},
		{"f:///{+path}", "f:////a", "no"},
		{"f:///{+path}", "f:///a//b", "no"},
		{"f:///{+path}", "f:///a/", "no"},
		{"f:///{+path}", "f:///a/../b", "no"},
		{"f:///{+path}", "f:///../etc/passwd", "no"},
		{"f:///{+path}", "f:///a%2f..%2fb", "no"},
		{"f:///{+path}", "f://host/a", "no"},
		{"u:o:{id}", "u:o:7", "map[id:7]"},
		{"u:o:{id}", "u:p:7", "no"},
	} {
		vars, ok := mustParse(t, tc.template).Match(tc.uri)
		if got := fmt.Sprint(vars); ok && got != tc.want || !ok && tc.want != "no" {
			t.Errorf("%s of %.80s: got %s, %t, want %s", tc.uri, tc.template, got, ok, tc.want)
		}
	}
}

func TestOverlaps(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{"t://a", "t://a", true},
		{"t://a", "t://b", false},
		{"t://{x}", "t://a", true},
		{"t://{x}/b", "t://a", false},
		{"t://{x}", "t://{y}", true},
		{"t://{x}", "u://{y}", false},
		{"t://{x}/a", "t://{y}/b", false},
		{"t://{x}/b", "t://a/{y}", true},
		{"t://a-{x}", "t://b-{y}", false},
		{"t://a-{x}", "t://a{y}", true},
		{"t://{x}.json", "t://{y}.txt", false},
		{"t:///{+x}", "t:///{y}", true},
		{"t:///{+x}", "t:///a/b/{y}", true},
		{"t:///{+x}", "t://h/{y}", false},
		{"t:///a/{+x}", "t:///b/{+y}", false},
		{"t:///a/{+x}", "t:///{y}", false},
		{"t:///a/{+x}", "t:///{+y}", true},
		{"t:///{+x}", "t:///a?q", false},
	} {
		a, b := mustParse(t, tc.a), mustParse(t, tc.b)
		if a.Overlaps(b) != tc.want || b.Overlaps(a) != tc.want {
			t.Errorf("%s and %s: got %t and %t, want %t", tc.a, tc.b, a.Overlaps(b), b.Overlaps(a), tc.want)
		}
	}
}

func TestCheckURI(t *testing.T) {
	t.Parallel()
	for _, ok := range []string{"https://example.com/a?b=c#d", "test://x", "file:///a%20b", "mailto:a@b", "HTTPS://x"} {
		if err := CheckURI(ok); err != nil {
			t.Errorf("%s: %v", ok, err)
		}
	}
	for _, bad := range []string{"", "a", "/a", "a:", "JavaScript:x", "data:text/html,x", "x://a b", "x://\u200b", "x://é", "x://%", "x://%g0", "x://<a>", "x://\x00", "x://h:p/"} {
		if CheckURI(bad) == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// FuzzParse holds that the SDK, which lists templates, takes what we take: it
// would panic.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"t://a/{b}", "t:///{+b}", "t://it's", "t://[a]/{b}", "t:a;b=1,{c}", "t://%41{a}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tmpl, err := Parse(s)
		if err != nil {
			return
		}
		srv := mcp.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, nil)
		if len(tmpl.Variables()) == 0 {
			srv.AddResource(&mcp.Resource{Name: "x", URI: s}, nil)
		} else {
			srv.AddResourceTemplate(&mcp.ResourceTemplate{Name: "x", URITemplate: s}, nil)
		}
	})
}

var fuzzed = []string{"t://{id}", "t://h/v-{id}.json/{other}", "f:///{+path}", "u:o:{id}"}

// FuzzMatch holds that no URI ever yields a value with a separator, however
// often it is decoded, and that each value can be written into a URI again.
func FuzzMatch(f *testing.F) {
	for _, s := range []string{"t://a", "t://%2e%2e%2f", "f:///a/b", "f:///%252e%252e/x", "t://h/v-1.json/x", "u:o:%C0%AE", "f:///..%5c..", "t://%25252f"} {
		f.Add(s)
	}
	var templates []*Template
	for _, s := range fuzzed {
		templates = append(templates, mustParse(f, s))
	}
	f.Fuzz(func(t *testing.T, uri string) {
		matched := 0
		for _, tmpl := range templates {
			vars, ok := tmpl.Match(uri)
			if !ok {
				continue
			}
			matched++
			for name, v := range vars {
				for _, part := range elements(tmpl, name, v) {
					checkName(t, uri, part)
				}
			}
			longer := expand(tmpl, vars)
			if again, ok := tmpl.Match(longer); len(longer) <= MaxURI && (!ok || !maps.Equal(vars, again)) {
				t.Errorf("%q: %q became %q", uri, vars, again)
			}
		}
		if matched > 1 {
			t.Errorf("%q is of %d templates that do not overlap", uri, matched)
		}
	})
}

func elements(t *Template, name, value string) []string {
	if strings.Contains(t.text, "{+"+name+"}") {
		return strings.Split(value, "/")
	}
	return []string{value}
}

func checkName(t *testing.T, uri, v string) {
	t.Helper()
	for range 3 {
		if v == "" || v == "." || v == ".." || strings.ContainsAny(v, "/\\\x00\r\n") {
			t.Fatalf("%q yields %q", uri, v)
		}
		next, err := url.PathUnescape(v)
		if err != nil {
			return
		}
		v = next
	}
}

// expand writes values into a template as RFC 6570 says, every byte that may
// be escaped escaped.
func expand(t *Template, vars map[string]string) string {
	out := t.text
	for name, v := range vars {
		var b strings.Builder
		for i := range len(v) {
			if v[i] == '/' {
				b.WriteByte('/')
			} else {
				fmt.Fprintf(&b, "%%%02x", v[i])
			}
		}
		out = strings.NewReplacer("{"+name+"}", b.String(), "{+"+name+"}", b.String()).Replace(out)
	}
	return out
}
