package mcpsec_test

import (
	"context"
	"encoding/base64"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/insecure"
)

func decode64(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The smallest picture and sound that there are.
const (
	png64 = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
	wav64 = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
)

func showing(contents ...mcpsec.Content) *mcpsec.Tool {
	return tool("x", func(context.Context, none) ([]mcpsec.Content, error) { return contents, nil })
}

// Every kind of content reaches the SDK's client as what it is, in both eras, and
// has no structured copy and no output schema.
func TestContents(t *testing.T) {
	t.Parallel()
	png, wav := decode64(t, png64), decode64(t, wav64)
	for name, tc := range map[string]struct {
		in   mcpsec.Content
		want mcp.Content
	}{
		"text":         {mcpsec.Content{Text: `a "b" é`}, &mcp.TextContent{Text: `a "b" é`}},
		"empty text":   {mcpsec.Content{}, &mcp.TextContent{}},
		"image":        {mcpsec.Content{Data: png, MIMEType: "image/png"}, &mcp.ImageContent{Data: png, MIMEType: "image/png"}},
		"audio":        {mcpsec.Content{Data: wav, MIMEType: "audio/wav"}, &mcp.AudioContent{Data: wav, MIMEType: "audio/wav"}},
		"embedded":     {mcpsec.Content{URI: "test://e", MIMEType: "text/plain", Text: "t"}, &mcp.EmbeddedResource{Resource: &mcp.ResourceContents{URI: "test://e", MIMEType: "text/plain", Text: "t"}}},
		"embedded pdf": {mcpsec.Content{URI: "test://e", MIMEType: "application/pdf", Data: wav}, &mcp.EmbeddedResource{Resource: &mcp.ResourceContents{URI: "test://e", MIMEType: "application/pdf", Blob: wav}}},
		"link":         {mcpsec.Content{URI: "test://e", Name: "the e"}, &mcp.ResourceLink{URI: "test://e", Name: "the e"}},
	} {
		f := newHTTP(t, mcpsec.HTTPOptions{}, nil, showing(tc.in, mcpsec.Content{Text: "end"}),
			tool("one", func(context.Context, none) (mcpsec.Content, error) { return tc.in, nil }))
		for _, modern := range []bool{true, false} {
			cs := f.connectHTTP(t, "", modern)
			res, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: "x"})
			if err != nil || res.IsError || res.StructuredContent != nil || !reflect.DeepEqual(res.Content, []mcp.Content{tc.want, &mcp.TextContent{Text: "end"}}) {
				t.Errorf("%s: got %+v, %v", name, res, err)
			}
			if res, err = cs.CallTool(t.Context(), &mcp.CallToolParams{Name: "one"}); err != nil || !reflect.DeepEqual(res.Content, []mcp.Content{tc.want}) {
				t.Errorf("%s alone: got %+v, %v", name, res, err)
			}
			list, err := cs.ListTools(t.Context(), nil)
			if err != nil || list.Tools[0].OutputSchema != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestContentsWireForm(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil, showing(
		mcpsec.Content{Text: "t"}, mcpsec.Content{Data: []byte{}, MIMEType: "image/png"}, mcpsec.Content{URI: "test://e"},
		mcpsec.Content{URI: "test://l", Name: "l", MIMEType: "text/plain; charset=utf-8"}))
	got := f.dial(t).ask(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}`)
	_, got, _ = strings.Cut(got, `},"content":`)
	want := `[{"type":"text","text":"t"},{"type":"image","data":"","mimeType":"image/png"},{"type":"resource","resource":{"uri":"test://e","text":""}},` +
		`{"type":"resource_link","mimeType":"text/plain; charset=utf-8","uri":"test://l","name":"l"}]}}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// What would be no content of the protocol, or one that is read in two ways, is
