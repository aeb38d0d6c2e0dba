package mailtool

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mailtool/suppress"
	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

// A provider signs deliveries as the real one does, by its documentation and not by the
// verifier.
type provider struct {
	name     string
	verifier func(testing.TB) *webhook.Verifier
	sign     func(body string) *http.Request
}

// Made-up secrets, put together here so that they look like none elsewhere.
var (
	svixSecret = redact.NewSecret("whsec_" + base64Of([]byte(strings.Repeat("k", 24))))
	mailgunKey = strings.Repeat("key-", 8)
	login      = "hook:" + strings.Repeat("pass-", 4)
)

func post(body string, header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// posted is a request with a delivery.
func posted(d mcpsectest.Delivery) *http.Request {
	r := post(string(d.Body))
	r.Header = d.Header
	return r
}

var base64Of = base64.StdEncoding.EncodeToString

var gridKey = sync.OnceValue(func() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

var deliveries atomic.Int64

// deliveryID names a delivery, as Svix and SNS do.
func deliveryID() string { return fmt.Sprintf("msg_%d", deliveries.Add(1)) }

var providers = sync.OnceValue(func() map[string]provider {
	verifier := func(v *webhook.Verifier, err error) func(testing.TB) *webhook.Verifier {
		return func(tb testing.TB) *webhook.Verifier {
			if err != nil {
				tb.Fatal(err)
			}
			return v
		}
	}
	return map[string]provider{
		"sendgrid": {"sendgrid", func(tb testing.TB) *webhook.Verifier {
			der, err := x509.MarshalPKIXPublicKey(gridKey().Public())
			if err != nil {
				tb.Fatal(err)
			}
			return verifier(webhook.SendGrid(base64Of(der)))(tb)
		}, func(body string) *http.Request { return posted(mcpsectest.Sender{Key: gridKey()}.SendGrid(body)) }},
		"postmark": {"postmark", verifier(webhook.Postmark(redact.NewSecret(login))), func(body string) *http.Request {
			return posted(mcpsectest.Sender{Secret: redact.NewSecret(login)}.Postmark(body))
		}},
		"resend": {"resend", verifier(webhook.Standard(svixSecret)), func(body string) *http.Request {
			h := mcpsectest.Sender{Secret: svixSecret}.Standard(deliveryID(), body).Header
			return post(body, "svix-id", h.Get("webhook-id"), "svix-timestamp", h.Get("webhook-timestamp"), "svix-signature", h.Get("webhook-signature"))
		}},
		"mailgun": {"mailgun", verifier(webhook.Mailgun(redact.NewSecret(mailgunKey))), func(body string) *http.Request {
			return posted(mcpsectest.Sender{Secret: redact.NewSecret(mailgunKey)}.Mailgun(body))
		}},
		"ses": {"ses", func(tb testing.TB) *webhook.Verifier {
			roots := x509.NewCertPool()
			roots.AddCert(amazon().cert)
			return verifier(webhook.SNS(webhook.SNSOptions{Topics: []string{topic}, Client: &http.Client{Transport: amazon()}, Roots: roots}))(tb)
		}, func(body string) *http.Request {
			return notify(map[string]string{"Type": "Notification", "Message": body})
		}},
	}
})

const (
	topic   = "arn:aws:sns:eu-west-1:123456789012:mail"
	certURL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
)

// A signer of SNS's, whose certificate it serves.
type snsSigner struct {
	key  *rsa.PrivateKey
	cert *x509.Certificate
}

var amazon = sync.OnceValue(func() snsSigner {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sns"}, DNSNames: []string{"sns.amazonaws.com"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotBefore: time.Unix(1.5e9, 0), NotAfter: time.Unix(3e9, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		panic(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		panic(err)
	}
	return snsSigner{key, cert}
})

func (s snsSigner) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.String() != certURL {
		return nil, errors.New("no route to host")
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.cert.Raw})
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(text)), Request: r}, nil
}

// notify signs a message as the developer guide of SNS says.
func notify(m map[string]string) *http.Request {
	m["MessageId"], m["TopicArn"], m["Timestamp"] = deliveryID(), topic, time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	var text strings.Builder
	for _, name := range []string{"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"} {
		if v, ok := m[name]; ok {
			fmt.Fprintf(&text, "%s\n%s\n", name, v)
		}
	}
	sum := sha256.Sum256([]byte(text.String()))
	sig, err := rsa.SignPKCS1v15(rand.Reader, amazon().key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	m["SignatureVersion"], m["Signature"], m["SigningCertURL"] = "2", base64Of(sig), certURL
	body, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	r := post(string(body))
	r.Header.Set("Content-Type", "text/plain; charset=UTF-8")
	return r
}

// A desk is a Feedback with its list, and what it has handed on.
type desk struct {
	*Feedback
	list   suppress.Store
	events []FeedbackEvent
	log    *bytes.Buffer
}

func newDesk(tb testing.TB, name string, change func(*FeedbackOptions)) *desk {
	tb.Helper()
	d := &desk{list: suppress.New(nil), log: new(bytes.Buffer)}
	o := FeedbackOptions{
		Provider: name, Verifier: providers()[name].verifier(tb), Suppressions: d.list,
		Webhook: webhook.Options{Log: slog.New(slog.NewTextHandler(d.log, nil))},
	}
	o.Handle = func(_ context.Context, e FeedbackEvent) error {
		d.events = append(d.events, e)
		return nil
	}
	if change != nil {
		change(&o)
	}
	f, err := NewFeedback(o)
	if err != nil {
		tb.Fatal(err)
	}
	d.Feedback = f
	return d
}

// clear makes it as new.
func (d *desk) clear() {
	d.events, d.list = nil, suppress.New(nil)
	d.o.Suppressions, d.o.Once = d.list, new(state.Memory)
	d.log.Reset()
}

// deliver sends a signed request, and wants a status.
func (d *desk) deliver(tb testing.TB, r *http.Request, want int) {
	tb.Helper()
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	if w.Code != want {
		tb.Errorf("status %d, want %d: %s", w.Code, want, d.log)
	}
}

// suppressed is the list as "address reason", in the order of addresses.
func (d *desk) suppressed(tb testing.TB) (out []string) {
	tb.Helper()
	page, err := d.list.List(tb.Context(), "", suppress.MaxList)
	if err != nil {
		tb.Fatal(err)
	}
	for _, e := range page {
		out = append(out, e.Address+" "+string(e.Reason))
	}
	return out
}
