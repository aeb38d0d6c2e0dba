package mailtool

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/waive"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

const canary = "q7canary"

func valid() Options {
	return Options{Host: "smtp.example.com", From: "orders@example.com", Username: "orders", Password: mcpsecSecret(canary), Recipients: Recipients{Allow: []string{"example.com"}}, Log: slog.New(slog.DiscardHandler)}
}

// What cannot be right is an error at the start, and no error holds the password or a
// key.
func TestMailOptions(t *testing.T) {
	t.Parallel()
	rsaKey := testKey(t, 2048)
	for name, change := range map[string]func(*Options){
		"Options.Host is":             func(o *Options) { o.Host = "" },
		"Options.Host must":           func(o *Options) { o.Host = "smtp.example.com/x" },
		"Options.From is":             func(o *Options) { o.From = "" },
		"Options.From:":               func(o *Options) { o.From = "Orders <orders@example.com>" },
		"Options.FromName":            func(o *Options) { o.FromName = "a\r\nBcc: eve@evil.example" },
		"and no address":              func(o *Options) { o.FromName = "boss@example.com" },
		"Options.Domain":              func(o *Options) { o.Domain = "localhost" },
		"Options.ReplyTo":             func(o *Options) { o.ReplyTo = []string{"a@b.example, c@d.example"} },
		"together":                    func(o *Options) { o.Username = "" },
		"line break":                  func(o *Options) { o.Password = mcpsecSecret(canary + "\r\nRCPT TO:<x>") },
		"a NUL in them":               func(o *Options) { o.Username = "a\x00b" },
		"Options.Port":                func(o *Options) { o.Port = 70000 },
		"Options.MaxBytes":            func(o *Options) { o.MaxBytes = 1 },
		"Options.MaxAttachments":      func(o *Options) { o.MaxAttachments = -1 },
		"Options.MaxConns":            func(o *Options) { o.MaxConns = 1000 },
		"Options.Timeout":             func(o *Options) { o.Timeout = -time.Second },
		"Options.Idle":                func(o *Options) { o.Idle = time.Hour },
		"Options.Attachments":         func(o *Options) { o.Attachments = []string{".exe"} },
		"Options.Recipients.Allow":    func(o *Options) { o.Recipients.Allow = nil },
		"TLS is used":                 func(o *Options) { plaintext(o); o.Username, o.Password, o.Port = "", mcpsec.Secret{}, 465 },
		"in the clear":                plaintext,
		"Options.DKIM[0].Domain must": func(o *Options) { o.DKIM = []DKIM{{Domain: "other.example", Selector: "a", Key: rsaKey}} },
		"Options.DKIM[0].Domain:":     func(o *Options) { o.DKIM = []DKIM{{Domain: "com", Selector: "a", Key: rsaKey}} },
		"Options.DKIM[0].Selector": func(o *Options) {
			o.DKIM = []DKIM{{Domain: "example.com", Selector: "a; d=evil.example", Key: rsaKey}}
		},
		"2048 bits":           func(o *Options) { o.DKIM = []DKIM{{Domain: "example.com", Selector: "a", Key: testKey(t, 1024)}} },
		"Options.DKIM[0].Key": func(o *Options) { o.DKIM = []DKIM{{Domain: "example.com", Selector: "a", Key: mcpsecSecret(canary)}} },
		"RSA or Ed25519":      func(o *Options) { o.DKIM = []DKIM{{Domain: "example.com", Selector: "a", Key: testKey(t, 0)}} },
	} {
		o := valid()
		change(&o)
		_, err := New(o)
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), canary) {
			t.Errorf("want %q, got %v", name, err)
		}
	}
	o := valid()
	o.DKIM = []DKIM{{Domain: "example.com", Selector: "a.b", Key: rsaKey}, {Domain: "example.com", Selector: "c", Key: testKey(t, 1)}}
	if _, err := New(o); err != nil {
		t.Error(err)
	}
}

func plaintext(o *Options) {
	o.Waive = []mcpsec.Waiver{{Kind: waive.PlaintextMail, Reason: "a test"}}
}

