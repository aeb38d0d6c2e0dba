package stripetool

import (
	"context"
	"errors"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// alone waits until no other call changes the plan's object, and then looks whether the
// plan still is what would be done: a caller could add to a draft between the yes of a
// person and the request.
func (c *Client) alone(ctx context.Context, p plan, lease time.Duration) (release func(), err error) {
	if p.Alone == "" {
		return func() {}, nil
	}
	claim, err := c.claim(ctx, "stripetool alone "+hash(p.Alone), lease)
	if errors.Is(err, errUnderWay) {
		err = refuse("another call changes the same object: call again", "once")
	}
	if err != nil {
		return nil, err
	}
	release = func() {
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := c.o.State.Fail(after, claim); err != nil {
			mcpsec.Logger(ctx).WarnContext(ctx, "stripetool: an object is held until a lease ends", "error", err)
		}
	}
	if err := p.holds(ctx); err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// holds refuses a plan that would do something else by now. One that was sent may have
// left nothing to do.
func (p plan) holds(ctx context.Context) error {
	if p.again == nil {
		return nil
	}
	now, err := p.again(ctx)
	var e *mcpsec.Error
	switch {
	case p.Lost && errors.As(err, &e) && e.Rule == "state":
		return nil
	case err != nil:
		return err
	case now.Text == p.Text && now.Moves == p.Moves:
		return nil
	case p.Lost:
		return refuse("this was sent before, was not done, and would do something else by now: give another idempotency_key", "once")
	}
	return refuse("what this would do has changed meanwhile: call again", "once")
}
