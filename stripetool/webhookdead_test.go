package stripetool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/state"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

// A yard keeps dead letters, unless err says otherwise.
type yard struct {
	mu      sync.Mutex
	letters []DeadLetter
	err     error
}

func (y *yard) bury(ctx context.Context, l DeadLetter) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.err != nil {
		return y.err
	}
	y.letters = append(y.letters, l)
	return ctx.Err()
}

// A flaky handler fails while err is not nil.
type flaky struct {
	mu   sync.Mutex
	runs int
	err  error
}

func (f *flaky) handle(context.Context, WebhookEvent, anObject) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.runs++
	return f.err
}

func (f *flaky) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// An event whose handler keeps failing is handed over after as many failures as are
// asked for, counted on all replicas, and is then done with.
func TestDeadLetter(t *testing.T) {
	t.Parallel()
	y, f, store := new(yard), &flaky{err: errors.New("no database at postgres://ada:" + "hunter2" + "@db/x")}, new(state.Memory)
	replica := func() *Webhook {
		return newWebhook(t, func(o *WebhookOptions) { o.State, o.DeadLetter, o.MaxFailures = store, y.bury, 3 }, On("invoice.paid", f.handle))
	}
	for i, want := range []int{500, 500, 200, 200} {
		if status := serve(replica(), signed(paid().body())); status != want {
			t.Errorf("delivery %d: got %d, want %d", i, status, want)
		}
	}
	if len(y.letters) != 1 || f.runs != 3 {
		t.Fatalf("%d letters after %d runs", len(y.letters), f.runs)
	}
	l := y.letters[0]
	text := l.Error
	l.Error = ""
	want := DeadLetter{ID: "evt_1Paid", Type: "invoice.paid", Kind: "invoice", Object: "in_1", Created: time.Unix(1700000000, 0).UTC(), Failures: 3}
	if fmt.Sprint(l) != fmt.Sprint(want) || !strings.Contains(text, "no database") || strings.Contains(text, "hunter2") || !l.Body.IsZero() {
		t.Errorf("got %+v, %q", l, text)
	}
}

// 2xx means that the dead letter was recorded: as long as that fails, the event fails.
func TestDeadLetterMustBeRecorded(t *testing.T) {
	t.Parallel()
	for name, bury := range map[string]func(context.Context, DeadLetter) error{
		"error": func(context.Context, DeadLetter) error { return errors.New("no disk") },
		"panic": func(context.Context, DeadLetter) error { panic("no disk") },
	} {
		y, f := new(yard), &flaky{err: errors.New("no database")}
		var broken atomic.Bool
		broken.Store(true)
		w := newWebhook(t, func(o *WebhookOptions) {
			o.MaxFailures, o.DeadLetter = 1, func(ctx context.Context, l DeadLetter) error {
				if broken.Load() {
					return bury(ctx, l)
				}
				return y.bury(ctx, l)
			}
		}, On("invoice.paid", f.handle))
		for range 2 {
			if status := serve(w, signed(paid().body())); status != 500 {
				t.Errorf("%s: got %d", name, status)
			}
		}
		if err := w.Replay(t.Context(), paid().body()); !errors.Is(err, errNotDead) {
			t.Errorf("%s: replayed: %v", name, err)
		}
		broken.Store(false)
		if status := serve(w, signed(paid().body())); status != 200 || len(y.letters) != 1 || y.letters[0].Failures != 3 {
			t.Errorf("%s: got %d, %+v", name, status, y.letters)
		}
		counts(t, w, map[string]uint64{"handler": 2, "handled": 1, "dead_letter": 1})
	}
}

// A dead letter whose delivery could not be recorded comes again, and is left to Replay:
// else it would be handled in both ways.
func TestDeadLetterComesAgain(t *testing.T) {
	t.Parallel()
	y, f, store := new(yard), &flaky{err: errors.New("no database")}, &mortal{Memory: new(state.Memory)}
	w := newWebhook(t, func(o *WebhookOptions) {
		o.State, o.MaxFailures = store, 1
		o.DeadLetter = func(ctx context.Context, l DeadLetter) error {
			store.dead.Store(true) // and so is what the receiver wants to record
			return y.bury(ctx, l)
		}
		o.Receiver.Timeout = time.Second
	}, On("invoice.paid", f.handle))
	_ = serve(w, signed(paid().body()))
	store.dead.Store(false)
	f.set(nil)
	again := newWebhook(t, func(o *WebhookOptions) { o.State, o.DeadLetter = forgetting{store.Memory}, y.bury }, On("invoice.paid", f.handle))
	if status := serve(again, signed(paid().body())); status != 200 || f.runs != 1 || len(y.letters) != 1 {
		t.Errorf("it came again: got %d, %d runs and %d letters", status, f.runs, len(y.letters))
	}
	for range 2 {
		if err := again.Replay(t.Context(), paid().body()); err != nil || f.runs != 2 {
			t.Errorf("replayed: got error %v and %d runs", err, f.runs)
		}
	}
}

