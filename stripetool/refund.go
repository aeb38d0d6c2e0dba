package stripetool

import (
	"context"
	"fmt"
	"strconv"

	"github.com/stripe/stripe-go/v76/form"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

var refundChanges = []change{{
	resource: "refunds", action: "create", effect: mcpsec.Destroy, moves: true, labels: mcpsec.Egress, reads: []string{"charges", "payment_intents"},
	name: "stripe_create_refund", description: "Refund a charge in part or in full. A person confirms it. An equal call returns the first one's refund: " +
		"for another of the same amount give another idempotency_key.",
	required: `"payment","amount"`,
	properties: []string{`"payment":{"type":"string","maxLength":220,"description":"charge or payment intent: ch_…, py_…, pi_…"}`,
		`"amount":{"type":"string","maxLength":40,"description":"as EUR 19.00, JPY 500, KWD 1.250"}`,
		`"reason":{"enum":["requested_by_customer","duplicate","fraudulent"]}`},
	tool: changeTool(refundFields, (*Client).planRefund),
}}

type refundIn struct {
	Payment string `json:"payment" validate:"required,max=220"`
	Amount  string `json:"amount" validate:"required,max=40"`
	Reason  string `json:"reason" validate:"omitempty,oneof=requested_by_customer duplicate fraudulent"`
	keyed
}

type charge struct {
	ID             string `json:"id"`
	Amount         int64  `json:"amount"`
	AmountCaptured int64  `json:"amount_captured"`
	AmountRefunded int64  `json:"amount_refunded"`
	Currency       string `json:"currency"`
	Customer       string `json:"customer"`
	Paid           bool   `json:"paid"`
	Captured       bool   `json:"captured"`
	Disputed       bool   `json:"disputed"`
}

// planRefund reads what there is to be refunded.
func (c *Client) planRefund(ctx context.Context, in refundIn) (plan, error) {
	m, err := ParseMoney(in.Amount)
	if err != nil || m.Amount == 0 {
		return plan{}, &mcpsec.Error{Message: "amount: " + errMoney.Error() + ", and more than nothing", Rule: "amount", Err: err}
	}
	if _, err := c.cap(m); err != nil {
		return plan{}, err
	}
	ch, err := c.chargeOf(ctx, in.Payment)
	if err != nil {
		return plan{}, err
	}
	paid, err := stripeMoney(ch.AmountCaptured, ch.Currency)
	if err != nil || ch.AmountRefunded < 0 || ch.AmountRefunded > ch.AmountCaptured {
		return plan{}, errAnswer
	}
	left := Money{ch.AmountCaptured - ch.AmountRefunded, paid.Currency}
	switch {
	case !ch.Paid || !ch.Captured:
		return plan{}, &mcpsec.Error{Message: "the charge was not paid, or not captured: there is nothing to refund", Rule: "amount"}
	case m.Currency != paid.Currency:
		return plan{}, &mcpsec.Error{Message: "the charge is in " + paid.Currency, Rule: "amount"}
	case m.Amount > left.Amount:
		return plan{}, &mcpsec.Error{Message: fmt.Sprintf("of %s paid, %s is left to be refunded", paid, left), Rule: "amount"}
	}
	before, err := c.earlier(ctx, ch)
	if err != nil {
		return plan{}, err
	}
	p := plan{
		Text: fmt.Sprintf("refund %s of %s paid%s, charge %s, %s", m, paid, by(ch.Customer), ch.ID, before),
		Path: []string{"refunds"}, Moves: m,
		Form: [][2]string{{"charge", ch.ID}, {"amount", strconv.FormatInt(m.Amount, 10)}},
	}
	if ch.Disputed {
		p.Text += "; the customer has disputed it"
	}
	if in.Reason != "" {
		p.Text += "; reason " + in.Reason
		p.Form = append(p.Form, [2]string{"reason", in.Reason})
	}
	return p, nil
}

func by(customer string) string {
	if resources["customers"].id(customer) != nil {
		return " by a guest"
	}
	return " by customer " + customer
}

// chargeOf reads the charge that an id is of, or a payment intent's last one.
func (c *Client) chargeOf(ctx context.Context, id string) (charge, error) {
	var ch charge
	if resources["payment_intents"].id(id) == nil {
		var pi struct {
			LatestCharge string `json:"latest_charge"`
		}
		if err := c.get(ctx, &pi, nil, "payment_intents", id); err != nil {
			return ch, err
		}
		if id = pi.LatestCharge; id == "" {
			return ch, &mcpsec.Error{Message: "the payment intent has no charge: there is nothing to refund", Rule: "amount"}
		}
	}
	if err := resources["charges"].id(id); err != nil {
		return ch, err
	}
	err := c.get(ctx, &ch, nil, "charges", id)
	if err == nil && ch.ID != id {
		err = errAnswer
	}
	return ch, err
}

// earlier tells how many refunds of a charge there are.
func (c *Client) earlier(ctx context.Context, ch charge) (string, error) {
	var list struct {
		Data    []struct{} `json:"data"`
		HasMore bool       `json:"has_more"`
	}
	f := &form.Values{}
	f.Add("charge", ch.ID)
	f.Add("limit", "100")
	if err := c.get(ctx, &list, f, "refunds"); err != nil {
		return "", err
	}
	done := Money{ch.AmountRefunded, stripeCurrency(ch)}
	switch n := len(list.Data); {
	case list.HasMore:
		return fmt.Sprintf("more than %d earlier refunds, %s together", n, done), nil
	case n == 0:
		return "no earlier refunds", nil
	case n == 1:
		return fmt.Sprintf("1 earlier refund, %s", done), nil
	default:
		return fmt.Sprintf("%d earlier refunds, %s together", n, done), nil
	}
}

func stripeCurrency(ch charge) string {
	m, err := stripeMoney(0, ch.Currency)
	if err != nil {
		return ""
	}
	return m.Currency
}
