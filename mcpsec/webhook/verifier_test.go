package webhook_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

// Each sender's own delivery is accepted, by the second of two secrets, and says
// what it should.
func TestGenuineDeliveries(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, s := range senders(t) {
		h, body := s.deliver(now)
		ev, err := s.verifier(t).Verify(t.Context(), h, body)
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		if s.wantID == "" && !strings.HasPrefix(ev.ID, "sha256-") || s.wantID != "" && ev.ID != s.wantID || ev.Type != s.wantType {
			t.Errorf("%s: got id %q and type %q", s.name, ev.ID, ev.Type)
		}
		if s.timed != !ev.Time.IsZero() || s.timed && ev.Time.Unix() != now.Unix() {
			t.Errorf("%s: got time %v", s.name, ev.Time)
		}
		if ev.Scheme != strings.Fields(s.name)[0] || s.name != "sns" && string(ev.Body) != string(body) {
			t.Errorf("%s: got %+v", s.name, ev)
		}
	}
}

// A secret that was taken out no longer counts.
func TestOtherSecretsAreRefused(t *testing.T) {
	t.Parallel()
	other := secret(strings.Repeat("other", 8))
	otherKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, make := range map[string]func() (*webhook.Verifier, error){
		"stripe":   func() (*webhook.Verifier, error) { return webhook.Stripe(other) },
		"standard": func() (*webhook.Verifier, error) { return webhook.Standard(secret(newText)) },
		"github":   func() (*webhook.Verifier, error) { return webhook.GitHub(other) },
		"sendgrid": func() (*webhook.Verifier, error) { return webhook.SendGrid(publicText(t, otherKey.Public())) },
		"postmark": func() (*webhook.Verifier, error) { return webhook.Postmark(secret(loginNew)) },
		"mailgun":  func() (*webhook.Verifier, error) { return webhook.Mailgun(other) },
		"hmac": func() (*webhook.Verifier, error) {
			return webhook.HMAC(webhook.HMACOptions{Prefix: "sha256=", SignatureHeader: "X-Signature", Secrets: []redact.Secret{other}})
		},
	} {
		v, err := make()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range senders(t) {
			if s.name == name {
				h, body := s.deliver(time.Now())
				_, err := v.Verify(t.Context(), h, body)
				refused(t, err, "signature")
			}
		}
	}
}

// The tolerance holds in both directions, to the second.
func TestTolerance(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_764_000_000, 0)
	for _, s := range senders(t) {
		if !s.timed {
			continue
		}
		past, future := 5*time.Minute, 5*time.Minute
		switch s.name {
		case "mailgun":
			past = 8 * time.Hour
		case "sns":
			past = time.Hour
		}
		v := s.verifier(t)
		check := func(v *webhook.Verifier, age time.Duration, ok bool) {
			t.Helper()
			h, body := s.deliver(now.Add(-age))
			if _, err := v.At(t.Context(), h, body, now); ok && err != nil {
				t.Errorf("%s: %v old: %v", s.name, age, err)
			} else if !ok {
				refused(t, err, "timestamp")
			}
		}
		check(v, past, true)
		check(v, past+time.Second, false)
		check(v, -future, true)
		check(v, -future-time.Second, false)
		check(v, 10*365*24*time.Hour, false)
		check(v, -10*365*24*time.Hour, false)
		short := v.WithTolerance(time.Minute)
		check(short, time.Minute, true)
		check(short, time.Minute+time.Second, false)
		check(short, -time.Minute-time.Second, false)
		check(v, past, true) // the other is as it was
	}
}

// A header that a verifier reads stands once: of two, another reader might take the
// other.
func TestHeadersStandOnce(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, s := range senders(t) {
		h, body := s.deliver(now)
		v := s.verifier(t)
		for name := range h {
			if name == "X-Github-Delivery" { // not looked at
				continue
			}
			for change, values := range map[string][]string{
				"missing": nil, "doubled": {h[name][0], h[name][0]}, "empty": {""}, "second is bad": {h[name][0], "x"}, "first is bad": {"x", h[name][0]},
				"long": {h[name][0] + strings.Repeat(" ", 8<<10)},
			} {
				with := h.Clone()
				with[name] = values
				if _, err := v.Verify(t.Context(), with, body); err == nil {
					t.Errorf("%s: %s %s: accepted", s.name, name, change)
				} else {
					refused(t, err, "header", "content_type")
				}
			}
		}
	}
}

