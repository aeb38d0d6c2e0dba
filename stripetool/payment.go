package stripetool

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// An amount counts once, when it moves: at the confirmation, or, of a payment that is
// captured later, at the capture. What is created or held moves nothing, and is still no
// more than a call may move.
var paymentChanges = []change{{
	resource: "payment_intents", action: "create", effect: mcpsec.Write, reads: []string{"customers", "payment_methods"},
	name: "stripe_create_payment_intent", description: "Prepare a payment. Nothing is charged: stripe_confirm_payment_intent does, with a saved payment_method; " +
		"without one the customer pays on the operator's page, whose server reads the intent by its id. manual: a hold, captured later.",
	required: `"amount"`, properties: append(texts("customer payment_method description"), amountProperty, `"capture_method":{"enum":["automatic","manual"]}`, metadataProperty),
	tool: changeTool("", (*Client).planCreatePayment),
}, {
	resource: "payment_intents", action: "confirm", effect: mcpsec.Destroy, moves: true, labels: mcpsec.Egress, sets: true, reads: []string{"customers", "payment_methods"},
	name: "stripe_confirm_payment_intent", description: "Charge a customer's saved payment method, without them being there.",
	required: `"id"`, properties: texts("id payment_method"),
	tool: changeTool("", (*Client).planConfirmPayment),
}, {
	resource: "payment_intents", action: "capture", effect: mcpsec.Destroy, moves: true, labels: mcpsec.Egress,
	name: "stripe_capture_payment_intent", description: "Capture a held payment, or a part, which releases the rest.",
	required: `"id"`, properties: append(texts("id"), amountProperty),
	tool: changeTool("", (*Client).planCapturePayment),
}, {
	resource: "payment_intents", action: "cancel", effect: mcpsec.Destroy,
	name: "stripe_cancel_payment_intent", description: "Cancel a payment that has not succeeded; a hold is released.",
	required: `"id"`, properties: append(texts("id"), `"reason":{"enum":["duplicate","fraudulent","requested_by_customer","abandoned"]}`),
	tool: changeTool("", (*Client).planCancelPayment),
}}

type paymentIntent struct {
	ID            string `json:"id"`
	Amount        int64  `json:"amount"`
	Capturable    int64  `json:"amount_capturable"`
	Currency      string `json:"currency"`
	Status        string `json:"status"`
	Customer      string `json:"customer"`
	PaymentMethod string `json:"payment_method"`
	CaptureMethod string `json:"capture_method"`
	money         Money
}

// paymentIntent reads a payment intent, and its amount.
func (c *Client) paymentIntent(ctx context.Context, id string) (paymentIntent, error) {
	var pi paymentIntent
	if err := c.object(ctx, "payment_intents", id, &pi); err != nil {
		return pi, err
	}
	var err error
	if pi.money, err = stripeMoney(pi.Amount, pi.Currency); err != nil || pi.ID != id || pi.Capturable < 0 || pi.Capturable > pi.Amount {
		return pi, errAnswer
	}
	return pi, nil
}

// payer tells who pays, or has paid and was deleted since.
func (c *Client) payer(ctx context.Context, id string) (string, error) {
	if id == "" {
		return "a guest", nil
	}
	var cu customer
	err := c.object(ctx, "customers", id, &cu)
	switch {
	case err != nil:
		return "", err
	case cu.ID != id:
		return "", errAnswer
	case cu.Deleted:
		return "the deleted customer " + id, nil
	}
	return cu.String(), nil
}

type createPaymentIn struct {
	Amount        string            `json:"amount" validate:"required,max=40"`
	Customer      string            `json:"customer" validate:"max=220"`
	PaymentMethod string            `json:"payment_method" validate:"max=220"`
	CaptureMethod string            `json:"capture_method" validate:"omitempty,oneof=automatic manual"`
	Description   string            `json:"description" validate:"max=500"`
	Metadata      map[string]string `json:"metadata" validate:"max=50,dive,keys,max=40,endkeys,max=500"`
	keyed
}

// planCreatePayment leaves the kinds of payment to the account's settings. Without a
// page there is nobody who could be sent to another one.
func (c *Client) planCreatePayment(ctx context.Context, in createPaymentIn) (plan, error) {
	m, err := c.amount(in.Amount)
	if err != nil {
		return plan{}, err
	}
	var s settings
	s.money("amount", m)
	s.form = append(s.form, [2]string{"automatic_payment_methods[enabled]", "true"})
	who := "a guest"
	if in.Customer != "" {
		cu, err := c.customer(ctx, in.Customer)
		if err != nil {
			return plan{}, err
		}
		who = cu.String()
		s.form = append(s.form, [2]string{"customer", cu.ID})
	}
	text := fmt.Sprintf("a payment of %s by %s, which charges nothing yet", m, who)
	if in.PaymentMethod != "" {
		pm, err := c.methodOf(ctx, in.PaymentMethod, in.Customer)
		if err != nil {
			return plan{}, err
		}
		text += ", with " + pm.String()
		s.form = append(s.form, [2]string{"automatic_payment_methods[allow_redirects]", "never"}, [2]string{"payment_method", pm.ID})
	}
	s.add("capture_method", in.CaptureMethod)
	s.add("description", in.Description)
	err = s.metadata(nil, in.Metadata)
	return s.creation(text, "payment_intents"), err
}

