// Package bank stands in for Stripe, for examples and their tests: on a port of this
// machine, with a certificate of its own. stripe-mock, which is Stripe's, checks each
// request by the description of the API; it remembers nothing, so the bank remembers
// customers, subscriptions, charges and refunds, keeps the first answer to an idempotency
// key, signs events, and can fail as networks do. It protects nothing by itself, and
// stripe-mock writes to standard output.
package bank

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"

	"github.com/stripe/stripe-mock/embedded"
	"github.com/stripe/stripe-mock/server"
)

// Mock returns stripe-mock.
func Mock() (http.Handler, error) {
	spec, err := server.LoadSpec(embedded.OpenAPISpec, "")
	if err != nil {
		return nil, err
	}
	fixtures, err := server.LoadFixtures(embedded.OpenAPIFixtures, "")
	if err != nil {
		return nil, err
	}
	stub, err := server.NewStubServer(fixtures, spec, true, false)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(stub.HandleRequest), nil
}

// Check has stripe-mock answer a request with a body.
func Check(mock http.Handler, r *http.Request, body []byte) (status int, answer []byte) {
	asked := r.Clone(r.Context())
	asked.Body = io.NopCloser(bytes.NewReader(body))
	asked.Header.Del("Accept-Encoding")
	asked.Header.Set("Authorization", "Bearer sk_"+"test_123") // the one form of a key that stripe-mock takes
	checked := httptest.NewRecorder()
	mock.ServeHTTP(checked, asked)
	return checked.Code, checked.Body.Bytes()
}

// A Fault is what goes wrong with a request.
type Fault uint8

// The faults.
const (
	None    Fault = iota
	Down          // 500, and nothing was done
	Lost          // it was done, and the answer is lost
	Refused       // 402: no card would pay
)

// A Bank runs until Close. It is safe for concurrent use.
type Bank struct {
	URL string
	CA  []byte // who vouches for its certificate, in PEM

	mock http.Handler
	web  *httptest.Server

	mu      sync.Mutex
	fault   func(method, path string) Fault
	objects map[string]object // by id
	said    map[string]answer // by idempotency key
	made    map[string]int    // by kind
	events  []Event
	changed chan struct{} // closed when there is another event
}

type object = map[string]any

type answer struct {
	params string
	status int
	object object
}

// Start starts a bank on a free port.
func Start() (*Bank, error) {
	mock, err := Mock()
	if err != nil {
		return nil, err
	}
	b := &Bank{mock: mock, objects: map[string]object{}, said: map[string]answer{}, made: map[string]int{}, changed: make(chan struct{})}
	b.web = httptest.NewUnstartedServer(b)
	b.web.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that have gone
	b.web.StartTLS()
	b.URL, b.CA = b.web.URL, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b.web.Certificate().Raw})
	return b, nil
}

// Close ends it.
func (b *Bank) Close() { b.web.Close() }

// Fail has f decide what goes wrong from now on. nil is nothing.
func (b *Bank) Fail(f func(method, path string) Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault = f
}

// Count is how many objects there are of a kind, as in customer, that were not deleted or
// canceled.
func (b *Bank) Count(kind string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, o := range b.objects {
		if o["object"] == kind && o["deleted"] != true && o["status"] != "canceled" {
			n++
		}
	}
	return n
}

// ServeHTTP answers as Stripe does.
func (b *Bank) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		return
	}
	b.mu.Lock()
	fault := None
	if b.fault != nil {
		fault = b.fault(r.Method, r.URL.Path)
	}
	b.mu.Unlock()
	status, text := http.StatusInternalServerError, []byte(`{"error":{"type":"api_error"}}`)
	if fault == Refused {
		status, text = http.StatusPaymentRequired, []byte(`{"error":{"type":"card_error","code":"card_declined"}}`)
	} else if fault != Down {
		if status, text = Check(b.mock, r, body); status == http.StatusOK {
			var own object
			if own, status = b.answer(r, string(body)); own != nil {
				text, _ = json.Marshal(own) // texts and numbers
			}
		}
	}
	if fault == Lost {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text) // whoever has asked may be gone
}

// answer is what the bank knows better than stripe-mock: nil if it does not.
func (b *Bank) answer(r *http.Request, body string) (object, int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	kind, id, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/"), "/")
	form, err := url.ParseQuery(body)
	switch {
	case err != nil:
		return wrong("parameter_invalid"), http.StatusBadRequest
	case r.Method == http.MethodPost && id == "":
		return b.once(r.Header.Get("Idempotency-Key"), body, func() (object, int) { return b.create(kind, form) })
	case b.objects[id] == nil:
		return wrong("resource_missing"), http.StatusNotFound
	case r.Method == http.MethodDelete:
		return b.end(id)
	}
	return b.objects[id], http.StatusOK
}

func wrong(code string) object {
	return object{"error": object{"type": "invalid_request_error", "code": code}}
}

// once keeps the first answer to a key (docs.stripe.com/api/idempotent_requests).
func (b *Bank) once(key, params string, do func() (object, int)) (object, int) {
	if said, ok := b.said[key]; ok {
		if said.params != params {
			return object{"error": object{"type": "idempotency_error"}}, http.StatusBadRequest
		}
		return said.object, said.status
	}
	if key == "" {
		return wrong("parameter_missing"), http.StatusBadRequest
	}
	o, status := do()
	if status == http.StatusOK {
		b.said[key] = answer{params, status, o}
	}
	return o, status
}

// add keeps an object under a new id.
func (b *Bank) add(prefix, kind string, o object) object {
	b.made[kind]++
	o["id"], o["object"] = fmt.Sprintf("%s_%d", prefix, b.made[kind]), kind
	b.objects[o["id"].(string)] = o
	return o
}
