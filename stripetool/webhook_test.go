package stripetool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

var endpointSecret = "whsec_" + strings.Repeat("aB3dE6gH", 4)

// A genuine event is what Stripe sends, of one type.
type genuine struct{ id, eventType, created, live, version, account, kind, object, previous string }

// body is the event's, indented as Stripe sends it.
func (g genuine) body() []byte {
	object := `"` + g.object + `"`
	if g.object == "" {
		object = "null"
	}
	s := `{"id":"` + g.id + `","object":"event",`
	if g.account != "" {
		s += `"account":"` + g.account + `",`
	}
	s += `"api_version":"` + g.version + `","created":` + g.created + `,"data":{"object":{"id":` + object + `,"object":"` + g.kind + `",` +
		`"amount":1900,"currency":"eur","metadata":{"order":"4711","note":"\"ü\" é"},"lines":{"object":"list","data":[{"id":"il_1","amount":1900}]},"status":"open"}`
	if g.previous != "" {
		s += `,"previous_attributes":` + g.previous
	}
	s += `},"livemode":` + g.live + `,"pending_webhooks":1,"request":{"id":null,"idempotency_key":null},"type":"` + g.eventType + `"}`
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(s), "", "  "); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func paid() genuine {
	return genuine{"evt_1Paid", "invoice.paid", "1700000000", "false", "2023-10-16", "", "invoice", "in_1", ""}
}

// genuines are of several kinds, and named in several ways.
func genuines() []genuine {
	of := func(id, eventType, kind, object, previous string) genuine {
		return genuine{id, eventType, "1700000000", "false", "2023-10-16", "", kind, object, previous}
	}
	return []genuine{
		paid(), of("evt_1Refunded", "charge.refunded", "charge", "ch_1", `{"amount_refunded":0}`), of("evt_1Dispute", "charge.dispute.created", "dispute", "dp_1", ""),
		of("evt_1Sub", "customer.subscription.updated", "subscription", "sub_1", `{"status":"trialing"}`),
		of("evt_1Session", "checkout.session.completed", "checkout.session", "cs_test_1", ""), of("evt_1Source", "customer.source.created", "card", "card_1", ""),
	}
}

// signature is the header of a body that is signed at a time.
func signature(secret string, at time.Time, body []byte) string {
	return mcpsectest.Sender{Secret: redact.NewSecret(secret), At: at}.Stripe(string(body)).Header.Get("Stripe-Signature")
}

// delivery is a request with a body and a signature.
func delivery(body []byte, header string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	r.Header = http.Header{"Content-Type": {"application/json; charset=utf-8"}, "Stripe-Signature": {header}}
	return r
}

func signed(body []byte) *http.Request {
	return delivery(body, signature(endpointSecret, time.Now(), body))
}

func serve(h http.Handler, r *http.Request) int {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec.Code
}

// runs counts the events that handlers have run for.
type runs struct{ n atomic.Int64 }

type anObject struct {
	ID     string `json:"id"`
	Object string `json:"object"`
	Amount int64  `json:"amount"`
}

func (r *runs) on(eventType string) WebhookHandler {
	return On(eventType, func(context.Context, WebhookEvent, anObject) error { r.n.Add(1); return nil })
}

func quietly() webhook.Options { return webhook.Options{Log: slog.New(slog.DiscardHandler)} }

