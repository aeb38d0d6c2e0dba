package main

import (
	"context"
	"fmt"

	"github.com/pocketbase/pocketbase/core"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type cancelIn struct {
	User string `json:"user" validate:"required,len=15,alphanum" jsonschema:"the user's id, as user_find tells it"`
}

type cancelOut struct {
	Flow progress `json:"flow" jsonschema:"how it went"`
}

// Cancelling ends a subscription at Stripe, then on record, then tells so. It has nothing to
// undo: a subscription that Stripe has ended stays so.
type cancelling struct{ Subscription, Email string }

func (b *backend) cancelFlow() *kind[cancelling] {
	return newKind(&b.journal, "cancel",
		step[cancelling]{name: "subscription", do: there(always, func(ctx context.Context, _ string, d *cancelling) error {
			return b.stripe.cancel(ctx, d.Subscription)
		})},
		step[cancelling]{name: "record", do: here(func(tx core.App, d *cancelling) error { return endSubscription(tx, d.Subscription) })},
		step[cancelling]{name: "goodbye mail", after: true, do: there(never, func(ctx context.Context, _ string, d *cancelling) error {
			return b.write(ctx, d.Email, "Your subscription has ended", "Nothing will be billed any more. Your account stays.\n")
		})},
		step[cancelling]{name: "analytics", after: true, do: there(always, func(ctx context.Context, key string, _ *cancelling) error {
			return b.count(ctx, key, "cancel", 0)
		})},
	)
}

// cancel is the tool. The subscription names the flow.
func (b *backend) cancel() *mcpsec.Tool {
	return mcpsec.NewTool(mcpsec.ToolSpec{
		Name: "subscription_cancel", Description: "Ends a user's subscription now, with a mail. A person confirms it. An equal call does no more.",
		Effect: mcpsec.Destroy, Labels: mcpsec.Egress, Scopes: []string{writeSubscriptions}, Idempotent: true,
		Guards: []mcpsec.Guard{mcpsec.Preview(func(_ context.Context, in cancelIn) (string, error) {
			r, err := b.subscribed(in.User)
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("ends subscription %s of %s", r.GetString("subscription"), r.Email()), nil
		})},
	}, func(ctx context.Context, in cancelIn) (cancelOut, error) {
		r, err := b.subscribed(in.User)
		if err != nil {
			return cancelOut{}, err
		}
		_, f, err := b.cancelling.start(ctx, r.GetString("subscription"), cancelling{r.GetString("subscription"), r.Email()})
		if err != nil {
			return cancelOut{}, err
		}
		return cancelOut{f.progress()}, nil
	})
}

// subscribed is a user who has, or had, a subscription.
func (b *backend) subscribed(id string) (*core.Record, error) {
	r, err := user(b.pb, id)
	if err == nil && r.GetString("subscription") == "" {
		err = refuse("the user has no subscription", nil)
	}
	return r, err
}
