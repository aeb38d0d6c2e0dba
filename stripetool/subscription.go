package stripetool

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

var subscriptionChanges = []change{
	{
		resource: "subscriptions", action: "create", effect: mcpsec.Destroy, moves: true, labels: mcpsec.Egress, reads: []string{"customers", "invoices", "prices"},
		name: "stripe_create_subscription", description: "Subscribe a customer to prices.",
		required: `"customer","items"`,
		properties: []string{`"customer":{"type":"string"}`, itemsProperty, `"trial_days":{"type":"integer","maximum":90}`, `"coupon":{"type":"string"}`, `"promotion_code":{"type":"string","description":"promo_…"}`,
			`"collection_method":{"enum":["charge_automatically","send_invoice"]}`, `"days_until_due":{"type":"integer"}`, `"payment_behavior":{"enum":["error_if_incomplete","default_incomplete","allow_incomplete"]}`},
		tool: changeTool(subscriptionAnswer, (*Client).planSubscription),
	},
	{
		resource: "subscriptions", action: "update", effect: mcpsec.Destroy, moves: true, sets: true, labels: mcpsec.Egress, reads: []string{"invoices", "prices"},
		name: "stripe_update_subscription", description: "Change an item's price or quantity, or pause, or renew: take back a cancellation at the period's end.",
		required: `"subscription"`,
		properties: []string{`"subscription":{"type":"string"}`, `"item":{"type":"string","description":"si_…, if there are several"}`, `"price":{"type":"string"}`, `"quantity":{"type":"integer"}`,
			`"proration":{"enum":["create_prorations","always_invoice","none"]}`, `"pause":{"enum":["keep_as_draft","mark_uncollectible","void","end"]}`, `"renew":{"type":"boolean"}`},
		tool: changeTool(subscriptionAnswer, (*Client).planUpdate),
	},
	{
		resource: "subscriptions", action: "cancel", effect: mcpsec.Destroy, sets: true, labels: mcpsec.Egress,
		name: "stripe_cancel_subscription", description: "Cancel a subscription; nothing is refunded.",
		required:   `"subscription","when"`,
		properties: []string{`"subscription":{"type":"string"}`, `"when":{"enum":["period_end","now"]}`},
		tool:       changeTool(subscriptionAnswer, (*Client).planCancel),
	},
	{
		resource: "usage_records", action: "create", effect: mcpsec.Destroy, moves: true, reads: []string{"subscriptions"},
		name: "stripe_create_usage_record", description: "Record usage, which is billed, of a metered subscription item.",
		required:   `"item","quantity"`,
		properties: []string{`"item":{"type":"string","description":"si_…"}`, `"quantity":{"type":"integer"}`, `"action":{"enum":["increment","set"]}`},
		tool:       changeTool("id object livemode quantity subscription_item timestamp", (*Client).planUsage),
	},
}

const subscriptionAnswer = "id object cancel_at cancel_at_period_end canceled_at collection_method currency current_period_end current_period_start customer latest_invoice livemode pause_collection.behavior status trial_end items.data.id items.data.quantity items.data.price.id"

// subscriptionItems are no resource of the generic tools: their ids are arguments.
var subscriptionItems = &resource{path: []string{"subscription_items"}, prefixes: []string{"si_"}}

// A subscription is one of Stripe's, as far as a question needs it.
type subscription struct {
	ID          string `json:"id"`
	Status      string `json:"status"`
	Customer    string `json:"customer"`
	Currency    string `json:"currency"`
	PeriodStart int64  `json:"current_period_start"`
	PeriodEnd   int64  `json:"current_period_end"`
	Ends        bool   `json:"cancel_at_period_end"`
	Pause       *struct {
		Behavior string `json:"behavior"`
	} `json:"pause_collection"`
	Items struct {
		Data    []subscriptionItem `json:"data"`
		HasMore bool               `json:"has_more"`
	} `json:"items"`
}