func newWebhook(t testing.TB, change func(*WebhookOptions), handlers ...WebhookHandler) *Webhook {
	t.Helper()
	o := WebhookOptions{Secrets: []mcpsec.Secret{redact.NewSecret(endpointSecret)}, Handlers: handlers, Receiver: quietly()}
	if change != nil {
		change(&o)
	}
	w, err := NewWebhook(o)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func counts(t *testing.T, w *Webhook, want map[string]uint64) {
	t.Helper()
	for reason, n := range w.Stats() {
		if n != want[reason] {
			t.Errorf("%s: counted %d, want %d", reason, n, want[reason])
		}
	}
}

// What a handler is told is what the event says.
func TestWebhookTells(t *testing.T) {
	t.Parallel()
	g := genuines()[3]
	g.account, g.live = "acct_1Shop", "true"
	var got WebhookEvent
	var object anObject
	w := newWebhook(t, func(o *WebhookOptions) { o.Live, o.Accounts = true, []string{"acct_1Shop"} },
		On(g.eventType, func(_ context.Context, ev WebhookEvent, o anObject) error { got, object = ev, o; return nil }))
	if status := serve(w, signed(g.body())); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	previous := string(got.Previous)
	got.Previous = nil
	want := WebhookEvent{ID: "evt_1Sub", Type: "customer.subscription.updated", Created: time.Unix(1700000000, 0).UTC(), Live: true, Version: "2023-10-16", Account: "acct_1Shop", Kind: "subscription", Object: "sub_1"}
	if fmt.Sprint(got) != fmt.Sprint(want) || strings.Join(strings.Fields(previous), "") != `{"status":"trialing"}` || object != (anObject{"sub_1", "subscription", 1900}) {
		t.Errorf("got %+v, %s, %+v", got, previous, object)
	}
	counts(t, w, map[string]uint64{"handled": 1})
}

// Each event has an answer, and one place where it is counted.
func TestWebhookPolicy(t *testing.T) {
	t.Parallel()
	with := func(change func(*genuine)) []byte {
		g := paid()
		change(&g)
		return g.body()
	}
	live := with(func(g *genuine) { g.live = "true" })
	shop := with(func(g *genuine) { g.account = "acct_1Shop" })
	liveShop := with(func(g *genuine) { g.account, g.live = "acct_1Shop", "true" })
	newer := with(func(g *genuine) { g.version = "2024-06-20" })
	none := func(*WebhookOptions) {}
	isLive := func(o *WebhookOptions) { o.Live = true }
	accounts := func(ids ...string) func(*WebhookOptions) { return func(o *WebhookOptions) { o.Accounts = ids } }
	thin := []byte(`{"id":"evt_test_65","object":"v2.core.event","type":"v1.billing.meter.error_report_triggered","livemode":false,"created":"2024-09-26T17:46:22.134Z","related_object":{"id":"mtr_1","type":"billing.meter","url":"/v1/billing/meters/mtr_1"}}`)
	for name, tc := range map[string]struct {
		body   []byte
		change func(*WebhookOptions)
		status int
		counts map[string]uint64
	}{
		"genuine":                          {paid().body(), none, 200, map[string]uint64{"handled": 1}},
		"live at a test receiver":          {live, none, 400, map[string]uint64{"refused": 1, "mode": 1}},
		"test at a live receiver":          {paid().body(), isLive, 400, map[string]uint64{"refused": 1, "mode": 1}},
		"live at a live receiver":          {live, isLive, 200, map[string]uint64{"handled": 1}},
		"a connected account's test event": {shop, func(o *WebhookOptions) { o.Live, o.Accounts = true, []string{"acct_1Shop"} }, 200, map[string]uint64{"handled": 1, "mode": 1}},
		"live of a connected account":      {liveShop, accounts("acct_1Shop"), 400, map[string]uint64{"refused": 1, "mode": 1}},
		"another version":                  {newer, none, 400, map[string]uint64{"refused": 1, "version": 1}},
		"a listed version":                 {newer, func(o *WebhookOptions) { o.Versions = []string{"2023-10-16", "2024-06-20"} }, 200, map[string]uint64{"handled": 1}},
		"a version that is not listed":     {paid().body(), func(o *WebhookOptions) { o.Versions = []string{"2024-06-20"} }, 400, map[string]uint64{"refused": 1, "version": 1}},
		"no version":                       {bytes.Replace(paid().body(), []byte(`"2023-10-16"`), []byte(`null`), 1), none, 400, map[string]uint64{"refused": 1, "version": 1}},
		"an account, none named":           {shop, none, 400, map[string]uint64{"refused": 1, "account": 1}},
		"an account, another named":        {shop, accounts("acct_1Other"), 400, map[string]uint64{"refused": 1, "account": 1}},
		"an account, named":                {shop, accounts("acct_1Other", "acct_1Shop"), 200, map[string]uint64{"handled": 1}},
		"an account, any named":            {shop, accounts("*"), 200, map[string]uint64{"handled": 1}},
		"one's own, others named":          {paid().body(), accounts("acct_1Shop"), 400, map[string]uint64{"refused": 1, "account": 1}},
		"one's own, any other named":       {paid().body(), accounts("*"), 400, map[string]uint64{"refused": 1, "account": 1}},
		"a context":                        {bytes.Replace(paid().body(), []byte(`{`), []byte(`{"context":"acct_1Shop",`), 1), none, 400, map[string]uint64{"refused": 1, "account": 1}},
		"two accounts":                     {bytes.Replace(shop, []byte(`{`), []byte(`{"context":"acct_1Other",`), 1), accounts("acct_1Shop", "acct_1Other"), 400, map[string]uint64{"refused": 1, "malformed": 1}},
		"another kind":                     {with(func(g *genuine) { g.kind = "charge" }), none, 400, map[string]uint64{"refused": 1, "object": 1}},
		"a type without a handler":         {with(func(g *genuine) { g.eventType = "invoice.sent" }), none, 200, map[string]uint64{"handled": 1, "ignored": 1}},
		"a type nobody knows":              {with(func(g *genuine) { g.eventType = "tomorrow.thing.happened" }), none, 200, map[string]uint64{"handled": 1, "ignored": 1}},
		"live, without a handler":          {with(func(g *genuine) { g.eventType, g.live = "invoice.sent", "true" }), none, 400, map[string]uint64{"refused": 1, "mode": 1}},
		"a thin event":                     {thin, none, 400, map[string]uint64{"refused": 1, "thin": 1}},
		"no data":                          {[]byte(`{"id":"evt_1","object":"event","api_version":"2023-10-16","created":1700000000,"livemode":false,"type":"invoice.paid"}`), none, 400, map[string]uint64{"refused": 1, "malformed": 1}},
	} {
		var r runs
		w := newWebhook(t, tc.change, r.on("invoice.paid"))
		status := serve(w, signed(tc.body))
		if ran := tc.status == 200 && len(tc.counts) == 1; status != tc.status || (r.n.Load() == 1) != ran {
			t.Errorf("%s: got %d after %d runs, want %d", name, status, r.n.Load(), tc.status)
		}
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) { counts(t, w, tc.counts) })
	}
}

