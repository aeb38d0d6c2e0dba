package stripetool

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/internal/waive"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// The address of a hosted page lets its reader do what the page does. It is what these
// tools are for, and only they return it. The portal's looks like a secret, since it is
// one: redaction would mask it.
var pageChanges = []change{
	{
		resource: "checkout_sessions", action: "create", effect: mcpsec.Write, page: true, reads: []string{"customers", "prices"},
		name: "stripe_create_checkout_session", description: "Make a page where a customer pays; its url is for them.",
		required: `"mode","items","success_url"`,
		properties: []string{`"mode":{"enum":["payment","subscription"]}`, itemsProperty, `"success_url":{"type":"string"}`, `"cancel_url":{"type":"string"}`, `"customer":{"type":"string"}`,
			`"client_reference_id":{"type":"string"}`, promotionsProperty},
		tool: changeTool("id object amount_total client_reference_id currency customer expires_at mode status url", (*Client).planCheckout),
	},
	{
		resource: "payment_links", action: "create", effect: mcpsec.Write, page: true, reads: []string{"prices"},
		name: "stripe_create_payment_link", description: "Make an address where anybody can pay, until it is deactivated.",
		required:   `"items"`,
		properties: []string{itemsProperty, `"after_completion_url":{"type":"string"}`, promotionsProperty},
		tool:       changeTool("id object active currency url", (*Client).planLink),
	},
	{
		resource: "payment_links", action: "update", effect: mcpsec.Write, sets: true, page: true,
		name: "stripe_update_payment_link", description: "Activate or deactivate a payment link.",
		required:   `"id","active"`,
		properties: []string{`"id":{"type":"string"}`, `"active":{"type":"boolean"}`},
		tool:       changeTool("id object active currency url", (*Client).planLinkUpdate),
	},
	{
		resource: "billing_portal_sessions", action: "create", effect: mcpsec.Destroy, page: true, labels: mcpsec.Egress, reads: []string{"customers"},
		waive: []mcpsec.Waiver{{Kind: waive.RawOutput, Reason: "the result is the address of a customer's billing portal, which redaction takes for the secret that it is"}},
		name:  "stripe_create_billing_portal_session", description: "Make a url that logs its holder in to the billing portal as the customer; a new idempotency_key makes a new one.",
		required:   `"customer","return_url"`,
		properties: []string{`"customer":{"type":"string"}`, `"return_url":{"type":"string"}`},
		tool:       changeTool("id object url", (*Client).planPortal),
	},
}

const promotionsProperty = `"allow_promotion_codes":{"type":"boolean"}`

// pageAddress is what an address of a hosted page may be written in. It stands in an
// answer of which nothing may be masked.
var (
	pageAddress = lazy.Regexp(`^https://[a-z0-9.-]{1,200}/[A-Za-z0-9._~%/?#=&+-]{1,1000}$`)
	printable   = lazy.Regexp(`^[ -~]*$`)
)

// onlyPage refuses an answer without such an address, or with a text in it that a reader
// would not see.
func onlyPage(raw json.RawMessage) error {
	var o map[string]any
	if json.Unmarshal(raw, &o) != nil {
		return errAnswer
	}
	if u, ok := o["url"].(string); !ok || !pageAddress().MatchString(u) {
		return errAnswer
	}
	for _, v := range o {
		if s, ok := v.(string); ok && !printable().MatchString(s) {
			return errAnswer
		}
	}
	return nil
}

type checkoutIn struct {
	Mode       string     `json:"mode" validate:"required,oneof=payment subscription"`
	Items      []lineItem `json:"items" validate:"min=1,max=10,dive"`
	SuccessURL string     `json:"success_url" validate:"required,max=1000"`
	CancelURL  string     `json:"cancel_url" validate:"max=1000"`
	Customer   string     `json:"customer" validate:"max=220"`
	Reference  string     `json:"client_reference_id" validate:"max=200"`
	Promotions bool       `json:"allow_promotion_codes"`
	keyed
}

