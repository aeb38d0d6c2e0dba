package main

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

// An invoice has the members of Stripe's that are needed here.
type invoice struct {
	ID         string `json:"id"`
	Customer   string `json:"customer"`
	AmountPaid int64  `json:"amount_paid"` // in the currency's smallest unit
	Currency   string `json:"currency"`
}

type subscription struct {
	ID       string `json:"id"`
	Customer string `json:"customer"`
	Status   string `json:"status"`
}

// A shop is what events set in motion: it ships what was paid for, and keeps who has
// which plan. Yours has a database.
type shop struct {
	state interface {
		state.Once
		state.Documents
	} // a pgstate.Store, if events must be known after a restart and on other replicas

	mu      sync.Mutex
	shipped []string          // invoices
	plans   map[string]string // by subscription
	letters []stripetool.DeadLetter
	down    error // why nothing can be shipped
}

func newShop() *shop { return &shop{state: new(state.Memory), plans: map[string]string{}} }

// options are all that a receiver needs. The secrets are one, or two while it is rolled:
// the new one first.
func (s *shop) options(secrets []mcpsec.Secret, live bool, log *slog.Logger) stripetool.WebhookOptions {
	return stripetool.WebhookOptions{
		Secrets: secrets,
		Live:    live,
		Handlers: []stripetool.WebhookHandler{
			stripetool.On("invoice.paid", s.ship),
			stripetool.On("customer.subscription.updated", s.keep).InOrder(),
			stripetool.On("customer.subscription.deleted", s.keep).InOrder(),
		},
		State:       s.state,
		DeadLetter:  s.bury,
		MaxFailures: 3,
		KeepBody:    true, // to be replayed: it holds personal data
		Receiver:    webhook.Options{Log: log},
	}
}

// ship acts upon what has happened: it runs once for an event, in whatever order they
// come.
func (s *shop) ship(_ context.Context, _ stripetool.WebhookEvent, in invoice) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return s.down // Stripe delivers the event again
	}
	s.shipped = append(s.shipped, in.ID)
	return nil
}

// keep keeps a copy of an object, and so is InOrder. With an API key, better read it
// anew: client.Fetch(ctx, ev, &sub).
func (s *shop) keep(_ context.Context, _ stripetool.WebhookEvent, sub subscription) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plans[sub.ID] = sub.Status
	return nil
}

// bury keeps an event that fails all the time, for a person to look at. Yours goes into
// a table that is as safe as the orders: the body is only there when it is revealed.
func (s *shop) bury(ctx context.Context, l stripetool.DeadLetter) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.letters = append(s.letters, l)
	return ctx.Err()
}

var errWarehouse = errors.New("the warehouse does not answer")

// did is how much was done so far.
func (s *shop) did() (shipped int, plans map[string]string, letters []stripetool.DeadLetter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.shipped), maps.Clone(s.plans), append([]stripetool.DeadLetter(nil), s.letters...)
}

func (s *shop) setDown(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = err
}
