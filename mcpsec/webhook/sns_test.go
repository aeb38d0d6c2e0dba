package webhook_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

const (
	topic   = "arn:aws:sns:eu-west-1:123456789012:orders"
	certURL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
	issuer  = "http://crt.r2m01.amazontrust.com/r2m01.cer"
)

// authority makes certificates as Amazon's are: root, intermediate, leaf.
type authority struct {
	rootKey, midKey, leafKey *rsa.PrivateKey
	root, mid                *x509.Certificate
}

func rsaKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

var amazon = sync.OnceValue(func() *authority {
	a := &authority{rootKey: rsaKey(), midKey: rsaKey(), leafKey: rsaKey()}
	ca := func(name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
			NotBefore: time.Unix(1.5e9, 0), NotAfter: time.Unix(3e9, 0),
		}
	}
	a.root = issue(ca("Root"), ca("Root"), a.rootKey, a.rootKey)
	a.mid = issue(ca("M01"), a.root, a.midKey, a.rootKey)
	return a
})

func issue(cert, parent *x509.Certificate, key, by *rsa.PrivateKey) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, key.Public(), by)
	if err != nil {
		panic(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return parsed
}

func (a *authority) leaf(change func(*x509.Certificate)) *x509.Certificate {
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{"sns.amazonaws.com"}, NotBefore: time.Unix(1.5e9, 0), NotAfter: time.Unix(3e9, 0),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IssuingCertificateURL: []string{issuer},
	}
	if change != nil {
		change(cert)
	}
	return issue(cert, a.mid, a.leafKey, a.midKey)
}

func pemOf(certs ...*x509.Certificate) (b []byte) {
	for _, c := range certs {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return b
}

// snsWorld is Amazon as the verifier sees it: what its URLs serve.
type snsWorld struct {
	mu      sync.Mutex
	urls    map[string][]byte
	fetches atomic.Int64
	slow    chan struct{} // if not nil, what URLs without an answer wait for
}

func newSNS(testing.TB) *snsWorld {
	return &snsWorld{urls: map[string][]byte{certURL: pemOf(amazon().leaf(nil)), issuer: amazon().mid.Raw}}
}

func (w *snsWorld) serve(url string, data []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.urls[url] = data
}

func (w *snsWorld) RoundTrip(r *http.Request) (*http.Response, error) {
	w.fetches.Add(1)
	w.mu.Lock()
	data, ok := w.urls[r.URL.String()]
	w.mu.Unlock()
	if !ok && w.slow != nil {
		w.slow <- struct{}{} // arrived
		<-w.slow
	}
	if !ok {
		return nil, errors.New("no route to host")
	}
	res := &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(data)), Request: r}
	if to, ok := strings.CutPrefix(string(data), "redirect:"); ok {
		res.StatusCode, res.Header = 302, http.Header{"Location": {to}}
	}
	return res, nil
}

func (w *snsWorld) verifier(tb testing.TB) *webhook.Verifier {
	roots := x509.NewCertPool()
	roots.AddCert(amazon().root)
	v, err := webhook.SNS(webhook.SNSOptions{Topics: []string{topic}, Client: &http.Client{Transport: w}, Roots: roots})
	return must(tb, v, err)
}

// message is a notification, unsigned.
func message(at time.Time) map[string]string {
	return map[string]string{
		"Type": "Notification", "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", "TopicArn": topic, "Message": "Hello\nworld!",
		"Subject": "My First Message", "Timestamp": at.UTC().Format("2006-01-02T15:04:05.000Z"), "SignatureVersion": "2", "SigningCertURL": certURL,
		"UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe",
	}
}

func confirmation(at time.Time) map[string]string {
	m := message(at)
	delete(m, "Subject")
	m["Type"], m["Token"] = "SubscriptionConfirmation", "2336412f37"
	m["SubscribeURL"] = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=" + topic + "&Token=2336412f37"
	return m
}

// stringToSign follows the developer guide, not the verifier.
func stringToSign(m map[string]string) string {
	names := []string{"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"}
	if m["Type"] != "Notification" {
		names = []string{"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"}
	}
	var b strings.Builder
	for _, name := range names {
		if v, ok := m[name]; ok {
			fmt.Fprintf(&b, "%s\n%s\n", name, v)
		}
	}
	return b.String()
}

func signSNS(m map[string]string) map[string]string {
	digest := sha256.Sum256([]byte(stringToSign(m)))
	sig, err := rsa.SignPKCS1v15(rand.Reader, amazon().leafKey, crypto.SHA256, digest[:])
	if err != nil {
		panic(err)
	}
	m["Signature"] = b64(sig)
	return m
}

