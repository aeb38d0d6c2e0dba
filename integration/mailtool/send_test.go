package mailtool

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/mcpsec/mcpsec-go/mailtool"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// What a server gets is the envelope that was declared and the message; bcc is in the
// envelope only.
func TestSend(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	opt := options(o.port)
	opt.Bcc = true
	c := newClient(t, opt)
	m := hello("bob@example.com", "Ann@Customer.Example")
	m.Cc, m.Bcc = []string{"x@BÜCHER.example"}, []string{"hidden@example.com"}
	r, err := c.Send(t.Context(), m)
	if err != nil || r.Status != "sent" || r.Recipients != 4 || len(r.RecipientsHash) != 64 || len(r.Digest) != 64 {
		t.Fatalf("got %+v, %v", r, err)
	}
	got := o.got()
	if len(got) != 1 || got[0].from != sender || strings.Join(got[0].rcpts, " ") != "bob@example.com ann@customer.example x@xn--bcher-kva.example hidden@example.com" {
		t.Fatalf("got %+v", got)
	}
	fields, body := split(t, got[0].data)
	want := []string{"Date: ", "Message-ID: " + r.MessageID, `From: "Orders" <orders@example.com>`,
		"To: bob@example.com, ann@customer.example", "Cc: x@xn--bcher-kva.example", "Subject: Hello", "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: quoted-printable"}
	for i, w := range want {
		if i >= len(fields) || !strings.HasPrefix(fields[i], w) {
			t.Errorf("got %q, want %q", fields, want)
			break
		}
	}
	if len(fields) != len(want) || bytes.Contains(got[0].data, []byte("hidden")) || !bytes.HasPrefix(body, []byte("Good day.\r\n")) {
		t.Errorf("got %q", got[0].data)
	}
}

// One connection serves many messages, and Close ends it.
func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	opt := options(o.port)
	opt.MaxConns = 2
	c := newClient(t, opt)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := c.Send(t.Context(), hello("bob@example.com")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(o.got()) != 20 || o.conns > 2 {
		t.Errorf("got %d letters over %d connections", len(o.got()), o.conns)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := c.Send(t.Context(), hello("bob@example.com")); err == nil {
		t.Error("sent by a client that is closed")
	}
}

func rsaKey(t testing.TB, bits int) (redact.Secret, string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return redact.NewSecret(string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE " + "KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))),
		"v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(pub)
}

func edKey(t testing.TB) (redact.Secret, string) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return redact.NewSecret(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE " + "KEY", Bytes: der}))),
		"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(pub)
}

// Both kinds of keys sign, also for a long domain; a second field of a signed name,
// or one that was not there, breaks the signatures.
func TestDKIM(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 60) + "." + strings.Repeat("b", 60) + ".example.com"
	o := newOffice(t)
	opt := options(o.port)
	r, rPub := rsaKey(t, 2048)
	e, ePub := edKey(t)
	opt.From = "orders@" + long
	opt.DKIM = []mailtool.DKIM{{Domain: long, Selector: "r1", Key: r}, {Domain: "example.com", Selector: "e1", Key: e}}
	c := newClient(t, opt)
	m := hello("bob@example.com")
	m.HTML, m.Unsubscribe = "<p>Good <b>day</b>.</p>", "https://example.com/u?t=1"
	m.Attachments = []mailtool.Attachment{{Name: "Größe.txt", Content: []byte("eins\n.\nzwei\n")}}
	if _, err := c.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	records := map[string]string{"r1._domainkey." + long: rPub, "e1._domainkey.example.com": ePub}
	verify := func(data []byte) int {
		vs, err := dkim.VerifyWithOptions(bytes.NewReader(data), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
			if txt := records[name]; txt != "" {
				return []string{txt}, nil
			}
			return nil, fmt.Errorf("no record %s", name)
		}})
		if err != nil {
			t.Error(err)
		}
		good := 0
		for _, v := range vs {
			if v.Err == nil {
				good++
			}
		}
		return good
	}
	data := o.got()[0].data
	if n := verify(data); n != 2 {
		t.Fatalf("%d signatures are good, want 2: %s", n, data)
	}
	for _, field := range []string{"From: eve@evil.example", "Subject: other", "To: eve@evil.example", "Reply-To: eve@evil.example", "Cc: eve@evil.example",
		"Content-Type: text/html", "Date: Mon, 02 Jan 2006 15:04:05 +0000", "Sender: eve@evil.example", "List-Unsubscribe: <https://evil.example>"} {
		if n := verify(append([]byte(field+"\r\n"), data...)); n != 0 {
			t.Errorf("%d signatures are good with another %s", n, field)
		}
	}
	if n := verify(append(data, "more\r\n"...)); n != 0 {
		t.Errorf("%d signatures are good with more text", n)
	}
}

// Fifty a second was asked for: see docs/benchmarks.md.
func BenchmarkSendSigned(b *testing.B) {
	o := newOffice(b)
	opt := options(o.port)
	opt.Recipients.PerHour, opt.Recipients.PerDay, opt.Recipients.PerRecipient = 1<<40, 1<<40, 1<<40
	key, _ := rsaKey(b, 2048)
	opt.DKIM = []mailtool.DKIM{{Domain: "example.com", Selector: "r1", Key: key}}
	c := newClient(b, opt)
	m := hello("bob@example.com", "ann@customer.example")
	m.HTML = "<p>Good day.</p>"
	for b.Loop() {
		if _, err := c.Send(b.Context(), m); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}
