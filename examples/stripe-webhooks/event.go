package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// newSecret is one as Stripe makes them for an endpoint.
func newSecret() mcpsec.Secret { return redact.NewSecret("whsec_" + rand.Text()) }

// An event is what the signer sends, as Stripe would.
type event struct{ id, kind, version, account, live, created, object string }

func paid(id string) event {
	return event{id: "evt_" + id, kind: "invoice.paid", version: "2023-10-16", live: "false", created: "1700000000",
		object: `{"id":"in_` + id + `","object":"invoice","amount_paid":1900,"currency":"eur","customer":"cus_ada"}`}
}

func changed(e event, change func(*event)) event {
	change(&e)
	return e
}

func plan(id, kind, status string, created int) event {
	e := paid(id)
	e.kind, e.created = kind, strconv.Itoa(created)
	e.object = `{"id":"sub_1","object":"subscription","customer":"cus_ada","status":"` + status + `"}`
	return e
}

func (e event) body() []byte {
	account := ""
	if e.account != "" {
		account = `"account":"` + e.account + `",`
	}
	return fmt.Appendf(nil, `{"id":%q,"object":"event",%s"api_version":%q,"created":%s,"livemode":%s,"pending_webhooks":1,"type":%q,"data":{"object":%s}}`,
		e.id, account, e.version, e.created, e.live, e.kind, e.object)
}

// signature is Stripe's own scheme: docs.stripe.com/webhooks.
func signature(secret mcpsec.Secret, at time.Time, body []byte) string {
	stamp := strconv.FormatInt(at.Unix(), 10)
	h := hmac.New(sha256.New, []byte(secret.Reveal()))
	fmt.Fprintf(h, "%s.%s", stamp, body)
	return "t=" + stamp + ",v1=" + hex.EncodeToString(h.Sum(nil))
}

// request is a delivery of a body.
func request(url string, body []byte, signature string) (*http.Request, error) {
	r, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("Stripe-Signature", signature)
	return r, nil
}
