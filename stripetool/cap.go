package stripetool

import (
	"context"
	"fmt"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

const day = 24 * time.Hour

func (c *Client) cap(m Money) (Cap, error) {
	for _, k := range c.o.Caps {
		if k.PerCall.Currency == m.Currency {
			if m.Amount > k.PerCall.Amount {
				return Cap{}, &mcpsec.Error{Message: "one call may move at most " + k.PerCall.String(), Rule: "cap"}
			}
			return k, nil
		}
	}
	return Cap{}, &mcpsec.Error{Message: "the operator has set no cap for this currency, so nothing of it may be moved", Rule: "cap"}
}

// today is the day that caps count by.
func (c *Client) today() string { return c.now().UTC().Format(time.DateOnly) }

// allowance is a currency's, and its key: of the account and not of its API key, so
// that a new one brings no new day.
func (c *Client) allowance(k Cap) (string, state.Allowance) {
	return fmt.Sprintf("stripetool cap %t %s %s", c.live, c.o.Account, k.PerDay.Currency), state.Allowance{Limit: k.PerDay.Amount, Per: day, Calendar: true}
}

// take takes from the day's cap what a plan moves, before it is moved. What a lost
// call has taken today is not taken again.
func (c *Client) take(ctx context.Context, p *plan) error {
	if p.Moves == (Money{}) {
		return nil
	}
	k, err := c.cap(p.Moves)
	if err != nil {
		return err
	}
	if p.Moves.Amount == 0 || p.Lost && p.Day == c.today() { // to take nothing needs nothing that is left
		return nil
	}
	p.Day = c.today()
	key, a := c.allowance(k)
	switch wait, err := c.o.State.Take(ctx, key, p.Moves.Amount, a); {
	case err != nil:
		return &mcpsec.Error{Message: "what was moved today cannot be told now: call again later", Rule: "cap", Err: err}
	case wait != 0:
		return &mcpsec.Error{Message: fmt.Sprintf("the day's cap of %s has less left than that: it begins anew at midnight UTC", k.PerDay), Rule: "cap"}
	}
	return nil
}

// giveBack gives back what a plan has not moved, but not of a day that has ended.
func (c *Client) giveBack(ctx context.Context, p plan) error {
	k, err := c.cap(p.Moves)
	if err != nil || p.Day != c.today() {
		return nil
	}
	key, a := c.allowance(k)
	_, err = c.o.State.Take(ctx, key, -p.Moves.Amount, a)
	return err
}
