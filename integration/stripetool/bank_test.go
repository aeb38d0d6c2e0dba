package stripetool

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Things that must never leave.
const (
	secretMail = "q7canary.payer@example.com"
	secretWord = "q7canaryq7canary"
)

type paid struct {
	Amount, Captured, Refunded int64
	Currency, Customer         string
	Refunds                    int
}

type kept struct {
	params string
	status int
	body   string // "" while it is under way
}

// A bank is the layer before stripe-mock.
type bank struct {
	*httptest.Server
	t    *testing.T
	mock string
	told sync.Map // stripe-mock's answers, by request

	mu      sync.Mutex
	account *account
	charges map[string]*paid
	keys    map[string]*kept
	refunds []string // keys of those that were made, in order
	posts   int      // requests that write, repetitions included
	seen    []string // methods and paths
	billing *billing

	fault  func(w http.ResponseWriter, r *http.Request, n int) bool // answers in place of the bank if true; n counts requests
	effect func()                                                   // runs after an effect and before the answer
	hook   string                                                   // where events go; "" is nowhere
}

func newBank(t *testing.T) *bank {
	t.Helper()
	m, err := mock()
	if err != nil {
		t.Fatal(err)
	}
	b := &bank{t: t, mock: m, account: newAccount(), billing: newBilling(), keys: map[string]*kept{}, charges: map[string]*paid{
		"ch_one":   {Amount: 4900, Captured: 4900, Refunded: 500, Currency: "eur", Customer: "cus_Ann", Refunds: 2},
		"ch_guest": {Amount: 500, Captured: 500, Currency: "jpy"},
		"ch_big":   {Amount: 1_000_000, Captured: 1_000_000, Currency: "eur", Customer: "cus_Bob"},
		"ch_held":  {Amount: 4900, Currency: "eur"},
		"ch_dinar": {Amount: 12500, Captured: 12500, Currency: "kwd"},
	}}
	b.Server = httptest.NewServer(b)
	t.Cleanup(b.Close)
	return b
}

func (b *bank) made() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.refunds)
}

func (b *bank) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	b.mu.Lock()
	b.seen = append(b.seen, r.Method+" "+r.URL.Path)
	n, fault := len(b.seen), b.fault
	if r.Method != http.MethodGet {
		b.posts++
	}
	b.mu.Unlock()
	if fault != nil && fault(w, r, n) {
		return
	}
	// What stripe-mock finds wrong is wrong. It takes keys of one form.
	status, text := b.check(r, body)
	w.Header().Set("Request-Id", "req_Q7"+strconv.Itoa(n))
	if r.Method != http.MethodGet {
		status, text = b.once(r.Header.Get("Idempotency-Key"), r.Method, strings.TrimPrefix(r.URL.Path, "/v1/"), string(body))
	} else if own, s := b.read(r); s != 0 {
		status, text = s, own
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// check asks stripe-mock, of equal requests once.
func (b *bank) check(r *http.Request, body []byte) (int, string) {
	key := r.Method + r.URL.RequestURI() + r.Header.Get("Stripe-Version") + string(body)
	if said, ok := b.told.Load(key); ok {
		return said.(told).status, said.(told).text
	}
	status, text := b.ask(r, body)
	b.told.Store(key, told{status, text})
	return status, text
}

type told struct {
	status int
	text   string
}

func (b *bank) ask(r *http.Request, body []byte) (int, string) {
	req, err := http.NewRequest(r.Method, b.mock+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		b.t.Error(err)
		return 500, ""
	}
	req.Header = r.Header.Clone()
	req.Header.Del("Accept-Encoding")
	req.Header.Set("Authorization", "Bearer sk_"+"test_123")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Error(err)
		return 500, ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 400 {
		b.t.Errorf("stripe-mock refuses %s %s %s: %v %s", r.Method, r.URL.RequestURI(), body, err, text)
	}
	return resp.StatusCode, string(text)
}

// read answers what the layer knows better.
func (b *bank) read(r *http.Request) (string, int) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/"), "/")
	b.mu.Lock()
	defer b.mu.Unlock()
	if own, s := b.account.read(strings.Join(parts, "/"), r.URL.Query()); s != 0 {
		return own, s
	}
	if own, s := b.billing.read(strings.Join(parts, "/"), r.URL.Query()); s != 0 {
		return own, s
	}
	switch {
	case len(parts) == 2 && strings.Contains(parts[1], "missing"):
		return wrong("invalid_request_error", "resource_missing", ""), 404
	case len(parts) == 2 && parts[0] == "payment_intents" && strings.HasPrefix(parts[1], "pi_"):
		return fmt.Sprintf(`{"id":%q,"object":"payment_intent","latest_charge":%q,"client_secret":%q}`, parts[1], "ch_"+strings.TrimPrefix(parts[1], "pi_"), parts[1]+"_secret_"+secretWord), 200
	case len(parts) == 2 && parts[0] == "charges" && parts[1] != "search":
		c := b.charges[parts[1]]
		if c == nil {
			return wrong("invalid_request_error", "resource_missing", ""), 404
		}
		out := map[string]any{
			"id": parts[1], "object": "charge", "amount": c.Amount, "amount_captured": c.Captured, "amount_refunded": c.Refunded, "currency": c.Currency, "customer": nil, "paid": true, "captured": c.Captured > 0,
			"receipt_email": secretMail, "receipt_url": "https://pay.stripe.com/receipts/" + secretWord, "payment_method_details": map[string]any{"type": "card", "card": map[string]any{"last4": "4242", "fingerprint": secretWord}},
			"metadata": map[string]string{"order": "6735", "client_secret": secretWord},
		}
		if c.Customer != "" {
			out["customer"] = c.Customer
		}
		raw, err := json.Marshal(out)
		if err != nil {
			b.t.Error(err)
		}
		return string(raw), 200
	case r.URL.Path == "/v1/refunds" && b.charges[r.URL.Query().Get("charge")] != nil:
		items := strings.Repeat(`{"id":"re_x","object":"refund"},`, b.charges[r.URL.Query().Get("charge")].Refunds)
		return `{"object":"list","has_more":false,"data":[` + strings.TrimSuffix(items, ",") + `]}`, 200
	}
	return "", 0
}

