package stripetool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/stripe/stripe-go/v76/form"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// A Price is what calls of a tool are billed by: usage of a metered subscription item.
type Price struct {
	// Item returns the metered subscription item (si_…) that a caller pays with, or ""
	// for one who has none and is refused. It must be safe for concurrent use.
	// Required.
	Item func(context.Context, mcpsec.Principal) (string, error)
	// Units are recorded for each call that succeeds, 1 to 1,000,000. Defaults to 1.
	Units int64
	// PerDay is the most units that are recorded of an item on a day, which begins at
	// midnight UTC, by all replicas that share Options.State; after that calls are
	// refused. Tools with another PerDay count by themselves. Required.
	PerDay int64
	// Unchecked lets calls be served before it is known whether the subscription is
	// active. Defaults to false: Stripe is asked before each call, and without its
	// answer the call is refused.
	Unchecked bool
}

// Paid makes a handler, for [mcpsec.NewTool], whose calls are billed by the principal's
// Price. A call that fails, or whose caller has left, is not billed. A call that
// succeeds is recorded once, by its id. Where Stripe's answer is lost, Options.State
// keeps the record, and later calls of any paid tool send the very same again, within
// 23 hours; what could not be recorded or kept is in the log as an error, with item,
// units and call. It panics on a Price that is incomplete.
//
// The result is encoded after the call is billed: one that is too large, or that comes
// behind the tool's Timeout, in which Stripe's answer has to come too, is billed and not
// answered. A process that ends between a call and its record bills nothing.
func Paid[In, Out any](c *Client, p Price, handler func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	if p.Units == 0 {
		p.Units = 1
	}
	if c == nil || handler == nil || p.Item == nil || p.Units < 1 || p.Units > 1_000_000 || p.PerDay < p.Units || p.PerDay > maxAmount {
		panic("stripetool: Paid: a client, a handler and Price.Item are required, Units must be 1 to 1,000,000, and PerDay no less than Units")
	}
	return func(ctx context.Context, in In) (Out, error) {
		var none Out
		u, err := c.admit(ctx, p)
		if err != nil {
			return none, err
		}
		billed := false
		defer func() { // also when the handler panics
			if !billed {
				c.unuse(ctx, p, u)
			}
		}()
		out, err := handler(ctx, in)
		if err != nil {
			return out, err
		}
		if ctx.Err() != nil { // nobody gets the result
			return none, ctx.Err()
		}
		billed = true
		c.bill(ctx, u)
		return out, nil
	}
}

// A usage is one call's, as it is sent to Stripe, once or again.
type usage struct {
	Item  string
	Units int64
	At    int64
	Call  string
}

var errUnpaid = &mcpsec.Error{Message: "the caller has no active subscription that this tool could be paid with", Rule: "payment"}

// admit lets a call in that can be paid for, and takes its units of the day's.
func (c *Client) admit(ctx context.Context, p Price) (usage, error) {
	u := usage{Units: p.Units, At: c.now().Unix(), Call: mcpsec.CallID(ctx)}
	var err error
	switch u.Item, err = p.Item(ctx, mcpsec.PrincipalFrom(ctx)); {
	case err != nil:
		return u, fmt.Errorf("finding the item that a caller pays with: %w", err)
	case u.Item == "":
		return u, errUnpaid
	case u.Call == "" || subscriptionItems.id(u.Item) != nil:
		return u, errors.New("a paid handler outside of a call, or an item that is no subscription item")
	}
	if !p.Unchecked {
		if err := c.active(ctx, u.Item); err != nil {
			return u, err
		}
	}
	wait, err := c.o.State.Take(ctx, c.usageKey(p, u), u.Units, p.allowance())
	switch {
	case err != nil:
		return u, &mcpsec.Error{Message: "what was used today cannot be told now: call again later", Rule: "cap", Err: err}
	case wait != 0:
		return u, refuse("the caller has used what may be used of paid tools on a day: it begins anew at midnight UTC", "cap")
	}
	return u, nil
}

func (c *Client) usageKey(p Price, u usage) string {
	return fmt.Sprintf("stripetool usage %t %s %s %d", c.live, c.o.Account, hash(u.Item), p.PerDay)
}

func (p Price) allowance() state.Allowance {
	return state.Allowance{Limit: p.PerDay, Per: day, Calendar: true}
}

// active refuses an item that usage cannot be recorded of.
func (c *Client) active(ctx context.Context, id string) error {
	var it subscriptionItem
	if err := c.get(ctx, &it, nil, "subscription_items", id); err != nil {
		return err
	}
	if it.ID != id || !it.Price.metered() {
		return errors.New("an item that is not metered")
	}
	var s subscription
	if err := resources["subscriptions"].id(it.Subscription); err != nil {
		return errAnswer
	}
	if err := c.get(ctx, &s, nil, "subscriptions", it.Subscription); err != nil {
		return err
	}
	if s.ID != it.Subscription || s.Status != "active" && s.Status != "trialing" || s.Pause != nil {
		return errUnpaid
	}
	return nil
}

