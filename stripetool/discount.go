package stripetool

import (
	"context"
	"fmt"
	"strconv"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

var discountChanges = []change{{
	resource: "coupons", action: "create", effect: mcpsec.Write,
	name: "stripe_create_coupon", description: "Create a coupon, of percent_off or amount_off.",
	required: `"duration","max_redemptions"`, properties: append(texts("name"), `"percent_off":{"type":"number"}`, `"amount_off":{"type":"string","description":"as EUR 5.00"}`,
		`"duration":{"enum":["once","repeating","forever"]}`, `"duration_in_months":{"type":"integer"}`, `"max_redemptions":{"type":"integer"}`, metadataProperty),
	tool: changeTool("", (*Client).planCreateCoupon),
}, {
	resource: "promotion_codes", action: "create", effect: mcpsec.Destroy, reads: []string{"coupons", "customers"},
	name: "stripe_create_promotion_code", description: "Make a code by which customers, or one customer, get a coupon.",
	required: `"coupon","max_redemptions"`, properties: append(texts("coupon code customer"), `"max_redemptions":{"type":"integer"}`, metadataProperty),
	tool: changeTool("", (*Client).planCreatePromotionCode),
}}

type coupon struct {
	ID         string  `json:"id"`
	Name       string  `json:"name"`
	PercentOff float64 `json:"percent_off"`
	AmountOff  int64   `json:"amount_off"`
	Currency   string  `json:"currency"`
	Duration   string  `json:"duration"`
	Months     int64   `json:"duration_in_months"`
	Valid      bool    `json:"valid"`
}

// off says in words what a coupon takes off. What it takes of one amount is no more than
// a call may move.
func (c *Client) off(co coupon) (string, error) {
	long := map[string]string{"once": "once", "forever": "for ever", "repeating": fmt.Sprintf("for %d months", co.Months)}[co.Duration]
	switch {
	case long == "" || co.PercentOff < 0 || co.PercentOff > 100:
		return "", errAnswer
	case co.PercentOff == 100:
		return "100 % off, " + long + ": it makes what it is used for free, and nothing is paid", nil
	case co.PercentOff > 0:
		return strconv.FormatFloat(co.PercentOff, 'f', -1, 64) + " % off, " + long, nil
	}
	m, err := stripeMoney(co.AmountOff, co.Currency)
	if err == nil {
		_, err = c.cap(m)
	}
	return m.String() + " off, " + long, err
}

type createCouponIn struct {
	Name           string            `json:"name" validate:"max=40"`
	PercentOff     float64           `json:"percent_off" validate:"omitempty,gt=0,lte=100"`
	AmountOff      string            `json:"amount_off" validate:"max=40"`
	Duration       string            `json:"duration" validate:"required,oneof=once repeating forever"`
	Months         int64             `json:"duration_in_months" validate:"omitempty,min=1,max=120"`
	MaxRedemptions int64             `json:"max_redemptions" validate:"required,min=1,max=1000000"`
	Metadata       map[string]string `json:"metadata" validate:"max=50,dive,keys,max=40,endkeys,max=500"`
	keyed
}

// percent is a number as Stripe takes it: with two decimals at most.
var percent = lazy.Regexp(`^[0-9]{1,3}(\.[0-9]{1,2})?$`)

func (c *Client) planCreateCoupon(_ context.Context, in createCouponIn) (plan, error) {
	p := strconv.FormatFloat(in.PercentOff, 'f', -1, 64)
	switch {
	case (in.PercentOff == 0) == (in.AmountOff == ""):
		return plan{}, refuse("one of percent_off and amount_off must be given", "argument")
	case in.PercentOff != 0 && !percent().MatchString(p):
		return plan{}, refuse("percent_off must have at most two decimals", "amount")
	case (in.Duration == "repeating") != (in.Months > 0):
		return plan{}, refuse("duration_in_months must be given with the duration repeating, and with no other", "argument")
	}
	var s settings
	co := coupon{PercentOff: in.PercentOff, Duration: in.Duration, Months: in.Months}
	if in.AmountOff != "" {
		m, err := c.amount(in.AmountOff)
		if err != nil {
			return plan{}, err
		}
		co.AmountOff, co.Currency = m.Amount, m.Currency
		s.money("amount_off", m)
	} else {
		s.form = append(s.form, [2]string{"percent_off", p})
	}
	off, err := c.off(co)
	if err != nil {
		return plan{}, err
	}
	s.form = append(s.form, [2]string{"duration", in.Duration}, [2]string{"max_redemptions", strconv.FormatInt(in.MaxRedemptions, 10)})
	if in.Months > 0 {
		s.form = append(s.form, [2]string{"duration_in_months", strconv.FormatInt(in.Months, 10)})
	}
	s.add("name", in.Name)
	err = s.metadata(nil, in.Metadata)
	return s.creation(fmt.Sprintf("a coupon of %s, used at most %d times", off, in.MaxRedemptions), "coupons"), err
}

type createPromotionCodeIn struct {
	Coupon         string            `json:"coupon" validate:"required,max=200"`
	Code           string            `json:"code" validate:"max=40"`
	Customer       string            `json:"customer" validate:"max=220"`
	MaxRedemptions int64             `json:"max_redemptions" validate:"required,min=1,max=1000000"`
	Metadata       map[string]string `json:"metadata" validate:"max=50,dive,keys,max=40,endkeys,max=500"`
	keyed
}

// promotionCode is what customers type. Without one Stripe makes it up.
var promotionCode = lazy.Regexp(`^[A-Za-z0-9-]{3,40}$`)

func (c *Client) planCreatePromotionCode(ctx context.Context, in createPromotionCodeIn) (plan, error) {
	if in.Code != "" && !promotionCode().MatchString(in.Code) {
		return plan{}, refuse("code must be 3 to 40 letters, digits and dashes", "text")
	}
	var co coupon
	if err := c.object(ctx, "coupons", in.Coupon, &co); err != nil {
		return plan{}, err
	}
	if co.ID != in.Coupon {
		return plan{}, errAnswer
	}
	if !co.Valid {
		return plan{}, refuse("the coupon cannot be used any more", "state")
	}
	off, err := c.off(co)
	if err != nil {
		return plan{}, err
	}
	s := settings{form: [][2]string{{"coupon", co.ID}, {"max_redemptions", strconv.FormatInt(in.MaxRedemptions, 10)}}}
	who := "whoever knows it"
	if in.Customer != "" {
		cu, err := c.customer(ctx, in.Customer)
		if err != nil {
			return plan{}, err
		}
		who = cu.String()
		s.form = append(s.form, [2]string{"customer", cu.ID})
	}
	s.add("code", in.Code)
	err = s.metadata(nil, in.Metadata)
	return s.creation(fmt.Sprintf("a promotion code, used at most %d times, by which %s gets %s, coupon %s %s", in.MaxRedemptions, who, off, co.ID, quoted(co.Name)), "promotion_codes"), err
}
