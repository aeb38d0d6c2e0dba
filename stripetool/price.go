package stripetool

import (
	"context"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/internal/text"
)

// A lineItem is a price and how often it is to be had: once unless said.
type lineItem struct {
	Price    string `json:"price" validate:"required,max=220"`
	Quantity int64  `json:"quantity" validate:"min=0,max=10000"`
}

// itemsProperty shows no bounds, which the type has: it stands in several tools.
const itemsProperty = `"items":{"type":"array","items":{"properties":{"price":{},"quantity":{}}}}`

// A price is one of Stripe's prices, as far as a question needs it.
type price struct {
	ID       string `json:"id"`
	Active   bool   `json:"active"`
	Currency string `json:"currency"`
	Amount   *int64 `json:"unit_amount"`
	Decimal  string `json:"unit_amount_decimal"` // of fractions of the smallest unit, too
	Scheme   string `json:"billing_scheme"`
	Type     string `json:"type"`
	Package  *struct {
		DivideBy int64 `json:"divide_by"`
	} `json:"transform_quantity"`
	Recurring *struct {
		Interval      string `json:"interval"`
		IntervalCount int64  `json:"interval_count"`
		UsageType     string `json:"usage_type"`
	} `json:"recurring"`
}

func (p price) metered() bool { return p.Recurring != nil && p.Recurring.UsageType == "metered" }

var unitAmount = lazy.Regexp(`^[0-9]{1,16}(\.[0-9]{1,12})?$`)

// times is what n of it cost, rounded up, or false where that cannot be told from the
// price alone.
func (p price) times(n int64) (Money, bool) {
	decimal := p.Decimal
	if decimal == "" && p.Amount != nil && *p.Amount >= 0 {
		decimal = strconv.FormatInt(*p.Amount, 10)
	}
	r, ok := new(big.Rat).SetString(decimal)
	if p.Scheme == "tiered" || p.Package != nil || !unitAmount().MatchString(decimal) || !ok || n < 0 {
		return Money{}, false
	}
	r.Mul(r, new(big.Rat).SetInt64(n))
	up := new(big.Int).Add(r.Num(), new(big.Int).Sub(r.Denom(), big.NewInt(1)))
	if up.Div(up, r.Denom()); !up.IsInt64() {
		return Money{}, false
	}
	m, err := stripeMoney(up.Int64(), p.Currency)
	return m, err == nil
}

// told reports whether what it costs can be told from the price alone.
func (p price) told() bool {
	_, ok := p.times(1)
	return ok
}

// name is its id, which the account may have chosen.
func (p price) name() string {
	if ownName().MatchString(p.ID) {
		return p.ID
	}
	return quoted(p.ID)
}

// each is how often a price is paid.
func (p price) each() string {
	switch r := p.Recurring; {
	case r == nil:
		return ""
	case !errorWord().MatchString(r.Interval):
		return " again and again"
	case r.IntervalCount <= 1:
		return " every " + r.Interval
	default:
		return fmt.Sprintf(" every %d %ss", r.IntervalCount, r.Interval)
	}
}

// text tells a person what n of it are.
func (p price) text(n int64) string {
	one, ok := p.times(1)
	switch {
	case p.metered() && ok:
		return fmt.Sprintf("%s for each unit used%s (%s)", p.unit(one), p.each(), p.name())
	case p.metered():
		return fmt.Sprintf("what is used%s, of a price that is not one amount (%s)", p.each(), p.name())
	case ok:
		return fmt.Sprintf("%d × %s%s (%s)", n, p.unit(one), p.each(), p.name())
	}
	return fmt.Sprintf("%d of a price that is not one amount%s (%s)", n, p.each(), p.name())
}

// unit is an amount that may be of fractions of the smallest unit.
func (p price) unit(one Money) string {
	if strings.Contains(p.Decimal, ".") {
		return p.Decimal + " of the smallest unit of " + one.Currency
	}
	return one.String()
}

// priceOf reads a price that can be used.
func (c *Client) priceOf(ctx context.Context, id string) (price, error) {
	var p price
	if err := resources["prices"].id(id); err != nil {
		return p, err
	}
	if err := c.get(ctx, &p, nil, "prices", id); err != nil {
		return p, err
	}
	switch _, err := stripeMoney(0, p.Currency); {
	case err != nil || p.ID != id:
		return p, errAnswer
	case !p.Active:
		return p, refuse("the price is not active", "price")
	}
	return p, nil
}

// An order is what items come to.
type order struct {
	text      string
	form      [][2]string
	sum       Money // of all that can be told; its currency is that of all items
	whole     bool  // all can be told
	recurring int   // how many items are paid again and again
}

// orderOf reads the prices of items, which are parameters called name. A price that
// stands twice is refused: two lines of it are one in no reader's head.
func (c *Client) orderOf(ctx context.Context, name string, items []lineItem) (order, error) {
	o := order{whole: true}
	seen := map[string]bool{}
	var texts []string
	for i, it := range items {
		if seen[it.Price] {
			return o, refuse("a price stands twice: give a quantity", "price")
		}
		seen[it.Price] = true
		p, err := c.priceOf(ctx, it.Price)
		if err != nil {
			return o, err
		}
		n := max(it.Quantity, 1)
		sum, known := p.times(n)
		sum.Currency = strings.ToUpper(p.Currency)
		switch {
		case p.metered() && it.Quantity != 0:
			return o, refuse("a metered price has no quantity", "price")
		case i > 0 && sum.Currency != o.sum.Currency:
			return o, refuse("the prices are of several currencies", "price")
		}
		o.form = append(o.form, [2]string{fmt.Sprintf("%s[%d][price]", name, i), p.ID})
		if !p.metered() {
			o.form = append(o.form, [2]string{fmt.Sprintf("%s[%d][quantity]", name, i), strconv.FormatInt(n, 10)})
		}
		if p.Recurring != nil {
			o.recurring++
		}
		if p.metered() {
			known, sum.Amount = false, 0
		}
		texts, o.whole = append(texts, p.text(n)), o.whole && known
		o.sum = Money{o.sum.Amount + sum.Amount, sum.Currency}
	}
	if o.sum.Amount > maxAmount {
		return o, refuse("that is more than Stripe takes", "price")
	}
	o.text = strings.Join(texts, ", ")
	if o.whole && len(items) > 1 {
		o.text += ", " + o.sum.String() + " in all"
	}
	return o, nil
}

// customerThere refuses a customer that there is not, or that was deleted.
func (c *Client) customerThere(ctx context.Context, id string) error {
	if err := resources["customers"].id(id); err != nil {
		return err
	}
	var said struct {
		ID      string `json:"id"`
		Deleted bool   `json:"deleted"`
	}
	switch err := c.get(ctx, &said, nil, "customers", id); {
	case err != nil:
		return err
	case said.Deleted:
		return refuse("the customer was deleted", "state")
	case said.ID != id:
		return errAnswer
	}
	return nil
}

// customersRead refuses a text that a customer would read in another way than the
// person who allows it.
func customersRead(name, s string) error {
	if text.FirstHidden(s) >= 0 || strings.ContainsAny(s, "\t\r\n") {
		return refuse(name+" must be one line of visible characters", "text")
	}
	return nil
}
