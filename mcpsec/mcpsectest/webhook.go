package mcpsectest

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

// A Sender makes webhooks as the sender does that a method is named for, by its
// documentation and not by the verifiers of mcpsec/webhook. Bodies are sent as they are.
type Sender struct {
	// Secret is the endpoint's, as the verifier gets it: whsec_ and base64 for
	// Standard Webhooks, user:password for Postmark. Required, except for SendGrid.
	Secret mcpsec.Secret
	// Key signs for SendGrid, and is of P-256; others do without.
	Key *ecdsa.PrivateKey
	// At is when it signs. Defaults to now.
	At time.Time
}

// Stripe signs an event (docs.stripe.com/webhooks, scheme v1).
func (s Sender) Stripe(event string) Delivery {
	at, key := s.unix(), s.Secret.Reveal()
	return Delivery{
		Header: header("Stripe-Signature", "t="+at+",v1="+hex.EncodeToString(mac(sha256.New, key, at, ".", event))),
		Body:   []byte(event),
		from:   s, timed: true, signed: true, again: func(s Sender) Delivery { return s.Stripe(event) },
	}
}

// Standard signs a payload by Standard Webhooks 1.0.0, scheme v1, as Svix, Resend and
// others do. The id names the event. It panics if the Secret does not have the form.
func (s Sender) Standard(id, payload string) Delivery {
	text, ok := strings.CutPrefix(s.Secret.Reveal(), "whsec_")
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil {
		panic("mcpsectest: the Secret of Standard Webhooks is whsec_ and base64")
	}
	at := s.unix()
	return Delivery{
		Header: header("webhook-id", id, "webhook-timestamp", at, "webhook-signature", "v1,"+b64(mac(sha256.New, string(key), id, ".", at, ".", payload))),
		Body:   []byte(payload),
		from:   s, timed: true, signed: true, again: func(s Sender) Delivery { return s.Standard(id, payload) },
	}
}

// GitHub signs a payload (X-Hub-Signature-256). The event, such as push, and the
// delivery's id are not signed, and neither is a time.
func (s Sender) GitHub(event, payload string) Delivery {
	return Delivery{
		Header: header("X-GitHub-Event", event, "X-GitHub-Delivery", rand.Text(),
			"X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac(sha256.New, s.Secret.Reveal(), payload))),
		Body: []byte(payload),
		from: s, signed: true, again: func(s Sender) Delivery { return s.GitHub(event, payload) },
	}
}

// HMAC signs a payload as a sender does that the options describe, with the Sender's
// Secret and none of theirs. The id goes into IDHeader, if there is one. Put what has
// no place here, such as TypeHeader, into the Delivery's Header.
func (s Sender) HMAC(o webhook.HMACOptions, id, payload string) Delivery {
	h, text := header(), payload
	for _, part := range [][2]string{{o.TimestampHeader, s.unix()}, {o.IDHeader, id}} {
		if part[0] != "" {
			h.Set(part[0], part[1])
			text = part[1] + "." + text
		}
	}
	newHash, encode := sha256.New, hex.EncodeToString
	if o.Hash == "sha512" {
		newHash = sha512.New
	}
	if o.Encoding == "base64" {
		encode = b64
	}
	h.Set(o.SignatureHeader, o.Prefix+encode(mac(newHash, s.Secret.Reveal(), text)))
	return Delivery{
		Header: h, Body: []byte(payload),
		from: s, timed: o.TimestampHeader != "", signed: true, again: func(s Sender) Delivery { return s.HMAC(o, id, payload) },
	}
}

// SendGrid signs a list of events (signed Event Webhook) with the Key.
func (s Sender) SendGrid(events string) Delivery {
	at := s.unix()
	digest := sha256.Sum256([]byte(at + events))
	signature, err := ecdsa.SignASN1(rand.Reader, s.Key, digest[:])
	if err != nil {
		panic("mcpsectest: signing for SendGrid: " + err.Error())
	}
	return Delivery{
		Header: header("X-Twilio-Email-Event-Webhook-Timestamp", at, "X-Twilio-Email-Event-Webhook-Signature", b64(signature)),
		Body:   []byte(events),
		from:   s, timed: true, signed: true, again: func(s Sender) Delivery { return s.SendGrid(events) },
	}
}

// Postmark sends a payload with HTTP basic authentication, which is all that Postmark
// offers: nothing is signed.
func (s Sender) Postmark(payload string) Delivery {
	return Delivery{
		Header: header("Authorization", "Basic "+b64([]byte(s.Secret.Reveal()))),
		Body:   []byte(payload),
		from:   s, again: func(s Sender) Delivery { return s.Postmark(payload) },
	}
}

// Mailgun signs the time and a random token, which stand in the body beside the event.
// The event is not signed.
func (s Sender) Mailgun(event string) Delivery {
	at, token := s.unix(), hex.EncodeToString(random(25))
	signature, err := json.Marshal(map[string]string{
		"timestamp": at, "token": token, "signature": hex.EncodeToString(mac(sha256.New, s.Secret.Reveal(), at, token)),
	})
	if err != nil {
		panic("mcpsectest: " + err.Error())
	}
	return Delivery{
		Header: header(), Body: []byte(`{"signature":` + string(signature) + `,"event-data":` + event + `}`),
		from: s, timed: true, again: func(s Sender) Delivery { return s.Mailgun(event) },
		bare: `{"event-data":` + event + `}`,
	}
}

func (s Sender) unix() string {
	at := s.At
	if at.IsZero() {
		at = time.Now()
	}
	return strconv.FormatInt(at.Unix(), 10)
}

func header(pairs ...string) http.Header {
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

func mac(newHash func() hash.Hash, key string, parts ...string) []byte {
	m := hmac.New(newHash, []byte(key))
	for _, p := range parts {
		m.Write([]byte(p))
	}
	return m.Sum(nil)
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}