// What was verified is what was read: two readers of one body agree, or it is refused.
func TestWebhookReadersAgree(t *testing.T) {
	t.Parallel()
	var r runs
	w := newWebhook(t, nil, r.on("invoice.paid"))
	for _, d := range []webhook.Event{{ID: "evt_1Other", Type: "invoice.paid"}, {ID: "evt_1Paid", Type: "invoice.sent"}, {ID: "evt_1Paid", Type: "invoice.paid"}} {
		d.Body = paid().body()
		if err := w.handle(t.Context(), d); (err == nil) != (r.n.Load() == 1) {
			t.Errorf("%s of %s: got %v after %d runs", d.Type, d.ID, err, r.n.Load())
		}
	}
	if n := w.Stats()["malformed"]; n != 2 || r.n.Load() != 1 {
		t.Errorf("%d are malformed, %d were handled", n, r.n.Load())
	}
}

// The log says what to do about an event that is refused, and nothing that is in it.
func TestWebhookDoctor(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*genuine){
		"create the endpoint with api_version=2023-10-16": func(g *genuine) { g.version = "2024-06-20" },
		"it has API version 2025-03-31.basil":             func(g *genuine) { g.version = "2025-03-31.basil" },
		"it has no API version":                           func(g *genuine) { g.version = "sk_" + "live_" + "4711" },
		"set WebhookOptions.Live":                         func(g *genuine) { g.live = "true" },
		"acct_1Shop, which WebhookOptions.Accounts":       func(g *genuine) { g.account = "acct_1Shop" },
		"invoice.paid is about invoice, and this one":     func(g *genuine) { g.kind = "charge" },
	} {
		var log bytes.Buffer
		g := paid()
		change(&g)
		w := newWebhook(t, func(o *WebhookOptions) { o.Receiver.Log = slog.New(slog.NewTextHandler(&log, nil)) }, new(runs).on("invoice.paid"))
		serve(w, signed(g.body()))
		if text := log.String(); !strings.Contains(text, want) || !strings.Contains(text, "level=ERROR") || strings.Contains(text, "4711") || strings.Contains(text, "in_1") {
			t.Errorf("%s: logged %q", want, text)
		}
	}
}

