package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	standin "github.com/mcpsec/mcpsec-go/examples/internal/bank"
	"github.com/mcpsec/mcpsec-go/examples/internal/tour"
)

// A bank is a stand-in for Stripe. stripe-mock, which is Stripe's own, checks each
// request by the description of its API; but it remembers nothing, so the bank
// remembers what was paid and refunded.
type bank struct {
	mock http.Handler

	mu      sync.Mutex
	charges map[string]*charge
	refunds []refunded
	said    map[string]any // to an Idempotency-Key
}

// thinking is how long a refund takes. Stripe takes its time, too, in which the same call
// may come again.
const thinking = 300 * time.Millisecond

// unread is in whatever of a charge a model must not read.
const unread = "q7unread"

// A charge has what Stripe tells of one, as far as it matters here.
type charge struct {
	ID             string            `json:"id"`
	Object         string            `json:"object"`
	Amount         int64             `json:"amount"`
	AmountCaptured int64             `json:"amount_captured"`
	AmountRefunded int64             `json:"amount_refunded"`
	Currency       string            `json:"currency"`
	Customer       string            `json:"customer"`
	Paid           bool              `json:"paid"`
	Captured       bool              `json:"captured"`
	ClientSecret   string            `json:"client_secret"`
	ReceiptEmail   string            `json:"receipt_email"`
	ReceiptURL     string            `json:"receipt_url"`
	Billing        map[string]string `json:"billing_details"`
}

// A refunded is a refund.
type refunded struct {
	ID       string `json:"id"`
	Object   string `json:"object"`
	Amount   int64  `json:"amount"`
	Charge   string `json:"charge"`
	Currency string `json:"currency"`
	Status   string `json:"status"`
}

func newCharge(id, customer string, cents int64) *charge {
	return &charge{
		ID: id, Object: "charge", Amount: cents, AmountCaptured: cents, Currency: "eur", Customer: customer, Paid: true, Captured: true,
		ClientSecret: id + "_secret_" + unread, ReceiptEmail: unread + "@example.com", ReceiptURL: "https://pay.stripe.com/receipts/" + unread,
		Billing: map[string]string{"email": unread + "@example.com", "name": unread},
	}
}

func newBank(mock http.Handler) *bank {
	return &bank{mock: mock, said: map[string]any{}, charges: map[string]*charge{
		"ch_Lamp": newCharge("ch_Lamp", "cus_Ann", 49_00), "ch_Sofa": newCharge("ch_Sofa", "cus_Ben", 1_490_00),
	}}
}

func (b *bank) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		return
	}
	status, text := standin.Check(b.mock, r, body)
	if status == http.StatusOK {
		if own, s := b.answer(r, string(body)); own != nil {
			status = s
			text, _ = json.Marshal(own) // texts and numbers
		}
	}
	if r.Method == http.MethodPost {
		time.Sleep(thinking)
	}
	w.WriteHeader(status)
	_, _ = w.Write(text) // whoever has asked may be gone
}

// answer is what the bank knows better than stripe-mock, if it does.
func (b *bank) answer(r *http.Request, body string) (any, int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id, one := strings.CutPrefix(r.URL.Path, "/v1/charges/")
	switch form, err := url.ParseQuery(body); {
	case err != nil:
		return wrong("parameter_invalid"), http.StatusBadRequest
	case one && b.charges[id] == nil:
		return wrong("resource_missing"), http.StatusNotFound
	case one:
		return *b.charges[id], http.StatusOK
	case r.URL.Path == "/v1/refunds" && r.Method == http.MethodPost:
		return b.once(r.Header.Get("Idempotency-Key"), form)
	case r.URL.Path == "/v1/refunds":
		return b.refundsOf(r.URL.Query().Get("charge")), http.StatusOK
	}
	return nil, 0
}

func wrong(code string) any {
	return map[string]any{"error": map[string]string{"type": "invalid_request_error", "code": code, "message": unread}}
}

// refundsOf are a charge's, the newest first.
func (b *bank) refundsOf(charge string) any {
	list := []refunded{}
	for _, r := range b.refunds {
		if r.Charge == charge {
			list = append([]refunded{r}, list...)
		}
	}
	return map[string]any{"object": "list", "has_more": false, "data": list}
}

// once keeps the first answer to a key, as Stripe does.
func (b *bank) once(key string, form url.Values) (any, int) {
	if said, ok := b.said[key]; ok {
		return said, http.StatusOK
	}
	c := b.charges[form.Get("charge")]
	cents, err := strconv.ParseInt(form.Get("amount"), 10, 64)
	if c == nil || err != nil || key == "" || cents < 1 || c.AmountRefunded+cents > c.AmountCaptured {
		return wrong("charge_already_refunded"), http.StatusBadRequest
	}
	c.AmountRefunded += cents
	b.refunds = append(b.refunds, refunded{fmt.Sprintf("re_%d", len(b.refunds)+1), "refund", cents, c.ID, c.Currency, "succeeded"})
	b.said[key] = b.refunds[len(b.refunds)-1]
	return b.said[key], http.StatusOK
}

// serveBank says on standard error where the bank is, and ends with standard input.
// stripe-mock prints to standard output, so the bank is a process of its own.
func serveBank() error {
	mock, err := standin.Mock()
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "http://"+ln.Addr().String())
	go func() { _ = http.Serve(ln, newBank(mock)) }()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// startBank starts a bank, to be stopped, and returns where it is.
func startBank(ctx context.Context) (url string, stop func(), err error) {
	cmd, err := tour.Self(ctx, []string{"bank"}, os.Environ())
	if err != nil {
		return "", nil, err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	out, err := cmd.StderrPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = in.Close()
		_ = cmd.Wait() // it was told to end
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if line = strings.TrimSpace(line); err != nil || !strings.HasPrefix(line, "http://") {
		stop()
		return "", nil, errors.Join(fmt.Errorf("stripe-mock does not start: %s", line), err)
	}
	return line, stop, nil
}
