package bank

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/mcpsec/mcpsec-go/examples/internal/stripesign"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// An Event is what Stripe tells an endpoint.
type Event struct {
	ID, Type string
	Created  time.Time
	Object   map[string]any
}

// happen notes an event about an object as it is now.
func (b *Bank) happen(kind string, o object) {
	b.events = append(b.events, Event{fmt.Sprintf("evt_%d", len(b.events)+1), kind, time.Now(), maps.Clone(o)})
	close(b.changed)
	b.changed = make(chan struct{})
}

// Events are those that have happened.
func (b *Bank) Events() []Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.events)
}

// Post sends all events to an endpoint, until ctx ends: each until it is taken.
func (b *Bank) Post(ctx context.Context, endpoint string, secret mcpsec.Secret) {
	for next := 0; ctx.Err() == nil; {
		b.mu.Lock()
		events, changed := b.events[next:], b.changed
		b.mu.Unlock()
		if len(events) == 0 {
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		if status, err := events[0].Deliver(ctx, endpoint, secret); err == nil && status == http.StatusOK {
			next++
			continue
		}
		select {
		case <-time.After(time.Second): // Stripe waits for minutes, and then for hours
		case <-ctx.Done():
		}
	}
}

// Body is the event as it is sent.
func (e Event) Body() []byte {
	object, _ := json.Marshal(e.Object) // texts and numbers
	return fmt.Appendf(nil, `{"id":%q,"object":"event","api_version":"2023-10-16","created":%d,"livemode":false,"pending_webhooks":1,"type":%q,"data":{"object":%s}}`,
		e.ID, e.Created.Unix(), e.Type, object)
}

// Deliver sends the event to an endpoint, signed now, and returns the answer's status.
func (e Event) Deliver(ctx context.Context, endpoint string, secret mcpsec.Secret) (status int, err error) {
	body := e.Body()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("Stripe-Signature", stripesign.Header(secret, time.Now(), body))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}
