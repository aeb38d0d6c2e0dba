package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	stripego "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/customer"
	"github.com/stripe/stripe-go/v76/refund"
	"github.com/stripe/stripe-go/v76/subscription"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/outbound"
)

// A stripe changes things at Stripe for flows: each with a key, by which Stripe does it
// once. Nothing here is called without a journal.
type stripe struct {
	key  mcpsec.Secret
	back stripego.Backend
}

func newStripe(s services) (*stripe, error) {
	if !strings.Contains(s.StripeKey.Reveal(), "_test_") {
		return nil, errors.New("the key must be one of Stripe's test mode")
	}
	u, err := url.Parse(s.StripeURL)
	if err != nil {
		return nil, errors.New("the address of Stripe is none")
	}
	client, err := outbound.New(outbound.Options{
		Allow: []string{u.Host}, Networks: s.StripeNet, RootCAs: s.StripeCA, Timeout: 8 * time.Second,
		Retries: -1, // the journal's business
	})
	if err != nil {
		return nil, err
	}
	return &stripe{s.StripeKey, stripego.GetBackendWithConfig(stripego.APIBackend, &stripego.BackendConfig{
		URL: &s.StripeURL, HTTPClient: client, MaxNetworkRetries: stripego.Int64(0), EnableTelemetry: stripego.Bool(false),
		LeveledLogger: &stripego.LeveledLogger{Level: stripego.LevelNull}, // which would write bodies
	})}, nil
}

func params(ctx context.Context, key string) stripego.Params {
	return stripego.Params{Context: ctx, IdempotencyKey: &key}
}

func (s *stripe) addCustomer(ctx context.Context, key, email, name string) (id string, err error) {
	c, err := customer.Client{B: s.back, Key: s.key.Reveal()}.New(&stripego.CustomerParams{Params: params(ctx, key), Email: &email, Name: &name})
	if err != nil {
		return "", answered(err)
	}
	return c.ID, nil
}

func (s *stripe) removeCustomer(ctx context.Context, id string) error {
	_, err := customer.Client{B: s.back, Key: s.key.Reveal()}.Del(id, &stripego.CustomerParams{Params: stripego.Params{Context: ctx}})
	return gone(err)
}

func (s *stripe) subscribe(ctx context.Context, key, customer, price string) (id string, err error) {
	c, err := subscription.Client{B: s.back, Key: s.key.Reveal()}.New(&stripego.SubscriptionParams{
		Params: params(ctx, key), Customer: &customer, Items: []*stripego.SubscriptionItemsParams{{Price: &price}},
	})
	if err != nil {
		return "", answered(err)
	}
	return c.ID, nil
}

func (s *stripe) cancel(ctx context.Context, id string) error {
	_, err := subscription.Client{B: s.back, Key: s.key.Reveal()}.Cancel(id, &stripego.SubscriptionCancelParams{Params: stripego.Params{Context: ctx}})
	return gone(err)
}

func (s *stripe) refund(ctx context.Context, key, charge string, cents int64) (id string, err error) {
	r, err := refund.Client{B: s.back, Key: s.key.Reveal()}.New(&stripego.RefundParams{Params: params(ctx, key), Charge: &charge, Amount: &cents})
	if err != nil {
		return "", answered(err)
	}
	return r.ID, nil
}

// answered says what an error of Stripe's means for a flow: a decline, and a request that
// Stripe will never take, are final.
func answered(err error) error {
	var e *stripego.Error
	if !errors.As(err, &e) {
		return err
	}
	switch {
	case e.Type == stripego.ErrorTypeIdempotency: // the key was used otherwise: a person has to look
		return err
	case e.HTTPStatusCode == http.StatusPaymentRequired:
		return refuse("the card was declined", err)
	case e.HTTPStatusCode == http.StatusBadRequest, e.HTTPStatusCode == http.StatusNotFound:
		return refuse("Stripe refuses it", err)
	}
	return err
}

// gone takes what is not there for deleted: Stripe knows no keys of what deletes.
func gone(err error) error {
	var e *stripego.Error
	if errors.As(err, &e) && e.HTTPStatusCode == http.StatusNotFound {
		return nil
	}
	return err
}
