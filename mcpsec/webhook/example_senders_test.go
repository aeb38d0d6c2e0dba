package webhook_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"log"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

// verified prints what a verifier knows of a delivery, and what it says of a forged one.
func verified(v *webhook.Verifier, err error, d mcpsectest.Delivery) {
	if err != nil {
		log.Fatal(err)
	}
	ev, err := v.Verify(context.Background(), d.Header, d.Body)
	fmt.Printf("%q %v\n", ev.Type, err)
	_, err = v.Verify(context.Background(), d.Header, []byte(`[{"forged":true}]`))
	fmt.Println(err)
}

func ExampleGitHub() {
	secret := redact.NewSecret(strings.Repeat("hook-", 5)) // redact.SecretFromEnv
	v, err := webhook.GitHub(secret)
	verified(v, err, mcpsectest.Sender{Secret: secret}.GitHub("issues", `{"action":"opened"}`))
	// Output:
	// "issues" <nil>
	// webhook refused: signature: the signature does not fit
}

// Svix, Resend and others.
func ExampleStandard() {
	secret := redact.NewSecret("whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("hook-", 6))))
	v, err := webhook.Standard(secret)
	verified(v, err, mcpsectest.Sender{Secret: secret}.Standard("msg_1", `{"type":"email.bounced"}`))
	// Output:
	// "email.bounced" <nil>
	// webhook refused: signature: no signature fits
}

func ExampleSendGrid() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // SendGrid's
	if err != nil {
		log.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		log.Fatal(err)
	}
	v, err := webhook.SendGrid(base64.StdEncoding.EncodeToString(der)) // as its settings show it
	verified(v, err, mcpsectest.Sender{Key: key}.SendGrid(`[{"event":"bounce"}]`))
	// Output:
	// "" <nil>
	// webhook refused: signature: the signature does not fit
}

// Postmark signs nothing: the login is all that there is, and the URL must be https.
func ExamplePostmark() {
	login := redact.NewSecret("hook:" + strings.Repeat("secret-", 3))
	v, err := webhook.Postmark(login)
	if err != nil {
		log.Fatal(err)
	}
	d := mcpsectest.Sender{Secret: login}.Postmark(`{"RecordType":"Bounce"}`)
	ev, err := v.Verify(context.Background(), d.Header, d.Body)
	fmt.Println(ev.Type, err)
	// Output: Bounce <nil>
}

// Mailgun signs a token, and not the event: ask its API before you act on one.
func ExampleMailgun() {
	key := redact.NewSecret(strings.Repeat("key-", 8))
	v, err := webhook.Mailgun(key)
	if err != nil {
		log.Fatal(err)
	}
	d := mcpsectest.Sender{Secret: key}.Mailgun(`{"event":"complained"}`)
	ev, err := v.Verify(context.Background(), d.Header, d.Body)
	fmt.Println(ev.Type, err)
	// Output: complained <nil>
}

// Messages of a topic of one's own; anybody can have Amazon sign those of another.
func ExampleSNS() {
	v, err := webhook.SNS(webhook.SNSOptions{Topics: []string{"arn:aws:sns:eu-west-1:123456789012:mail-feedback"}})
	fmt.Println(v != nil, err)
	// Output: true <nil>
}
