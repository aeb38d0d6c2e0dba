package stripetool

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A draft that is made here waits for stripe_finalize_invoice: nothing is billed by
// itself. So drafts can be written without a person, and bills cannot.
var invoiceChanges = []change{
	{
		resource: "invoices", action: "create", effect: mcpsec.Write, reads: []string{"customers"},
		name: "stripe_create_invoice", description: "Make an empty draft of an invoice.",
		required: `"customer"`,
		properties: []string{`"customer":{"type":"string"}`, `"collection_method":{"enum":["send_invoice","charge_automatically"]}`, `"days_until_due":{"type":"integer"}`,
			`"currency":{"type":"string"}`, `"description":{"type":"string"}`},
		tool: changeTool(invoiceAnswer, (*Client).planInvoice),
	},
	{
		resource: "invoices", action: "add_item", effect: mcpsec.Write, reads: []string{"prices"},
		name: "stripe_add_invoice_item", description: "Add a price, or an amount with a description, to a draft.",
		required: `"invoice"`,
		properties: []string{`"invoice":{"type":"string"}`, `"price":{"type":"string"}`, `"quantity":{"type":"integer"}`, `"amount":{"type":"string","description":"as EUR 19.00"}`,
			`"description":{"type":"string"}`},
		tool: changeTool("id object amount currency customer description invoice livemode quantity price.id", (*Client).planItem),
	},
	{
		resource: "invoices", action: "finalize", effect: mcpsec.Destroy, moves: true, labels: mcpsec.Egress,
		name: "stripe_finalize_invoice", description: "Make a draft a bill. With auto_advance Stripe charges or e-mails the customer.",
		required:   `"invoice"`,
		properties: []string{`"invoice":{"type":"string"}`, `"auto_advance":{"type":"boolean"}`},
		tool:       changeTool(invoiceAnswer, (*Client).planFinalize),
	},
	{
		resource: "invoices", action: "send", effect: mcpsec.Destroy, labels: mcpsec.Egress,
		name: "stripe_send_invoice", description: "E-mail an open invoice to its customer.",
		required:   `"invoice"`,
		properties: []string{`"invoice":{"type":"string"}`},
		tool:       changeTool(invoiceAnswer, (*Client).planSend),
	},
	{
		resource: "invoices", action: "void", effect: mcpsec.Destroy,
		name: "stripe_void_invoice", description: "Void an open or uncollectible invoice.",
		required:   `"invoice"`,
		properties: []string{`"invoice":{"type":"string"}`},
		tool:       changeTool(invoiceAnswer, (*Client).planVoid),
	},
}

const invoiceAnswer = "id object amount_due amount_paid amount_remaining auto_advance collection_method currency customer due_date livemode number status subscription total"

// An invoice is one of Stripe's, as far as a question needs it.
type invoice struct {
	ID          string `json:"id"`
	Status      string `json:"status"`
	Customer    string `json:"customer"`
	Email       string `json:"customer_email"` // whether there is one: it is not shown
	Currency    string `json:"currency"`
	Due         int64  `json:"amount_due"`
	Remaining   int64  `json:"amount_remaining"`
	Total       int64  `json:"total"`
	Collection  string `json:"collection_method"`
	AutoAdvance bool   `json:"auto_advance"`
	Lines       struct {
		Data    []struct{} `json:"data"`
		HasMore bool       `json:"has_more"`
		Total   int        `json:"total_count"`
	} `json:"lines"`

	due, remaining Money
}

// read checks what Stripe tells of an invoice.
func (i *invoice) read() (err error) {
	if i.due, err = stripeMoney(i.Due, i.Currency); err != nil {
		return err
	}
	if i.remaining, err = stripeMoney(i.Remaining, i.Currency); err != nil || i.Customer != "" && resources["customers"].id(i.Customer) != nil {
		return errAnswer
	}
	return nil
}

func (i *invoice) lines() string {
	switch n := max(i.Lines.Total, len(i.Lines.Data)); {
	case i.Lines.HasMore && n == len(i.Lines.Data):
		return fmt.Sprintf("more than %d lines", n)
	case n == 1:
		return "1 line"
	default:
		return fmt.Sprintf("%d lines", n)
	}
}

