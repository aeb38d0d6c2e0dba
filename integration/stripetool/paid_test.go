package stripetool

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

type workIn struct {
	Way string `json:"way" validate:"max=10"`
}

type workOut struct {
	Done string `json:"done"`
}

// working serves a tool that is paid with what item says.
func working(p stripetool.Price, item *atomic.Value, ran *atomic.Int32) func(*stripetool.Client) []*mcpsec.Tool {
	p.Item = func(context.Context, mcpsec.Principal) (string, error) {
		if v := item.Load().(string); v != "error" {
			return v, nil
		}
		return "", errors.New("dial " + secretWord)
	}
	return func(c *stripetool.Client) []*mcpsec.Tool {
		return []*mcpsec.Tool{mcpsec.NewTool(mcpsec.ToolSpec{Name: "work", Description: "Work.", Effect: mcpsec.Read, Timeout: 30 * time.Second}, stripetool.Paid(c, p, func(ctx context.Context, in workIn) (workOut, error) {
			ran.Add(1)
			switch in.Way {
			case "fail":
				return workOut{}, &mcpsec.Error{Message: "cannot", Rule: "work"}
			case "panic":
				panic("work")
			}
			return workOut{"well"}, nil
		}))}
	}
}

func calls(b *bank) (n int) {
	for _, m := range b.billed() {
		if strings.Contains(m, "/usage_records ") {
			n++
		}
	}
	return n
}

// A call that succeeds is recorded, and no other; who cannot pay is not served.
func TestPaid(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	var item atomic.Value
	var ran atomic.Int32
	item.Store("si_Calls")
	s := serve(t, billingOptions(b.URL), working(stripetool.Price{Units: 2, PerDay: 5}, &item, &ran))
	s.ok("work", `{}`, "well")
	if got := b.billed(); len(got) != 1 || !strings.HasPrefix(got[0], "/v1/subscription_items/si_Calls/usage_records action=increment&quantity=2&timestamp=") {
		t.Errorf("did %q", got)
	}
	for _, way := range []string{"fail", "panic", "fail", "panic"} { // which take nothing of the day's, either
		s.deny("", "work", `{"way":"`+way+`"}`)
	}
	s.deny("cannot", "work", `{"way":"fail"}`)
	s.ok("work", `{}`)
	s.deny("begins anew at midnight UTC", "work", `{}`)
	if ran.Load() != 7 || calls(b) != 2 {
		t.Errorf("%d ran, %d were recorded", ran.Load(), calls(b))
	}
	for id, why := range map[string]string{"": "no active subscription", "si_Gone": "no active subscription", "si_Halt": "no active subscription", "si_E": "", "si_missing": "there is no such object", "../x": "", "error": ""} {
		item.Store(id)
		s.deny(why, "work", `{}`)
	}
	if ran.Load() != 7 || calls(b) != 2 || strings.Contains(s.said.String(), secretWord) {
		t.Errorf("%d ran, %d were recorded", ran.Load(), calls(b))
	}
}

// Stripe does not answer before: nothing is served. Unchecked, it is.
func TestPaidUnchecked(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	b.fault = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.Method == http.MethodGet {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return r.Method == http.MethodGet
	}
	var item atomic.Value
	var ran atomic.Int32
	item.Store("si_Calls")
	o := billingOptions(b.URL)
	o.Timeout = 2 * time.Second
	serve(t, o, working(stripetool.Price{PerDay: 5}, &item, &ran)).deny("", "work", `{}`)
	if ran.Load() != 0 {
		t.Error("it was served")
	}
	serve(t, o, working(stripetool.Price{PerDay: 5, Unchecked: true}, &item, &ran)).ok("work", `{}`)
	for _, id := range []string{"../x", "sub_Two", ""} {
		item.Store(id)
		serve(t, o, working(stripetool.Price{PerDay: 5, Unchecked: true}, &item, &ran)).deny("", "work", `{}`)
	}
	if ran.Load() != 1 || calls(b) != 1 {
		t.Errorf("%d ran, %d were recorded", ran.Load(), calls(b))
	}
}

// Replicas serve at one moment no more than a day's units, and record each call once.
func TestPaidAtOnce(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	var item atomic.Value
	var ran atomic.Int32
	item.Store("si_Calls")
	o := billingOptions(b.URL)
	o.State = new(state.Memory)
	var all []*session
	for range 20 {
		all = append(all, serve(t, o, working(stripetool.Price{PerDay: 15}, &item, &ran)))
	}
	var wg sync.WaitGroup
	for _, s := range all {
		wg.Go(func() { s.call("work", `{}`) })
	}
	wg.Wait()
	if ran.Load() != 15 || calls(b) != 15 {
		t.Errorf("%d ran and %d were recorded of 15", ran.Load(), calls(b))
	}
}

