package mailtool

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/integration/internal/npm"
	"github.com/mcpsec/mcpsec-go/mailtool"
)

// A nodeLetter is what the server of testdata/office.js was given.
type nodeLetter struct {
	Port       int
	From       string
	Rcpts      []string
	Data       []byte
	TLS        string
	Hello      string
	Signatures []string // as another implementation sees them
	Forged     []string // the same, with another Subject above the letter's
}

// nodeOffice starts the server of the npm package smtp-server, and returns its port, and
// what reads the next letter that it took.
func nodeOffice(t *testing.T, records map[string]string) (int, func() nodeLetter) {
	t.Helper()
	node, modules := npm.Modules(t)
	cert, _ := authority()
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	settings, err := json.Marshal(map[string]any{
		"key":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE " + "KEY", Bytes: key})),
		"cert": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})),
		"user": user, "password": password, "records": records,
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "testdata/office.js", modules)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	if _, err := in.Write(append(settings, '\n')); err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(out)
	next := func() (l nodeLetter) {
		t.Helper()
		if err := d.Decode(&l); err != nil {
			t.Fatal(err)
		}
		return l
	}
	return next().Port, next
}

// Another server than the one that all other tests have, of another language, gets the
// same bytes as that one, over TLS and with a login; and another implementation than the
// one that signs finds the signatures good, and those of a changed letter not.
func TestAnotherServer(t *testing.T) {
	t.Parallel()
	r, rPub := rsaKey(t, 2048)
	e, ePub := edKey(t)
	port, next := nodeOffice(t, map[string]string{"r1._domainkey.example.com": rPub, "e1._domainkey.example.com": ePub})
	ours := newOffice(t)
	kinds := map[string]func(*mailtool.Message){
		"text": func(*mailtool.Message) {},
		"dots": func(m *mailtool.Message) { m.Text = ".\n..\n.\r\n\r\n.x\nFrom y\n.\n" },
		"UTF-8": func(m *mailtool.Message) {
			m.Subject, m.Text = "Größe 日本 🙂", "Grüße — 日本語 🙂\u2028x\n"
		},
		"long lines": func(m *mailtool.Message) {
			m.Subject, m.Text = strings.Repeat("long ", 49), strings.Repeat("x", 50_000)
		},
		"spaces": func(m *mailtool.Message) { m.Text = "a \n b\t\n\n\n\n" },
		"HTML": func(m *mailtool.Message) {
			m.HTML = `<p>Good <b style="color:#333">day</b> <a href="https://example.com/?a=1&amp;b=2">x</a>.</p>`
		},
		"attachments": func(m *mailtool.Message) {
			m.Attachments = []mailtool.Attachment{{Name: "Größe.csv", Content: []byte("a,b\n.\n")}, {Name: "b.pdf", Content: []byte("%PDF-1.7 \x00\xff\r\n.\r\n")}}
		},
		"all": func(m *mailtool.Message) {
			m.HTML, m.Cc, m.Bcc, m.References, m.Unsubscribe = "<p>x</p>", []string{"x@bücher.example"}, []string{"hidden@example.com"}, []string{"<a@example.com>"}, "https://example.com/u"
		},
	}
	opt := options(port)
	opt.Bcc, opt.DKIM = true, []mailtool.DKIM{{Domain: "example.com", Selector: "r1", Key: r}, {Domain: "example.com", Selector: "e1", Key: e}}
	c := newClient(t, opt)
	opt.Port = ours.port
	same := newClient(t, opt)
	for name, change := range kinds {
		m := hello("bob@example.com", "ann@customer.example")
		change(&m)
		receipt, err := c.Send(t.Context(), m)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		l := next()
		if _, err := same.Send(t.Context(), m); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		letters := ours.got()
		other := letters[len(letters)-1]
		if l.From != sender || !slices.Equal(l.Rcpts, other.rcpts) || len(l.Rcpts) != receipt.Recipients || !strings.HasPrefix(l.TLS, "TLSv1.") || l.Hello != "example.com" {
			t.Errorf("%s: got %q, %q, %q, %q", name, l.From, l.Rcpts, l.TLS, l.Hello)
		}
		if !bytes.Equal(fixed(t, l.Data), fixed(t, other.data)) || !bytes.Contains(l.Data, []byte("Message-ID: "+receipt.MessageID+"\r\n")) || bytes.Contains(l.Data, []byte("hidden@")) {
			t.Errorf("%s: one server got\n%q\nthe other\n%q", name, l.Data, other.data)
		}
		asDeclared(t, name, m, unsigned(t, l.Data))
		if slices.Sort(l.Signatures); !slices.Equal(l.Signatures, []string{"e1 ed25519-sha256 pass", "r1 rsa-sha256 pass"}) {
			t.Errorf("%s: the signatures are %q", name, l.Signatures)
		}
		if len(l.Forged) != 2 || strings.Contains(strings.Join(l.Forged, " "), "pass") {
			t.Errorf("%s: those of a forged letter are %q", name, l.Forged)
		}
	}
}

// unsigned is a letter without its signatures.
func unsigned(t *testing.T, data []byte) []byte {
	t.Helper()
	at := bytes.Index(data, []byte("\r\nDate: "))
	if at < 0 || bytes.Count(data, []byte("\r\nDate: ")) != 1 || !bytes.HasPrefix(data, []byte("DKIM-Signature: ")) {
		t.Fatalf("not signed: %q", data)
	}
	return data[at+2:]
}

// fixed is what two letters with the same message have in common.
func fixed(t *testing.T, data []byte) []byte {
	t.Helper()
	data = unsigned(t, data)
	return data[bytes.Index(data, []byte("\r\nFrom: ")):]
}