// forgetting is a store in which the lease of a delivery is over.
type forgetting struct{ *state.Memory }

func (f forgetting) Claim(ctx context.Context, key string, lease time.Duration) (state.Claim, error) {
	if strings.Contains(key, ":replay:") {
		return f.Memory.Claim(ctx, key, lease)
	}
	return f.Memory.Claim(ctx, key+"x", lease)
}

// What is no failure of the handler's is not counted as one.
func TestDeadLetterCountsFailures(t *testing.T) {
	t.Parallel()
	y, f := new(yard), new(flaky)
	w := newWebhook(t, func(o *WebhookOptions) { o.DeadLetter, o.MaxFailures = y.bury, 2 }, On("invoice.paid", f.handle))
	busy := fmt.Errorf("not now: %w", &webhook.Error{Reason: "busy"})
	refused := fmt.Errorf("none for me: %w", &webhook.Error{Reason: "refused"})
	failure := errors.New("no database")
	for i, step := range []struct {
		err  error
		want int
	}{{busy, 503}, {failure, 500}, {busy, 503}, {refused, 400}, {busy, 503}, {failure, 200}} {
		f.set(step.err)
		if status := serve(w, signed(paid().body())); status != step.want {
			t.Errorf("delivery %d: got %d, want %d", i, status, step.want)
		}
	}
	if len(y.letters) != 1 {
		t.Errorf("%d letters", len(y.letters))
	}
}

// A handler that panics or whose time is over has failed, and its dead letter is
// recorded all the same.
func TestDeadLetterOfPanics(t *testing.T) {
	t.Parallel()
	for name, handle := range map[string]func(context.Context, WebhookEvent, anObject) error{
		"panic":        func(context.Context, WebhookEvent, anObject) error { panic("boom of a handler") },
		"time is over": func(ctx context.Context, _ WebhookEvent, _ anObject) error { <-ctx.Done(); return ctx.Err() },
	} {
		y := new(yard)
		w := newWebhook(t, func(o *WebhookOptions) {
			o.DeadLetter, o.MaxFailures, o.Receiver.Timeout = y.bury, 1, 20*time.Millisecond
		}, On("invoice.paid", handle))
		if status := serve(w, signed(paid().body())); status != 200 || len(y.letters) != 1 || len(y.letters[0].Error) > maxReason {
			t.Errorf("%s: got %d, %+v", name, status, y.letters)
		}
	}
}

// The body is kept only if it is asked for, and then nothing prints it.
func TestDeadLetterSealsBody(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	y := new(yard)
	w := newWebhook(t, func(o *WebhookOptions) {
		o.DeadLetter, o.MaxFailures, o.KeepBody, o.Receiver.Log = y.bury, 1, true, slog.New(slog.NewTextHandler(&log, nil))
	}, On("invoice.paid", (&flaky{err: errors.New("no")}).handle))
	serve(w, signed(paid().body()))
	if len(y.letters) != 1 {
		t.Fatal("no letter")
	}
	l := y.letters[0]
	if l.Body.Reveal() != string(paid().body()) {
		t.Error("the body is another")
	}
	asJSON, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	slog.New(slog.NewTextHandler(&log, nil)).Info("letter", "l", l)
	for _, text := range []string{string(asJSON), fmt.Sprintf("%v %+v %#v", l, l, l), log.String()} {
		if strings.Contains(text, "4711") || !strings.Contains(text, "evt_1Paid") {
			t.Errorf("got %s", text)
		}
	}
}