type subscriptionItem struct {
	ID           string `json:"id"`
	Quantity     int64  `json:"quantity"`
	Subscription string `json:"subscription"`
	Price        price  `json:"price"`
}

// subscriptionOf reads a subscription that has not ended.
func (c *Client) subscriptionOf(ctx context.Context, id string) (subscription, error) {
	var s subscription
	if err := resources["subscriptions"].id(id); err != nil {
		return s, err
	}
	if err := c.get(ctx, &s, nil, "subscriptions", id); err != nil {
		return s, err
	}
	nameless := slices.ContainsFunc(s.Items.Data, func(it subscriptionItem) bool { return subscriptionItems.id(it.ID) != nil })
	switch _, err := stripeMoney(0, s.Currency); {
	case err != nil || s.ID != id || len(s.Items.Data) == 0 || nameless || resources["customers"].id(s.Customer) != nil || !errorWord().MatchString(s.Status):
		return s, errAnswer
	case s.Status == "canceled" || s.Status == "incomplete_expired":
		return s, refuse("the subscription has ended", "state")
	}
	return s, nil
}

func (s *subscription) items() string {
	var parts []string
	for _, it := range s.Items.Data {
		parts = append(parts, it.Price.text(it.Quantity))
	}
	if s.Items.HasMore {
		parts = append(parts, "and more")
	}
	return strings.Join(parts, ", ")
}

func date(unix int64) string { return time.Unix(unix, 0).UTC().Format("2006-01-02 15:04 UTC") }

type subscribeIn struct {
	Customer   string     `json:"customer" validate:"required,max=220"`
	Items      []lineItem `json:"items" validate:"min=1,max=10,dive"`
	TrialDays  int        `json:"trial_days" validate:"min=0,max=90"`
	Coupon     string     `json:"coupon" validate:"max=200"`
	Promotion  string     `json:"promotion_code" validate:"max=220"`
	Collection string     `json:"collection_method" validate:"omitempty,oneof=charge_automatically send_invoice"`
	Days       *int       `json:"days_until_due" validate:"omitempty,min=1,max=365"`
	Payment    string     `json:"payment_behavior" validate:"omitempty,oneof=error_if_incomplete default_incomplete allow_incomplete"`
	keyed
}

// planSubscription takes of the caps what a period costs, by Stripe's own preview and by
// the prices: also when a trial comes before, or a coupon that lasts for the first period.
func (c *Client) planSubscription(ctx context.Context, in subscribeIn) (plan, error) {
	p := plan{Path: []string{"subscriptions"}, Form: [][2]string{{"customer", in.Customer}, {"off_session", "true"}, {"trial_from_plan", "false"}}}
	preview := [][2]string{{"customer", in.Customer}}
	less, how, err := in.terms(&p, &preview)
	if err != nil {
		return plan{}, err
	}
	if err := c.customerThere(ctx, in.Customer); err != nil {
		return plan{}, err
	}
	o, err := c.orderOf(ctx, "items", in.Items)
	switch {
	case err != nil:
		return plan{}, err
	case o.recurring < len(in.Items):
		return plan{}, refuse("a price that is paid once is for invoices and pages", "price")
	}
	p.Form = append(p.Form, o.form...)
	for _, kv := range o.form {
		preview = append(preview, [2]string{"subscription_" + kv[0], kv[1]})
	}
	_, due, err := c.upcoming(ctx, preview)
	if err != nil {
		return plan{}, err
	}
	p.Text = fmt.Sprintf("subscribe customer %s to %s%s; ", in.Customer, o.text, less)
	now := due
	if in.TrialDays > 0 {
		p.Form = append(p.Form, [2]string{"trial_period_days", strconv.Itoa(in.TrialDays)})
		end := c.now().Add(time.Duration(in.TrialDays) * day).Unix()
		if _, now, err = c.upcoming(ctx, append(preview, [2]string{"subscription_trial_end", strconv.FormatInt(end, 10)})); err != nil {
			return plan{}, err
		}
		p.Text += fmt.Sprintf("%s due now, and %s after a trial of %d days", now, due, in.TrialDays)
	} else {
		p.Text += due.String() + " due now"
	}
	p.Text += how
	p.Moves, err = most(due, now, o.sum)
	if err != nil {
		return plan{}, err
	}
	_, err = c.cap(p.Moves)
	return p, err
}

