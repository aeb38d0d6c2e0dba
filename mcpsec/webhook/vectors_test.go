package webhook_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

// What the senders publish, and what other programs made.
func TestKnownAnswers(t *testing.T) {
	t.Parallel()
	unix := func(n int64) time.Time { return time.Unix(n, 0) }
	standard := func(text string) *webhook.Verifier {
		v, err := webhook.Standard(secret("whsec_" + text))
		return must(t, v, err)
	}
	sendGrid, err := webhook.SendGrid("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==")
	must(t, sendGrid, err)
	gitHub, err := webhook.GitHub(secret("It's a Secret" + " to Everybody"))
	must(t, gitHub, err)
	stripe, err := webhook.Stripe(secret("whsec_" + "test_secret"))
	must(t, stripe, err)
	for name, tc := range map[string]struct {
		verifier *webhook.Verifier
		header   http.Header
		body     string
		at       time.Time
		reason   string
	}{
		"GitHub's documentation": {gitHub, jsonHeader("X-GitHub-Event", "ping",
			"X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"), "Hello, World!", time.Now(), ""},
		"Standard Webhooks' library": {standard("MfKQ9r8GKYqrTwjU" + "PD8ILPZIo2LaLaSw"), jsonHeader("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek",
			"webhook-timestamp", "1614265330", "webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="), `{"test": 2432232314}`, unix(1614265330), ""},
		"Svix's documentation": {standard("plJ3nmyCDGBKIn" + "avdOK15jsl"), jsonHeader("svix-id", "msg_loFOjxBNrRLzqYUf",
			"svix-timestamp", "1731705121", "svix-signature", "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="), `{"event_type":"ping","data":{"success":true}}`, unix(1731705121), ""},
		"SendGrid's library": {sendGrid, jsonHeader("X-Twilio-Email-Event-Webhook-Timestamp", "1600112502",
			"X-Twilio-Email-Event-Webhook-Signature", "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM="),
			`[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address","sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",` +
				`"sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0","smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>","timestamp":1600112492}]` + "\r\n",
			unix(1600112502), ""},
		// A good signature, of what is no event: it has no type.
		"openssl, and stripe-go": {stripe, jsonHeader("Stripe-Signature", "t=1700000000,v1=13941114bb88ac44a76abcfddea5b92aa6182a4b63d8be3aae908a616083bd7e"),
			`{"id":"evt_test"}`, unix(1700000000), "event"},
	} {
		_, err := tc.verifier.At(t.Context(), tc.header, []byte(tc.body), tc.at)
		if tc.reason != "" {
			refused(t, err, tc.reason)
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		_, err = tc.verifier.At(t.Context(), tc.header, []byte(tc.body+" "), tc.at)
		refused(t, err, "signature")
	}
}

// openssl runs the command, which is an implementation of none of ours.
func openssl(t *testing.T, stdin string, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("openssl is not installed, and CI must have it")
		}
		t.Skip("openssl is not installed")
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl %s: %v: %s", args[0], err, stderr.String())
	}
	return out
}

func opensslHMAC(t *testing.T, hash, key, content string) []byte {
	t.Helper()
	return openssl(t, content, "dgst", "-"+hash, "-mac", "HMAC", "-macopt", "hexkey:"+hex.EncodeToString([]byte(key)), "-binary")
}

