package main

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/pocketbase/pocketbase/core"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

// A plan is what users subscribe to.
type plan struct {
	price string // at Stripe
	month stripetool.Money
}

var plans = map[string]plan{
	"basic": {"price_basic", stripetool.Money{Amount: 19_00, Currency: "EUR"}},
	"pro":   {"price_pro", stripetool.Money{Amount: 49_00, Currency: "EUR"}},
}

type subscribeIn struct {
	User string `json:"user" validate:"required,len=15,alphanum" jsonschema:"the user's id, as user_find tells it"`
	Plan string `json:"plan" validate:"required,oneof=basic pro" jsonschema:"basic is EUR 19.00 a month, pro EUR 49.00"`
}

type subscribeOut struct {
	Subscription string   `json:"subscription" jsonschema:"its id at Stripe"`
	Flow         progress `json:"flow" jsonschema:"how it went"`
}

// Subscribing reserves the user, so that there is one subscription at a time, and has
// Stripe bill. That it was paid, a webhook tells.
type subscribing struct {
	User, Plan       string
	Before, Customer string // of the user: the status, and who it is at Stripe
	Subscription     string
}

func (b *backend) subscribeFlow() *kind[subscribing] {
	return newKind(&b.journal, "subscribe",
		step[subscribing]{name: "reserve", do: here(reserveUser), undo: here(releaseUser)},
		step[subscribing]{name: "subscription", do: there(stripeKeys, b.bill), undo: there(always, b.unbill)},
		step[subscribing]{name: "record", do: here(recordSubscription)},
		step[subscribing]{name: "analytics", after: true, do: there(always, func(ctx context.Context, key string, d *subscribing) error {
			return b.count(ctx, key, "subscribe "+d.Plan, 0)
		})},
	)
}

// subscribe is the tool. How many subscriptions of the user's have ended is in the flow's
// key: until this one has, an equal call is the same, and another plan is refused.
func (b *backend) subscribe() *mcpsec.Tool {
	return mcpsec.NewTool(mcpsec.ToolSpec{
		Name: "subscription_start", Description: "Subscribes a user to a plan, which bills them. A person confirms it. An equal call does no more.",
		Effect: mcpsec.Destroy, Labels: mcpsec.Egress, Scopes: []string{writeSubscriptions}, Idempotent: true,
		Guards: []mcpsec.Guard{mcpsec.Preview(func(_ context.Context, in subscribeIn) (string, error) {
			r, err := user(b.pb, in.User)
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("bills %s %s a month, from today", r.Email(), plans[in.Plan].month), nil
		})},
	}, func(ctx context.Context, in subscribeIn) (subscribeOut, error) {
		r, err := user(b.pb, in.User)
		if err != nil {
			return subscribeOut{}, err
		}
		d, f, err := b.subscribing.start(ctx, fmt.Sprintf("%s/%d", in.User, r.GetInt("ended")), subscribing{User: in.User, Plan: in.Plan})
		if err != nil {
			return subscribeOut{}, err
		}
		return subscribeOut{d.Subscription, f.progress()}, nil
	})
}

func reserveUser(tx core.App, d *subscribing) error {
	r, err := user(tx, d.User)
	if err != nil {
		return err
	}
	d.Before, d.Customer = r.GetString("status"), r.GetString("customer")
	if d.Before != "registered" && d.Before != "ended" {
		return refuse("the user is not registered to the end, or has a subscription", nil)
	}
	r.Set("status", "starting")
	return tx.Save(r)
}

func releaseUser(tx core.App, d *subscribing) error {
	r, err := tx.FindRecordById("users", d.User)
	if err != nil {
		return ignore(err, sql.ErrNoRows) // somebody was faster
	}
	r.Set("status", d.Before)
	return tx.Save(r)
}

func (b *backend) bill(ctx context.Context, key string, d *subscribing) (err error) {
	d.Subscription, err = b.stripe.subscribe(ctx, key, d.Customer, plans[d.Plan].price)
	return err
}

func (b *backend) unbill(ctx context.Context, _ string, d *subscribing) error {
	return b.stripe.cancel(ctx, d.Subscription)
}

// recordSubscription leaves the status alone: the webhook may have been faster.
func recordSubscription(tx core.App, d *subscribing) error {
	r, err := user(tx, d.User)
	if err != nil {
		return err
	}
	r.Load(map[string]any{"subscription": d.Subscription, "plan": d.Plan})
	return tx.Save(r)
}