// invoiceOf reads an invoice that must be in one of states.
func (c *Client) invoiceOf(ctx context.Context, id, what string, states ...string) (invoice, error) {
	var inv invoice
	if err := resources["invoices"].id(id); err != nil {
		return inv, err
	}
	if err := c.get(ctx, &inv, nil, "invoices", id); err != nil {
		return inv, err
	}
	switch {
	case inv.ID != id || inv.read() != nil || inv.Customer == "" || !errorWord().MatchString(inv.Status):
		return inv, errAnswer
	case !slices.Contains(states, inv.Status):
		return inv, refuse("the invoice is "+inv.Status+": "+what, "state")
	}
	return inv, nil
}

type invoiceIn struct {
	Customer    string `json:"customer" validate:"required,max=220"`
	Collection  string `json:"collection_method" validate:"omitempty,oneof=send_invoice charge_automatically"`
	Days        *int   `json:"days_until_due" validate:"omitempty,min=1,max=365"`
	Currency    string `json:"currency" validate:"max=3"`
	Description string `json:"description" validate:"max=500"`
	keyed
}

func (c *Client) planInvoice(ctx context.Context, in invoiceIn) (plan, error) {
	if err := customersRead("description", in.Description); err != nil {
		return plan{}, err
	}
	p := plan{Text: "make a draft of an invoice for customer " + in.Customer, Path: []string{"invoices"},
		Form: [][2]string{{"customer", in.Customer}, {"auto_advance", "false"}, {"pending_invoice_items_behavior", "exclude"}}}
	switch {
	case in.Collection != "charge_automatically":
		days := 30
		if in.Days != nil {
			days = *in.Days
		}
		p.Text += fmt.Sprintf(", to be paid within %d days after it is finalized", days)
		p.Form = append(p.Form, [2]string{"collection_method", "send_invoice"}, [2]string{"days_until_due", strconv.Itoa(days)})
	case in.Days != nil:
		return plan{}, refuse("what is charged automatically has no days_until_due", "state")
	default:
		p.Text += ", to be charged automatically"
		p.Form = append(p.Form, [2]string{"collection_method", "charge_automatically"})
	}
	if in.Currency != "" {
		m := Money{0, in.Currency}
		if err := m.check(); err != nil {
			return plan{}, refuse("currency: "+errCurrency.Error(), "amount")
		}
		p.Text += ", in " + in.Currency
		p.Form = append(p.Form, [2]string{"currency", lower(in.Currency)})
	}
	if in.Description != "" {
		p.Says = in.Description
		p.Form = append(p.Form, [2]string{"description", in.Description})
	}
	return p, c.customerThere(ctx, in.Customer)
}

type itemIn struct {
	Invoice     string `json:"invoice" validate:"required,max=220"`
	Price       string `json:"price" validate:"max=220"`
	Quantity    int64  `json:"quantity" validate:"min=0,max=10000"`
	Amount      string `json:"amount" validate:"max=40"`
	Description string `json:"description" validate:"max=500"`
	keyed
}