// most is the largest of amounts, which must be of one currency.
func most(first Money, others ...Money) (Money, error) {
	for _, m := range others {
		if m.Currency != first.Currency {
			return Money{}, errAnswer
		}
		first.Amount = max(first.Amount, m.Amount)
	}
	return first, nil
}

// terms adds discount and payment to a request and its preview, and says what they are.
func (in subscribeIn) terms(p *plan, preview *[][2]string) (less, how string, err error) {
	switch {
	case in.Coupon != "" && in.Promotion != "":
		return "", "", refuse("give a coupon or a promotion code", "id")
	case in.Coupon != "":
		if err := resources["coupons"].id(in.Coupon); err != nil {
			return "", "", err
		}
		less = ", less coupon " + in.Coupon
		p.Form, *preview = append(p.Form, [2]string{"coupon", in.Coupon}), append(*preview, [2]string{"coupon", in.Coupon})
	case in.Promotion != "":
		if err := resources["promotion_codes"].id(in.Promotion); err != nil {
			return "", "", err
		}
		less = ", less promotion code " + in.Promotion
		p.Form, *preview = append(p.Form, [2]string{"promotion_code", in.Promotion}), append(*preview, [2]string{"discounts[0][promotion_code]", in.Promotion})
	}
	if in.Collection == "send_invoice" {
		days := 30
		if in.Days != nil {
			days = *in.Days
		}
		p.Form = append(p.Form, [2]string{"collection_method", "send_invoice"}, [2]string{"days_until_due", strconv.Itoa(days)})
		return less, fmt.Sprintf(", by invoices that are to be paid within %d days", days), nil
	}
	if in.Days != nil {
		return "", "", refuse("what is charged automatically has no days_until_due", "state")
	}
	behavior := in.Payment
	how = ", charged automatically"
	switch behavior {
	case "":
		behavior = "error_if_incomplete"
	case "default_incomplete":
		how = ", which the customer has to pay before it begins"
	}
	p.Form = append(p.Form, [2]string{"collection_method", "charge_automatically"}, [2]string{"payment_behavior", behavior})
	return less, how, nil
}

type cancelIn struct {
	Subscription string `json:"subscription" validate:"required,max=220"`
	When         string `json:"when" validate:"required,oneof=period_end now"`
	keyed
}

func (c *Client) planCancel(ctx context.Context, in cancelIn) (plan, error) {
	s, err := c.subscriptionOf(ctx, in.Subscription)
	p := plan{Path: []string{"subscriptions", in.Subscription}, Same: s.Status == "canceled"}
	if err != nil {
		return p, err
	}
	if in.When == "period_end" {
		if p.Same = s.Ends; p.Same {
			return p, refuse("the subscription ends on "+date(s.PeriodEnd)+" already", "state")
		}
		p.Text = fmt.Sprintf("let subscription %s of customer %s end on %s, until when it is paid: %s", s.ID, s.Customer, date(s.PeriodEnd), s.items())
		p.Form = [][2]string{{"cancel_at_period_end", "true"}}
		return p, nil
	}
	p.Method = http.MethodDelete
	p.Form = [][2]string{{"invoice_now", "false"}, {"prorate", "false"}}
	p.Text = fmt.Sprintf("cancel subscription %s of customer %s, which is %s, at once: the customer loses %s, the period of which ends on %s; nothing is refunded", s.ID, s.Customer, s.Status, s.items(), date(s.PeriodEnd))
	if slices.ContainsFunc(s.Items.Data, func(it subscriptionItem) bool { return it.Price.metered() }) {
		p.Text += "; usage that was not billed is not billed any more"
	}
	return p, nil
}