func TestContentTypes(t *testing.T) {
	t.Parallel()
	stripe, sns := stripeSender(), newSNS(t).sender()
	for kind, ok := range map[string]bool{
		"application/json": true, "application/json; charset=utf-8": true, "application/json;charset=UTF-8": true, "Application/JSON": true,
		"text/plain": false, "application/x-www-form-urlencoded": false, "application/json; charset=utf-16": false, "application/jsonp": false,
		"text/json": false, "multipart/form-data; boundary=x": false, "application/json, text/plain": false, "": false, ";": false,
	} {
		for _, s := range []sender{stripe, sns} {
			h, body := s.deliver(time.Now())
			h = h.Clone()
			h.Set("Content-Type", kind)
			_, err := s.verifier(t).Verify(t.Context(), h, body)
			if want := ok || s.name == "sns" && kind == "text/plain"; want && err != nil {
				t.Errorf("%s: %q: %v", s.name, kind, err)
			} else if !want {
				refused(t, err, "content_type")
			}
		}
	}
	for _, encoding := range []string{"gzip", "identity", ""} {
		h, body := stripe.deliver(time.Now())
		h.Set("Content-Encoding", encoding)
		_, err := stripe.verifier(t).Verify(t.Context(), h, body)
		refused(t, err, "content_type")
	}
}

