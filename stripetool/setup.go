package stripetool

import (
	"context"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

var setupChanges = []change{{
	resource: "setup_intents", action: "create", effect: mcpsec.Write, reads: []string{"customers"},
	name: "stripe_create_setup_intent", description: "Prepare to save a payment method, which the customer enters on the operator's page, whose server reads the intent by its id.",
	required: `"customer"`, properties: append(texts("customer description"), `"usage":{"enum":["off_session","on_session"]}`, metadataProperty),
	tool: changeTool("", (*Client).planCreateSetup),
}, {
	resource: "payment_methods", action: "attach", effect: mcpsec.Write, sets: true, reads: []string{"customers"},
	name: "stripe_attach_payment_method", description: "Save a payment method for a customer.",
	required: `"id","customer"`, properties: texts("id customer"),
	tool: changeTool("", (*Client).planAttach),
}, {
	resource: "payment_methods", action: "detach", effect: mcpsec.Destroy, sets: true, reads: []string{"customers"},
	name: "stripe_detach_payment_method", description: "Take a customer's payment method away, for good.",
	required: `"id"`, properties: texts("id"),
	tool: changeTool("", (*Client).planDetach),
}}

type paymentMethod struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Customer string `json:"customer"`
	Card     struct {
		Brand string `json:"brand"`
		Last4 string `json:"last4"`
	} `json:"card"`
}

func (pm paymentMethod) String() string {
	if pm.Card.Last4 == "" {
		return "payment method " + pm.ID + " of type " + quoted(pm.Type)
	}
	return "payment method " + pm.ID + ", card " + quoted(pm.Card.Brand+" "+pm.Card.Last4)
}

func (c *Client) paymentMethod(ctx context.Context, id string) (paymentMethod, error) {
	var pm paymentMethod
	err := c.object(ctx, "payment_methods", id, &pm)
	if err == nil && pm.ID != id {
		err = errAnswer
	}
	return pm, err
}

// methodOf reads a payment method that must be a customer's, or no customer's if there
// is none: nobody pays with what is another's.
func (c *Client) methodOf(ctx context.Context, id, customer string) (paymentMethod, error) {
	pm, err := c.paymentMethod(ctx, id)
	if err == nil && pm.Customer != customer {
		err = refuse("the payment method is not the customer's: see stripe_attach_payment_method", "argument")
	}
	return pm, err
}

type createSetupIn struct {
	Customer    string            `json:"customer" validate:"required,max=220"`
	Usage       string            `json:"usage" validate:"omitempty,oneof=off_session on_session"`
	Description string            `json:"description" validate:"max=500"`
	Metadata    map[string]string `json:"metadata" validate:"max=50,dive,keys,max=40,endkeys,max=500"`
	keyed
}

func (c *Client) planCreateSetup(ctx context.Context, in createSetupIn) (plan, error) {
	cu, err := c.customer(ctx, in.Customer)
	if err != nil {
		return plan{}, err
	}
	s := settings{form: [][2]string{{"customer", cu.ID}, {"automatic_payment_methods[enabled]", "true"}}}
	s.add("usage", in.Usage)
	s.add("description", in.Description)
	err = s.metadata(nil, in.Metadata)
	return s.creation("a setup intent, for "+cu.String()+" to save a payment method", "setup_intents"), err
}

type attachIn struct {
	ID       string `json:"id" validate:"required,max=220"`
	Customer string `json:"customer" validate:"required,max=220"`
	keyed
}

func (c *Client) planAttach(ctx context.Context, in attachIn) (plan, error) {
	pm, err := c.paymentMethod(ctx, in.ID)
	if err != nil {
		return plan{}, err
	}
	cu, err := c.customer(ctx, in.Customer)
	if err != nil {
		return plan{}, err
	}
	p := plan{
		Text: "save " + pm.String() + " for " + cu.String(), Same: pm.Customer == cu.ID,
		Path: []string{"payment_methods", pm.ID, "attach"}, Form: [][2]string{{"customer", cu.ID}},
	}
	if pm.Customer != "" {
		return p, refuse("the payment method is saved for a customer already", "state")
	}
	return p, nil
}

type detachIn struct {
	ID string `json:"id" validate:"required,max=220"`
	keyed
}

func (c *Client) planDetach(ctx context.Context, in detachIn) (plan, error) {
	pm, err := c.paymentMethod(ctx, in.ID)
	if err != nil {
		return plan{}, err
	}
	p := plan{Path: []string{"payment_methods", pm.ID, "detach"}, Same: pm.Customer == ""}
	if p.Same {
		return p, refuse("the payment method is no customer's", "state")
	}
	who, err := c.payer(ctx, pm.Customer)
	p.Text = "take " + pm.String() + " away from " + who + ", for good: what they pay by it, as subscriptions, fails from then on"
	return p, err
}