func (c *Client) planItem(ctx context.Context, in itemIn) (plan, error) {
	if err := customersRead("description", in.Description); err != nil {
		return plan{}, err
	}
	if (in.Price == "") == (in.Amount == "") || in.Amount != "" && (in.Quantity != 0 || in.Description == "") {
		return plan{}, refuse("give a price, with a quantity, or an amount with a description", "amount")
	}
	inv, err := c.invoiceOf(ctx, in.Invoice, "lines are added to a draft", "draft")
	if err != nil {
		return plan{}, err
	}
	if inv.AutoAdvance { // somebody would be billed that no person was asked about
		return plan{}, refuse("Stripe finalizes this draft by itself: lines are added to drafts that wait for stripe_finalize_invoice", "state")
	}
	p := plan{Path: []string{"invoiceitems"}, Alone: inv.ID, Form: [][2]string{{"customer", inv.Customer}, {"invoice", inv.ID}}}
	what, currency := in.Amount, ""
	if in.Price != "" {
		pr, err := c.priceOf(ctx, in.Price)
		if err != nil {
			return plan{}, err
		}
		if pr.Recurring != nil {
			return plan{}, refuse("a price that is paid again and again is for subscriptions", "price")
		}
		n := max(in.Quantity, 1)
		what, currency = pr.text(n), pr.Currency
		p.Form = append(p.Form, [2]string{"price", pr.ID}, [2]string{"quantity", strconv.FormatInt(n, 10)})
	} else {
		m, err := ParseMoney(in.Amount)
		if err != nil || m.Amount == 0 {
			return plan{}, &mcpsec.Error{Message: "amount: " + errMoney.Error() + ", and more than nothing", Rule: "amount", Err: err}
		}
		currency = lower(m.Currency)
		p.Form = append(p.Form, [2]string{"amount", strconv.FormatInt(m.Amount, 10)}, [2]string{"currency", currency})
	}
	if currency != inv.Currency {
		return plan{}, refuse("the invoice is in "+inv.due.Currency, "amount")
	}
	p.Text = fmt.Sprintf("add %s to draft invoice %s of customer %s, of which %s are due so far", what, inv.ID, inv.Customer, inv.due)
	if in.Description != "" {
		p.Says = in.Description
		p.Form = append(p.Form, [2]string{"description", in.Description})
	}
	return p, nil
}

type finalizeIn struct {
	Invoice     string `json:"invoice" validate:"required,max=220"`
	AutoAdvance bool   `json:"auto_advance"`
	keyed
}

// planFinalize takes of the caps what is billed, also where it is charged later or by
// hand.
func (c *Client) planFinalize(ctx context.Context, in finalizeIn) (plan, error) {
	inv, err := c.invoiceOf(ctx, in.Invoice, "only a draft can be finalized", "draft")
	if err != nil {
		return plan{}, err
	}
	if max(inv.Lines.Total, len(inv.Lines.Data)) == 0 {
		return plan{}, refuse("the invoice has no lines", "state")
	}
	if _, err := c.cap(inv.due); err != nil {
		return plan{}, err
	}
	then := "nothing is charged or e-mailed by itself"
	switch {
	case in.AutoAdvance && inv.Collection == "charge_automatically":
		then = "Stripe charges the customer, and e-mails as the account's settings say"
	case in.AutoAdvance:
		then = "Stripe e-mails the customer, as the account's settings say, and reminds"
	}
	return plan{
		Text: fmt.Sprintf("finalize invoice %s of customer %s: %s, %s due; %s", inv.ID, inv.Customer, inv.lines(), inv.due, then),
		Path: []string{"invoices", inv.ID, "finalize"}, Form: [][2]string{{"auto_advance", strconv.FormatBool(in.AutoAdvance)}}, Moves: inv.due, Alone: inv.ID,
	}, nil
}

type invoiceIDIn struct {
	Invoice string `json:"invoice" validate:"required,max=220"`
	keyed
}

func (c *Client) planSend(ctx context.Context, in invoiceIDIn) (plan, error) {
	inv, err := c.invoiceOf(ctx, in.Invoice, "only an open one is sent", "open")
	if err != nil {
		return plan{}, err
	}
	if inv.Email == "" {
		return plan{}, refuse("the customer of the invoice has no e-mail address", "state")
	}
	return plan{
		Text: fmt.Sprintf("e-mail invoice %s, of which %s are left to pay, to customer %s", inv.ID, inv.remaining, inv.Customer),
		Path: []string{"invoices", inv.ID, "send"},
	}, nil
}

func (c *Client) planVoid(ctx context.Context, in invoiceIDIn) (plan, error) {
	inv, err := c.invoiceOf(ctx, in.Invoice, "only an open or uncollectible one can be voided", "open", "uncollectible")
	if err != nil {
		return plan{}, err
	}
	return plan{
		Text: fmt.Sprintf("void invoice %s, so that customer %s does not owe the %s of it that are left to pay", inv.ID, inv.Customer, inv.remaining),
		Path: []string{"invoices", inv.ID, "void"},
	}, nil
}
