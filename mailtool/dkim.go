package mailtool

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
)

// A signer is a DKIM key that was read.
type signer struct {
	domain, selector string
	key              crypto.Signer
}

var selectorForm = lazy.Regexp(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?){0,3}$`)

// newSigners never quotes a key.
func newSigners(o Options) ([]signer, error) {
	_, from, _ := strings.Cut(o.From, "@")
	var out []signer
	for i, k := range o.DKIM {
		domain, err := parseDomain(k.Domain)
		switch {
		case err != nil:
			return nil, fmt.Errorf("Options.DKIM[%d].Domain: %w", i, err)
		case from != domain && !strings.HasSuffix(from, "."+domain):
			return nil, fmt.Errorf("Options.DKIM[%d].Domain must be From's, or one above it: DMARC counts no other", i)
		case !selectorForm().MatchString(k.Selector):
			return nil, fmt.Errorf("Options.DKIM[%d].Selector must be the name of the key's record before ._domainkey", i)
		}
		key, err := parseKey(k.Key.Reveal())
		if err != nil {
			return nil, fmt.Errorf("Options.DKIM[%d].Key: %w", i, err)
		}
		out = append(out, signer{domain, k.Selector, key})
	}
	return out, nil
}

var errKey = errors.New("it must be a private key in PEM, PKCS #8 or PKCS #1, of RSA or Ed25519")

func parseKey(text string) (crypto.Signer, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errKey
	}
	var key any
	var err error
	if block.Type == "RSA PRIVATE KEY" {
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	} else {
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, errKey
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if key.N.BitLen() < 2048 {
			return nil, errors.New("an RSA key must have 2048 bits or more")
		}
		return key, nil
	case ed25519.PrivateKey:
		return key, nil
	}
	return nil, errKey
}

// signedFields are signed once more often than they occur: then none can be added
// above the message's own without breaking the signature.
var signedFields = []string{"From", "To", "Cc", "Reply-To", "Sender", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "MIME-Version",
	"Content-Type", "Content-Transfer-Encoding", "List-Unsubscribe", "List-Unsubscribe-Post"}

// sign returns the header lines that sign a message, one for each key.
func (c *Client) sign(message []byte) ([]byte, error) {
	var out bytes.Buffer
	head, _, _ := bytes.Cut(message, []byte("\r\n\r\n"))
	var fields []string
	for _, f := range signedFields {
		if bytes.Contains(append([]byte("\r\n"), head...), []byte("\r\n"+f+":")) {
			fields = append(fields, f)
		}
		fields = append(fields, f)
	}
	for _, k := range c.keys {
		s, err := dkim.NewSigner(&dkim.SignOptions{
			Domain: k.domain, Selector: k.selector, Signer: k.key, Hash: crypto.SHA256, HeaderKeys: fields,
			HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
		})
		if err != nil {
			return nil, fmt.Errorf("signing: %w", err)
		}
		_, err = s.Write(message)
		if err := errors.Join(err, s.Close()); err != nil {
			return nil, fmt.Errorf("signing: %w", err)
		}
		out.WriteString(s.Signature())
	}
	return out.Bytes(), nil
}
