package webhook_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

// Made-up secrets, put together here so that they look like none elsewhere.
var (
	oldText  = "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("o", 24)))
	newText  = "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("n", 24)))
	keyText  = strings.Repeat("key-", 8)
	loginOld = "hook:" + strings.Repeat("old-pass-", 3)
	loginNew = "hook:" + strings.Repeat("new-pass-", 3)
)

func secret(s string) redact.Secret { return redact.NewSecret(s) }

func sum(h func() hash.Hash, key string, parts ...string) []byte {
	m := hmac.New(h, []byte(key))
	for _, p := range parts {
		m.Write([]byte(p))
	}
	return m.Sum(nil)
}

func stamp(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// A sender signs deliveries of one scheme. Its parts are what a signature binds,
// and the signature itself; join puts them together as they are sent.
type sender struct {
	name     string
	verifier func(testing.TB) *webhook.Verifier
	parts    func(body string, at time.Time) []string
	join     func(parts []string) (http.Header, []byte)
	body     string
	wantID   string // or a digest of the body
	wantType string
	timed    bool
	unsigned bool // the body is not signed
	// harmless tells mutated parts that mean the same, such as a second
	// signature that fits nothing.
	harmless func(parts []string) bool
}

func (s sender) deliver(at time.Time) (http.Header, []byte) { return s.join(s.parts(s.body, at)) }

func must(tb testing.TB, v *webhook.Verifier, err error) *webhook.Verifier {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func jsonHeader(pairs ...string) http.Header {
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

const stripeBody = `{"id":"evt_1MqqbKLt4dXK03v5qaIbiNCC","object":"event","type":"invoice.paid","data":{"object":{"id":"in_1","type":"x"}}}`

func stripeSender() sender {
	return sender{
		name: "stripe", body: stripeBody, wantID: "evt_1MqqbKLt4dXK03v5qaIbiNCC", wantType: "invoice.paid", timed: true,
		verifier: func(tb testing.TB) *webhook.Verifier {
			v, err := webhook.Stripe(secret(newText), secret(oldText))
			return must(tb, v, err)
		},
		parts: func(body string, at time.Time) []string {
			return []string{stamp(at), hex.EncodeToString(sum(sha256.New, oldText, stamp(at), ".", body)), body}
		},
		join: func(p []string) (http.Header, []byte) {
			return jsonHeader("Stripe-Signature", "t="+p[0]+",v1="+p[1]), []byte(p[2])
		},
		harmless: func(p []string) bool { return strings.ContainsAny(p[0]+p[1], ",") },
	}
}

func standardSender() sender {
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(oldText, "whsec_"))
	return sender{
		name: "standard", body: `{"type":"email.sent","data":{"type":"x"}}`, wantID: "msg_1", wantType: "email.sent", timed: true,
		verifier: func(tb testing.TB) *webhook.Verifier {
			v, err := webhook.Standard(secret(newText), secret(oldText))
			return must(tb, v, err)
		},
		parts: func(body string, at time.Time) []string {
			return []string{"msg_1", stamp(at), "v1," + b64(sum(sha256.New, string(key), "msg_1.", stamp(at), ".", body)), body}
		},
		join: func(p []string) (http.Header, []byte) {
			return jsonHeader("webhook-id", p[0], "webhook-timestamp", p[1], "webhook-signature", p[2]), []byte(p[3])
		},
		harmless: func(p []string) bool { return strings.Contains(p[2], " ") },
	}
}

var edKey = sync.OnceValue(func() ed25519.PrivateKey { return ed25519.NewKeyFromSeed([]byte(strings.Repeat("s", 32))) })

func asymmetricSender() sender {
	s := standardSender()
	s.name = "standard v1a"
	s.verifier = func(tb testing.TB) *webhook.Verifier {
		v, err := webhook.Standard(secret(newText), secret("whpk_"+b64(edKey().Public().(ed25519.PublicKey))))
		return must(tb, v, err)
	}
	s.parts = func(body string, at time.Time) []string {
		return []string{"msg_1", stamp(at), "v1a," + b64(ed25519.Sign(edKey(), []byte("msg_1."+stamp(at)+"."+body))), body}
	}
	return s
}

func gitHubSender() sender {
	return sender{
		name: "github", body: `{"action":"opened","number":1}`, wantType: "pull_request",
		verifier: func(tb testing.TB) *webhook.Verifier {
			v, err := webhook.GitHub(secret(newText), secret(keyText))
			return must(tb, v, err)
		},
		parts: func(body string, _ time.Time) []string {
			return []string{"sha256=" + hex.EncodeToString(sum(sha256.New, keyText, body)), body}
		},
		join: func(p []string) (http.Header, []byte) {
			return jsonHeader("X-Hub-Signature-256", p[0], "X-GitHub-Event", "pull_request", "X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"), []byte(p[1])
		},
	}
}

var ecKey = sync.OnceValue(func() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

func publicText(tb testing.TB, key any) string {
	tb.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	return b64(der)
}

func sendGridSender() sender {
	return sender{
		name: "sendgrid", body: `[{"sg_event_id":"1","event":"dropped"}]` + "\r\n", timed: true,
		verifier: func(tb testing.TB) *webhook.Verifier {
			other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				tb.Fatal(err)
			}
			v, err := webhook.SendGrid(publicText(tb, other.Public()), publicText(tb, ecKey().Public()))
			return must(tb, v, err)
		},
		parts: func(body string, at time.Time) []string {
			digest := sha256.Sum256([]byte(stamp(at) + body))
			sig, err := ecdsa.SignASN1(rand.Reader, ecKey(), digest[:])
			if err != nil {
				panic(err)
			}
			return []string{stamp(at), b64(sig), body}
		},
		join: func(p []string) (http.Header, []byte) {
			return jsonHeader("X-Twilio-Email-Event-Webhook-Timestamp", p[0], "X-Twilio-Email-Event-Webhook-Signature", p[1]), []byte(p[2])
		},
	}
}

func postmarkSender() sender {
	return sender{
		name: "postmark", body: `{"RecordType":"Bounce","MessageID":"m","ID":42}`, wantType: "Bounce", unsigned: true,
		verifier: func(tb testing.TB) *webhook.Verifier {
			v, err := webhook.Postmark(secret(loginNew), secret(loginOld))
			return must(tb, v, err)
		},
		parts: func(body string, _ time.Time) []string { return []string{b64([]byte(loginOld)), body} },
		join: func(p []string) (http.Header, []byte) {
			return jsonHeader("Authorization", "Basic "+p[0]), []byte(p[1])
		},
	}
}

func mailgunSender() sender {
	token := strings.Repeat("0a1b2", 10)
	const event = `{"event":"delivered","id":"x"}`
	return sender{
		name: "mailgun", body: event, wantID: token, wantType: "delivered", timed: true, unsigned: true,
		verifier: func(tb testing.TB) *webhook.Verifier {
			v, err := webhook.Mailgun(secret(newText), secret(keyText))
			return must(tb, v, err)
		},
		parts: func(body string, at time.Time) []string {
			return []string{stamp(at), token, hex.EncodeToString(sum(sha256.New, keyText, stamp(at), token)), body}
		},
		join: func(p []string) (http.Header, []byte) {
			sig, _ := json.Marshal(map[string]string{"timestamp": p[0], "token": p[1], "signature": p[2]})
			return jsonHeader(), []byte(`{"signature":` + string(sig) + `,"event-data":` + p[3] + `}`)
		},
	}
}

func hmacSender(name string, o webhook.HMACOptions) sender {
	h := sha256.New
	if o.Hash == "sha512" {
		h = sha512.New
	}
	o.SignatureHeader, o.Secrets = "X-Signature", []redact.Secret{secret(newText), secret(keyText)}
	return sender{
		name: name, body: `{"n":1}`, timed: o.TimestampHeader != "", wantID: map[bool]string{true: "ev-1"}[o.IDHeader != ""],
		verifier: func(tb testing.TB) *webhook.Verifier { v, err := webhook.HMAC(o); return must(tb, v, err) },
		parts: func(body string, at time.Time) []string {
			prefix := ""
			if o.TimestampHeader != "" {
				prefix = stamp(at) + "."
			}
			if o.IDHeader != "" {
				prefix = "ev-1." + prefix
			}
			sig := sum(h, keyText, prefix, body)
			text := hex.EncodeToString(sig)
			if o.Encoding == "base64" {
				text = b64(sig)
			}
			return []string{o.Prefix + text, body, stamp(at), "ev-1"}[:2+len(strings.Split(prefix, "."))-1]
		},
		join: func(p []string) (http.Header, []byte) {
			h := jsonHeader("X-Signature", p[0])
			if o.TimestampHeader != "" {
				h.Set(o.TimestampHeader, p[2])
			}
			if o.IDHeader != "" {
				h.Set(o.IDHeader, p[3])
			}
			return h, []byte(p[1])
		},
	}
}

func senders(tb testing.TB) []sender {
	return []sender{
		stripeSender(), standardSender(), asymmetricSender(), gitHubSender(), sendGridSender(), postmarkSender(), mailgunSender(),
		newSNS(tb).sender(),
		hmacSender("hmac", webhook.HMACOptions{Prefix: "sha256="}),
		hmacSender("hmac sha512", webhook.HMACOptions{Hash: "sha512", Encoding: "base64", TimestampHeader: "X-Time"}),
		hmacSender("hmac with id", webhook.HMACOptions{TimestampHeader: "X-Time", IDHeader: "X-ID"}),
	}
}

// refused checks that err is an *Error of one of the reasons.
func refused(tb testing.TB, err error, reasons ...string) {
	tb.Helper()
	var e *webhook.Error
	if !errors.As(err, &e) {
		tb.Errorf("got %v, want a refusal for %v", err, reasons)
		return
	}
	for _, r := range reasons {
		if e.Reason == r {
			return
		}
	}
	tb.Errorf("refused with %v, want %v", err, reasons)
}

var newSHA256 = sha256.New

func hexOf(b []byte) string { return hex.EncodeToString(b) }