// A secret that protects nothing, or is another thing, is refused when the verifier
// is made; and not shown.
func TestConstructionRefuses(t *testing.T) {
	t.Parallel()
	short := "too-short"
	api := "sk_" + "live_" + strings.Repeat("x", 24)
	hmacWith := func(change func(*webhook.HMACOptions)) func(...redact.Secret) (*webhook.Verifier, error) {
		return func(s ...redact.Secret) (*webhook.Verifier, error) {
			o := webhook.HMACOptions{SignatureHeader: "X-Signature", Secrets: s}
			if change != nil {
				change(&o)
			}
			return webhook.HMAC(o)
		}
	}
	sendGrid := func(s ...redact.Secret) (*webhook.Verifier, error) {
		keys := []string{}
		for _, k := range s {
			keys = append(keys, k.Reveal())
		}
		return webhook.SendGrid(keys...)
	}
	for name, make := range map[string]func(...redact.Secret) (*webhook.Verifier, error){
		"stripe": webhook.Stripe, "standard": webhook.Standard, "github": webhook.GitHub, "sendgrid": sendGrid,
		"postmark": webhook.Postmark, "mailgun": webhook.Mailgun, "hmac": hmacWith(nil),
	} {
		good := map[string]string{"postmark": loginOld, "sendgrid": publicText(t, ecKey().Public())}[name]
		if good == "" {
			good = newText
		}
		if _, err := make(secret(good)); err != nil {
			t.Errorf("%s: a good secret: %v", name, err)
		}
		many := []redact.Secret{}
		for range 9 {
			many = append(many, secret(good))
		}
		for what, secrets := range map[string][]redact.Secret{
			"none": {}, "the zero secret": {{}}, "an empty one": {secret("")}, "an empty one among good ones": {secret(good), secret("")},
			"a short one": {secret(short)}, "white space": {secret(strings.Repeat(" ", 32))}, "a newline behind": {secret(good + "\n")}, "nine": many,
		} {
			if v, err := make(secrets...); err == nil || v != nil {
				t.Errorf("%s: %s: accepted", name, what)
			} else if strings.Contains(err.Error(), short) || strings.Contains(err.Error(), good) {
				t.Errorf("%s: %s: %q shows it", name, what, err)
			} else if strings.Contains(what, "empty") && !strings.Contains(err.Error(), "empty") && name != "sendgrid" {
				t.Errorf("%s: %s: %q does not say so", name, what, err)
			}
		}
	}
	rsaPublic := publicText(t, rsaKeyPublic(t))
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, make := range map[string]func() (*webhook.Verifier, error){
		"stripe: an API key":           func() (*webhook.Verifier, error) { return webhook.Stripe(secret(api)) },
		"standard: not base64":         func() (*webhook.Verifier, error) { return webhook.Standard(secret("whsec_" + strings.Repeat("!", 32))) },
		"standard: base64 of little":   func() (*webhook.Verifier, error) { return webhook.Standard(secret("whsec_" + b64([]byte("short")))) },
		"standard: base64 with breaks": func() (*webhook.Verifier, error) { return webhook.Standard(secret(newText[:12] + "\n" + newText[12:])) },
		"standard: the private key":    func() (*webhook.Verifier, error) { return webhook.Standard(secret("whsk_" + b64(edKey()))) },
		"standard: a public key cut":   func() (*webhook.Verifier, error) { return webhook.Standard(secret("whpk_" + b64(edKey()[:31]))) },
		"sendgrid: RSA":                func() (*webhook.Verifier, error) { return webhook.SendGrid(rsaPublic) },
		"sendgrid: P-384":              func() (*webhook.Verifier, error) { return webhook.SendGrid(publicText(t, p384.Public())) },
		"sendgrid: not DER":            func() (*webhook.Verifier, error) { return webhook.SendGrid(b64([]byte("not a key"))) },
		"postmark: no user":            func() (*webhook.Verifier, error) { return webhook.Postmark(secret(":" + keyText)) },
		"postmark: no password":        func() (*webhook.Verifier, error) { return webhook.Postmark(secret(keyText)) },
		"postmark: short password":     func() (*webhook.Verifier, error) { return webhook.Postmark(secret("a-very-long-user-name:short")) },
		"sns: no topics":               func() (*webhook.Verifier, error) { return webhook.SNS(webhook.SNSOptions{}) },
		"sns: not an ARN":              func() (*webhook.Verifier, error) { return webhook.SNS(webhook.SNSOptions{Topics: []string{"orders"}}) },
		"sns: a region with a dot": func() (*webhook.Verifier, error) {
			return webhook.SNS(webhook.SNSOptions{Topics: []string{"arn:aws:sns:evil.example/:123456789012:x"}})
		},
		"sns: any topic": func() (*webhook.Verifier, error) {
			return webhook.SNS(webhook.SNSOptions{Topics: []string{"arn:aws:sns:eu-west-1:123456789012:*"}})
		},
		"hmac: no header": func() (*webhook.Verifier, error) {
			return hmacWith(func(o *webhook.HMACOptions) { o.SignatureHeader = "" })(secret(keyText))
		},
		"hmac: an id without time": func() (*webhook.Verifier, error) {
			return hmacWith(func(o *webhook.HMACOptions) { o.IDHeader = "X-ID" })(secret(keyText))
		},
		"hmac: one header for two": func() (*webhook.Verifier, error) {
			return hmacWith(func(o *webhook.HMACOptions) { o.TimestampHeader = "x-signature" })(secret(keyText))
		},
		"hmac: MD5": func() (*webhook.Verifier, error) {
			return hmacWith(func(o *webhook.HMACOptions) { o.Hash = "md5" })(secret(keyText))
		},
		"hmac: base32": func() (*webhook.Verifier, error) {
			return hmacWith(func(o *webhook.HMACOptions) { o.Encoding = "base32" })(secret(keyText))
		},
		"hmac: a name with a colon": func() (*webhook.Verifier, error) {
			return hmacWith(func(o *webhook.HMACOptions) { o.SignatureHeader = "X:Y" })(secret(keyText))
		},
		"hmac: a type with parameters": func() (*webhook.Verifier, error) {
			return hmacWith(func(o *webhook.HMACOptions) { o.ContentTypes = []string{"text/plain; a=b"} })(secret(keyText))
		},
	} {
		if v, err := make(); err == nil || v != nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), keyText) || strings.Contains(err.Error(), api) {
			t.Errorf("%s: %q shows a secret", name, err)
		} else if strings.HasSuffix(name, "private key") && !strings.Contains(err.Error(), "private key") {
			t.Errorf("%s: %q does not say so", name, err)
		}
	}
}

func rsaKeyPublic(t *testing.T) *rsa.PublicKey {
	t.Helper()
	return &amazon().rootKey.PublicKey
}

// A nil or zero Verifier verifies nothing.
func TestZeroVerifierRefuses(t *testing.T) {
	t.Parallel()
	h, body := stripeSender().deliver(time.Now())
	for _, v := range []*webhook.Verifier{nil, new(webhook.Verifier)} {
		_, err := v.Verify(t.Context(), h, body)
		refused(t, err, "signature")
	}
}