type confirmPaymentIn struct {
	ID            string `json:"id" validate:"required,max=220"`
	PaymentMethod string `json:"payment_method" validate:"max=220"`
	keyed
}

// planConfirmPayment charges what belongs to the customer of the intent only.
func (c *Client) planConfirmPayment(ctx context.Context, in confirmPaymentIn) (plan, error) {
	pi, err := c.paymentIntent(ctx, in.ID)
	if err != nil {
		return plan{}, err
	}
	p := plan{Path: []string{"payment_intents", pi.ID, "confirm"}, Moves: pi.money}
	switch pi.Status {
	case "requires_confirmation", "requires_payment_method":
	case "canceled":
		return plan{}, refuse("the payment was canceled", "state")
	case "requires_action":
		p.Same = true
		return p, refuse("the customer must complete it, on the operator's page", "state")
	default:
		p.Same = true
		return p, refuse("the payment was confirmed already", "state")
	}
	method := pi.PaymentMethod
	if in.PaymentMethod != "" {
		method = in.PaymentMethod
	}
	if method == "" {
		return plan{}, refuse("the payment has no payment_method: name one that the customer has saved, or let them pay on the operator's page", "argument")
	}
	if _, err := c.cap(pi.money); err != nil {
		return plan{}, err
	}
	pm, err := c.methodOf(ctx, method, pi.Customer)
	if err != nil {
		return plan{}, err
	}
	who, err := c.payer(ctx, pi.Customer)
	if err != nil {
		return plan{}, err
	}
	p.Text = fmt.Sprintf("charge %s to %s, by %s, without them being there, payment intent %s", pi.money, who, pm, pi.ID)
	if pi.CaptureMethod == "manual" {
		p.Text = fmt.Sprintf("hold %s of %s, by %s, without them being there, payment intent %s", pi.money, who, pm, pi.ID)
		p.Moves.Amount = 0
	}
	p.Form = [][2]string{{"payment_method", pm.ID}, {"off_session", "true"}}
	return p, nil
}

type capturePaymentIn struct {
	ID     string `json:"id" validate:"required,max=220"`
	Amount string `json:"amount" validate:"max=40"`
	keyed
}

func (c *Client) planCapturePayment(ctx context.Context, in capturePaymentIn) (plan, error) {
	pi, err := c.paymentIntent(ctx, in.ID)
	if err != nil {
		return plan{}, err
	}
	held := Money{pi.Capturable, pi.money.Currency}
	if pi.Status != "requires_capture" || held.Amount == 0 {
		return plan{}, refuse("the payment is not held: there is nothing to capture", "state")
	}
	m := held
	if in.Amount != "" {
		if m, err = c.amount(in.Amount); err != nil {
			return plan{}, err
		}
	}
	switch _, err := c.cap(m); {
	case m.Currency != held.Currency:
		return plan{}, refuse("the payment is in "+held.Currency, "amount")
	case m.Amount > held.Amount:
		return plan{}, refuse(held.String()+" is held", "amount")
	case err != nil:
		return plan{}, err
	}
	who, err := c.payer(ctx, pi.Customer)
	if err != nil {
		return plan{}, err
	}
	text := fmt.Sprintf("capture %s of %s held of %s, payment intent %s", m, held, who, pi.ID)
	if rest := held.Amount - m.Amount; rest > 0 {
		text += "; the rest, " + Money{rest, held.Currency}.String() + ", is released and cannot be captured later"
	}
	return plan{Text: text, Path: []string{"payment_intents", pi.ID, "capture"}, Moves: m,
		Form: [][2]string{{"amount_to_capture", strconv.FormatInt(m.Amount, 10)}}}, nil
}

type cancelPaymentIn struct {
	ID     string `json:"id" validate:"required,max=220"`
	Reason string `json:"reason" validate:"omitempty,oneof=duplicate fraudulent requested_by_customer abandoned"`
	keyed
}

// cancelable are the states of a payment that has not succeeded.
var cancelable = []string{"requires_payment_method", "requires_confirmation", "requires_action", "requires_capture", "processing"}

func (c *Client) planCancelPayment(ctx context.Context, in cancelPaymentIn) (plan, error) {
	pi, err := c.paymentIntent(ctx, in.ID)
	if err != nil {
		return plan{}, err
	}
	if !slices.Contains(cancelable, pi.Status) {
		return plan{}, refuse("the payment has succeeded, which stripe_create_refund undoes, or was canceled", "state")
	}
	who, err := c.payer(ctx, pi.Customer)
	if err != nil {
		return plan{}, err
	}
	text := fmt.Sprintf("cancel the payment of %s by %s for good, payment intent %s", pi.money, who, pi.ID)
	if pi.Capturable > 0 {
		text += "; " + Money{pi.Capturable, pi.money.Currency}.String() + " that is held is released"
	}
	var s settings
	s.add("cancellation_reason", in.Reason)
	return plan{Text: text, Path: []string{"payment_intents", pi.ID, "cancel"}, Form: s.form}, nil
}
