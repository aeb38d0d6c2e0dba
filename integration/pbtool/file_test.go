//go:build !race

package pbtool

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"image"
	"image/png"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/pbtool"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func picture(t *testing.T, size int) string {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, size, size))); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// side is how many pixels wide the picture of an answer is.
func side(t *testing.T, answer []byte) int {
	t.Helper()
	var said struct {
		Result struct {
			Content []struct {
				Type, MIMEType string
				Data           []byte
			}
		}
	}
	if err := json.Unmarshal(answer, &said); err != nil || len(said.Result.Content) != 1 {
		t.Fatalf("%v: got %s", err, answer)
	}
	c := said.Result.Content[0]
	size, err := png.DecodeConfig(bytes.NewReader(c.Data))
	if err != nil || c.Type != "image" || c.MIMEType != "image/png" {
		t.Errorf("%v: got %s", err, answer)
	}
	return size.Width
}

type uploaded struct {
	ID    string
	Files []string
}

// upload calls pb_upload_file, which must succeed.
func upload(t *testing.T, c *session, field, id, name, content string) uploaded {
	t.Helper()
	args, err := json.Marshal(map[string]any{"collection": "posts", "id": id, "field": field, "name": name, "content": b64(content)})
	if err != nil {
		t.Fatal(err)
	}
	var out uploaded
	c.ok("pb_upload_file", string(args), &out)
	return out
}

func TestPbUploadFile(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := serve(t, open(t, s.options()))
	post := s.save("posts", map[string]any{"title": "first", "author": s.ann.Id})
	theirs := s.save("posts", map[string]any{"title": "theirs", "author": s.bob.Id})
	args := func(id, field, name, content string) string {
		return `{"collection":"posts","id":"` + id + `","field":"` + field + `","name":"` + name + `","content":"` + content + `"}`
	}
	// A name is only a name.
	for name, want := range map[string]string{
		"report.txt": "report_", `..\\..\\etc/pass wd.txt`: "pass_wd_", "/../.htaccess": "htaccess_", "x\\u0000\\r\\ny\\\".txt": "x_y_", "\u202etxt.exe": "txt_",
	} {
		var out uploaded
		p := s.save("posts", map[string]any{"title": "for " + want, "author": s.ann.Id})
		if c.ok("pb_upload_file", args(p.Id, "papers", name, b64("hello world")), &out); len(out.Files) != 1 || !strings.HasPrefix(out.Files[0], want) || out.ID != p.Id {
			t.Errorf("%q: got %+v, want %s...", name, out, want)
		}
	}
	upload(t, c, "papers", post.Id, "a.txt", "one")
	if out := upload(t, c, "papers", post.Id, "b.txt", "two"); len(out.Files) != 2 {
		t.Errorf("the first file was replaced: %+v", out)
	}
	upload(t, c, "deed", post.Id, "a.txt", "one")
	var made uploaded
	if c.ok("pb_upload_file", `{"collection":"posts","field":"photo","name":"p.png","content":"`+b64(picture(t, 20))+`","data":{"title":"with a photo"}}`, &made); len(made.ID) != 15 || len(made.Files) != 1 {
		t.Errorf("with a new record: got %+v", made)
	}
	s.requests()
	for why, a := range map[string]string{
		"delete it first":                 args(post.Id, "deed", "b.txt", b64("two")),
		"the content is application/pdf":  args(post.Id, "photo", "p.png", b64("%PDF-1.7 and more")),
		"a web page":                      args(post.Id, "papers", "p.txt", b64("<!DOCTYPE html><script>x</script>")),
		"would run":                       args(post.Id, "papers", "p.png", b64(`<?xml version="1.0"?><svg xmlns="x" onload="x"/>`)),
		"browser":                         args(post.Id, "papers", "p.js", b64("plain words")),
		"holds no files":                  args(post.Id, "title", "p.txt", b64("x")),
		"may not be set":                  args(post.Id, "secret", "p.txt", b64("x")),
		"content must be base64":          args(post.Id, "papers", "p.txt", "%%%"),
		"at least one byte":               args(post.Id, "papers", "p.txt", ""),
		"has more than 524288 bytes":      args(post.Id, "papers", "p.txt", b64(strings.Repeat("x", 512<<10+1))),
		"there is no such record":         args(theirs.Id, "papers", "p.txt", b64("x")),
		"data is for a new record":        `{"collection":"posts","id":"` + post.Id + `","field":"papers","name":"x","content":"eA==","data":{"title":"x"}}`,
		"a field may not be set":          `{"collection":"posts","field":"papers","name":"x","content":"eA==","data":{"secret":"x"}}`,
		"the collection may not be used,": `{"collection":"vault","field":"papers","name":"x","content":"eA=="}`,
	} {
		if why == "at least one byte" {
			why = "content"
		}
		c.deny(why, "pb_upload_file", a)
	}
	for _, r := range s.requests() {
		if strings.HasPrefix(r, "POST /api/collections/posts") {
			t.Errorf("what is refused was sent: %s", r)
		}
	}
}