func encode(m any) []byte {
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

var snsHeader = http.Header{"Content-Type": {"text/plain; charset=UTF-8"}}

func (w *snsWorld) sender() sender {
	names := []string{"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type", "SignatureVersion", "Signature", "SigningCertURL"}
	return sender{
		name: "sns", body: "Hello\nworld!", wantID: message(time.Now())["MessageId"], wantType: "Notification", timed: true,
		verifier: w.verifier,
		parts: func(body string, at time.Time) (parts []string) {
			m := message(at)
			m["Message"] = body
			signSNS(m)
			for _, n := range names {
				parts = append(parts, m[n])
			}
			return parts
		},
		join: func(p []string) (http.Header, []byte) {
			m := map[string]string{}
			for i, n := range names {
				m[n] = p[i]
			}
			return snsHeader.Clone(), encode(m)
		},
	}
}

// What is handed on is what was signed, and no more.
func TestSNSHandsOnWhatIsSigned(t *testing.T) {
	t.Parallel()
	now := time.Now()
	v := newSNS(t).verifier(t)
	for _, m := range []map[string]string{message(now), confirmation(now)} {
		signed := signSNS(m)
		signed["MessageAttributes"] = "forged"
		ev, err := v.Verify(t.Context(), snsHeader, encode(signed))
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]string
		if err := json.Unmarshal(ev.Body, &got); err != nil {
			t.Fatal(err)
		}
		if stringToSign(got) != stringToSign(m) || len(got) != strings.Count(stringToSign(m), "\n")/2 && m["Type"] != "Notification" {
			t.Errorf("got %s", ev.Body)
		}
		for _, name := range []string{"MessageAttributes", "UnsubscribeURL", "Signature", "SigningCertURL"} {
			if _, ok := got[name]; ok {
				t.Errorf("%s is not signed, and handed on", name)
			}
		}
		if ev.Type != m["Type"] || ev.ID != m["MessageId"] || ev.Time.Unix() != now.Unix() {
			t.Errorf("got %+v", ev)
		}
	}
}

// Genuine signatures do not help against what is wrong in the rest.
func TestSNSRefuses(t *testing.T) {
	t.Parallel()
	now := time.Now()
	w := newSNS(t)
	v := w.verifier(t)
	for name, change := range map[string]func(m map[string]string){
		"another topic":           func(m map[string]string) { m["TopicArn"] = strings.Replace(topic, "orders", "others", 1) },
		"another account":         func(m map[string]string) { m["TopicArn"] = strings.Replace(topic, "1234", "9999", 1) },
		"unknown type":            func(m map[string]string) { m["Type"] = "Else" },
		"id of two lines":         func(m map[string]string) { m["MessageId"] = "a\nb" },
		"subject of two lines":    func(m map[string]string) { m["Subject"] = "a\nb" },
		"token on a notification": func(m map[string]string) { m["Token"] = "x" },
		"subscribe elsewhere": func(m map[string]string) {
			c := confirmation(now)
			for k := range m {
				delete(m, k)
			}
			for k, v := range c {
				m[k] = v
			}
			m["SubscribeURL"] = "https://169.254.169.254/latest/meta-data"
		},
		"time of another form": func(m map[string]string) { m["Timestamp"] = now.Format(time.RFC1123) },
		"id too long":          func(m map[string]string) { m["MessageId"] = strings.Repeat("x", 201) },
		"no message":           func(m map[string]string) { delete(m, "Message") },
	} {
		m := message(now)
		change(m)
		ev, err := v.Verify(t.Context(), snsHeader, encode(signSNS(m)))
		if err == nil {
			t.Errorf("%s: accepted as %+v", name, ev)
		}
	}
	doubled := bytes.Replace(encode(signSNS(message(now))), []byte(`{`), []byte(`{"Message":"first",`), 1)
	if _, err := v.Verify(t.Context(), snsHeader, doubled); err == nil {
		t.Error("a doubled member was accepted")
	}
}

// A message whose text goes on like the string to sign stays one message.
func TestSNSFieldsCannotShift(t *testing.T) {
	t.Parallel()
	now := time.Now()
	genuine := message(now)
	delete(genuine, "Subject")
	genuine["Message"] = "pay bob\nMessageId\nmade-up"
	signSNS(genuine)
	shifted := map[string]string{}
	for k, v := range genuine {
		shifted[k] = v
	}
	shifted["Message"], shifted["MessageId"] = "pay bob", "made-up\nMessageId\n"+genuine["MessageId"]
	if stringToSign(shifted) != stringToSign(genuine) {
		t.Fatal("the test is wrong: the texts differ")
	}
	v := newSNS(t).verifier(t)
	if _, err := v.Verify(t.Context(), snsHeader, encode(genuine)); err != nil {
		t.Error(err)
	}
	if ev, err := v.Verify(t.Context(), snsHeader, encode(shifted)); err == nil {
		t.Errorf("the same signature is good for %+v", ev)
	}
}

