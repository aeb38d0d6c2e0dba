package mailbox

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net/mail"

	"github.com/emersion/go-msgauth/dkim"
)

// A Key signs mail. Its record is what receivers look up.
type Key struct {
	PEM    []byte
	record string
}

// NewKey makes an Ed25519 key.
func NewKey() (Key, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	return Key{
		PEM:    pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		record: "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public),
	}, err
}

// Verify checks the signature of a message as a receiver does, who finds the key's
// record at name. It returns which header fields are signed.
func (k Key) Verify(message []byte, name, domain string) (fields []string, err error) {
	found, err := dkim.VerifyWithOptions(bytes.NewReader(message), &dkim.VerifyOptions{LookupTXT: func(n string) ([]string, error) {
		if n != name {
			return nil, errors.New("there is no such record")
		}
		return []string{k.record}, nil
	}})
	switch {
	case err != nil:
		return nil, err
	case len(found) != 1 || found[0].Domain != domain:
		return nil, fmt.Errorf("%d signatures, and not one of %s", len(found), domain)
	}
	return found[0].HeaderKeys, found[0].Err
}

// A Mail is what a reader makes of a letter that has no parts.
type Mail struct {
	Header  mail.Header
	Subject string // decoded
	Text    string // decoded
}

// Read reads a letter as a mail program does.
func (l Letter) Read() (Mail, error) {
	m, err := mail.ReadMessage(bytes.NewReader(l.Data))
	if err != nil {
		return Mail{}, err
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		return Mail{}, err
	}
	if is := m.Header.Get("Content-Transfer-Encoding"); is != "quoted-printable" {
		return Mail{}, fmt.Errorf("its text is encoded as %q", is)
	}
	text, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	return Mail{m.Header, subject, string(text)}, err
}