func TestWithTolerancePanics(t *testing.T) {
	t.Parallel()
	stripe, gitHub := stripeSender().verifier(t), gitHubSender().verifier(t)
	for name, f := range map[string]func(){
		"no time is signed": func() { gitHub.WithTolerance(time.Minute) },
		"zero":              func() { stripe.WithTolerance(0) },
		"negative":          func() { stripe.WithTolerance(-time.Minute) },
		"a week":            func() { stripe.WithTolerance(7 * 24 * time.Hour) },
	} {
		panics(t, name, f)
	}
}

func panics(t *testing.T, name string, f func()) {
	t.Helper()
	defer func() {
		if p, _ := recover().(string); !strings.HasPrefix(p, "webhook: ") {
			t.Errorf("%s: got %q, want a panic of ours", name, p)
		}
	}()
	f()
}

// Both names of the Standard Webhooks headers are read, and must not differ.
func TestStandardHeaderNames(t *testing.T) {
	t.Parallel()
	s := standardSender()
	h, body := s.deliver(time.Now())
	v := s.verifier(t)
	verify := func(change func(http.Header)) error {
		with := h.Clone()
		change(with)
		_, err := v.Verify(t.Context(), with, body)
		return err
	}
	rename := func(h http.Header, keep bool) {
		for _, name := range []string{"Id", "Timestamp", "Signature"} {
			h["Svix-"+name] = h["Webhook-"+name]
			if !keep {
				delete(h, "Webhook-"+name)
			}
		}
	}
	if err := verify(func(h http.Header) { rename(h, false) }); err != nil {
		t.Errorf("svix: %v", err)
	}
	if err := verify(func(h http.Header) { rename(h, true) }); err != nil {
		t.Errorf("both: %v", err)
	}
	for _, name := range []string{"Svix-Id", "Svix-Timestamp", "Svix-Signature"} {
		refused(t, verify(func(h http.Header) { rename(h, true); h[name] = []string{"other"} }), "header")
		refused(t, verify(func(h http.Header) { rename(h, true); h[name] = append(h[name], "other") }), "header")
	}
}

// An id with a dot could be read as an id and a time: one signature, two events.
func TestStandardFieldsCannotShift(t *testing.T) {
	t.Parallel()
	now := time.Now()
	v := standardSender().verifier(t)
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(oldText, "whsec_"))
	id := "msg_1." + stamp(now)
	sig := "v1," + b64(sum(newSHA256, string(key), id, ".", stamp(now), ".", "{}"))
	_, err := v.Verify(t.Context(), jsonHeader("webhook-id", id, "webhook-timestamp", stamp(now), "webhook-signature", sig), []byte("{}"))
	refused(t, err, "header")
	// The same bytes, cut elsewhere.
	_, err = v.Verify(t.Context(), jsonHeader("webhook-id", "msg_1", "webhook-timestamp", stamp(now), "webhook-signature", sig), []byte(stamp(now)+".{}"))
	if err != nil {
		t.Errorf("the test is wrong: %v", err)
	}
}

// The same for the other schemes: an id with a dot, a token of another length, a
// body that could begin with digits of the time.
func TestOtherFieldsCannotShift(t *testing.T) {
	t.Parallel()
	now := time.Now()
	at := stamp(now)
	withID := hmacSender("hmac", webhook.HMACOptions{TimestampHeader: "X-Time", IDHeader: "X-ID"}).verifier(t)
	id := "ev." + at
	_, err := withID.Verify(t.Context(), jsonHeader("X-ID", id, "X-Time", at, "X-Signature", hexOf(sum(newSHA256, keyText, id, ".", at, ".{}"))), []byte("{}"))
	refused(t, err, "header")

	mailgun := mailgunSender()
	for _, token := range []string{strings.Repeat("a", 49), strings.Repeat("a", 51), strings.Repeat("A", 50), strings.Repeat("a", 49) + ".", ""} {
		parts := []string{at, token, hexOf(sum(newSHA256, keyText, at, token)), mailgun.body}
		h, body := mailgun.join(parts)
		_, err := mailgun.verifier(t).Verify(t.Context(), h, body)
		refused(t, err, "header")
	}

	parts := mailgun.parts(`{"event":"two words"}`, now)
	h, body := mailgun.join(parts)
	_, err = mailgun.verifier(t).Verify(t.Context(), h, body)
	refused(t, err, "event")

	sendGrid := sendGridSender()
	for _, body := range []string{"1[]", "{}", " []", ""} {
		h, b := sendGrid.join(sendGrid.parts(body, now))
		_, err := sendGrid.verifier(t).Verify(t.Context(), h, b)
		refused(t, err, "signature")
	}
}