// Version 1 is SHA-1.
func TestSNSRefusesSHA1(t *testing.T) {
	t.Parallel()
	m := message(time.Now())
	m["SignatureVersion"] = "1"
	digest := sha1.Sum([]byte(stringToSign(m)))
	sig, err := rsa.SignPKCS1v15(rand.Reader, amazon().leafKey, crypto.SHA1, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	m["Signature"] = b64(sig)
	_, err = newSNS(t).verifier(t).Verify(t.Context(), snsHeader, encode(m))
	refused(t, err, "header")
}

// An RSA key that can be broken is no key, even with a genuine certificate.
func TestSNSRefusesShortKeys(t *testing.T) {
	t.Parallel()
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	a, w := amazon(), newSNS(t)
	cert := a.leaf(nil)
	w.serve(certURL, pemOf(issue(&x509.Certificate{SerialNumber: big.NewInt(5), DNSNames: cert.DNSNames, NotBefore: cert.NotBefore, NotAfter: cert.NotAfter}, a.mid, short, a.midKey), a.mid))
	m := message(time.Now())
	digest := sha256.Sum256([]byte(stringToSign(m)))
	sig, err := rsa.SignPKCS1v15(rand.Reader, short, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	m["Signature"] = b64(sig)
	_, err = w.verifier(t).Verify(t.Context(), snsHeader, encode(m))
	refused(t, err, "signature")
}

// Only the SNS host of the topic's region serves certificates, and nothing else is
// asked for one.
func TestSNSPinsTheCertificatesHost(t *testing.T) {
	t.Parallel()
	path := strings.TrimPrefix(certURL, "https://sns.eu-west-1.amazonaws.com")
	for _, url := range []string{
		"http://sns.eu-west-1.amazonaws.com" + path, "https://sns.us-east-1.amazonaws.com" + path, "https://evil.example" + path,
		"https://sns.eu-west-1.amazonaws.com.evil.example" + path, "https://sns.eu-west-1.amazonaws.com@evil.example" + path,
		"https://sns.eu-west-1.amazonaws.com:443" + path, "https://sns.eu-west-1.amazonaws.com:8443" + path, "https://SNS.eu-west-1.amazonaws.com" + path,
		certURL + "?x=1", certURL + "#x", "https://sns.eu-west-1.amazonaws.com/../evil.pem", "https://sns.eu-west-1.amazonaws.com/other.pem",
		"https://sns.eu-west-1.amazonaws.com//evil.example" + path, certURL + "\n", " " + certURL, "https://sns-eu-west-1.amazonaws.com" + path,
		"https://s3.amazonaws.com/bucket" + path, "https://127.0.0.1" + path, "",
	} {
		w := newSNS(t)
		w.serve(url, pemOf(amazon().leaf(nil)))
		m := message(time.Now())
		m["SigningCertURL"] = url
		_, err := w.verifier(t).Verify(t.Context(), snsHeader, encode(signSNS(m)))
		refused(t, err, "header")
		if n := w.fetches.Load(); n != 0 {
			t.Errorf("%q: %d fetches", url, n)
		}
	}
}

// A certificate must be of SNS, of the region, valid now, and lead to a root.
func TestSNSJudgesCertificates(t *testing.T) {
	t.Parallel()
	a := amazon()
	stranger := rsaKey()
	self := &x509.Certificate{SerialNumber: big.NewInt(3), DNSNames: []string{"sns.amazonaws.com"}, NotBefore: time.Unix(1.5e9, 0), NotAfter: time.Unix(3e9, 0)}
	otherRoot := issue(self, self, stranger, stranger)
	named := func(names ...string) []byte {
		return pemOf(a.leaf(func(c *x509.Certificate) { c.DNSNames = names }))
	}
	for name, tc := range map[string]struct {
		served []byte
		ok     bool
	}{
		"leaf alone":           {pemOf(a.leaf(nil)), true},
		"with its issuer":      {pemOf(a.leaf(func(c *x509.Certificate) { c.IssuingCertificateURL = nil }), a.mid), true},
		"of the region":        {named("sns-signing.eu-west-1.amazonaws.com"), true},
		"of another region":    {named("sns-signing.us-east-1.amazonaws.com"), false},
		"of another service":   {named("s3.amazonaws.com"), false},
		"of somebody":          {named("evil.example"), false},
		"self-signed":          {pemOf(issue(self, self, a.leafKey, a.leafKey)), false},
		"of another authority": {pemOf(issue(self, otherRoot, a.leafKey, stranger), otherRoot), false},
		"ended":                {pemOf(a.leaf(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) })), false},
		"not begun":            {pemOf(a.leaf(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) })), false},
		"issuer elsewhere":     {pemOf(a.leaf(func(c *x509.Certificate) { c.IssuingCertificateURL = []string{"http://evil.example/r2m01.cer"} })), false},
		"issuer almost there": {pemOf(a.leaf(func(c *x509.Certificate) {
			c.IssuingCertificateURL = []string{"http://crt.r2m01.amazontrust.com.evil.example/r2m01.cer"}
		})), false},
		"not a certificate":     {[]byte("hello"), false},
		"a key":                 {pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}), false},
		"empty":                 {nil, false},
		"too long":              {append(pemOf(a.leaf(nil)), make([]byte, 1<<20)...), false},
		"redirect":              {[]byte("redirect:https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-aa.pem"), false},
		"key of another's leaf": {pemOf(issue(&x509.Certificate{SerialNumber: big.NewInt(4), DNSNames: []string{"sns.amazonaws.com"}, NotBefore: time.Unix(1.5e9, 0), NotAfter: time.Unix(3e9, 0)}, a.mid, stranger, a.midKey), a.mid), false},
	} {
		w := newSNS(t)
		w.serve(certURL, tc.served)
		for _, url := range []string{"http://evil.example/r2m01.cer", "http://crt.r2m01.amazontrust.com.evil.example/r2m01.cer"} {
			w.serve(url, a.mid.Raw)
		}
		w.serve("https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-aa.pem", pemOf(a.leaf(nil)))
		_, err := w.verifier(t).Verify(t.Context(), snsHeader, encode(signSNS(message(time.Now()))))
		if (err == nil) != tc.ok {
			t.Errorf("%s: got %v", name, err)
		}
		if err != nil {
			refused(t, err, "key", "signature")
		}
	}
}

