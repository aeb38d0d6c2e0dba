package mcpsectest_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

// Made up, and put together here so that it looks like none elsewhere.
var signingSecret = redact.NewSecret("whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 24))))

const paidEvent = `{"id":"evt_1","object":"event","type":"invoice.paid","data":{"object":{"id":"in_1"}}}`

// A scheme is a sender and who verifies its deliveries.
type scheme struct {
	name      string
	delivery  func(mcpsectest.Sender) mcpsectest.Delivery
	verifier  func() (*webhook.Verifier, error)
	sender    mcpsectest.Sender
	id, event string // "" is not compared
	forgeries string
}

func schemes(t testing.TB) []scheme {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	plain := redact.NewSecret(strings.Repeat("key-", 8))
	login := redact.NewSecret("hook:" + strings.Repeat("pass-", 4))
	const all = "unsigned, wrong key, forged, stale, early"
	out := []scheme{
		{"stripe", func(s mcpsectest.Sender) mcpsectest.Delivery { return s.Stripe(paidEvent) },
			func() (*webhook.Verifier, error) { return webhook.Stripe(signingSecret) }, mcpsectest.Sender{Secret: signingSecret}, "evt_1", "invoice.paid", all},
		{"standard", func(s mcpsectest.Sender) mcpsectest.Delivery { return s.Standard("msg_1", `{"type":"email.sent"}`) },
			func() (*webhook.Verifier, error) { return webhook.Standard(signingSecret) }, mcpsectest.Sender{Secret: signingSecret}, "msg_1", "email.sent", all},
		{"github", func(s mcpsectest.Sender) mcpsectest.Delivery { return s.GitHub("push", `{"ref":"main"}`) },
			func() (*webhook.Verifier, error) { return webhook.GitHub(plain) }, mcpsectest.Sender{Secret: plain}, "", "push", "unsigned, wrong key, forged"},
		{"sendgrid", func(s mcpsectest.Sender) mcpsectest.Delivery { return s.SendGrid(`[{"event":"dropped"}]`) },
			func() (*webhook.Verifier, error) { return webhook.SendGrid(base64.StdEncoding.EncodeToString(public)) }, mcpsectest.Sender{Key: key}, "", "", all},
		{"postmark", func(s mcpsectest.Sender) mcpsectest.Delivery { return s.Postmark(`{"RecordType":"Bounce"}`) },
			func() (*webhook.Verifier, error) { return webhook.Postmark(login) }, mcpsectest.Sender{Secret: login}, "", "Bounce", "unsigned, wrong key"},
		{"mailgun", func(s mcpsectest.Sender) mcpsectest.Delivery { return s.Mailgun(`{"event":"delivered"}`) },
			func() (*webhook.Verifier, error) { return webhook.Mailgun(plain) }, mcpsectest.Sender{Secret: plain}, "", "delivered", "unsigned, wrong key, stale, early"},
	}
	for name, o := range map[string]webhook.HMACOptions{
		"hmac":             {SignatureHeader: "X-Signature", Prefix: "sha256="},
		"hmac sha512":      {SignatureHeader: "X-Signature", Hash: "sha512", Encoding: "base64", TimestampHeader: "X-Time"},
		"hmac with an id ": {SignatureHeader: "X-Signature", TimestampHeader: "X-Time", IDHeader: "X-ID", TypeHeader: "X-Type"},
	} {
		s := scheme{name, func(s mcpsectest.Sender) mcpsectest.Delivery {
			d := s.HMAC(o, "ev-1", `{"n":1}`)
			d.Header.Set("X-Type", "made")
			return d
		}, func() (*webhook.Verifier, error) {
			o.Secrets = []redact.Secret{plain}
			return webhook.HMAC(o)
		}, mcpsectest.Sender{Secret: plain}, "", "", "unsigned, wrong key, forged"}
		if o.TimestampHeader != "" {
			s.forgeries = all
		}
		if o.IDHeader != "" {
			s.id, s.event = "ev-1", "made"
		}
		out = append(out, s)
	}
	return out
}

// each runs a test for every scheme, against a verifier of the library's.
func each(t *testing.T, f func(*testing.T, scheme, *webhook.Verifier)) {
	t.Helper()
	for _, s := range schemes(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			v, err := s.verifier()
			if err != nil {
				t.Fatal(err)
			}
			f(t, s, v)
		})
	}
}