// Every scheme accepts what openssl signs.
func TestOpenSSLSigns(t *testing.T) {
	t.Parallel()
	now := time.Now()
	at := stamp(now)
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(oldText, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	check := func(name string, v *webhook.Verifier, h http.Header, body string) {
		t.Helper()
		if _, err := v.Verify(t.Context(), h, []byte(body)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	check("stripe", stripeSender().verifier(t), jsonHeader("Stripe-Signature", "t="+at+",v1="+hexOf(opensslHMAC(t, "sha256", oldText, at+"."+stripeBody))), stripeBody)
	check("standard", standardSender().verifier(t), jsonHeader("webhook-id", "m", "webhook-timestamp", at,
		"webhook-signature", "v1,"+b64(opensslHMAC(t, "sha256", string(raw), "m."+at+".{}"))), "{}")
	check("github", gitHubSender().verifier(t), jsonHeader("X-GitHub-Event", "ping", "X-Hub-Signature-256", "sha256="+hexOf(opensslHMAC(t, "sha256", keyText, "{}"))), "{}")
	token := strings.Repeat("abcde", 10)
	check("mailgun", mailgunSender().verifier(t), jsonHeader(), `{"signature":{"timestamp":"`+at+`","token":"`+token+
		`","signature":"`+hexOf(opensslHMAC(t, "sha256", keyText, at+token))+`"},"event-data":{"event":"opened"}}`)
	v, err := webhook.HMAC(webhook.HMACOptions{SignatureHeader: "X-Sig", Hash: "sha512", TimestampHeader: "X-Time", Secrets: []redact.Secret{secret(keyText)}})
	check("hmac sha512", must(t, v, err), jsonHeader("X-Time", at, "X-Sig", hexOf(opensslHMAC(t, "sha512", keyText, at+".{}"))), "{}")
}

// The same for public keys that openssl makes.
func TestOpenSSLSignsWithKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Now()
	at := stamp(now)
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}

	ec := file("ec.pem", openssl(t, "", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"))
	v, err := webhook.SendGrid(b64(openssl(t, "", "pkey", "-in", ec, "-pubout", "-outform", "DER")))
	must(t, v, err)
	body := `[{"event":"open"}]`
	sig := openssl(t, at+body, "dgst", "-sha256", "-sign", ec)
	if _, err := v.Verify(t.Context(), jsonHeader("X-Twilio-Email-Event-Webhook-Timestamp", at, "X-Twilio-Email-Event-Webhook-Signature", b64(sig)), []byte(body)); err != nil {
		t.Errorf("sendgrid: %v", err)
	}

	ed := file("ed.pem", openssl(t, "", "genpkey", "-algorithm", "ED25519"))
	der := openssl(t, "", "pkey", "-in", ed, "-pubout", "-outform", "DER")
	v, err = webhook.Standard(secret("whpk_" + b64(der[len(der)-32:])))
	must(t, v, err)
	sig = openssl(t, "", "pkeyutl", "-sign", "-inkey", ed, "-rawin", "-in", file("content", []byte("m."+at+".{}")))
	if _, err := v.Verify(t.Context(), jsonHeader("webhook-id", "m", "webhook-timestamp", at, "webhook-signature", "v1a,"+b64(sig)), []byte("{}")); err != nil {
		t.Errorf("standard v1a: %v", err)
	}

	rsaPEM, err := x509.MarshalPKCS8PrivateKey(amazon().leafKey)
	if err != nil {
		t.Fatal(err)
	}
	key := file("rsa.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: rsaPEM}))
	m := message(now)
	m["Signature"] = b64(openssl(t, stringToSign(m), "dgst", "-sha256", "-sign", key))
	if _, err := newSNS(t).verifier(t).Verify(t.Context(), snsHeader, encode(m)); err != nil {
		t.Errorf("sns: %v", err)
	}
}

// Signatures are taken in the one form in which they are sent.
func TestSignaturesAreStrict(t *testing.T) {
	t.Parallel()
	now := time.Now()
	at := stamp(now)
	good := hexOf(sum(sha256.New, oldText, at, ".", stripeBody))
	other := strings.Repeat("0", 64)
	stripe := stripeSender().verifier(t)
	for header, ok := range map[string]bool{
		"t=" + at + ",v1=" + good:                                   true,
		"v1=" + good + ",t=" + at:                                   true,
		"t=" + at + ",v1=" + other + ",v1=" + good:                  true,
		"t=" + at + ",v0=" + good + ",v1=" + good:                   true,
		"t=" + at + ",v1=" + good + ",v0=x,other=y":                 true,
		"t=" + at + ",v0=" + good:                                   false,
		"t=" + at + ",v1=" + strings.ToUpper(good):                  false,
		"t=" + at + ",v1=" + good[:62]:                              false,
		"t=" + at + ",v1=" + good + "00":                            false,
		"t=" + at + ",v1=":                                          false,
		"t=" + at + ",V1=" + good:                                   false,
		"T=" + at + ",v1=" + good:                                   false,
		"t=" + at + ", v1=" + good:                                  false,
		"t=" + at + ",v1=" + good + ",t=" + at:                      false,
		"t=" + at + ",t=1,v1=" + good:                               false,
		"t=+" + at + ",v1=" + good:                                  false,
		"t=0" + at + ",v1=" + good:                                  false,
		"t=" + at + ".0,v1=" + good:                                 false,
		"t=" + at + ",v1=" + good + ",":                             false,
		"t=" + at + ",v1=" + good + ",v1=x":                         false,
		"t=" + at + strings.Repeat(",v1="+other, 8) + ",v1=" + good: false,
		"t=" + at + ",v2=a=b,v1=" + good:                            false,
		"v1=" + good:                                                false, "t=" + at: false, "x": false, ",": false, "=": false,
	} {
		_, err := stripe.Verify(t.Context(), jsonHeader("Stripe-Signature", header), []byte(stripeBody))
		if ok && err != nil {
			t.Errorf("%s: %v", header, err)
		} else if !ok {
			refused(t, err, "header", "signature")
		}
	}
	raw, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(oldText, "whsec_"))
	sig := b64(sum(sha256.New, string(raw), "m.", at, ".{}"))
	standard := standardSender().verifier(t)
	for header, ok := range map[string]bool{
		"v1," + sig: true, "v2,x v1," + sig: true, "v1a," + b64(make([]byte, 64)) + " v1," + sig: true, "v1," + b64(make([]byte, 32)) + " v1," + sig: true,
		"v1a," + sig: false, "v2," + sig: false, sig: false, "v1:" + sig: false, "v1," + sig[:43]: false, "v1," + sig + "=": false, "v1, " + sig: false,
		"v1," + sig + " ": false, "v1," + strings.TrimRight(sig, "="): false, "v1," + sig[:42] + "9=": false, "v1," + b64(sum(sha512.New, string(raw), "m.", at, ".{}")): false,
		"V1," + sig: false, "v1," + sig + " v1,": false, strings.Repeat("v2,x ", 8) + "v1," + sig: false, "v1," + hexOf(sum(sha256.New, string(raw), "m.", at, ".{}")): false,
	} {
		_, err := standard.Verify(t.Context(), jsonHeader("webhook-id", "m", "webhook-timestamp", at, "webhook-signature", header), []byte("{}"))
		if ok && err != nil {
			t.Errorf("%s: %v", header, err)
		} else if !ok {
			refused(t, err, "header", "signature")
		}
	}
	gitHub := gitHubSender().verifier(t)
	sig = hexOf(sum(sha256.New, keyText, "{}"))
	for _, header := range []string{sig, "sha256=" + strings.ToUpper(sig), "SHA256=" + sig, "sha1=" + sig[:40], "sha256=" + sig + " ", "sha256=" + sig[:63], "sha256="} {
		_, err := gitHub.Verify(t.Context(), jsonHeader("X-GitHub-Event", "ping", "X-Hub-Signature-256", header), []byte("{}"))
		refused(t, err, "header")
	}
	h := jsonHeader("X-GitHub-Event", "ping", "X-Hub-Signature", "sha1=anything")
	_, err := gitHub.Verify(t.Context(), h, []byte("{}"))
	refused(t, err, "header")
}