// Certificates are kept, and a flood of made-up URLs costs few fetches and stops
// no genuine message.
func TestSNSFetchesAreBounded(t *testing.T) {
	t.Parallel()
	w := newSNS(t)
	v := w.verifier(t)
	now := time.Now()
	verify := func(at time.Time, url string) error {
		m := message(at)
		m["SigningCertURL"] = url
		_, err := v.At(t.Context(), snsHeader, encode(signSNS(m)), at)
		return err
	}
	for range 20 {
		if err := verify(now, certURL); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.fetches.Load(); n != 2 { // leaf and issuer
		t.Errorf("%d fetches for one certificate", n)
	}
	for i := range 100 {
		refused(t, verify(now, fmt.Sprintf("https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-%x.pem", i)), "key")
	}
	if n := w.fetches.Load() - 2; n > 10 {
		t.Errorf("%d fetches of made-up URLs", n)
	}
	if err := verify(now, certURL); err != nil {
		t.Errorf("a flood stops genuine messages: %v", err)
	}
	// A day later it is fetched anew, flood or not.
	later := now.Add(25 * time.Hour)
	for i := range 100 {
		refused(t, verify(later, fmt.Sprintf("https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-%x.pem", i)), "key")
	}
	if err := verify(later, certURL); err != nil {
		t.Errorf("a flood stops a known certificate: %v", err)
	}
	w.serve(certURL, []byte("gone"))
	if err := verify(later.Add(25*time.Hour), certURL); err == nil {
		t.Error("a key is kept for longer than a day")
	}
}

// A fetch that takes its time holds up nobody whose certificate is known, and who
// waits for his turn gives up in time.
func TestSNSSlowFetchHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	w := newSNS(t)
	w.slow = make(chan struct{})
	v := w.verifier(t)
	genuine := encode(signSNS(message(time.Now())))
	if _, err := v.Verify(t.Context(), snsHeader, genuine); err != nil {
		t.Fatal(err)
	}
	m := message(time.Now())
	m["SigningCertURL"] = strings.Replace(certURL, "Service-0", "Service-1", 1)
	unknown := encode(signSNS(m))
	ended := make(chan error)
	go func() {
		_, err := v.Verify(t.Context(), snsHeader, unknown)
		ended <- err
	}()
	<-w.slow
	if _, err := v.Verify(t.Context(), snsHeader, genuine); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := v.Verify(ctx, snsHeader, unknown)
	refused(t, err, "key")
	w.slow <- struct{}{}
	refused(t, <-ended, "key")
}
