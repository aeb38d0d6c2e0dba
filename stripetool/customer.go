package stripetool

import (
	"context"
	"fmt"
	"net/http"

	"github.com/stripe/stripe-go/v76/form"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

var customerChanges = []change{{
	resource: "customers", action: "create", effect: mcpsec.Write,
	name: "stripe_create_customer", description: "Create a customer.",
	properties: append(texts("name email phone description"), metadataProperty),
	tool:       changeTool("", (*Client).planCreateCustomer),
}, {
	resource: "customers", action: "update", effect: mcpsec.Write, sets: true, reads: []string{"payment_methods"},
	name: "stripe_update_customer", description: `Change a customer: what is given; "" takes away.`,
	required: `"id"`, properties: append(texts("id name email phone description default_payment_method"), metadataProperty),
	tool: changeTool("", (*Client).planUpdateCustomer),
}, {
	resource: "customers", action: "delete", effect: mcpsec.Destroy, reads: []string{"subscriptions"},
	name: "stripe_delete_customer", description: "Delete a customer for good, which cancels their subscriptions.",
	required: `"id"`, properties: texts("id"),
	tool: changeTool("", (*Client).planDeleteCustomer),
}}

type customer struct {
	ID          string            `json:"id"`
	Deleted     bool              `json:"deleted"`
	Name        string            `json:"name"`
	Email       string            `json:"email"`
	Phone       string            `json:"phone"`
	Description string            `json:"description"`
	Balance     int64             `json:"balance"`
	Currency    string            `json:"currency"`
	Metadata    map[string]string `json:"metadata"`
	Settings    struct {
		DefaultPaymentMethod string `json:"default_payment_method"`
	} `json:"invoice_settings"`
}

func (cu customer) String() string {
	if cu.Name == "" {
		return "customer " + cu.ID
	}
	return "customer " + cu.ID + " " + quoted(cu.Name)
}

// customer reads a customer that there is.
func (c *Client) customer(ctx context.Context, id string) (customer, error) {
	var cu customer
	if err := c.object(ctx, "customers", id, &cu); err != nil {
		return cu, err
	}
	if cu.Deleted {
		return cu, refuse("the customer was deleted", "state")
	}
	if cu.ID != id {
		return cu, errAnswer
	}
	return cu, nil
}

type createCustomerIn struct {
	Name        string            `json:"name" validate:"max=256"`
	Email       string            `json:"email" validate:"max=512"`
	Phone       string            `json:"phone" validate:"max=20"`
	Description string            `json:"description" validate:"max=500"`
	Metadata    map[string]string `json:"metadata" validate:"max=50,dive,keys,max=40,endkeys,max=500"`
	keyed
}

var (
	emailForm = lazy.Regexp(`^[^\s@<>"(),;:\\]{1,64}@[^\s@<>"(),;:\\]{1,255}$`)
	errEmail  = refuse("email must be one e-mail address", "text")
)

func (c *Client) planCreateCustomer(_ context.Context, in createCustomerIn) (plan, error) {
	if in.Email != "" && !emailForm().MatchString(in.Email) {
		return plan{}, errEmail
	}
	var s settings
	s.add("name", in.Name)
	s.add("email", in.Email)
	s.add("phone", in.Phone)
	s.add("description", in.Description)
	err := s.metadata(nil, in.Metadata)
	return s.creation("a customer", "customers"), err
}

type updateCustomerIn struct {
	ID            string            `json:"id" validate:"required,max=220"`
	Name          *string           `json:"name" validate:"omitempty,max=256"`
	Email         *string           `json:"email" validate:"omitempty,max=512"`
	Phone         *string           `json:"phone" validate:"omitempty,max=20"`
	Description   *string           `json:"description" validate:"omitempty,max=500"`
	PaymentMethod *string           `json:"default_payment_method" validate:"omitempty,max=220"`
	Metadata      map[string]string `json:"metadata" validate:"max=50,dive,keys,max=40,endkeys,max=500"`
	keyed
}

func (c *Client) planUpdateCustomer(ctx context.Context, in updateCustomerIn) (plan, error) {
	if in.Email != nil && *in.Email != "" && !emailForm().MatchString(*in.Email) {
		return plan{}, errEmail
	}
	cu, err := c.customer(ctx, in.ID)
	if err != nil {
		return plan{}, err
	}
	var s settings
	s.change("name", cu.Name, in.Name)
	s.change("email", cu.Email, in.Email)
	s.change("phone", cu.Phone, in.Phone)
	s.change("description", cu.Description, in.Description)
	if pm := in.PaymentMethod; pm != nil {
		if _, err := c.methodOf(ctx, *pm, cu.ID); *pm != "" && err != nil {
			return plan{}, err
		}
		s.change("invoice_settings[default_payment_method]", cu.Settings.DefaultPaymentMethod, in.PaymentMethod)
	}
	if err := s.metadata(present(cu.Metadata), in.Metadata); err != nil {
		return plan{}, err
	}
	p, err := s.update(cu.String(), "customers", cu.ID)
	p.Asks = in.Email != nil || in.PaymentMethod != nil // who gets invoices and can open the billing portal, and who is charged
	return p, err
}

// present is the metadata of an object that there is.
func present(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

type deleteCustomerIn struct {
	ID string `json:"id" validate:"required,max=220"`
	keyed
}

// planDeleteCustomer reads what is lost.
func (c *Client) planDeleteCustomer(ctx context.Context, in deleteCustomerIn) (plan, error) {
	cu, err := c.customer(ctx, in.ID)
	if err != nil {
		return plan{}, err
	}
	subscriptions, err := c.count(ctx, "subscriptions", "customer", cu.ID) // without a status: all that are not canceled
	if err != nil {
		return plan{}, err
	}
	balance, err := owed(cu)
	if err != nil {
		return plan{}, err
	}
	return plan{
		Text:   fmt.Sprintf("delete %s for good: %s subscriptions are canceled, %s, and their payment methods go", cu, subscriptions, balance),
		Method: http.MethodDelete, Path: []string{"customers", cu.ID},
	}, nil
}

// owed tells a customer's balance, which is negative where it is theirs.
func owed(cu customer) (string, error) {
	if cu.Balance == 0 {
		return "no balance", nil
	}
	m, err := stripeMoney(max(cu.Balance, -cu.Balance), cu.Currency)
	switch {
	case cu.Currency == "":
		return fmt.Sprintf("a balance of %d, whose currency Stripe does not tell, is lost", cu.Balance), nil
	case err != nil:
		return "", err
	case cu.Balance < 0:
		return "a credit of " + m.String() + " is lost", nil
	}
	return m.String() + " that they owe is lost", nil
}

// count tells how many objects a list has.
func (c *Client) count(ctx context.Context, resource, filter, value string) (string, error) {
	var list struct {
		Data    []struct{} `json:"data"`
		HasMore bool       `json:"has_more"`
	}
	f := &form.Values{}
	f.Add(filter, value)
	f.Add("limit", "100")
	if err := c.get(ctx, &list, f, resources[resource].path...); err != nil {
		return "", err
	}
	if list.HasMore {
		return fmt.Sprintf("more than %d", len(list.Data)), nil
	}
	return fmt.Sprint(len(list.Data)), nil
}
