package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net/http"
	"strconv"

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
