package mailtool

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/mail"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/emersion/go-smtp"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/mailtool"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

var welcome = fstest.MapFS{
	"welcome.json": {Data: []byte(`{"name":"welcome","subject":"Welcome, {{.name}}","text":"Dear {{.name}}, see https://shop.example/.","html":"<p>Dear <b>{{.name}}</b></p>","variables":[{"name":"name","type":"text"}]}`)},
}

func templates(t *testing.T) *mailtool.Templates {
	t.Helper()
	ts, err := mailtool.OpenTemplates(mailtool.TemplateOptions{FS: welcome, Dir: t.TempDir(), Links: []string{"shop.example"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ts.Close() })
	return ts
}

// A model lists, writes, reads, changes and deletes templates over the protocol.
func TestTemplateTools(t *testing.T) {
	t.Parallel()
	s := serve(t, options(newOffice(t).port), mailtool.TemplateTools(templates(t))...)
	s.ok("mail_list_templates", args{}, `"welcome"`, `"operator":true`)
	note := args{"name": "note", "subject": "Note {{.n}}", "text": "{{range .items}}- {{.}}\n{{end}}", "variables": []args{{"name": "n", "type": "number"}, {"name": "items", "type": "list"}}}
	s.ok("mail_validate_template", note, `"valid":true`)
	created := s.ok("mail_create_template", note, "revision")
	revision := regexp.MustCompile(`[0-9a-f]{16}`).FindString(created)
	s.deny("there is a template", "mail_create_template", note)
	s.ok("mail_render_template", args{"name": "note", "values": args{"n": 9007199254740993, "items": []string{"a", "<b>"}}}, "Note 9007199254740993", `- a\n- `)
	s.deny("is missing", "mail_render_template", args{"name": "note", "values": args{"n": 1}})
	s.deny("no variable", "mail_render_template", args{"name": "note", "values": args{"n": 1, "items": []string{}, "x": 1}})
	s.deny("operator's", "mail_update_template", args{"revision": revision, "template": args{"name": "welcome", "subject": "x", "text": "x"}})
	note["text"] = "{{call .n}}"
	s.deny("cannot be read", "mail_update_template", args{"revision": revision, "template": note})
	note["text"] = "see https://evil.example"
	s.deny("a link must be", "mail_update_template", args{"revision": revision, "template": note})
	s.deny("", "mail_create_template", args{"name": "../note", "subject": "x", "text": "x"})
	s.approve = func(q mcpsec.Question) bool { return strings.Contains(q.Text, `delete the mail template "note"`) }
	s.deny("another revision", "mail_delete_template", args{"name": "note", "revision": strings.Repeat("0", 16)})
	s.ok("mail_delete_template", args{"name": "note", "revision": revision}, `"deleted":true`)
	if q := s.questions(); len(q) != 1 {
		t.Errorf("a person was asked %q", q)
	}
	s.deny("no template", "mail_get_template", args{"name": "note"})
}

// What a template makes of hostile values is what arrives, and nothing more.
func TestTemplateArrives(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	c, ts := newClient(t, options(o.port)), templates(t)
	for _, name := range []string{"Anna", "Zoë 👩‍👧", "<script>alert(1)</script>", "{{.secret}}", "Bcc: x@evil.example", "a, b <c@evil.example>", `"\`, "&lt;", "%0d%0aBcc: x", "."} {
		m, err := ts.Render(t.Context(), "welcome", map[string]any{"name": name})
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		m.To = []string{"bob@example.com"}
		if _, err := c.Send(t.Context(), m); err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		got := o.got()
		asDeclared(t, name, m, got[len(got)-1].data)
	}
	for _, name := range []string{"a\r\nBcc: x@evil.example", "a\nb", "a\rb", "a\u202eb", "=?utf-8?q?x?=", "a\x00b"} {
		if m, err := ts.Render(t.Context(), "welcome", map[string]any{"name": name}); err == nil {
			t.Errorf("%q: %q", name, m.Subject)
		}
	}
}

// From the link in a mail to the person who has left.
func TestUnsubscribeArrives(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	gone := map[string]bool{}
	secret := redact.NewSecret(strings.Repeat("q8Zr"+"4Lx0vBn7", 2) + "Jw2Kp9" + "tYd")
	u, err := mailtool.NewUnsubscribe(mailtool.UnsubscribeOptions{URL: "https://mail.example.com/u", Keys: []mcpsec.Secret{secret}, Handle: func(_ context.Context, recipient, list string) error {
		mu.Lock()
		defer mu.Unlock()
		gone[recipient] = list == "news"
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	o := newOffice(t)
	opt := options(o.port)
	opt.Suppressed = func(_ context.Context, a string) (bool, error) {
		mu.Lock()
		defer mu.Unlock()
		return gone[a], nil
	}
	c := newClient(t, opt)
	m := hello("bob@example.com")
	if m.Unsubscribe, err = u.Link("bob@example.com", "news"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	read, err := mail.ReadMessage(bytes.NewReader(o.got()[0].data))
	if err != nil {
		t.Fatal(err)
	}
	link := strings.Trim(read.Header.Get("List-Unsubscribe"), "<>")
	if read.Header.Get("List-Unsubscribe-Post") != "List-Unsubscribe=One-Click" || link != m.Unsubscribe {
		t.Fatal(read.Header)
	}
	srv, trust := policyServer(t, u.ServeHTTP)
	client := policyClient(t, srv, trust)
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		req, err := http.NewRequestWithContext(t.Context(), method, link, strings.NewReader(read.Header.Get("List-Unsubscribe-Post")))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || gone["bob@example.com"] != (method == http.MethodPost) {
			t.Fatalf("%s: %d, %v", method, resp.StatusCode, gone)
		}
	}
	if _, err := c.Send(t.Context(), hello("bob@example.com")); err == nil {
		t.Error("a message to somebody who has left")
	}
}

// A diagnosis tells what became of the caller's last message to the address, and names
// nobody else whom that was for.
func TestDiagnoseTellsTheLast(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	memory := new(state.Memory)
	opt := options(o.port)
	opt.State, opt.Queue = memory, mailtool.Queue{Documents: memory, Keys: []mcpsec.Secret{redact.NewSecret("Ub7tq0Zs" + "Wn4vKx9cRj2m" + "Hd5yPg8eLa3f")}}
	check := mailtool.DomainCheck{Domain: "shop.example", Resolver: newNameServer(t, shop()).resolver()}
	s := serve(t, opt, mailtool.CheckTools(newClient(t, opt), check)...)
	if raw := s.ok("mail_diagnose", args{"address": "bob@example.com"}); strings.Contains(raw, `"last"`) {
		t.Error(raw)
	}
	s.ok("mail_send", args{"to": []string{"bob@example.com", "ann@customer.example"}, "subject": "Hello", "text": "Hello"})
	raw := s.ok("mail_diagnose", args{"address": "bob@example.com"}, `"outcome":"sent"`, `"to":["bob@example.com"]`)
	if strings.Contains(raw, "ann@") {
		t.Error(raw)
	}
	if raw := s.ok("mail_diagnose", args{"address": "carl@example.com"}); strings.Contains(raw, `"last"`) {
		t.Error(raw)
	}
}

// The dialogue ends before a message: the server sees sender and recipient, RSET and QUIT.
func TestDiagnose(t *testing.T) {
	t.Parallel()
	var said mcptest.Buffer
	o := newOffice(t, func(s *smtp.Server) { s.Debug = &said })
	n := newNameServer(t, shop())
	srv, trust := policyServer(t, text)
	c := newClient(t, options(o.port))
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	check := mailtool.DomainCheck{Domain: "shop.example", DKIM: map[string]crypto.PublicKey{"s1": key.Public()}, Resolver: n.resolver(), Client: policyClient(t, srv, trust)}
	s := serve(t, options(o.port), mailtool.CheckTools(c, check, "temp.example")...)
	raw := s.ok("mail_diagnose", args{"address": "bob@example.com"}, `"check":"spf","verdict":"pass"`, "p="+base64.StdEncoding.EncodeToString(der))
	var out struct {
		Server []struct {
			Step string
			OK   bool
		}
	}
	if err := json.Unmarshal([]byte(raw), &out); err != nil || len(out.Server) != 3 || !out.Server[2].OK || out.Server[2].Step != "RCPT" {
		t.Error(raw, err)
	}
	dialogue := said.String()
	if !strings.Contains(dialogue, "RCPT TO:<bob@example.com>") || !strings.Contains(dialogue, "RSET") || strings.Contains(dialogue, "DATA") || len(o.got()) != 0 {
		t.Error(dialogue)
	}
	for _, address := range []string{"boss@example.com", "x@elsewhere.example", "bob@example.com>\r\nRCPT TO:<x@elsewhere.example"} {
		s.deny("may not be written to", "mail_diagnose", args{"address": address})
	}
	if strings.Contains(said.String(), "elsewhere") || strings.Contains(said.String(), "boss") {
		t.Error("the server was asked about somebody who may not be written to")
	}
	s.ok("mail_check_address", args{"address": "a@shop.example"}, `"valid":true`, `"allowed":false`)
	refusing := newOffice(t, func(s *smtp.Server) { s.MaxRecipients = 1; s.AllowInsecureAuth = false })
	wrong := options(refusing.port)
	wrong.Password = redact.NewSecret("not-the-password")
	s = serve(t, wrong, mailtool.CheckTools(newClient(t, wrong), check)...)
	text := s.ok("mail_diagnose", args{"address": "bob@example.com"}, `"step":"AUTH","ok":false,"code":535`)
	if strings.Contains(text, "not-the-password") { // which this server repeats
		t.Error(text)
	}
}
