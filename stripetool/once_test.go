package stripetool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/outbound"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// A teller answers refunds, with a status that changes.
type teller struct {
	*fake
	status atomic.Int32
}

func newTeller(t *testing.T) *teller {
	t.Helper()
	f := &teller{}
	f.status.Store(200)
	f.fake = newFake(t, func(w http.ResponseWriter, _ *http.Request) {
		if s := int(f.status.Load()); s != 200 {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(s)
			fmt.Fprint(w, `{"error":{"type":"api_error"}}`)
			return
		}
		fmt.Fprintf(w, `{"id":"re_%d","client_secret":"s"}`, len(f.asked()))
	})
	return f
}

func aPlan(cents int64) plan {
	return plan{Text: "refund", Path: []string{"refunds"}, Form: [][2]string{{"charge", "ch_1"}, {"amount", fmt.Sprint(cents)}}, Moves: Money{cents, "EUR"}}
}

func (c *Client) try(t *testing.T, key string, p plan) (string, error) {
	t.Helper()
	n, err := c.names("ann", "t", key, "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // a claim that was not given back lasts longer
	defer cancel()
	planned, err := c.planned(ctx, n, false, func(context.Context) (plan, error) { return p, nil })
	if err != nil {
		return "", err
	}
	raw, err := c.carryOut(ctx, n, planned, fields("id"), time.Minute)
	return string(raw), err
}

// left is what is left of the day's cap.
func (c *Client) left(t *testing.T) int64 {
	t.Helper()
	key, a := c.allowance(c.o.Caps[0])
	for n := a.Limit; n > 0; n-- {
		wait, err := c.o.State.Take(t.Context(), key, n, a)
		if err != nil {
			t.Fatal(err)
		}
		if wait == 0 {
			if _, err := c.o.State.Take(t.Context(), key, -n, a); err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	return 0
}

func rule(err error) string {
	var e *mcpsec.Error
	if errors.As(err, &e) {
		return e.Rule
	}
	return ""
}

// What Stripe has refused takes nothing of the cap; what had no answer takes it once a
// day, and is repeated as it was.
func TestCapsOfFailures(t *testing.T) {
	t.Parallel()
	f := newTeller(t)
	c := f.client(t, func(o *Options) { o.Caps = eur(50, 100) })
	f.status.Store(402)
	if _, err := c.try(t, "a", aPlan(40)); rule(err) != "stripe" || c.left(t) != 100 {
		t.Errorf("refused: got error %v, %d left", err, c.left(t))
	}
	f.status.Store(500)
	for range 3 {
		if _, err := c.try(t, "a", aPlan(40)); rule(err) != "unavailable" || c.left(t) != 60 {
			t.Errorf("no answer: got error %v, %d left", err, c.left(t))
		}
	}
	f.status.Store(402) // of a repetition nobody knows whether the first had its effect
	if _, err := c.try(t, "a", aPlan(40)); rule(err) != "stripe" || c.left(t) != 60 {
		t.Errorf("refused at last: got error %v, %d left", err, c.left(t))
	}
	f.status.Store(200)
	other := aPlan(40)
	other.Form[0][1] = "ch_2" // the payment intent has another charge by now
	if got, err := c.try(t, "a", other); err != nil || got != `{"id":"re_6"}` || c.left(t) != 60 {
		t.Errorf("done at last: got %s and error %v, %d left", got, err, c.left(t))
	}
	for i, b := range f.bodies {
		if b != "charge=ch_1&amount=40" || f.requests[i].Header.Get("Idempotency-Key") != f.requests[0].Header.Get("Idempotency-Key") {
			t.Errorf("request %d has the body %s", i, b)
		}
	}
	if got, err := c.try(t, "a", aPlan(40)); err != nil || got != `{"id":"re_6"}` || len(f.asked()) != 6 {
		t.Errorf("repeated: got %s and error %v after %d requests", got, err, len(f.asked()))
	}
}

// A day of caps is one of UTC, wherever the server is. What a call took on a day that
// has ended is not given back to the next, and a lost call takes anew.
func TestCapsByDay(t *testing.T) {
	t.Parallel()
	f := newTeller(t)
	c := f.client(t, func(o *Options) { o.Caps = eur(50, 100) })
	now := time.Date(2026, 1, 31, 23, 59, 59, 0, time.UTC)
	c.now = func() time.Time { return now.In(time.FixedZone("Auckland", 13*3600)) }
	if got := c.today(); got != "2026-01-31" {
		t.Errorf("today is %s", got)
	}
	if _, a := c.allowance(c.o.Caps[0]); !a.Calendar || a.Per != 24*time.Hour || a.Limit != 100 {
		t.Errorf("the allowance is %+v", a)
	}
	f.status.Store(500)
	if _, err := c.try(t, "a", aPlan(40)); err == nil || c.left(t) != 60 {
		t.Errorf("got error %v, %d left", err, c.left(t))
	}
	now = now.Add(2 * time.Second) // the store's clock is its own: its day goes on here
	for range 3 {
		if _, err := c.try(t, "a", aPlan(40)); rule(err) != "unavailable" || c.left(t) != 20 {
			t.Errorf("a lost call of the day before: got error %v, %d left, want 20", err, c.left(t))
		}
	}
	p := aPlan(10)
	p.Day = "2026-01-31"
	if err := c.giveBack(t.Context(), p); err != nil || c.left(t) != 20 {
		t.Errorf("what was taken the day before: got error %v, %d left", err, c.left(t))
	}
	p.Day = "2026-02-01"
	if err := c.giveBack(t.Context(), p); err != nil || c.left(t) != 30 {
		t.Errorf("what was taken today: got error %v, %d left", err, c.left(t))
	}
}

func TestCapOfCall(t *testing.T) {
	t.Parallel()
	f := newTeller(t)
	c := f.client(t, func(o *Options) { o.Caps = eur(50, 100) })
	for _, m := range []Money{{51, "EUR"}, {1, "USD"}} {
		p := aPlan(1)
		p.Moves = m
		if _, err := c.try(t, "a", p); rule(err) != "cap" {
			t.Errorf("%s: got error %v", m, err)
		}
	}
	if len(f.asked()) != 0 || c.left(t) != 100 {
		t.Errorf("got %d requests, %d left", len(f.asked()), c.left(t))
	}
	other := f.client(t, func(o *Options) { o.Caps, o.State, o.Key = eur(50, 100), c.o.State, key("sk_"+"test_") })
	if _, err := c.try(t, "a", aPlan(50)); err != nil || other.left(t) != 50 {
		t.Errorf("a new API key has a day of its own: %d left", other.left(t))
	}
	if _, err := c.try(t, "b", aPlan(50)); err != nil || c.left(t) != 0 {
		t.Errorf("got error %v, %d left", err, c.left(t))
	}
	for cents, want := range map[int64]string{0: "", 1: "cap"} { // a pause, when the day is used up
		if _, err := c.try(t, fmt.Sprint("c", cents), aPlan(cents)); rule(err) != want || (err == nil) != (want == "") {
			t.Errorf("%d cents of nothing: got error %v", cents, err)
		}
	}
}

// deaf is a store that cannot be asked.
type deaf struct{ *state.Memory }

var errDeaf = errors.New("dial tcp 10.0.0.1: refused")

func (deaf) Claim(context.Context, string, time.Duration) (state.Claim, error) {
	return state.Claim{Status: state.Taken}, errDeaf
}

func (deaf) Take(context.Context, string, int64, state.Allowance) (time.Duration, error) {
	return 0, errDeaf
}

// What cannot be counted or remembered is not done.
func TestDeafState(t *testing.T) {
	t.Parallel()
	f := newTeller(t)
	c := f.client(t, func(o *Options) { o.State = deaf{new(state.Memory)} })
	n, err := c.names("ann", "t", "a", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.planned(t.Context(), n, false, func(context.Context) (plan, error) { return aPlan(1), nil }); rule(err) != "once" || strings.Contains(err.Error(), "dial") {
		t.Errorf("got error %v", err)
	}
	if _, err := c.try(t, "a", aPlan(1)); rule(err) != "once" {
		t.Errorf("got error %v", err)
	}
	p := aPlan(1)
	if err := c.take(t.Context(), &p); rule(err) != "cap" {
		t.Errorf("got error %v", err)
	}
	if len(f.asked()) != 0 {
		t.Errorf("got %d requests", len(f.asked()))
	}
}

// A caller who leaves while Stripe is at it takes nothing of what is known along.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var n atomic.Int32
	f := newFake(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 1 {
			cancel()
			<-r.Context().Done()
			return
		}
		fmt.Fprint(w, `{"id":"re_1"}`)
	})
	c := f.client(t, func(o *Options) { o.Caps = eur(50, 100) })
	names, err := c.names("ann", "t", "a", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.carryOut(ctx, names, aPlan(40), fields("id"), time.Minute); err == nil {
		t.Error("a call that was left has an answer")
	}
	p, _, err := c.lost(t.Context(), names)
	if err != nil || !p.Lost || p.Moves.Amount != 40 || c.left(t) != 60 {
		t.Errorf("got %v, error %v, %d left", p, err, c.left(t))
	}
	if _, err := c.carryOut(t.Context(), names, aPlan(40), fields("id"), time.Minute); rule(err) != "once" || n.Load() != 1 {
		t.Errorf("a plan that is not the one which was sent: got error %v after %d requests", err, n.Load())
	}
	if got, err := c.try(t, "a", aPlan(40)); err != nil || got != `{"id":"re_1"}` || c.left(t) != 60 {
		t.Errorf("got %s and error %v, %d left", got, err, c.left(t))
	}
}

// A request is remembered before it is sent, until it is known what became of it.
func TestLostIsRemembered(t *testing.T) {
	t.Parallel()
	var c *Client
	var n names
	for status, remembered := range map[int]bool{200: false, 402: false, 500: true} {
		f := newFake(t, func(w http.ResponseWriter, r *http.Request) {
			if p, _, err := c.lost(r.Context(), n); err != nil || !p.Lost || p.Form[1][1] != "40" || p.Day != c.today() {
				t.Errorf("%d: while it is at Stripe: got %+v and error %v", status, p, err)
			}
			w.WriteHeader(status)
			fmt.Fprint(w, `{"id":"re_1","error":{"type":"card_error"}}`)
		})
		c = f.client(t, nil)
		var err error
		if n, err = c.names("ann", "t", "a", ""); err != nil {
			t.Fatal(err)
		}
		if _, err := c.carryOut(t.Context(), n, aPlan(40), fields("id"), time.Minute); (err == nil) != (status == 200) {
			t.Errorf("%d: got error %v", status, err)
		}
		if p, _, err := c.lost(t.Context(), n); p.Lost != remembered || err != nil {
			t.Errorf("%d: it is remembered afterwards: %t, error %v", status, p.Lost, err)
		}
	}
}

// mortal is a store that cannot be reached any more from a process that has died.
type mortal struct {
	*state.Memory
	dead atomic.Bool
}

func (m *mortal) Complete(ctx context.Context, c state.Claim, result []byte, keep time.Duration) error {
	if m.dead.Load() {
		return errDeaf
	}
	return m.Memory.Complete(ctx, c, result, keep)
}

func (m *mortal) Fail(ctx context.Context, c state.Claim) error {
	if m.dead.Load() {
		return errDeaf
	}
	return m.Memory.Fail(ctx, c)
}

func (m *mortal) Delete(ctx context.Context, d state.Document) error {
	if m.dead.Load() {
		return errDeaf
	}
	return m.Memory.Delete(ctx, d)
}

// Of a process that dies before it has recorded what Stripe has said, another one sends
// the very same request again, and nothing is taken of the cap twice: also if what was
// done has left nothing to do.
func TestProcessDies(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 402} {
		shared := &mortal{Memory: new(state.Memory)}
		f := newFake(t, func(w http.ResponseWriter, _ *http.Request) {
			shared.dead.Store(true)
			w.WriteHeader(status)
			fmt.Fprint(w, `{"id":"re_1","error":{"type":"card_error"}}`)
		})
		change := func(o *Options) { o.Caps, o.State = eur(50, 100), shared }
		c, other := f.client(t, change), f.client(t, change)
		n, err := c.names("ann", "t", "a", "")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.carryOut(t.Context(), n, aPlan(40), fields("id"), time.Millisecond)
		shared.dead.Store(false)
		p, err := other.planned(t.Context(), n, false, func(context.Context) (plan, error) { return plan{}, refuse("EUR 0.00 is left", "amount") })
		if err != nil || !p.Lost {
			t.Fatalf("%d: got %+v and error %v", status, p, err)
		}
		got, err := other.carryOut(t.Context(), n, p, fields("id"), time.Minute)
		if (err == nil) != (status == 200) || status == 200 && string(got) != `{"id":"re_1"}` || other.left(t) != 60 {
			t.Errorf("%d: got %s and error %v, %d left", status, got, err, other.left(t))
		}
		if len(f.asked()) != 2 || f.bodies[0] != f.bodies[1] || f.requests[0].Header.Get("Idempotency-Key") != f.requests[1].Header.Get("Idempotency-Key") {
			t.Errorf("%d: sent %q", status, f.bodies)
		}
	}
}

// After a conflict, what has no answer, or none of the key's, says nothing: the request
// that was under way may have had its effect.
func TestConflictIsNoRefusal(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]func() (*http.Response, error){
		"breaker open": func() (*http.Response, error) { return nil, &outbound.Error{Reason: outbound.BreakerOpen} },
		"refused":      func() (*http.Response, error) { return nil, &outbound.Error{Reason: outbound.Refused} },
		"cut":          func() (*http.Response, error) { return nil, &outbound.Error{Reason: outbound.Failed} },
		"401":          func() (*http.Response, error) { return status(401) },
		"403":          func() (*http.Response, error) { return status(403) },
	} {
		c := offline(t)
		c.o.Caps, c.pause = eur(50, 100), time.Millisecond
		tries := 0
		c.backend.HTTPClient = &http.Client{Transport: tripper(func() (*http.Response, error) {
			if tries++; tries == 1 {
				return status(409)
			}
			return after()
		})}
		if _, err := c.try(t, "a", aPlan(40)); rule(err) != "unavailable" || tries != 2 || c.left(t) != 60 {
			t.Errorf("%s: got error %v after %d requests, %d left", name, err, tries, c.left(t))
		}
		after = func() (*http.Response, error) { return status(402) }
		tries = 0
		if _, err := c.try(t, "b", aPlan(40)); rule(err) != "stripe" || tries != 2 || c.left(t) != 60 {
			t.Errorf("%s: the answer of the key: got error %v after %d requests, %d left", name, err, tries, c.left(t))
		}
	}
}

type tripper func() (*http.Response, error)

func (t tripper) RoundTrip(*http.Request) (*http.Response, error) { return t() }

func status(n int) (*http.Response, error) {
	return &http.Response{StatusCode: n, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{"error":{"type":"api_error"}}`))}, nil
}

// slow is a store that answers when it is too late.
type slow struct{ *state.Memory }

func (slow) Claim(ctx context.Context, _ string, _ time.Duration) (state.Claim, error) {
	<-ctx.Done()
	return state.Claim{}, ctx.Err()
}

// A caller whose time ends while it asks who is at it is told that somebody is.
func TestTimeEndsInClaim(t *testing.T) {
	t.Parallel()
	c := offline(t)
	c.o.State = slow{new(state.Memory)}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.claim(ctx, "k", time.Minute); !errors.Is(err, errUnderWay) {
		t.Errorf("got error %v", err)
	}
}

// Who repeats a call that is under way waits for its answer, and what it forgot by
// then is not done anew without a person.
func TestUnderWay(t *testing.T) {
	t.Parallel()
	f := newTeller(t)
	c := f.client(t, nil)
	n, err := c.names("ann", "t", "a", "")
	if err != nil {
		t.Fatal(err)
	}
	claim, err := c.o.State.Claim(t.Context(), n.once, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.carryOut(ctx, n, aPlan(1), fields("id"), time.Minute); rule(err) != "once" {
		t.Errorf("got error %v", err)
	}
	if err := c.o.State.Complete(t.Context(), claim, json.RawMessage(`{"id":"re_9"}`), time.Minute); err != nil {
		t.Fatal(err)
	}
	if got, err := c.try(t, "a", aPlan(1)); err != nil || got != `{"id":"re_9"}` {
		t.Errorf("got %s and error %v", got, err)
	}
	for _, p := range []plan{{Done: true}, {Lost: true}} {
		if _, err := c.try(t, "b", p); rule(err) != "once" || len(f.asked()) != 0 {
			t.Errorf("got error %v and %d requests", err, len(f.asked()))
		}
	}
}

// Nothing is done that nobody was asked about: the handler needs what the guard left.
func TestUnasked(t *testing.T) {
	t.Parallel()
	c := offline(t)
	if _, err := c.remembered("x"); err != errUnasked {
		t.Error("a call that nobody was asked about has a plan")
	}
	c.remember("x", aPlan(1))
	if p, err := c.remembered("x"); err != nil || p.Moves.Amount != 1 {
		t.Error("the plan is not the one that was asked about")
	}
	c.forget("x")
	if len(c.plans) != 0 {
		t.Error("a plan stays")
	}
}