// unuse gives back the units of a call that is not billed, but not of a day that has
// ended.
func (c *Client) unuse(ctx context.Context, p Price, u usage) {
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if time.Unix(u.At, 0).UTC().Format(time.DateOnly) != c.today() {
		return
	}
	if _, err := c.o.State.Take(after, c.usageKey(p, u), -u.Units, p.allowance()); err != nil {
		mcpsec.Logger(ctx).WarnContext(ctx, "stripetool: units of a call that failed could not be given back", "error", err)
	}
}

// record sends a usage. The same usage has the same key and parameters, whoever sends it.
func (c *Client) record(ctx context.Context, u usage) error {
	f := &form.Values{}
	f.Add("quantity", strconv.FormatInt(u.Units, 10))
	f.Add("timestamp", strconv.FormatInt(u.At, 10))
	f.Add("action", "increment")
	_, err := c.call(ctx, request{method: http.MethodPost, path: []string{"subscription_items", u.Item, "usage_records"}, form: f, key: "mcpsec-" + hash("mcpsec stripetool paid 1", c.o.Account, u.Item, u.Call)})
	return err
}

// bill records a call's usage, whether or not the caller waits. What may not have been
// recorded is kept; what was kept before is settled once Stripe answers.
func (c *Client) bill(ctx context.Context, u usage) {
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.o.Timeout+10*time.Second)
	defer cancel()
	switch err := c.record(after, u); {
	case err == nil:
		c.settle(after)
	case unknown(err):
		if err := c.owe(after, u); err != nil {
			unbilled(ctx, u, "usage may not be recorded, and could not be kept", err)
		}
	default:
		unbilled(ctx, u, "usage was refused", err)
	}
}

func unbilled(ctx context.Context, u usage, what string, err error) {
	mcpsec.Logger(ctx).ErrorContext(ctx, "stripetool: "+what, "item", u.Item, "units", u.Units, "at", u.At, "of_call", u.Call, "error", err)
}

// maxOwed is how many usages may wait to be settled.
const maxOwed = 100

func (c *Client) owedKey(n int) string {
	return fmt.Sprintf("stripetool owed %t %s %d", c.live, c.o.Account, n)
}

// owe keeps a usage in the first place that is free.
func (c *Client) owe(ctx context.Context, u usage) error {
	raw, err := json.Marshal(u)
	if err != nil {
		return err
	}
	for n := range maxOwed {
		claim, err := c.claim(ctx, c.owedKey(n), 10*time.Second)
		if err != nil {
			return err
		}
		if claim.Status == state.Taken {
			c.settleSoon()
			return c.o.State.Complete(ctx, claim, raw, keepSent)
		}
	}
	return errors.New("too much waits to be settled")
}

// settleSoon has the next call that is billed look for what is owed.
func (c *Client) settleSoon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settled = time.Time{}
}

// settles reports whether it is time to look: of what other replicas have left, once a
// minute.
func (c *Client) settles() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	due := now.Sub(c.settled) >= time.Minute
	if due {
		c.settled = now
	}
	return due
}

// settle sends again what is owed, each once, until Stripe does not answer. Places are
// taken in order, so that behind a free one there is none, but for what nobody could
// settle for a day. Where another replica is at it, it is left to that.
func (c *Client) settle(ctx context.Context) {
	if !c.settles() {
		return
	}
	for n := range maxOwed {
		claim, err := c.o.State.Claim(ctx, c.owedKey(n), 10*time.Second)
		switch {
		case err != nil:
		case claim.Status == state.Taken:
			err = c.o.State.Fail(ctx, claim)
		case claim.Status == state.Done:
			err = c.settleOne(ctx, claim.Result)
		}
		if err != nil {
			mcpsec.Logger(ctx).WarnContext(ctx, "stripetool: what is owed could not be settled now", "error", err)
			c.settleSoon()
		}
		if err != nil || claim.Status != state.Done {
			return
		}
	}
}

// settleOne sends a usage again, unless it was settled.
func (c *Client) settleOne(ctx context.Context, raw []byte) error {
	var u usage
	if err := json.Unmarshal(raw, &u); err != nil {
		return err
	}
	claim, err := c.o.State.Claim(ctx, "stripetool settled "+hash(c.o.Account, u.Item, u.Call), time.Minute)
	if err != nil || claim.Status != state.Taken {
		return err
	}
	switch err = c.record(ctx, u); {
	case err != nil && unknown(err):
		return errors.Join(err, c.o.State.Fail(ctx, claim))
	case err != nil:
		unbilled(ctx, u, "usage was refused when it was sent again", err)
	}
	return c.o.State.Complete(ctx, claim, []byte("{}"), keep)
}
