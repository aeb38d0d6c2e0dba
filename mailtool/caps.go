package mailtool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

const day = 24 * time.Hour

// A share is what a message takes of one allowance.
type share struct {
	key   string
	n     int64
	of    state.Allowance
	since time.Time // when the window began in which it was taken
	says  string    // when there is too little left
	box   bool      // it is a mailbox's
}

// A throttled is why a cap refuses, for those who can wait.
type throttled struct {
	wait time.Duration
	box  bool // the cap is of one mailbox, and not of all mail
}

func (*throttled) Error() string { return "a cap is used up" }

var errSuppressed = errors.New("a recipient is suppressed")

// shares are those of a message: of its sender's hour and day, and of each mailbox's
// day.
func (c *Client) shares(b *built) []share {
	hour := func(n int) state.Allowance {
		return state.Allowance{Limit: int64(n), Per: time.Hour, Calendar: true}
	}
	today := func(n int) state.Allowance {
		return state.Allowance{Limit: int64(n), Per: day, Calendar: true}
	}
	n := int64(len(b.rcpts))
	out := []share{
		{key: "mailtool hour " + c.o.From, n: n, of: hour(c.policy.PerHour), says: fmt.Sprintf("the %d recipients of an hour are used up: more may be had at the next full hour", c.policy.PerHour)},
		{key: "mailtool day " + c.o.From, n: n, of: today(c.policy.PerDay), says: fmt.Sprintf("the %d recipients of a day are used up: more may be had after midnight UTC", c.policy.PerDay)},
	}
	boxes := map[string]int64{}
	for _, r := range b.rcpts {
		if a, err := parseAddress(r); err == nil {
			boxes[a.base().String()]++
		}
	}
	for _, box := range sortedKeys(boxes) {
		out = append(out, share{box: true, key: "mailtool box " + hash(c.o.From, box), n: boxes[box], of: today(c.policy.PerRecipient),
			says: fmt.Sprintf("a recipient has had the %d messages of a day: more may be sent after midnight UTC", c.policy.PerRecipient)})
	}
	return out
}

// take takes what a message needs of all caps, before it is sent, or nothing.
func (c *Client) take(ctx context.Context, b *built) ([]share, error) {
	shares := c.shares(b)
	for _, s := range shares {
		if s.n > s.of.Limit { // can never be had
			return nil, wrong("cap", "%s", s.says)
		}
	}
	var taken []share
	for _, s := range shares {
		s.since = c.now().UTC().Truncate(s.of.Per)
		wait, err := c.o.State.Take(ctx, s.key, s.n, s.of)
		switch {
		case err != nil:
			err = &mcpsec.Error{Message: "what was sent today cannot be told now: call again later", Rule: "cap", Err: err}
		case wait != 0:
			err = &mcpsec.Error{Message: s.says, Rule: "cap", Err: &throttled{wait, s.box}}
		default:
			taken = append(taken, s)
			continue
		}
		return nil, errors.Join(err, c.giveBack(ctx, taken))
	}
	return taken, nil
}

// giveBack gives back what a message has not used, but not of an hour or a day that
// has ended.
func (c *Client) giveBack(ctx context.Context, taken []share) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	var errs []error
	for _, s := range taken {
		if s.since.Equal(c.now().UTC().Truncate(s.of.Per)) {
			_, err := c.o.State.Take(ctx, s.key, -s.n, s.of)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// suppressed refuses a message to somebody who must not be written to, under that
// address or the one that it is a subaddress of.
func (c *Client) suppressed(ctx context.Context, b *built) error {
	if c.o.Suppressed == nil {
		return nil
	}
	for i, r := range b.rcpts {
		a, err := parseAddress(r)
		if err != nil {
			return err
		}
		for _, ask := range []address{a, a.base()} {
			switch stopped, err := c.o.Suppressed(ctx, ask.String()); {
			case err != nil:
				return &mcpsec.Error{Message: "whether the recipients may be written to cannot be told now: call again later", Rule: "suppression", Err: err}
			case stopped:
				return &mcpsec.Error{Message: fmt.Sprintf("recipient %d of %d must not be written to: its mail came back, or its owner does not want any", i+1, len(b.rcpts)), Rule: "suppression", Err: errSuppressed}
			}
		}
	}
	return nil
}
