package main

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/mcpsec/mcpsec-go/examples/internal/stripesign"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

func (s *stage) genuine(secret mcpsec.Secret) error {
	s.chapter("1  Genuine events are handled, once")
	body := paid("1").body()
	sent := stripesign.Header(secret, time.Now(), body)
	if err := s.steps(
		step{what: "an invoice was paid", body: body, header: sent, status: 200, ran: true, counted: "handled"},
		step{what: "the same delivery, captured and sent again", body: body, header: sent, status: 200, counted: "repeated"},
		step{what: "Stripe delivers the event once more", body: body, header: stripesign.Header(secret, time.Now(), body), status: 200, counted: "repeated"},
		step{what: "an event that nobody here handles", body: changed(paid("2"), func(e *event) { e.kind = "invoice.sent" }).body(), status: 200, counted: "ignored"}.signed(secret),
	); err != nil {
		return err
	}
	before, _, _ := s.shop.did()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			body := paid("3").body()
			if r, err := request(s.url, body, stripesign.Header(secret, time.Now(), body)); err == nil {
				if res, err := http.DefaultClient.Do(r); err == nil {
					res.Body.Close()
				}
			}
		})
	}
	wg.Wait()
	after, _, _ := s.shop.did()
	s.row(after == before+1, "fifty deliveries of an event at one moment", fmt.Sprintf("the handler ran %d time", after-before), "state.Once")
	return nil
}

// signed is a step that is signed now, as Stripe would.
func (st step) signed(secret mcpsec.Secret) step {
	st.header = stripesign.Header(secret, time.Now(), st.body)
	return st
}

func (s *stage) forged(secret mcpsec.Secret) error {
	s.chapter("2  Forged, old and ambiguous ones are not")
	now, body := time.Now(), paid("4").body()
	good := stripesign.Header(secret, now, body)
	alter := func(old, new string) []byte { return bytes.Replace(body, []byte(old), []byte(new), 1) }
	return s.steps(
		step{what: "1,900 cents become 190,000", body: alter("1900", "190000"), header: good, status: 401, counted: "signature"},
		step{what: "signed with another secret", body: body, header: stripesign.Header(newSecret(), now, body), status: 401, counted: "signature"},
		step{what: "not signed", body: body, header: "", status: 401, counted: "header"},
		step{what: "two signature headers", body: body, header: good, status: 401, counted: "header", change: func(r *http.Request) { r.Header.Add("Stripe-Signature", good) }},
		step{what: "signed six minutes ago", body: body, header: stripesign.Header(secret, now.Add(-6*time.Minute), body), status: 401, counted: "timestamp"},
		step{what: "signed in ten years", body: body, header: stripesign.Header(secret, now.AddDate(10, 0, 0), body), status: 401, counted: "timestamp"},
		step{what: "a member twice: livemode false and true", body: alter(`"livemode":false`, `"livemode":false,"livemode":true`), status: 400, counted: "malformed"}.signed(secret),
		step{what: "a member in another case: LiveMode", body: alter(`"livemode"`, `"LiveMode":true,"livemode"`), status: 400, counted: "malformed"}.signed(secret),
		step{what: "no data", body: alter(`"data"`, `"date"`), status: 400, counted: "malformed"}.signed(secret),
		step{what: "a paid invoice that is a charge", body: alter(`"object":"invoice"`, `"object":"charge"`), status: 400, counted: "object"}.signed(secret),
		step{what: "two megabytes", body: append(bytes.Clone(body), bytes.Repeat([]byte(" "), 2<<20)...), header: good, status: 413, counted: "too_large",
			change: func(r *http.Request) { r.Header.Set("Expect", "100-continue") }}, // so that the answer comes before the body is sent
		step{what: "a GET", body: body, header: good, status: 405, counted: "method", change: func(r *http.Request) { r.Method = http.MethodGet }},
		step{what: "the very event, as it was", body: body, header: good, status: 200, ran: true, counted: "handled"},
	)
}