func (c *Client) planCheckout(ctx context.Context, in checkoutIn) (plan, error) {
	to, err := c.redirectTo(in.SuccessURL, true)
	if err != nil {
		return plan{}, err
	}
	p := plan{Path: []string{"checkout", "sessions"}, Form: [][2]string{{"mode", in.Mode}, {"success_url", to}, {"allow_promotion_codes", strconv.FormatBool(in.Promotions)}}}
	who := "whoever has its address"
	if in.CancelURL != "" {
		back, err := c.redirectTo(in.CancelURL, false)
		if err != nil {
			return plan{}, err
		}
		to += " or " + back
		p.Form = append(p.Form, [2]string{"cancel_url", back})
	}
	if in.Reference != "" {
		if !ownName().MatchString(in.Reference) {
			return plan{}, refuse("client_reference_id must be letters, digits, dashes and underscores", "id")
		}
		p.Form = append(p.Form, [2]string{"client_reference_id", in.Reference})
	}
	if in.Customer != "" {
		if err := c.customerThere(ctx, in.Customer); err != nil {
			return plan{}, err
		}
		who, p.Asks = "customer "+in.Customer, true // whose e-mail address the page shows
		p.Form = append(p.Form, [2]string{"customer", in.Customer})
	}
	o, err := c.orderOf(ctx, "line_items", in.Items)
	switch {
	case err != nil:
		return plan{}, err
	case in.Mode == "payment" && o.recurring > 0:
		return plan{}, refuse("a price that is paid again and again needs mode subscription", "price")
	case in.Mode == "subscription" && o.recurring == 0:
		return plan{}, refuse("none of the prices is paid again and again: mode must be payment", "price")
	}
	p.Form = append(p.Form, o.form...)
	p.Text = "make a page where " + who + " can pay " + o.text + codes(in.Promotions) + "; it leads to " + to
	return p, nil
}

func codes(promotions bool) string {
	if promotions {
		return ", less what promotion codes take off"
	}
	return ""
}

type linkIn struct {
	Items      []lineItem `json:"items" validate:"min=1,max=10,dive"`
	AfterURL   string     `json:"after_completion_url" validate:"max=1000"`
	Promotions bool       `json:"allow_promotion_codes"`
	keyed
}

func (c *Client) planLink(ctx context.Context, in linkIn) (plan, error) {
	p := plan{Path: []string{"payment_links"}, Form: [][2]string{{"allow_promotion_codes", strconv.FormatBool(in.Promotions)}}}
	var leads string
	if in.AfterURL != "" {
		to, err := c.redirectTo(in.AfterURL, true)
		if err != nil {
			return plan{}, err
		}
		leads = "; it leads to " + to
		p.Form = append(p.Form, [2]string{"after_completion[type]", "redirect"}, [2]string{"after_completion[redirect][url]", to})
	}
	o, err := c.orderOf(ctx, "line_items", in.Items)
	if err != nil {
		return plan{}, err
	}
	p.Form = append(p.Form, o.form...)
	p.Text = "make an address where anybody can pay, any number of times, " + o.text + codes(in.Promotions) + leads
	return p, nil
}

type linkUpdateIn struct {
	ID     string `json:"id" validate:"required,max=220"`
	Active *bool  `json:"active" validate:"required"`
	keyed
}

func (c *Client) planLinkUpdate(ctx context.Context, in linkUpdateIn) (plan, error) {
	if err := resources["payment_links"].id(in.ID); err != nil {
		return plan{}, err
	}
	var link struct {
		ID     string `json:"id"`
		Active bool   `json:"active"`
	}
	if err := c.get(ctx, &link, nil, "payment_links", in.ID); err != nil {
		return plan{}, err
	}
	p := plan{Path: []string{"payment_links", in.ID}, Same: link.Active == *in.Active, Form: [][2]string{{"active", strconv.FormatBool(*in.Active)}}}
	switch p.Text = "let nobody pay at payment link " + in.ID + " any more"; {
	case link.ID != in.ID:
		return plan{}, errAnswer
	case p.Same:
		p.Text = "change nothing of payment link " + in.ID + ", whose active is " + strconv.FormatBool(link.Active) + " already"
	case *in.Active:
		p.Text = "let everybody pay at payment link " + in.ID + " again"
	}
	return p, nil
}

type portalIn struct {
	Customer  string `json:"customer" validate:"required,max=220"`
	ReturnURL string `json:"return_url" validate:"required,max=1000"`
	keyed
}

func (c *Client) planPortal(ctx context.Context, in portalIn) (plan, error) {
	to, err := c.redirectTo(in.ReturnURL, false)
	if err != nil {
		return plan{}, err
	}
	if err := c.customerThere(ctx, in.Customer); err != nil {
		return plan{}, err
	}
	return plan{
		Text: "make an address that logs whoever has it in as customer " + in.Customer + ", to see invoices, change how is paid, and cancel; the caller reads it; it leads to " + to,
		Path: []string{"billing_portal", "sessions"}, Form: [][2]string{{"customer", in.Customer}, {"return_url", to}},
	}, nil
}