// an internal error.
func TestContentsAreChecked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]mcpsec.Content{
		"two bodies":       {Text: "a", Data: []byte("b"), MIMEType: "image/png"},
		"no media type":    {Data: []byte("hunter2")},
		"untyped resource": {URI: "test://e", Data: []byte("b")},
		"odd media type":   {Data: []byte("b"), MIMEType: "hunter2"},
		"header injection": {Text: "a", MIMEType: "text/plain\r\nX: y"},
		"hidden type":      {Text: "a", MIMEType: "text/pl\u200bain"},
		"video":            {Data: []byte("b"), MIMEType: "video/mp4"},
		"link without URI": {Name: "a"},
		"link with text":   {Name: "a", URI: "test://a", Text: "b"},
		"relative URI":     {URI: "a/b", Text: "b"},
		"script":           {URI: "javascript:alert(1)", Name: "a"},
		"data":             {URI: "Data:text/html,x", Name: "a"},
		"bidi URI":         {URI: "test://a\u202eb", Text: "b"},
		"spaces":           {URI: "test://a b", Text: "b"},
		"control":          {URI: "test://a\nb", Name: "a"},
	} {
		f := newFixture(t, nil, showing(c))
		if text, isErr := call(t, f.connect(t), "x", none{}); !isErr || !strings.HasPrefix(text, "internal error (call ") {
			t.Errorf("%s: got %q, error %t", name, text, isErr)
		}
		if !strings.Contains(f.log.String(), "content 0: ") {
			t.Errorf("%s: logged %s", name, f.log.String())
		}
	}
}

// Texts and names leave without hidden characters and secrets; what cannot be
// masked is withheld. (TOOL-04)
func TestContentsAreCleaned(t *testing.T) {
	t.Parallel()
	const secret = "correct-horse-battery"
	secrets := func(o *mcpsec.Options) { o.Secrets = []mcpsec.Secret{newSecret(secret)} }
	for name, tc := range map[string]struct {
		in   mcpsec.Content
		want string // nothing: withheld
	}{
		"hidden":           {mcpsec.Content{Text: "a\u202Eb\U000E0041"}, "ab"},
		"secret":           {mcpsec.Content{Text: "key " + secret + " end"}, "key [redacted] end"},
		"split secret":     {mcpsec.Content{Text: "key correct-\u200Bhorse-bat\u2060tery end"}, "key [redacted] end"},
		"secret in JSON":   {mcpsec.Content{Text: `{"password":"` + "tr0ub4dor" + `&3","id":7}`}, `{"password":"[redacted]","id":7}`},
		"invalid UTF-8":    {mcpsec.Content{Text: "a\xffb"}, "a\uFFFDb"},
		"embedded":         {mcpsec.Content{URI: "test://e", Text: secret}, "[redacted]"},
		"link":             {mcpsec.Content{URI: "test://e", Name: "a" + "\u202E" + secret}, "a[redacted]"},
		"secret in data":   {mcpsec.Content{Data: []byte("\x00" + secret + "\x00"), MIMEType: "image/png"}, ""},
		"secret in EXIF":   {mcpsec.Content{Data: []byte("\xff\xd8\xff\xe1\x00password=" + "tr0ub4dor3\x00\xff\xd9"), MIMEType: "image/jpeg"}, ""},
		"secret at an end": {mcpsec.Content{Data: []byte("\xff" + secret), MIMEType: "image/png"}, ""},
		"secret in a URI":  {mcpsec.Content{URI: "test://" + secret, Name: "a"}, ""},
		"URL with account": {mcpsec.Content{URI: "https://admin:" + "tr0ub4dor3x" + "@db.example.com/", Name: "a"}, ""},
	} {
		f := newFixture(t, secrets, showing(tc.in))
		res, err := f.connect(t).CallTool(t.Context(), &mcp.CallToolParams{Name: "x"})
		if err != nil {
			t.Fatal(err)
		}
		var got string
		switch c := res.Content[0].(type) {
		case *mcp.TextContent:
			got = c.Text
		case *mcp.EmbeddedResource:
			got = c.Resource.Text
		case *mcp.ResourceLink:
			got = c.Name
		}
		if tc.want == "" {
			if !res.IsError || !strings.Contains(got, "so it is withheld") || strings.Contains(got, secret) {
				t.Errorf("%s: got %q", name, got)
			}
			if !strings.Contains(f.audit.String(), `"outcome":"refused","rule":"secret"`) {
				t.Errorf("%s: recorded %s", name, f.audit.String())
			}
		} else if got != tc.want || res.IsError {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		} else if noted := res.Meta["io.github.mcpsec/redacted"] != nil || res.Meta["io.github.mcpsec/stripped"] != nil; noted == (name == "invalid UTF-8") {
			t.Errorf("%s: provenance %v", name, res.Meta)
		}
	}
}