// wrong is an error as Stripe says it, with all that must not be passed on.
func wrong(kind, code, decline string) string {
	return fmt.Sprintf(`{"error":{"type":%q,"code":%q,"decline_code":%q,"message":"for %s: %s","payment_intent":{"client_secret":"pi_1_secret_%s","receipt_email":%q}}}`, kind, code, decline, secretMail, secretWord, secretWord, secretMail)
}

// once keeps the first answer to a key (docs.stripe.com/api/idempotent_requests).
func (b *bank) once(key, method, path, params string) (int, string) {
	b.mu.Lock()
	if method == http.MethodDelete { // Stripe knows no keys of it
		q, _ := url.ParseQuery(params)
		status, body := b.billing.write(method, path, q)
		if status == 0 {
			status, body = b.account.write(method, path, nil)
		}
		effect := b.effect
		b.mu.Unlock()
		if status == 200 && effect != nil {
			effect()
		}
		if status == 200 {
			b.emit(method, path, body)
		}
		return status, body
	}
	switch k := b.keys[key]; {
	case key == "":
		b.mu.Unlock()
		b.t.Error("a request that writes has no key")
		return 400, wrong("invalid_request_error", "", "")
	case k != nil && k.params != method+path+params:
		b.mu.Unlock()
		return 400, wrong("idempotency_error", "", "")
	case k != nil && k.body == "":
		b.mu.Unlock()
		return 409, wrong("idempotency_error", "idempotency_key_in_use", "")
	case k != nil:
		b.mu.Unlock()
		return k.status, k.body
	}
	k := &kept{params: method + path + params}
	b.keys[key] = k
	status, body, effect := 400, "", b.effect
	if path == "refunds" {
		status, body = b.refund(key, params)
	} else if q, err := url.ParseQuery(params); err == nil {
		if status, body = b.billing.write(method, path, q); status == 0 {
			status, body = b.account.write(method, path, q)
		}
	}
	b.mu.Unlock()
	if status == 200 && effect != nil {
		effect()
	}
	if status == 200 {
		b.emit(method, path, body)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if k.status, k.body = status, body; status == 400 { // refused before it began: not kept
		delete(b.keys, key)
	}
	return status, body
}

func (b *bank) refund(key, params string) (int, string) {
	q, err := url.ParseQuery(params)
	if err != nil {
		return 400, wrong("invalid_request_error", "", "")
	}
	c, id := b.charges[q.Get("charge")], fmt.Sprintf("re_%d", len(b.refunds)+1)
	amount, err := strconv.ParseInt(q.Get("amount"), 10, 64)
	switch {
	case c == nil || err != nil:
		return 400, wrong("invalid_request_error", "resource_missing", "")
	case amount == 666:
		return 402, wrong("card_error", "card_declined", "lost_card")
	case amount <= 0 || c.Refunded+amount > c.Captured:
		return 400, wrong("invalid_request_error", "charge_already_refunded", "")
	}
	c.Refunded += amount
	c.Refunds++
	b.refunds = append(b.refunds, key)
	return 200, fmt.Sprintf(`{"id":%q,"object":"refund","amount":%d,"charge":%q,"currency":%q,"status":"succeeded","metadata":{},"destination_details":{"card":{"reference":%q}},"client_secret":%q}`, id, amount, q.Get("charge"), c.Currency, secretWord, secretWord)
}
