package stripetool

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// updated is an event of an object, created so many seconds after another.
func updated(id, eventType string, seconds int) genuine {
	return genuine{id, eventType, strconv.Itoa(1700000000 + seconds), "false", "2023-10-16", "", "subscription", "sub_1", ""}
}

// A keeper keeps the last event that was handled.
type keeper struct {
	mu      sync.Mutex
	handled []string
	err     error
}

func (k *keeper) handle(_ context.Context, ev WebhookEvent, _ anObject) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err == nil {
		k.handled = append(k.handled, ev.ID)
	}
	return k.err
}

// Of an object's events, in whatever order they come and at whatever replica, none is
// handled after a newer one.
func TestInOrder(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		events []genuine
		want   string
	}{
		"in order":        {[]genuine{updated("evt_1", "customer.subscription.created", 0), updated("evt_2", "customer.subscription.updated", 1), updated("evt_3", "customer.subscription.deleted", 2)}, "[evt_1 evt_2 evt_3]"},
		"in reverse":      {[]genuine{updated("evt_3", "customer.subscription.deleted", 2), updated("evt_2", "customer.subscription.updated", 1), updated("evt_1", "customer.subscription.created", 0)}, "[evt_3]"},
		"one late":        {[]genuine{updated("evt_1", "customer.subscription.created", 0), updated("evt_3", "customer.subscription.deleted", 2), updated("evt_2", "customer.subscription.updated", 1)}, "[evt_1 evt_3]"},
		"a tie":           {[]genuine{updated("evt_2", "customer.subscription.updated", 1), updated("evt_3", "customer.subscription.updated", 1), updated("evt_1", "customer.subscription.updated", 0)}, "[evt_2 evt_3]"},
		"of two objects":  {[]genuine{updated("evt_2", "customer.subscription.updated", 1), object(updated("evt_1", "customer.subscription.updated", 0), "sub_2")}, "[evt_2 evt_1]"},
		"without an id":   {[]genuine{object(updated("evt_2", "customer.subscription.updated", 1), ""), object(updated("evt_1", "customer.subscription.updated", 0), "")}, "[evt_2 evt_1]"},
		"not of its kind": {[]genuine{updated("evt_9", "customer.subscription.paused", 9), updated("evt_1", "customer.subscription.updated", 0)}, "[evt_9 evt_1]"},
	} {
		k, store, stale := new(keeper), new(state.Memory), uint64(0)
		for _, g := range tc.events {
			w := newWebhook(t, func(o *WebhookOptions) { o.State = store },
				On("customer.subscription.created", k.handle).InOrder(), On("customer.subscription.updated", k.handle).InOrder(), On("customer.subscription.deleted", k.handle).InOrder(),
				On("customer.subscription.paused", k.handle)) // which acts, and keeps nothing
			if status := serve(w, signed(g.body())); status != 200 {
				t.Errorf("%s: %s: got %d", name, g.id, status)
			}
			stale += w.Stats()["stale"]
		}
		if got := fmt.Sprint(k.handled); got != tc.want || int(stale) != len(tc.events)-len(k.handled) {
			t.Errorf("%s: handled %s, want %s; %d were stale", name, got, tc.want, stale)
		}
	}
}

func object(g genuine, id string) genuine {
	g.object = id
	return g
}

// An event that failed is none that an older one comes after.
func TestInOrderCountsWhatWasHandled(t *testing.T) {
	t.Parallel()
	k := &keeper{err: errors.New("no database")}
	w := newWebhook(t, nil, On("customer.subscription.updated", k.handle).InOrder())
	newer, older := updated("evt_2", "customer.subscription.updated", 1), updated("evt_1", "customer.subscription.updated", 0)
	if status := serve(w, signed(newer.body())); status != 500 {
		t.Errorf("got %d", status)
	}
	k.err = nil
	for _, g := range []genuine{older, newer} {
		if status := serve(w, signed(g.body())); status != 200 {
			t.Errorf("%s: got %d", g.id, status)
		}
	}
	if got := fmt.Sprint(k.handled); got != "[evt_1 evt_2]" {
		t.Errorf("handled %s", got)
	}
}

// Thirty events of an object at one moment, at three replicas, are handled one at a
// time, and the newest last.
func TestInOrderOneAtATime(t *testing.T) {
	t.Parallel()
	store := new(state.Memory)
	var at, last atomic.Int64
	handle := func(_ context.Context, ev WebhookEvent, _ anObject) error {
		if at.Add(1) != 1 {
			t.Error("two at a time")
		}
		if last.Swap(ev.Created.Unix()) > ev.Created.Unix() {
			t.Error("an older one after a newer one")
		}
		at.Add(-1)
		return nil
	}
	var replicas []*Webhook
	for range 3 {
		replicas = append(replicas, newWebhook(t, func(o *WebhookOptions) { o.State, o.Receiver.Timeout = store, time.Minute },
			On("customer.subscription.updated", handle).InOrder(), On("customer.subscription.deleted", handle).InOrder()))
	}
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			eventType := []string{"customer.subscription.updated", "customer.subscription.deleted"}[i%2]
			if status := serve(replicas[i%3], signed(updated(fmt.Sprint("evt_", i), eventType, i).body())); status != 200 {
				t.Errorf("got %d", status)
			}
		})
	}
	wg.Wait()
	if last.Load() != 1700000029 {
		t.Errorf("the last one handled is of %d", last.Load())
	}
}

// An event that has to wait too long comes again, and that is no failure.
func TestInOrderWaits(t *testing.T) {
	t.Parallel()
	y := new(yard)
	started, release := make(chan struct{}), make(chan struct{})
	w := newWebhook(t, func(o *WebhookOptions) {
		o.Receiver.Timeout, o.DeadLetter, o.MaxFailures = 100*time.Millisecond, y.bury, 1
	},
		On("customer.subscription.updated", func(context.Context, WebhookEvent, anObject) error { close(started); <-release; return nil }).InOrder())
	first := make(chan int)
	go func() { first <- serve(w, signed(updated("evt_1", "customer.subscription.updated", 0).body())) }()
	<-started
	if status := serve(w, signed(updated("evt_2", "customer.subscription.updated", 1).body())); status != 503 {
		t.Errorf("got %d", status)
	}
	close(release)
	if status := <-first; status != 200 || len(y.letters) != 0 {
		t.Errorf("got %d, %v", status, y.letters)
	}
	counts(t, w, map[string]uint64{"busy": 1, "handled": 1})
}

// What was handled is not handled again because its order could not be recorded.
func TestInOrderUnrecorded(t *testing.T) {
	t.Parallel()
	s := &brokenMarks{Memory: new(state.Memory)}
	n := 0
	w := newWebhook(t, func(o *WebhookOptions) { o.State = s }, On("customer.subscription.updated", func(context.Context, WebhookEvent, anObject) error {
		n++
		s.err = errors.New("no database")
		return nil
	}).InOrder())
	for range 2 {
		if status := serve(w, signed(updated("evt_1", "customer.subscription.updated", 0).body())); status != 200 {
			t.Errorf("got %d", status)
		}
	}
	if n != 1 {
		t.Errorf("handled %d times", n)
	}
	counts(t, w, map[string]uint64{"handled": 1, "repeated": 1, "order": 1})
}