// What a handler returns is not changed: it may be the same every time.
func TestContentsAreCopied(t *testing.T) {
	t.Parallel()
	shared := []mcpsec.Content{{Text: "a\u202Eb"}}
	f := newFixture(t, nil, showing(shared...))
	call(t, f.connect(t), "x", none{})
	if shared[0].Text != "a\u202Eb" {
		t.Error("the handler's own value was changed")
	}
	raw := mcpsec.NewTool(mcpsec.ToolSpec{Name: "x", Description: "For tests.", Effect: mcpsec.Read, Waive: []mcpsec.Waiver{insecure.RawOutput("a test")}},
		func(context.Context, none) ([]mcpsec.Content, error) { return shared, nil })
	f = newFixture(t, nil, raw)
	if text, isErr := call(t, f.connect(t), "x", none{}); isErr || text != "a\u202Eb" {
		t.Errorf("raw: got %q", text)
	}
}

// Contents count as they leave: data as base64, texts with their escapes.
func TestContentsAreBounded(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		in mcpsec.Content
		ok bool
	}{
		"text":         {mcpsec.Content{Text: strings.Repeat("x", 2000)}, false},
		"data":         {mcpsec.Content{Data: make([]byte, 800), MIMEType: "image/png"}, false},
		"secret":       {mcpsec.Content{Data: []byte(strings.Repeat("correct-horse-battery", 100)), MIMEType: "image/png"}, false}, // not looked at
		"escapes":      {mcpsec.Content{Text: strings.Repeat(`"`, 600)}, false},
		"fitting text": {mcpsec.Content{Text: strings.Repeat("x", 900)}, true},
		"fitting data": {mcpsec.Content{Data: make([]byte, 690), MIMEType: "image/png"}, true},
	} {
		f := newFixture(t, func(o *mcpsec.Options) {
			o.Limits.MaxResult, o.Secrets = 1000, []mcpsec.Secret{newSecret("correct-horse-battery")}
		}, showing(tc.in))
		res, err := f.connect(t).CallTool(t.Context(), &mcp.CallToolParams{Name: "x"})
		if err != nil || res.IsError == tc.ok {
			t.Errorf("%s: error %t, %v", name, res.IsError, err)
		}
		if text, _ := res.Content[0].(*mcp.TextContent); !tc.ok && (text == nil || !strings.HasPrefix(text.Text, "the result is larger than 1000 bytes")) {
			t.Errorf("%s: got %v", name, text)
		}
	}
}

// Many empty contents are counted before they are given a form. The test is not
// parallel because it counts what is allocated.
func TestManyContentsAreNotBuilt(t *testing.T) {
	const n = 1 << 18
	f := newFixture(t, nil, showing(slices.Repeat([]mcpsec.Content{{}}, n)...))
	cs := f.connect(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	text, isErr := call(t, cs, "x", none{})
	runtime.ReadMemStats(&after)
	if !isErr || !strings.HasPrefix(text, "the result is larger") {
		t.Errorf("got %.100q", text)
	}
	copied := uint64(n * unsafe.Sizeof(mcpsec.Content{}))
	if got := after.TotalAlloc - before.TotalAlloc; got > copied+copied/2 {
		t.Errorf("%d bytes were allocated, of which the copy is %d", got, copied)
	}
}

// What looks like a name and a value by chance withholds no picture.
func TestNoiseIsNoSecret(t *testing.T) {
	t.Parallel()
	for _, noise := range []string{"Q\x04\xa4\xd9K\xb6yPw:\x88\xe54\xe0l,\xb1", "\x1bpw=\x08\xfdhM\x9a\xf2_\x9d\x06", "\x00http://jimmac.musichall.czif\xe3^\x00\xba@\xba$", "\x00pw=ab\x00", "\x02{.?Pw=9U\x9d"} {
		f := newFixture(t, nil, showing(mcpsec.Content{Data: []byte(noise), MIMEType: "image/png"}))
		res, err := f.connect(t).CallTool(t.Context(), &mcp.CallToolParams{Name: "x"})
		if err != nil || res.IsError {
			t.Errorf("%q: got %v, %v", noise, res.Content, err)
		}
	}
}