// A dead letter is replayed once, and nothing else is.
func TestReplay(t *testing.T) {
	t.Parallel()
	y, f, store := new(yard), &flaky{err: errors.New("no database")}, new(state.Memory)
	replica := func() *Webhook {
		return newWebhook(t, func(o *WebhookOptions) {
			o.State, o.DeadLetter, o.MaxFailures, o.KeepBody = store, y.bury, 1, true
		}, On("invoice.paid", f.handle))
	}
	if err := replica().Replay(t.Context(), paid().body()); !errors.Is(err, errNotDead) || f.runs != 0 {
		t.Errorf("before: %v after %d runs", err, f.runs)
	}
	if status := serve(replica(), signed(paid().body())); status != 200 {
		t.Fatalf("got %d", status)
	}
	body := []byte(y.letters[0].Body.Reveal())
	if err := replica().Replay(t.Context(), body); err == nil || !strings.Contains(err.Error(), "no database") || f.runs != 2 {
		t.Errorf("still failing: %v after %d runs", err, f.runs)
	}
	f.set(nil)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := replica().Replay(t.Context(), body); err != nil && !said(err) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := replica().Replay(t.Context(), body); err != nil || f.runs != 3 {
		t.Errorf("afterwards: %v after %d runs", err, f.runs)
	}
	if status := serve(replica(), signed(paid().body())); status != 200 || f.runs != 3 {
		t.Errorf("delivered again: got %d after %d runs", status, f.runs)
	}
	handled := paid()
	handled.id = "evt_1Handled"
	if status := serve(replica(), signed(handled.body())); status != 200 || f.runs != 4 {
		t.Errorf("got %d after %d runs", status, f.runs)
	}
	for name, change := range map[string]func(*genuine){
		"handled":      func(g *genuine) { g.id = "evt_1Handled" },
		"live":         func(g *genuine) { g.live = "true" },
		"version":      func(g *genuine) { g.version = "2024-06-20" },
		"account":      func(g *genuine) { g.account = "acct_1Other" },
		"another kind": func(g *genuine) { g.kind = "charge" },
		"no handler":   func(g *genuine) { g.eventType = "invoice.sent" },
		"no event":     func(g *genuine) { g.created = `"now"` },
	} {
		g := paid()
		change(&g)
		if err := replica().Replay(t.Context(), g.body()); err == nil || f.runs != 4 {
			t.Errorf("%s: replayed: %v after %d runs", name, err, f.runs)
		}
	}
}

// Whoever replays what is being replayed is told so.
func TestReplayOneAtATime(t *testing.T) {
	t.Parallel()
	var w *Webhook
	var within error
	replaying, n := false, 0
	w = newWebhook(t, func(o *WebhookOptions) { o.DeadLetter, o.MaxFailures = new(yard).bury, 1 },
		On("invoice.paid", func(ctx context.Context, _ WebhookEvent, _ anObject) error {
			if n++; !replaying {
				return errors.New("no")
			}
			within = w.Replay(ctx, paid().body())
			return nil
		}))
	serve(w, signed(paid().body()))
	replaying = true
	if err := w.Replay(t.Context(), paid().body()); err != nil || within == nil || !said(within) || n != 2 {
		t.Errorf("got %v, and within it %v, after %d runs", err, within, n)
	}
}

// While an event can be replayed, no delivery of it is handled, so that it is not in both
// ways.
func TestReplayEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &flaky{err: errors.New("no")}
		w := newWebhook(t, func(o *WebhookOptions) {
			o.DeadLetter, o.MaxFailures, o.Receiver.Keep = new(yard).bury, 1, time.Hour
		}, On("invoice.paid", f.handle))
		serve(w, signed(paid().body()))
		f.set(nil)
		time.Sleep(time.Hour - time.Second)
		if status := serve(w, signed(paid().body())); status != 200 || f.runs != 1 {
			t.Errorf("delivered again: got %d after %d runs", status, f.runs)
		}
		time.Sleep(time.Second)
		if err := w.Replay(t.Context(), paid().body()); !errors.Is(err, errNotDead) || f.runs != 1 {
			t.Errorf("got %v after %d runs", err, f.runs)
		}
	})
}

// A receiver of another name has other dead letters.
func TestReplayKnowsItsReceiver(t *testing.T) {
	t.Parallel()
	y, f, store := new(yard), &flaky{err: errors.New("no")}, new(state.Memory)
	named := func(name string) *Webhook {
		return newWebhook(t, func(o *WebhookOptions) {
			o.State, o.DeadLetter, o.MaxFailures, o.Receiver.Name = store, y.bury, 1, name
		}, On("invoice.paid", f.handle))
	}
	serve(named("shop"), signed(paid().body()))
	if err := named("platform").Replay(t.Context(), paid().body()); !errors.Is(err, errNotDead) {
		t.Errorf("got %v", err)
	}
}