// Fifty deliveries of an event at one moment, at two receivers with one state, run the
// handler once, and so do those that come after a restart.
func TestWebhookHandlesOnce(t *testing.T) {
	t.Parallel()
	store := new(state.Memory)
	var n, answered atomic.Int64
	others := make(chan struct{}) // closed when all but one are answered
	start := func() *Webhook {
		return newWebhook(t, func(o *WebhookOptions) { o.State = store }, On("invoice.paid", func(context.Context, WebhookEvent, anObject) error {
			if n.Add(1) == 1 {
				<-others
			}
			return nil
		}))
	}
	replicas := []*Webhook{start(), start()}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			status := serve(replicas[i%2], signed(paid().body()))
			nth := answered.Add(1)
			if want := map[bool]int{true: 503, false: 200}[nth < 50]; status != want {
				t.Errorf("answer %d: got %d, want %d", nth, status, want)
			}
			if nth == 49 {
				close(others)
			}
		})
	}
	wg.Wait()
	for range 5 {
		if status := serve(start(), signed(paid().body())); status != 200 {
			t.Errorf("after a restart: status %d", status)
		}
	}
	if n.Load() != 1 {
		t.Errorf("handled %d times", n.Load())
	}
}

// An event is known for as long as Stripe lets people resend it.
func TestWebhookKeeps(t *testing.T) {
	t.Parallel()
	w := newWebhook(t, nil, new(runs).on("invoice.paid"))
	if w.o.Receiver.Keep < 30*day {
		t.Errorf("kept for %v", w.o.Receiver.Keep)
	}
}

// Whoever handles real money's events with a memory that a restart forgets is told so.
func TestWebhookWarns(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		live  bool
		store *state.Memory
		warns bool
	}{"test mode": {false, nil, false}, "live": {true, nil, true}, "live, with a state": {true, new(state.Memory), false}} {
		var log bytes.Buffer
		newWebhook(t, func(o *WebhookOptions) {
			o.Live, o.Receiver.Log = tc.live, slog.New(slog.NewTextHandler(&log, nil))
			if tc.store != nil {
				o.State = tc.store
			}
		}, new(runs).on("invoice.paid"))
		if warned := strings.Contains(log.String(), "level=WARN"); warned != tc.warns {
			t.Errorf("%s: logged %q", name, log.String())
		}
	}
}

func BenchmarkWebhook(b *testing.B) {
	w := newWebhook(b, nil, new(runs).on("invoice.paid"))
	g := paid()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		g.id = "evt_" + strconv.Itoa(i)
		if status := serve(w, signed(g.body())); status != http.StatusOK {
			b.Fatal(status)
		}
	}
}

func BenchmarkReadEvent(b *testing.B) {
	body := paid().body()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := readEvent(body); err != nil {
			b.Fatal(err)
		}
	}
}