// What is not signed cannot make a captured delivery look new.
func TestUnsignedHeadersMakeNoNewEvent(t *testing.T) {
	t.Parallel()
	s := gitHubSender()
	v := s.verifier(t)
	h, body := s.deliver(time.Now())
	first, err := v.Verify(t.Context(), h, body)
	if err != nil {
		t.Fatal(err)
	}
	h.Set("X-GitHub-Delivery", "another")
	h.Set("X-GitHub-Event", "release")
	second, err := v.Verify(t.Context(), h, body)
	if err != nil || first.ID != second.ID {
		t.Errorf("got %q and %q, %v", first.ID, second.ID, err)
	}
}

// A sender that signs again, at its next attempt, sends the same event.
func TestAttemptsAreOneEvent(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_764_000_000, 0)
	for _, s := range senders(t) {
		v := s.verifier(t)
		var ids []string
		for _, at := range []time.Time{now, now.Add(time.Minute)} {
			h, body := s.deliver(at)
			ev, err := v.At(t.Context(), h, body, now)
			if err != nil {
				t.Fatalf("%s: %v", s.name, err)
			}
			ids = append(ids, ev.ID)
		}
		if ids[0] != ids[1] {
			t.Errorf("%s: got %v", s.name, ids)
		}
	}
}

// What is genuine and no event is refused.
func TestStripeEventsAreReadStrictly(t *testing.T) {
	t.Parallel()
	v := stripeSender().verifier(t)
	now := time.Now()
	for body, ok := range map[string]bool{
		stripeBody: true,
		"{\n  \"id\": \"evt_1\",\n  \"data\": {\"object\": {\"id\": \"x\\\"}\"}},\n  \"type\": \"a.b\"\n}\n": true,
		`{"id":"evt_1","type":"a","livemode":false,"created":1700000000,"request":null,"n":[1,{"id":2}]}`:    true,
		`{"id":"evt_1"}`:                                       false,
		`{"type":"a"}`:                                         false,
		`{"id":"evt_1","type":"a","id":"evt_2"}`:               false,
		`{"id":"evt_1","type":"a","\u0069d":"evt_2"}`:          false,
		`{"ID":"evt_1","type":"a"}`:                            false,
		`{"id":"evt_1","type":"a","ID":"evt_2"}`:               false,
		`{"id":"evt_1","type":"a","Type":"b"}`:                 false,
		`{"id":7,"type":"a"}`:                                  false,
		`{"id":null,"type":"a"}`:                               false,
		`{"id":"","type":"a"}`:                                 false,
		`{"id":"evt\n1","type":"a"}`:                           false,
		`{"id":"evt 1","type":"a"}`:                            false,
		`{"id":"evt_1","type":"a b"}`:                          false,
		`{"id":"évt","type":"a"}`:                              false,
		`{"data":{"id":"evt_1","type":"a"}}`:                   false,
		`[{"id":"evt_1","type":"a"}]`:                          false,
		`{"id":"evt_1","type":"a"} {}`:                         false,
		`{"id":"evt_1","type":"a"`:                             false,
		`{"id":"evt_1","type":"a",}`:                           false,
		`{"id":"` + strings.Repeat("x", 201) + `","type":"a"}`: false,
		``: false, `null`: false, `"id"`: false,
	} {
		h := jsonHeader("Stripe-Signature", "t="+stamp(now)+",v1="+hexOf(sum(newSHA256, oldText, stamp(now), ".", body)))
		_, err := v.Verify(t.Context(), h, []byte(body))
		if ok && err != nil {
			t.Errorf("%s: %v", body, err)
		} else if !ok {
			refused(t, err, "event")
		}
	}
}
