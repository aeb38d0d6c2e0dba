package stripetool

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

type updateIn struct {
	Subscription string `json:"subscription" validate:"required,max=220"`
	Item         string `json:"item" validate:"max=220"`
	Price        string `json:"price" validate:"max=220"`
	Quantity     *int64 `json:"quantity" validate:"omitempty,min=1,max=10000"`
	Proration    string `json:"proration" validate:"omitempty,oneof=create_prorations always_invoice none"`
	Pause        string `json:"pause" validate:"omitempty,oneof=keep_as_draft mark_uncollectible void end"`
	Renew        bool   `json:"renew"`
	keyed
}

// planUpdate does one thing at a time: a person should see what it is.
func (c *Client) planUpdate(ctx context.Context, in updateIn) (plan, error) {
	items, things := in.Price != "" || in.Quantity != nil, 0
	for _, asked := range []bool{items, in.Pause != "", in.Renew} {
		if asked {
			things++
		}
	}
	if things != 1 || !items && (in.Item != "" || in.Proration != "") {
		return plan{}, refuse("do one of these: change price or quantity, pause, renew", "state")
	}
	s, err := c.subscriptionOf(ctx, in.Subscription)
	if err != nil {
		return plan{}, err
	}
	none, err := stripeMoney(0, s.Currency)
	if err != nil {
		return plan{}, err
	}
	if _, err := c.cap(none); err != nil { // what goes on is billed
		return plan{}, err
	}
	p := plan{Path: []string{"subscriptions", s.ID}, Moves: none}
	switch {
	case items:
		return c.planItems(ctx, in, s, p)
	case in.Renew:
		return p, s.renew(&p)
	}
	return p, s.pause(in.Pause, &p)
}

func (s *subscription) renew(p *plan) error {
	if p.Same = !s.Ends; p.Same {
		return refuse("the subscription renews already", "state")
	}
	p.Text = fmt.Sprintf("let subscription %s of customer %s go on after %s, when it would have ended: %s", s.ID, s.Customer, date(s.PeriodEnd), s.items())
	p.Form = [][2]string{{"cancel_at_period_end", "false"}}
	return nil
}

func (s *subscription) pause(how string, p *plan) error {
	p.Same = how == "end" && s.Pause == nil || s.Pause != nil && s.Pause.Behavior == how
	switch {
	case how == "end" && p.Same:
		return refuse("the subscription is not paused", "state")
	case how == "end":
		p.Text = fmt.Sprintf("collect payments of subscription %s of customer %s again: %s", s.ID, s.Customer, s.items())
		p.Form = [][2]string{{"pause_collection", ""}}
	default:
		p.Text = fmt.Sprintf("collect no payments of subscription %s of customer %s, until that is ended; its invoices: %s; %s", s.ID, s.Customer, how, s.items())
		p.Form = [][2]string{{"pause_collection[behavior]", how}}
	}
	return nil
}

// planItems changes one item. What Stripe counts the days from is a full hour, so that
// what was asked about is what is done.
func (c *Client) planItems(ctx context.Context, in updateIn, s subscription, p plan) (plan, error) {
	it, err := s.item(in.Item)
	if err != nil {
		return plan{}, err
	}
	to, n := it.Price, it.Quantity
	if in.Price != "" {
		if to, err = c.priceOf(ctx, in.Price); err != nil {
			return plan{}, err
		}
	}
	if in.Quantity != nil {
		n = *in.Quantity
	}
	p.Same = to.ID == it.Price.ID && n == it.Quantity
	switch {
	case to.Recurring == nil:
		return plan{}, refuse("a price that is paid once is for invoices and pages", "price")
	case lower(to.Currency) != lower(s.Currency):
		return plan{}, refuse("the subscription is in "+p.Moves.Currency, "amount")
	case to.metered() && in.Quantity != nil:
		return plan{}, refuse("a metered price has no quantity", "price")
	case !to.told() && !to.metered() && in.Proration == "always_invoice": // the preview is of a share only
		return plan{}, refuse("the price is not one amount: what it comes to cannot be told with always_invoice, and can with create_prorations", "price")
	case p.Same:
		return p, refuse("the item has this price and quantity already", "state")
	}
	change := [][2]string{{"[id]", it.ID}, {"[price]", to.ID}}
	if !to.metered() {
		n = max(n, 1)
		change = append(change, [2]string{"[quantity]", strconv.FormatInt(n, 10)})
	}
	proration := in.Proration
	if proration == "" {
		proration = "create_prorations"
	}
	from := max(c.now().Truncate(time.Hour).Unix(), s.PeriodStart)
	terms := [][2]string{{"proration_behavior", proration}}
	if proration != "none" {
		terms = append(terms, [2]string{"proration_date", strconv.FormatInt(from, 10)})
	}
	preview := [][2]string{{"subscription", s.ID}}
	for _, kv := range change {
		p.Form, preview = append(p.Form, [2]string{"items[0]" + kv[0], kv[1]}), append(preview, [2]string{"subscription_items[0]" + kv[0], kv[1]})
	}
	for _, kv := range terms {
		p.Form, preview = append(p.Form, kv), append(preview, [2]string{"subscription_" + kv[0], kv[1]})
	}
	if proration == "always_invoice" {
		p.Form = append(p.Form, [2]string{"off_session", "true"}, [2]string{"payment_behavior", "error_if_incomplete"})
	}
	_, due, err := c.upcoming(ctx, preview)
	if err != nil {
		return plan{}, err
	}
	period, ok := to.times(n)
	if !ok || to.metered() {
		period = p.Moves
	}
	if p.Moves, err = most(due, period); err != nil {
		return plan{}, err
	}
	p.Text = fmt.Sprintf("change item %s of subscription %s of customer %s from %s to %s; %s", it.ID, s.ID, s.Customer, it.Price.text(it.Quantity), to.text(n), billed(proration, due, from))
	_, err = c.cap(p.Moves)
	return p, err
}