// Where old values are kept, an upload replaces; and without a superuser it is
// PocketBase that looks at what a field takes.
func TestPbUploadFileOptions(t *testing.T) {
	t.Parallel()
	s := start(t)
	post := s.save("posts", map[string]any{"title": "first", "author": s.ann.Id})
	o := s.options()
	o.Overwrite, o.MaxFile = mcpsec.Write, 1000
	c := serve(t, open(t, o))
	upload(t, c, "deed", post.Id, "a.txt", "one")
	if out := upload(t, c, "deed", post.Id, "b.txt", "two"); !strings.HasPrefix(out.Files[0], "b") {
		t.Errorf("got %+v", out)
	}
	c.deny("more than 1000 bytes", "pb_upload_file", `{"collection":"posts","id":"`+post.Id+`","field":"papers","name":"x","content":"`+b64(strings.Repeat("x", 1001))+`"}`)
	o = s.options()
	o.Superuser, o.As, o.User = pbtool.Login{}, nil, pbtool.Login{Identity: annEmail, Password: s.options().Superuser.Password}
	c = serve(t, open(t, o))
	c.deny("photo: is not valid (validation_invalid_mime_type)", "pb_upload_file", `{"collection":"posts","id":"`+post.Id+`","field":"photo","name":"x","content":"`+b64("%PDF-1.7 and more")+`"}`)
}

