package mailtool

import (
	"context"
	"errors"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// SendTools returns mail_send. It asks a person, with the recipients, the text, what is
// risky about it and a digest: what they have said yes to is what is sent, and
// nothing else. An equal call within 24 hours returns the first one's receipt; another
// idempotency_key makes it another message.
//
// With Recipients.Internal, a message to those alone needs nobody's yes, and the tool's
// effect is mcpsec.Write; without, it is mcpsec.Destroy.
func SendTools(c *Client) []*mcpsec.Tool {
	effect := mcpsec.Destroy
	if len(c.policy.internal) > 0 {
		effect = mcpsec.Write
	}
	spec := c.spec("mail_send", "Send a message by mail. Only to whom mail_list_recipients says. A person confirms it. An equal call returns the first one's receipt: "+
		"to send it once more give another idempotency_key.", effect)
	spec.Labels, spec.Idempotent, spec.InputSchema = mcpsec.Egress, true, c.schema()
	spec.Guards = append(spec.Guards, c.confirm)
	return []*mcpsec.Tool{mcpsec.NewTool(spec, func(ctx context.Context, in sendIn) (Receipt, error) {
		b, ok := c.remembered(mcpsec.CallID(ctx))
		if !ok {
			return Receipt{}, errors.New("a message that nobody was asked about")
		}
		key, err := c.name(mcpsec.PrincipalFrom(ctx).ID, "mail_send", in, in.IdempotencyKey)
		if err != nil {
			return Receipt{}, err
		}
		return c.once(ctx, key, b)
	})}
}

// confirm is the guard that fixes the message of a call, and asks a person about it.
// What needs nobody's yes is fixed all the same.
func (c *Client) confirm(ctx context.Context, call *mcpsec.Call) error {
	in, ok := call.Args.(sendIn)
	if !ok {
		return errors.New("mail_send with other arguments than its own")
	}
	key, err := c.name(call.Principal.ID, "mail_send", in, in.IdempotencyKey)
	if err != nil {
		return err
	}
	var b *built
	text := "sends nothing more: an equal call was carried out already, and its answer is returned"
	done, err := c.look(ctx, key)
	if err == nil && !done {
		b, text, err = c.proposed(ctx, in)
	}
	if err != nil {
		return err
	}
	c.remember(call.ID, b)
	call.After(func(context.Context, time.Duration) { c.forget(call.ID) })
	if len(c.policy.internal) > 0 && (done || b.external == 0) {
		return nil
	}
	return mcpsec.Ask(text)
}

// proposed is the message of a call, and what a person is asked about it.
func (c *Client) proposed(ctx context.Context, in sendIn) (*built, string, error) {
	b, err := c.build(in.message())
	if err != nil {
		return nil, "", err
	}
	if err := c.suppressed(ctx, b); err != nil {
		return nil, "", err
	}
	text, err := c.question(b)
	return b, text, err
}