// While a secret is rolled, both are good, and any other is not.
func TestWebhookRotation(t *testing.T) {
	t.Parallel()
	secret := func(s string) string { return "whsec_" + strings.Repeat(s, 8) }
	var r runs
	w := newWebhook(t, func(o *WebhookOptions) {
		o.Secrets = []mcpsec.Secret{redact.NewSecret(secret("new1")), redact.NewSecret(secret("old1"))}
	}, r.on("invoice.paid"))
	for i, tc := range []struct {
		secret string
		status int
	}{{"new1", 200}, {"old1", 200}, {"gone", 401}} {
		g := paid()
		g.id += strconv.Itoa(i)
		if status := serve(w, delivery(g.body(), signature(secret(tc.secret), time.Now(), g.body()))); status != tc.status {
			t.Errorf("%s: got %d", tc.secret, status)
		}
	}
	if r.n.Load() != 2 {
		t.Errorf("handled %d times", r.n.Load())
	}
}

func TestNewWebhookRefuses(t *testing.T) {
	t.Parallel()
	handle := func(context.Context, WebhookEvent, anObject) error { return nil }
	handlers := func(h ...WebhookHandler) func(*WebhookOptions) {
		return func(o *WebhookOptions) { o.Handlers = h }
	}
	secrets := func(s ...string) func(*WebhookOptions) {
		return func(o *WebhookOptions) {
			o.Secrets = nil
			for _, v := range s {
				o.Secrets = append(o.Secrets, redact.NewSecret(v))
			}
		}
	}
	for name, tc := range map[string]struct {
		change func(*WebhookOptions)
		want   string
	}{
		"no secret":            {secrets(), "Secrets is required"},
		"an empty secret":      {secrets(""), "Secrets"},
		"an empty one, too":    {secrets(endpointSecret, ""), "Secrets"},
		"an API key":           {secrets("sk_" + "test_" + strings.Repeat("x", 24)), "API key"},
		"no handler":           {handlers(), "Handlers is required"},
		"two of a type":        {handlers(On("invoice.paid", handle), On("invoice.paid", handle)), "two handlers"},
		"misspelt":             {handlers(On("invoice.payed", handle)), "misspelt"},
		"a prefix":             {handlers(On("invoice.", handle)), "no type of events"},
		"any":                  {handlers(On("*", handle)), "no type of events"},
		"the zero handler":     {handlers(WebhookHandler{}), "no type of events"},
		"a nil func":           {handlers(On[anObject]("invoice.paid", nil)), "needs a func"},
		"of a number":          {handlers(On("invoice.paid", func(context.Context, WebhookEvent, int) error { return nil })), "holds no object"},
		"of a list":            {handlers(On("invoice.paid", func(context.Context, WebhookEvent, []anObject) error { return nil })), "holds no object"},
		"a kind that is none":  {handlers(On("v9.thing", handle).Of("In Voice")), "kinds of objects"},
		"a version":            {func(o *WebhookOptions) { o.Versions = []string{"latest"} }, "Versions"},
		"an account":           {func(o *WebhookOptions) { o.Accounts = []string{"cus_1"} }, "Accounts"},
		"an empty account":     {func(o *WebhookOptions) { o.Accounts = []string{""} }, "Accounts"},
		"a long tolerance":     {func(o *WebhookOptions) { o.Tolerance = 73 * time.Hour }, "Tolerance"},
		"a negative tolerance": {func(o *WebhookOptions) { o.Tolerance = -1 }, "Tolerance"},
		"no dead letters":      {func(o *WebhookOptions) { o.MaxFailures = 3 }, "of no use"},
		"a body for nobody":    {func(o *WebhookOptions) { o.KeepBody = true }, "of no use"},
		"too many failures":    {func(o *WebhookOptions) { o.MaxFailures, o.DeadLetter = 101, new(yard).bury }, "1 to 100"},
		"negative failures":    {func(o *WebhookOptions) { o.MaxFailures, o.DeadLetter = -1, new(yard).bury }, "1 to 100"},
	} {
		o := WebhookOptions{Secrets: []mcpsec.Secret{redact.NewSecret(endpointSecret)}, Handlers: []WebhookHandler{On("invoice.paid", handle)}, Receiver: quietly()}
		tc.change(&o)
		w, err := NewWebhook(o)
		if err == nil || w != nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "stripetool: ") || strings.Contains(err.Error(), "aB3d") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for name, h := range map[string]WebhookHandler{
		"a pointer": On("invoice.paid", func(context.Context, WebhookEvent, *anObject) error { return nil }),
		"raw":       On("invoice.paid", func(context.Context, WebhookEvent, json.RawMessage) error { return nil }),
		"a map":     On("invoice.paid", func(context.Context, WebhookEvent, map[string]any) error { return nil }),
		"its own":   On("v9.thing.happened", handle).Of("thing"),
	} {
		if _, err := NewWebhook(WebhookOptions{Secrets: []mcpsec.Secret{redact.NewSecret(endpointSecret)}, Handlers: []WebhookHandler{h}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An object that does not fit the handler's type is a failure, which tells no value.
func TestWebhookObjectDoesNotFit(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	type other struct {
		Amount   string           `json:"amount"`
		Metadata map[string]int64 `json:"metadata"`
	}
	w := newWebhook(t, func(o *WebhookOptions) { o.Receiver.Log = slog.New(slog.NewTextHandler(&log, nil)) },
		On("invoice.paid", func(context.Context, WebhookEvent, other) error { t.Error("called"); return nil }))
	if status := serve(w, signed(paid().body())); status != 500 || !strings.Contains(log.String(), "/amount is no string") || strings.Contains(log.String(), "1900") {
		t.Errorf("got %d, logged %s", status, log.String())
	}
	for in, want := range map[string]string{
		`{"metadata":{"order":"4711"}}`: "/metadata/order is no int64", `{"metadata":{"a secret":"4711"}}`: "the object is no int64", `{"amount":1`: "the object does not fit",
	} {
		var v other
		err := decodeObject([]byte(in), &v)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "4711") || strings.Contains(err.Error(), "a secret") {
			t.Errorf("%s: got %v", in, err)
		}
	}
}

// Whatever the state is asked and does not know, nothing is done on the strength of it.
func TestWebhookBrokenState(t *testing.T) {
	t.Parallel()
	var r runs
	down := errors.New("no database")
	s := &brokenMarks{Memory: new(state.Memory), err: down, spares: ":dead:"}
	w := newWebhook(t, func(o *WebhookOptions) {
		o.State, o.DeadLetter = s, func(context.Context, DeadLetter) error { t.Error("recorded"); return nil }
	}, r.on("invoice.paid").InOrder(), On("invoice.sent", func(context.Context, WebhookEvent, anObject) error { return down }))
	if status := serve(w, signed(paid().body())); status != 503 || r.n.Load() != 0 {
		t.Errorf("got %d after %d runs", status, r.n.Load())
	}
	sent := paid()
	sent.id, sent.eventType = "evt_1Sent", "invoice.sent"
	if status := serve(w, signed(sent.body())); status != 500 {
		t.Errorf("got %d", status)
	}
	s.spares = ""
	if status := serve(w, signed(sent.body())); status != 503 { // it may be a dead letter
		t.Errorf("got %d", status)
	}
	if err := w.Replay(t.Context(), paid().body()); !errors.Is(err, down) {
		t.Errorf("replayed: %v", err)
	}
	counts(t, w, map[string]uint64{"state": 2, "handler": 1})
	s.err = nil
	if status := serve(w, signed(paid().body())); status != 200 || r.n.Load() != 1 {
		t.Errorf("afterwards: got %d after %d runs", status, r.n.Load())
	}
}

// brokenMarks is a state whose marks fail, while err says so, but for those that it spares.
type brokenMarks struct {
	*state.Memory
	err    error
	spares string
}

func (b *brokenMarks) Get(ctx context.Context, key string) (state.Document, error) {
	if b.err != nil && (b.spares == "" || !strings.Contains(key, b.spares)) {
		return state.Document{}, b.err
	}
	return b.Memory.Get(ctx, key)
}