// A protected file is fetched with a file token, which goes nowhere else. One that
// is public is had only of a record that the caller may view.
func TestPbGetFile(t *testing.T) {
	t.Parallel()
	s := start(t)
	o := s.options()
	o.Collections = append(o.Collections, pbtool.Collection{Name: "vault"})
	c := serve(t, open(t, o))
	post := s.save("posts", map[string]any{"title": "first", "author": s.ann.Id})
	ref := func(field, file string) string {
		return `{"collection":"posts","id":"` + post.Id + `","field":"` + field + `","file":"` + file + `"}`
	}
	deed := upload(t, c, "deed", post.Id, "deed.txt", "what was agreed").Files[0]
	paper := upload(t, c, "papers", post.Id, "paper.txt", "one").Files[0]
	upload(t, c, "papers", post.Id, "paper.bin", "\x00\x01two")
	photo := upload(t, c, "photo", post.Id, "photo.png", picture(t, 64)).Files[0]

	resp, err := http.Get(s.url + "/api/files/posts/" + post.Id + "/" + deed)
	if err != nil || resp.StatusCode != http.StatusNotFound {
		t.Fatalf("the file is not protected: %v, %v", resp.StatusCode, err)
	}
	resp.Body.Close()
	var tokens []string
	s.hook(func(r *http.Request) {
		if token := r.URL.Query().Get("token"); token != "" {
			tokens = append(tokens, token)
		}
	})
	if got := c.call("pb_get_file", ref("deed", deed)); got.text != "what was agreed" || got.refused {
		t.Errorf("protected: got %+v", got)
	}
	if len(tokens) != 1 || strings.Contains(c.said.String(), tokens[0]) || strings.Contains(c.log.String(), tokens[0]) {
		t.Errorf("%d file tokens were used, or one has left", len(tokens))
	}
	s.hook(nil)
	if got := c.call("pb_get_file", ref("papers", paper)); got.text != "one" {
		t.Errorf("public: got %+v", got)
	}
	c.deny("several files", "pb_get_file", ref("papers", ""))
	full := c.Request("tools/call", `{"name":"pb_get_file","arguments":`+ref("photo", "")+`}`)
	thumb := c.Request("tools/call", `{"name":"pb_get_file","arguments":{"collection":"posts","id":"`+post.Id+`","field":"photo","thumb":"4x4"}}`)
	if side(t, full) != 64 || side(t, thumb) != 4 {
		t.Errorf("got %s and the thumb %s", full, thumb)
	}
	for why, args := range map[string]string{
		"thumb is a size":               `{"collection":"posts","id":"` + post.Id + `","field":"photo","thumb":"../x"}`,
		"holds no such file":            ref("papers", deed),
		"no such file":                  ref("papers", "../deed/"+deed),
		"none of that name":             `{"collection":"posts","id":"` + post.Id + `","field":"tokenKey"}`,
		"there is no such record":       ref("title", "first"), // PocketBase knows no file of that name
		"the collection may not be":     `{"collection":"users","id":"` + s.bob.Id + `","field":"avatar"}`,
		"letters, digits, dashes":       `{"collection":"posts","id":"../../settings","field":"papers"}`,
		"API rules do not allow":        `{"collection":"vault","id":"` + post.Id + `","field":"note"}`,
		"there is no such record or co": `{"collection":"posts","id":"aaaaaaaaaaaaaaa","field":"papers"}`,
	} {
		c.deny(why, "pb_get_file", args)
	}
	var out struct {
		URL       string
		Protected bool
	}
	if c.ok("pb_file_url", ref("photo", photo), &out); out.Protected || out.URL != s.url+"/api/files/posts/"+post.Id+"/"+photo {
		t.Errorf("got %+v", out)
	}
	resp, err = http.Get(out.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != picture(t, 64) {
		t.Errorf("the URL leads elsewhere: %v", err)
	}
	if c.ok("pb_file_url", ref("deed", ""), &out); !out.Protected || strings.Contains(out.URL, "token") {
		t.Errorf("got %+v", out)
	}
}

func TestPbFileURL(t *testing.T) {
	t.Parallel()
	s := start(t)
	post := s.save("posts", map[string]any{"title": "first", "author": s.ann.Id})
	upload(t, serve(t, open(t, s.options())), "papers", post.Id, "a.txt", "one")
	o := s.options()
	o.Collections[0].Fields = []string{"title"}
	c := serve(t, open(t, o))
	for _, tool := range []string{"pb_get_file", "pb_file_url"} {
		c.deny("none of that name", tool, `{"collection":"posts","id":"`+post.Id+`","field":"papers"}`)
	}
}

// Only the file that a person was asked about is deleted.
func TestPbDeleteFile(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := serve(t, open(t, s.options()))
	post := s.save("posts", map[string]any{"title": "first", "author": s.ann.Id, "tags": []string{"red"}})
	a, b := upload(t, c, "papers", post.Id, "a.txt", "one").Files[0], ""
	for _, f := range upload(t, c, "papers", post.Id, "b.txt", "two").Files {
		if f != a {
			b = f
		}
	}
	args := `{"collection":"posts","id":"` + post.Id + `","field":"papers","file":"` + a + `"}`
	c.approve = func(mcpsec.Question) bool { return false }
	c.deny("", "pb_delete_file", args)
	c.approve = func(mcpsec.Question) bool { // meanwhile the files have become others
		r, err := s.app.FindRecordById("posts", post.Id)
		if err != nil {
			t.Error(err)
		}
		r.Set("papers-", b)
		if err := s.app.Save(r); err != nil {
			t.Error(err)
		}
		return true
	}
	c.asked = nil
	c.ok("pb_delete_file", args, nil)
	if len(c.asked) != 2 || !strings.Contains(c.asked[0], a) || c.asked[0] == c.asked[1] {
		t.Errorf("a yes to another state counted; asked %q", c.asked)
	}
	r, err := s.app.FindRecordById("posts", post.Id)
	if err != nil || len(r.GetStringSlice("papers")) != 0 {
		t.Errorf("left are %v, %v", r.GetStringSlice("papers"), err)
	}
	c.deny("holds no files", "pb_delete_file", `{"collection":"posts","id":"`+post.Id+`","field":"tags","file":"red"}`)
	c.deny("may not be set", "pb_delete_file", `{"collection":"posts","id":"`+post.Id+`","field":"secret"}`)
}