// What a Sender makes is what the sender's verifier takes, at the time that it names.
func TestSenders(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s scheme, v *webhook.Verifier) {
		d := s.delivery(s.sender)
		ev, err := v.Verify(t.Context(), d.Header, d.Body)
		if err != nil || s.id != "" && ev.ID != s.id || s.event != "" && ev.Type != s.event {
			t.Errorf("got %+v, %v", ev, err)
		}
		if timed := strings.Contains(s.forgeries, "stale"); timed {
			s.sender.At = time.Now().Add(-2 * time.Minute).Truncate(time.Second)
			d = s.delivery(s.sender)
			if ev, err = v.Verify(t.Context(), d.Header, d.Body); err != nil || !ev.Time.Equal(s.sender.At) {
				t.Errorf("got %+v, %v, want one of %v", ev, err, s.sender.At)
			}
		}
	})
}

// What the senders publish, and what openssl signs.
func TestSendersKnownAnswers(t *testing.T) {
	t.Parallel()
	sender := func(secret string, at int64) mcpsectest.Sender {
		return mcpsectest.Sender{Secret: redact.NewSecret(secret), At: time.Unix(at, 0)}
	}
	for name, tt := range map[string]struct {
		d            mcpsectest.Delivery
		header, want string
	}{
		"GitHub's documentation": {sender("It's a Secret"+" to Everybody", 0).GitHub("ping", "Hello, World!"),
			"X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
		"Standard Webhooks' library": {sender("whsec_"+"MfKQ9r8GKYqrTwjU"+"PD8ILPZIo2LaLaSw", 1614265330).Standard("msg_p5jXN8AQM9LWM0D4loKWxJek", `{"test": 2432232314}`),
			"Webhook-Signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
		"openssl, and stripe-go": {sender("whsec_"+"test_secret", 1700000000).Stripe(`{"id":"evt_test"}`),
			"Stripe-Signature", "t=1700000000,v1=13941114bb88ac44a76abcfddea5b92aa6182a4b63d8be3aae908a616083bd7e"},
	} {
		if got := tt.d.Header.Get(tt.header); got != tt.want {
			t.Errorf("%s: got %s, want %s", name, got, tt.want)
		}
	}
}

// None of the forgeries passes for genuine, and each is refused for what it is.
func TestForgeries(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s scheme, v *webhook.Verifier) {
		var names []string
		for name, d := range s.delivery(s.sender).Forgeries() {
			names = append(names, name)
			reasons := map[string][]string{
				"unsigned": {"header", "signature", "event"}, "wrong key": {"signature"}, "forged": {"signature"}, "stale": {"timestamp"}, "early": {"timestamp"},
			}[name]
			_, err := v.Verify(t.Context(), d.Header, d.Body)
			var refusal *webhook.Error
			if !errors.As(err, &refusal) || !slices.Contains(reasons, refusal.Reason) {
				t.Errorf("%s: got %v, want a refusal for %v", name, err, reasons)
			}
		}
		if got := strings.Join(names, ", "); got != s.forgeries {
			t.Errorf("got %s, want %s", got, s.forgeries)
		}
	})
}

// A receiver of the library's passes.
func TestCheckPasses(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s scheme, v *webhook.Verifier) {
		var n atomic.Int64
		h := webhook.NewReceiver(v, nil, func(context.Context, webhook.Event) error { n.Add(1); return nil }, webhook.Options{Log: slog.New(slog.DiscardHandler)})
		s.delivery(s.sender).Check(t, h, func() int { return int(n.Load()) })
	})
}

