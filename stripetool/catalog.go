package stripetool

import (
	"context"
	"fmt"
	"strconv"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// What is sold already, its buyers see.
var catalogChanges = []change{{
	resource: "products", action: "create", effect: mcpsec.Write,
	name: "stripe_create_product", description: "Create a product, which gets its prices by stripe_create_price.",
	required: `"name"`, properties: append(texts("name description statement_descriptor"), metadataProperty),
	tool: changeTool("", (*Client).planCreateProduct),
}, {
	resource: "products", action: "update", effect: mcpsec.Destroy, sets: true, reads: []string{"prices"},
	name: "stripe_update_product", description: `Change a product: what is given; "" takes away. One that is not active is not sold.`,
	required: `"id"`, properties: append(texts("id name description statement_descriptor default_price"), `"active":{"type":"boolean"}`, metadataProperty),
	tool: changeTool("", (*Client).planUpdateProduct),
}, {
	resource: "prices", action: "create", effect: mcpsec.Write, reads: []string{"products"},
	name: "stripe_create_price", description: "Create a price of a product: for once, or every interval_count intervals. lookup_key is a name of one's own.",
	required: `"product","amount"`, properties: append(texts("product lookup_key nickname"), amountProperty, `"interval":{"enum":["day","week","month","year"]}`,
		`"interval_count":{"type":"integer"}`, `"usage_type":{"enum":["licensed","metered"]}`, `"tax_behavior":{"enum":["inclusive","exclusive"]}`, metadataProperty),
	tool: changeTool("", (*Client).planCreatePrice),
}}

type product struct {
	ID           string            `json:"id"`
	Name         string            `json:"name"`
	Description  string            `json:"description"`
	Statement    string            `json:"statement_descriptor"`
	Active       bool              `json:"active"`
	DefaultPrice string            `json:"default_price"`
	Metadata     map[string]string `json:"metadata"`
}

func (p product) String() string { return "product " + p.ID + " " + quoted(p.Name) }

func (c *Client) product(ctx context.Context, id string) (product, error) {
	var p product
	err := c.object(ctx, "products", id, &p)
	if err == nil && p.ID != id {
		err = errAnswer
	}
	return p, err
}

type createProductIn struct {
	Name        string            `json:"name" validate:"required,max=250"`
	Description string            `json:"description" validate:"max=1000"`
	Statement   string            `json:"statement_descriptor" validate:"max=22"`
	Metadata    map[string]string `json:"metadata" validate:"max=50,dive,keys,max=40,endkeys,max=500"`
	keyed
}

func (c *Client) planCreateProduct(_ context.Context, in createProductIn) (plan, error) {
	var s settings
	s.add("name", in.Name)
	s.add("description", in.Description)
	s.add("statement_descriptor", in.Statement)
	err := s.metadata(nil, in.Metadata)
	return s.creation("a product", "products"), err
}

type updateProductIn struct {
	ID           string            `json:"id" validate:"required,max=220"`
	Name         *string           `json:"name" validate:"omitempty,min=1,max=250"`
	Description  *string           `json:"description" validate:"omitempty,max=1000"`
	Statement    *string           `json:"statement_descriptor" validate:"omitempty,max=22"`
	DefaultPrice *string           `json:"default_price" validate:"omitempty,max=220"`
	Active       *bool             `json:"active"`
	Metadata     map[string]string `json:"metadata" validate:"max=50,dive,keys,max=40,endkeys,max=500"`
	keyed
}

func (c *Client) planUpdateProduct(ctx context.Context, in updateProductIn) (plan, error) {
	p, err := c.product(ctx, in.ID)
	if err != nil {
		return plan{}, err
	}
	var s settings
	s.change("name", p.Name, in.Name)
	s.change("description", p.Description, in.Description)
	s.change("statement_descriptor", p.Statement, in.Statement)
	if in.DefaultPrice != nil {
		var price struct {
			Product string `json:"product"`
		}
		if err := c.object(ctx, "prices", *in.DefaultPrice, &price); err != nil {
			return plan{}, err
		}
		if price.Product != p.ID {
			return plan{}, refuse("default_price is another product's", "argument")
		}
		s.change("default_price", p.DefaultPrice, in.DefaultPrice)
	}
	if in.Active != nil {
		active := strconv.FormatBool(*in.Active)
		s.change("active", strconv.FormatBool(p.Active), &active)
	}
	if err := s.metadata(present(p.Metadata), in.Metadata); err != nil {
		return plan{}, err
	}
	return s.update(p.String(), "products", p.ID)
}

type createPriceIn struct {
	Product       string            `json:"product" validate:"required,max=220"`
	Amount        string            `json:"amount" validate:"required,max=40"`
	Interval      string            `json:"interval" validate:"omitempty,oneof=day week month year"`
	IntervalCount int               `json:"interval_count" validate:"omitempty,min=1,max=1095"`
	UsageType     string            `json:"usage_type" validate:"omitempty,oneof=licensed metered"`
	TaxBehavior   string            `json:"tax_behavior" validate:"omitempty,oneof=inclusive exclusive"`
	LookupKey     string            `json:"lookup_key" validate:"max=200"`
	Nickname      string            `json:"nickname" validate:"max=250"`
	Metadata      map[string]string `json:"metadata" validate:"max=50,dive,keys,max=40,endkeys,max=500"`
	keyed
}

// lookupKey is a name that a shop's program finds a price by.
var lookupKey = lazy.Regexp(`^[A-Za-z0-9_.:-]{1,200}$`)

// planCreatePrice caps nothing: what is charged by the price is capped when it is.
func (c *Client) planCreatePrice(ctx context.Context, in createPriceIn) (plan, error) {
	m, err := ParseMoney(in.Amount)
	switch {
	case err != nil:
		return plan{}, refuse("amount: "+err.Error(), "amount")
	case in.Interval == "" && (in.IntervalCount != 0 || in.UsageType != ""):
		return plan{}, refuse("interval_count and usage_type need an interval", "argument")
	case in.LookupKey != "" && !lookupKey().MatchString(in.LookupKey):
		return plan{}, refuse("lookup_key must be letters, digits, dots, colons, dashes and underscores", "text")
	}
	p, err := c.product(ctx, in.Product)
	if err != nil {
		return plan{}, err
	}
	s := settings{form: [][2]string{{"product", p.ID}}}
	s.money("unit_amount", m)
	text := "a price of " + m.String() + ", once"
	if in.Interval != "" {
		n := max(in.IntervalCount, 1)
		text = fmt.Sprintf("a price of %s, every %s", m, in.Interval)
		if n > 1 {
			text = fmt.Sprintf("a price of %s, every %d %ss", m, n, in.Interval)
		}
		s.form = append(s.form, [2]string{"recurring[interval]", in.Interval}, [2]string{"recurring[interval_count]", strconv.Itoa(n)})
		s.add("recurring[usage_type]", in.UsageType)
	}
	if m.Amount == 0 {
		text += ", which is for nothing"
	}
	s.add("tax_behavior", in.TaxBehavior)
	s.add("lookup_key", in.LookupKey)
	s.add("nickname", in.Nickname)
	err = s.metadata(nil, in.Metadata)
	return s.creation(text+", for "+p.String(), "prices"), err
}