// testKey is an RSA key of so many bits, of Ed25519 for 1 and ECDSA for 0.
func testKey(t *testing.T, bits int) mcpsec.Secret {
	t.Helper()
	var der []byte
	var err error
	switch bits {
	case 0:
		k, e := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if e != nil {
			t.Fatal(e)
		}
		der, err = x509.MarshalPKCS8PrivateKey(k)
	case 1:
		_, k, e := ed25519.GenerateKey(rand.Reader)
		if e != nil {
			t.Fatal(e)
		}
		der, err = x509.MarshalPKCS8PrivateKey(k)
	default:
		k, e := rsa.GenerateKey(rand.Reader, bits)
		if e != nil {
			t.Fatal(e)
		}
		der, err = x509.MarshalPKCS8PrivateKey(k)
	}
	if err != nil {
		t.Fatal(err)
	}
	return mcpsecSecret(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE " + "KEY", Bytes: der})))
}

func TestMailWarns(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	o := valid()
	plaintext(&o)
	o.Username, o.Password, o.Log = "", mcpsec.Secret{}, slog.New(slog.NewTextHandler(&log, nil))
	if _, err := New(o); err != nil {
		t.Fatal(err)
	}
	if got := log.String(); !strings.Contains(got, "plaintext-mail") || !strings.Contains(got, "a test") {
		t.Errorf("got %s", got)
	}
}

func TestLookalike(t *testing.T) {
	t.Parallel()
	c := testClient(t, func(o *Options) { o.Recipients.Allow = []string{"paypal.example", "*.microsoft.example"} })
	for domain, want := range map[string]string{
		"example.com": "", "paypal.example": "", "a.microsoft.example": "", "unrelated.org": "", "paypa1.example": "paypal.example", "paypai.example": "paypal.example", "pay-pal.example": "paypal.example", "paypall.example": "paypal.example", "papyal.example": "paypal.example",
		"rnicrosoft.example": "microsoft.example", "paypal.example.evil.org": "paypal.example", "login.paypal.example.evil.org": "paypal.example", "xn--pypal-4ve.example": "paypal.example", "examp1e.com": "example.com", "exarnple.com": "example.com",
	} {
		if got := c.lookalike(domain); got != want {
			t.Errorf("%s: got %q, want %q", domain, got, want)
		}
	}
}

func TestRisks(t *testing.T) {
	t.Parallel()
	c := testClient(t)
	m := testMessage()
	m.Text = "see https://example.org/x and HTTPS://EXAMP1E.com"
	m.HTML = `<p>see <a href="https://evil.example/">https://example.com/login</a>, <a href="https://www.example.com/">example.com</a></p>`
	b := mustBuild(t, c, m)
	got := strings.Join(c.risks(b.parts), "\n")
	for _, want := range []string{"goes outside, to customer.example", `shows "https://example.com/login" and leads to evil.example`, "examp1e.com looks like example.com", "does not say the same"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if strings.Count(got, "a link shows") != 1 {
		t.Errorf("got %s", got)
	}
	m.HTML = `<a href="https://evil.example/">` + strings.Repeat("so <b>much</b> ", 100) + "that example.com is not found</a>"
	if got := strings.Join(c.risks(mustBuild(t, c, m).parts), "\n"); !strings.Contains(got, "a link shows") {
		t.Errorf("got %s", got)
	}
	q, err := c.question(b)
	if err != nil || !strings.Contains(q, "links to evil.example, www.example.com, example.org, examp1e.com") {
		t.Errorf("got %s, %v", q, err)
	}
}

// A question says all that is decided on, or there is no question.
func TestQuestionIsBounded(t *testing.T) {
	t.Parallel()
	c := testClient(t, func(o *Options) { o.Recipients.MaxPerMessage = 50 })
	m := testMessage()
	m.Text = strings.Repeat("\"\u00e9\n", 50_000)
	m.HTML = "<p>" + strings.Repeat("other ", 10_000) + "</p>"
	q, err := c.question(mustBuild(t, c, m))
	if err != nil || len(q) > maxQuestion || !strings.Contains(q, "more characters") || !strings.Contains(q, "HTML shows") || !strings.Contains(q, "[message ") {
		t.Errorf("%d bytes: %s, %v", len(q), q, err)
	}
	for i := range 45 {
		m.To = append(m.To, strings.Repeat("a", 60)+string(rune('a'+i%26))+string(rune('a'+i/26))+"@example.com")
	}
	if q, err := c.question(mustBuild(t, c, m)); err == nil {
		t.Errorf("asked without room: %s", q)
	}
}

// The question names what else is in the header, and links whose carriage nobody sees.
func TestQuestionNamesReferences(t *testing.T) {
	t.Parallel()
	c := testClient(t)
	m := testMessage()
	m.InReplyTo, m.References = "<q1@example.com>", []string{"<q2@example.com>", "<q3@example.com>"}
	m.Text = "see www.evil.example/x."
	m.HTML = `<p>see <a href="https://a.example/` + strings.Repeat("x", 300) + `">here</a></p>`
	q, err := c.question(mustBuild(t, c, m))
	for _, want := range []string{"in reply to <q1@example.com>", "refers to <q2@example.com> <q3@example.com>", "links to a.example, www.evil.example;", "a link to a.example is 318 characters long"} {
		if err != nil || !strings.Contains(q, want) {
			t.Errorf("got %s, %v, want %s", q, err, want)
		}
	}
}
