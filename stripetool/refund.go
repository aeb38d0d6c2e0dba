package stripetool

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/stripe/stripe-go/v76/form"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// RefundTools returns stripe_create_refund. It asks a person, with the amounts that
// Stripe tells: what was paid by whom, and what of it was refunded before. An equal
// call within 24 hours returns what the first one has; another idempotency_key makes
// it another refund. It panics without Options.Caps.
func RefundTools(c *Client) []*mcpsec.Tool {
	if len(c.o.Caps) == 0 {
		panic("stripetool: RefundTools: Options.Caps says of no currency how much may be refunded")
	}
	spec := c.spec("stripe_create_refund", "Refund a charge in part or in full. A person confirms it. An equal call returns the first one's refund: "+
		"for another of the same amount give another idempotency_key.", mcpsec.Destroy)
	spec.Idempotent = true
	spec.InputSchema = schemaOf(`"payment","amount"`, `"payment":{"type":"string","maxLength":220,"description":"charge or payment intent: ch_…, py_…, pi_…"}`,
		`"amount":{"type":"string","maxLength":40,"description":"as EUR 19.00, JPY 500, KWD 1.250"}`,
		`"reason":{"enum":["requested_by_customer","duplicate","fraudulent"]}`, `"idempotency_key":{"type":"string","maxLength":64}`)
	return []*mcpsec.Tool{changeTool(c, spec, fields(refundFields), func(in refundIn) string { return in.IdempotencyKey }, c.planRefund)}
}

type refundIn struct {
	Payment        string `json:"payment" validate:"required,max=220"`
	Amount         string `json:"amount" validate:"required,max=40"`
	Reason         string `json:"reason" validate:"omitempty,oneof=requested_by_customer duplicate fraudulent"`
	IdempotencyKey string `json:"idempotency_key" validate:"max=64"`
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
	if err != nil || ch.AmountRefunded < 0 || ch.AmountRefunded > ch.AmountCaptured || resources["charges"].id(ch.ID) != nil {
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
	return ch, c.get(ctx, &ch, nil, "charges", id)
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

type objectOut struct {
	Object json.RawMessage `json:"object" mcpsec:"any"`
}

// changeTool makes a tool of a plan. A person is asked with its text, and what they
// have said yes to is what is carried out, once for all equal calls.
func changeTool[In any](c *Client, spec mcpsec.ToolSpec, may tree, key func(In) string, build func(context.Context, In) (plan, error)) *mcpsec.Tool {
	name, lease := spec.Name, spec.Timeout+time.Minute
	spec.Guards = append(spec.Guards, func(ctx context.Context, call *mcpsec.Call) error {
		var p plan
		ask := mcpsec.Preview(func(ctx context.Context, in In) (string, error) {
			n, err := c.names(call.Principal.ID, name, in, key(in))
			if err != nil {
				return "", err
			}
			p, err = c.planned(ctx, n, func(ctx context.Context) (plan, error) { return build(ctx, in) })
			return p.text() + " [state " + p.digest() + "]", err
		})
		err := ask(ctx, call)
		if p.Text != "" {
			c.remember(call.ID, p)
			call.After(func(context.Context, time.Duration) { c.forget(call.ID) })
		}
		return err
	})
	return mcpsec.NewTool(spec, func(ctx context.Context, in In) (objectOut, error) {
		p, err := c.remembered(mcpsec.CallID(ctx))
		if err != nil {
			return objectOut{}, err
		}
		n, err := c.names(mcpsec.PrincipalFrom(ctx).ID, name, in, key(in))
		if err != nil {
			return objectOut{}, err
		}
		raw, err := c.carryOut(ctx, n, p, may, lease)
		return objectOut{raw}, err
	})
}

func (c *Client) remember(call string, p plan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plans[call] = p
}

func (c *Client) forget(call string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.plans, call)
}

// remembered is the plan that a person was asked about in a call.
func (c *Client) remembered(call string) (plan, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.plans[call]
	if !ok {
		return plan{}, errUnasked
	}
	return p, nil
}