func (s *stage) unasked(secret mcpsec.Secret) error {
	s.chapter("3  Genuine, and not asked for")
	if err := s.steps(
		step{what: "of live mode, and this receiver is for tests", body: changed(paid("5"), func(e *event) { e.live = "true" }).body(), status: 400, counted: "mode"}.signed(secret),
		step{what: "of a connected account that nobody named", body: changed(paid("5"), func(e *event) { e.account = "acct_1Other" }).body(), status: 400, counted: "account"}.signed(secret),
		step{what: "a thin event of API v2", body: []byte(`{"id":"evt_5","object":"v2.core.event","type":"v1.billing.meter.no_meter_found","livemode":false,"created":"2026-01-01T00:00:00Z"}`), status: 400, counted: "thin"}.signed(secret),
	); err != nil {
		return err
	}
	s.log.take()
	if err := s.steps(step{what: "of a later API version", body: changed(paid("5"), func(e *event) { e.version = "2024-06-20" }).body(), status: 400, counted: "version"}.signed(secret)); err != nil {
		return err
	}
	s.logged("create the endpoint with api_version=2023-10-16")
	return nil
}

func (s *stage) ordered(secret mcpsec.Secret) error {
	s.chapter("4  Events come in any order, and the newest counts")
	if err := s.steps(
		step{what: "a subscription was deleted", body: plan("7", "customer.subscription.deleted", "canceled", 1700000009).body(), status: 200, ran: true, counted: "handled"}.signed(secret),
		step{what: "it was updated, eight seconds before that", body: plan("6", "customer.subscription.updated", "active", 1700000001).body(), status: 200, counted: "stale"}.signed(secret),
	); err != nil {
		return err
	}
	_, plans, _ := s.shop.did()
	s.row(plans["sub_1"] == "canceled", "what the shop has of it", plans["sub_1"], "InOrder")
	return nil
}

func (s *stage) rotated(secret mcpsec.Secret) error {
	s.chapter("5  The secret is rolled")
	next := newSecret()
	if err := s.use(next, secret); err != nil {
		return err
	}
	if err := s.steps(
		step{what: "both are known: signed with the old one", body: paid("8").body(), status: 200, ran: true, counted: "handled"}.signed(secret),
		step{what: "signed with the new one", body: paid("9").body(), status: 200, ran: true, counted: "handled"}.signed(next),
		step{what: "what was handled before the restart", body: paid("1").body(), status: 200, counted: "repeated"}.signed(next),
	); err != nil {
		return err
	}
	if err := s.use(next); err != nil {
		return err
	}
	err := s.steps(step{what: "the old one is gone: signed with it", body: paid("10").body(), status: 401, counted: "signature"}.signed(secret))
	if err != nil {
		return err
	}
	if err := s.use(mcpsec.Secret{}); err == nil {
		s.wrong = append(s.wrong, "an empty secret is taken")
	} else {
		s.p.Good("An empty secret: %v", err)
	}
	return s.use(secret)
}

func (s *stage) dead(secret mcpsec.Secret) error {
	s.chapter("6  A handler that keeps failing")
	s.shop.setDown(errWarehouse)
	failing := step{what: "an invoice was paid, and the warehouse does not answer", body: paid("11").body(), status: 500, counted: "handler"}.signed(secret)
	last := failing
	last.status, last.counted = 200, "dead_letter"
	if err := s.steps(failing, failing, last); err != nil {
		return err
	}
	_, _, letters := s.shop.did()
	if len(letters) != 1 {
		s.wrong = append(s.wrong, fmt.Sprintf("there are %d dead letters", len(letters)))
		return nil
	}
	text := fmt.Sprintf("%+v", letters[0])
	s.row(!strings.Contains(text, "cus_ada") && strings.Contains(text, errWarehouse.Error()), "the dead letter, printed", text, "its body is sealed")
	s.shop.setDown(nil)
	for i, want := range []bool{true, false} {
		ran, err := s.replayed(letters[0])
		s.row(err == nil && ran == want, []string{"the warehouse is back: it is replayed", "and replayed again"}[i], map[bool]string{true: "the handler ran", false: "no handler ran"}[ran], "Replay")
	}
	return nil
}