// Each of the ways to get an endpoint wrong fails the test, for that and nothing else.
func TestCheckFails(t *testing.T) {
	t.Parallel()
	sender := mcpsectest.Sender{Secret: signingSecret}
	v, err := webhook.Stripe(signingSecret)
	if err != nil {
		t.Fatal(err)
	}
	genuine := func(r *http.Request, body []byte) bool {
		_, err := v.Verify(r.Context(), r.Header, body)
		return err == nil
	}
	for name, tt := range map[string]struct {
		accept func(*http.Request, []byte) bool
		repeat bool // has the effect anew each time
		status int  // for what it refuses
		want   []string
	}{
		"verifies nothing": {func(*http.Request, []byte) bool { return true }, false, 400,
			[]string{"unsigned: answered with 200", "unsigned: had an effect", "wrong key: answered", "forged: answered", "stale: answered", "early: answered", "0 effects"}},
		"ignores the time": {func(r *http.Request, body []byte) bool {
			var refusal *webhook.Error
			_, err := v.Verify(r.Context(), r.Header, body)
			return err == nil || errors.As(err, &refusal) && refusal.Reason == "timestamp"
		}, true, 400, []string{"stale: answered with 200", "stale: had an effect", "early: answered with 200", "early: had an effect"}},
		"verifies what it has made of the body": {func(r *http.Request, body []byte) bool { return genuine(r, []byte(strings.TrimSpace(string(body)))) }, false, 400,
			[]string{"forged: answered with 200", "forged: had an effect"}},
		"looks for a signature and no more": {func(r *http.Request, _ []byte) bool { return r.Header.Get("Stripe-Signature") != "" }, false, 400,
			[]string{"wrong key: answered with 200"}},
		"does it again":                 {genuine, true, 400, []string{"delivered 8 times at once: 8 effects", "replayed: answered with 200, 1 effects more"}},
		"tells a forger that it worked": {genuine, false, 204, []string{"unsigned: answered with 204"}},
		"takes nothing":                 {func(*http.Request, []byte) bool { return false }, false, 400, []string{"0 effects, answered with [400", "replayed: answered with 400"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int64
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil || !tt.accept(r, body) {
					w.WriteHeader(tt.status)
				} else if tt.repeat || n.Load() == 0 {
					n.Add(1)
				}
			})
			r := &recorder{TB: t}
			sender.Stripe(paidEvent).Check(r, h, func() int { return int(n.Load()) })
			guilty(t, r, tt.want...)
		})
	}
}

// The clock of synctest is the Sender's.
func TestSenderTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, err := webhook.Stripe(signingSecret)
		if err != nil {
			t.Fatal(err)
		}
		d := mcpsectest.Sender{Secret: signingSecret}.Stripe(paidEvent)
		time.Sleep(10 * time.Minute)
		if _, err := v.Verify(t.Context(), d.Header, d.Body); err == nil {
			t.Error("a delivery of ten minutes ago is taken")
		}
		d = mcpsectest.Sender{Secret: signingSecret}.Stripe(paidEvent)
		if _, err := v.Verify(t.Context(), d.Header, d.Body); err != nil {
			t.Error(err)
		}
	})
}

func TestPostURL(t *testing.T) {
	t.Parallel()
	d := mcpsectest.Sender{Secret: signingSecret}.Stripe(paidEvent)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err != nil || string(body) != paidEvent || r.Method != http.MethodPost || r.Header.Get("Stripe-Signature") != d.Header.Get("Stripe-Signature") {
			t.Errorf("got %s %s, %v", r.Method, body, err)
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(srv.Close)
	if status := d.PostURL(t, srv.URL); status != http.StatusAccepted {
		t.Errorf("got %d", status)
	}
}

func TestOwnDeliveryHasNoForgeries(t *testing.T) {
	t.Parallel()
	for name := range (mcpsectest.Delivery{Body: []byte("{}")}).Forgeries() {
		t.Errorf("got %s", name)
	}
}