// The answers to records are lost, whether Stripe has made them or not: the caller has
// its result, and later calls, also on other replicas at one moment, settle each once.
func TestPaidSettles(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	var item atomic.Value
	var ran atomic.Int32
	item.Store("si_Calls")
	o := billingOptions(b.URL)
	o.State, o.Timeout = new(state.Memory), 3*time.Second
	work := working(stripetool.Price{PerDay: 100}, &item, &ran)
	n := newNetwork(t, b)
	far := o
	far.URL = n.url()
	s := serve(t, far, work)
	b.effect = func() { n.toxic("reset_peer", `"timeout": 0`) } // made, and not answered
	s.ok("work", `{}`, "well")
	n.calm()
	b.mu.Lock()
	b.effect = nil
	b.fault = func(w http.ResponseWriter, r *http.Request, _ int) bool { // not made
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusInternalServerError)
		}
		return r.Method == http.MethodPost
	}
	b.mu.Unlock()
	s.ok("work", `{}`, "well")
	if calls(b) != 1 {
		t.Fatalf("%d were recorded", calls(b))
	}
	b.mu.Lock()
	b.fault = nil
	b.mu.Unlock()
	var wg sync.WaitGroup
	for range 8 {
		replica := serve(t, o, work)
		wg.Go(func() { replica.ok("work", `{}`, "well") })
	}
	wg.Wait()
	if ran.Load() != 10 || calls(b) != 10 {
		t.Errorf("%d ran, %d were recorded", ran.Load(), calls(b))
	}
	made := b.billed()
	serve(t, o, work).ok("work", `{}`)
	if got := b.billed(); len(got) != len(made)+1 {
		t.Errorf("did %q after all was settled", got[len(made):])
	}
}

// What Stripe refuses to record is served, and is in the log, for whoever keeps the books.
func TestPaidIsRefused(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	b.fault = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(wrong("invalid_request_error", "", "")))
		}
		return r.Method == http.MethodPost
	}
	var item atomic.Value
	item.Store("si_Calls")
	s := serve(t, billingOptions(b.URL), working(stripetool.Price{PerDay: 1}, &item, new(atomic.Int32)))
	s.ok("work", `{}`, "well")
	log := s.log.String()
	if !strings.Contains(log, "usage was refused") || !strings.Contains(log, `"item":"si_Calls"`) || strings.Contains(log, secretMail) || strings.Contains(log, secretWord) {
		t.Errorf("the log has %s", log)
	}
	s.deny("midnight", "work", `{}`)
}

// Who is not there any more when the result is, is not billed.
func TestPaidIsLeft(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	o := billingOptions(b.URL)
	o.State = new(state.Memory)
	price := stripetool.Price{PerDay: 1, Item: func(context.Context, mcpsec.Principal) (string, error) { return "si_Calls", nil }}
	over := make(chan struct{})
	tool := func(timeout time.Duration, wait bool) func(c *stripetool.Client) []*mcpsec.Tool {
		return func(c *stripetool.Client) []*mcpsec.Tool {
			paid := stripetool.Paid(c, price, func(ctx context.Context, in workIn) (workOut, error) {
				if wait {
					<-ctx.Done()
				}
				return workOut{"well"}, nil
			})
			return []*mcpsec.Tool{mcpsec.NewTool(mcpsec.ToolSpec{Name: "work", Description: "Work.", Effect: mcpsec.Read, Timeout: timeout}, func(ctx context.Context, in workIn) (workOut, error) {
				if wait {
					defer close(over)
				}
				return paid(ctx, in)
			})}
		}
	}
	serve(t, o, tool(500*time.Millisecond, true)).deny("", "work", `{}`)
	<-over
	if calls(b) != 0 {
		t.Error("it was billed")
	}
	serve(t, o, tool(30*time.Second, false)).ok("work", `{}`)
}

// A call that has succeeded is billed though its caller leaves while Stripe is asked.
func TestPaidAfterCall(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	release, over := make(chan struct{}), make(chan struct{})
	b.fault = func(_ http.ResponseWriter, r *http.Request, _ int) bool {
		if r.Method == http.MethodPost {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
		return r.Context().Err() != nil
	}
	price := stripetool.Price{PerDay: 1, Unchecked: true, Item: func(context.Context, mcpsec.Principal) (string, error) { return "si_Calls", nil }}
	s := serve(t, billingOptions(b.URL), func(c *stripetool.Client) []*mcpsec.Tool {
		paid := stripetool.Paid(c, price, func(context.Context, workIn) (workOut, error) { return workOut{"well"}, nil })
		return []*mcpsec.Tool{mcpsec.NewTool(mcpsec.ToolSpec{Name: "work", Description: "Work.", Effect: mcpsec.Read, Timeout: 500 * time.Millisecond}, func(ctx context.Context, in workIn) (workOut, error) {
			defer close(over)
			return paid(ctx, in)
		})}
	})
	s.deny("", "work", `{}`)
	close(release)
	<-over
	if calls(b) != 1 {
		t.Errorf("%d were recorded", calls(b))
	}
}

func TestPaidPanics(t *testing.T) {
	t.Parallel()
	c, err := stripetool.New(billingOptions("http://127.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	item := func(context.Context, mcpsec.Principal) (string, error) { return "si_1", nil }
	handler := func(context.Context, workIn) (workOut, error) { return workOut{}, nil }
	for _, p := range []stripetool.Price{{}, {Item: item}, {PerDay: 1}, {Item: item, PerDay: 1, Units: 2}, {Item: item, PerDay: 1, Units: -1}, {Item: item, PerDay: 1 << 60}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v: no panic", p)
				}
			}()
			stripetool.Paid(c, p, handler)
		}()
	}
	if _, err := stripetool.Paid(c, stripetool.Price{Item: item, PerDay: 1, Unchecked: true}, handler)(t.Context(), workIn{}); err == nil {
		t.Error("outside of a call it is served")
	}
}