// billed says when a change is paid for.
func billed(proration string, due Money, from int64) string {
	switch proration {
	case "none":
		return fmt.Sprintf("the next invoice comes to %s, and what is left of this period is free", due)
	case "always_invoice":
		return fmt.Sprintf("%s are billed at once, counted from %s", due, date(from))
	}
	return fmt.Sprintf("the next invoice comes to %s, with this period's share counted from %s", due, date(from))
}

// item is the one that an id is of, or the only one.
func (s *subscription) item(id string) (subscriptionItem, error) {
	if id == "" && len(s.Items.Data) == 1 && !s.Items.HasMore {
		return s.Items.Data[0], nil
	}
	if id == "" {
		return subscriptionItem{}, refuse("the subscription has several items: name one, si_…", "id")
	}
	if err := subscriptionItems.id(id); err != nil {
		return subscriptionItem{}, err
	}
	for _, it := range s.Items.Data {
		if it.ID == id {
			return it, nil
		}
	}
	return subscriptionItem{}, refuse("the subscription has no such item", "id")
}

type usageIn struct {
	Item     string `json:"item" validate:"required,max=220"`
	Quantity int64  `json:"quantity" validate:"min=0,max=1000000000"`
	Action   string `json:"action" validate:"omitempty,oneof=increment set"`
	keyed
}

// planUsage takes of the caps what the usage will cost, and so refuses prices of which
// that cannot be told.
func (c *Client) planUsage(ctx context.Context, in usageIn) (plan, error) {
	if err := subscriptionItems.id(in.Item); err != nil {
		return plan{}, err
	}
	var it subscriptionItem
	if err := c.get(ctx, &it, nil, "subscription_items", in.Item); err != nil {
		return plan{}, err
	}
	cost, ok := it.Price.times(in.Quantity)
	switch {
	case it.ID != in.Item || resources["subscriptions"].id(it.Subscription) != nil:
		return plan{}, errAnswer
	case !it.Price.metered():
		return plan{}, refuse("the item's price is not metered", "price")
	case !ok:
		return plan{}, refuse("what the usage costs cannot be told from the item's price, which has tiers or packages", "price")
	}
	if _, err := c.cap(cost); err != nil {
		return plan{}, err
	}
	switch s, err := c.subscriptionOf(ctx, it.Subscription); {
	case err != nil:
		return plan{}, err
	case lower(s.Currency) != lower(it.Price.Currency): // a price can have an amount for each of several
		return plan{}, refuse("what the usage costs cannot be told: the subscription is in another currency than the item's price", "price")
	}
	action, verb := "increment", "added to"
	if in.Action == "set" {
		action, verb = "set", "put in place of"
	}
	return plan{
		Text: fmt.Sprintf("%d units, %s, are %s what was used of item %s of subscription %s: %s", in.Quantity, cost, verb, it.ID, it.Subscription, it.Price.text(1)),
		Path: []string{"subscription_items", it.ID, "usage_records"}, Form: [][2]string{{"quantity", strconv.FormatInt(in.Quantity, 10)}, {"action", action}}, Moves: cost,
	}, nil
}
