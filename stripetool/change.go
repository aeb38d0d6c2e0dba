package stripetool

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mcpsec/mcpsec-go/internal/text"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// A change is one action on a resource, and the tool of it.
type change struct {
	resource, action  string        // as Options.Permissions names it
	effect            mcpsec.Effect // Destroy of what cannot be undone, and of what somebody outside sees: a person is always asked
	moves             bool          // money, which takes of the caps
	sets              bool          // a state, that can be another when an equal call comes: its plans say what is the Same, and begin their Path with the object's
	page              bool          // what comes back is the address of a page
	reads             []string      // of other resources, for what a person is asked
	labels            mcpsec.Label
	waive             []mcpsec.Waiver
	name, description string
	required          string   // of the properties: "id","amount"
	properties        []string // of the input's schema, without idempotency_key
	tool              func(*Client, change) *mcpsec.Tool
}

// changes are all that there are.
func changes() []change {
	return slices.Concat(refundChanges, customerChanges, catalogChanges, paymentChanges, setupChanges, discountChanges, disputeChanges, pageChanges, invoiceChanges, subscriptionChanges, previews)
}

// WriteTools returns the tools for the pairs of resource and action that
// Options.Permissions lists, and no others. A person is asked first, with what was
// computed from what Stripe tells, but for the pairs in Options.Unasked. An equal call
// within 24 hours returns what the first one has; another idempotency_key makes it
// another. What sets a state is set anew by an equal call when it was changed since.
// Preview of invoices has a tool that reads, for whoever is to plan these changes.
func WriteTools(c *Client) []*mcpsec.Tool {
	var tools []*mcpsec.Tool
	for _, ch := range changes() {
		if !slices.Contains(c.o.Permissions[ch.resource], ch.action) {
			continue
		}
		tools = append(tools, ch.tool(c, ch))
	}
	return tools
}

// checkPermissions refuses what is no pair: a word that was written wrong must not be
// a tool that is missing, or a question that is not asked. What moves money needs caps.
func (o *Options) checkPermissions() error {
	pairs, known := map[[2]string]change{}, map[string][]string{}
	for _, ch := range changes() {
		pairs[[2]string{ch.resource, ch.action}] = ch
		known[ch.resource] = append(known[ch.resource], ch.action)
	}
	for resource, actions := range o.Permissions {
		for _, action := range actions {
			switch ch, ok := pairs[[2]string{resource, action}]; {
			case !ok:
				return fmt.Errorf("Options.Permissions has %q of %q: of that there is %q", action, resource, known[resource])
			case ch.moves && len(o.Caps) == 0:
				return fmt.Errorf("Options.Permissions has %q of %q, which moves money, and Options.Caps says of no currency how much", action, resource)
			}
		}
	}
	for resource, actions := range o.Unasked {
		for _, action := range actions {
			switch ch := pairs[[2]string{resource, action}]; {
			case !slices.Contains(o.Permissions[resource], action):
				return fmt.Errorf("Options.Unasked has %q of %q, which Options.Permissions does not list", action, resource)
			case ch.effect != mcpsec.Write:
				return fmt.Errorf("Options.Unasked has %q of %q, which a person must be asked about", action, resource)
			}
		}
	}
	return nil
}

// keyed is what the input of every change has.
type keyed struct {
	IdempotencyKey string `json:"idempotency_key" validate:"max=64"`
}

func (k keyed) callerKey() string { return k.IdempotencyKey }

const keyProperty = `"idempotency_key":{"type":"string"}`

// changeTool makes the tool of a change. What build plans, of what Stripe tells, a
// person is asked about, and what they have said yes to is what is carried out, once
// for all equal calls. What comes back holds the fields, or what is readable of the
// resource if there are none; it is a text, since a schema of it would cost the model's context and
// say nothing.
func changeTool[In interface{ callerKey() string }](may string, build func(*Client, context.Context, In) (plan, error)) func(*Client, change) *mcpsec.Tool {
	return func(c *Client, ch change) *mcpsec.Tool {
		spec := c.spec(ch.name, ch.description, ch.effect)
		spec.Idempotent, spec.Labels, spec.Waive = true, spec.Labels|ch.labels, append(spec.Waive, ch.waive...)
		spec.InputSchema = schemaOf(ch.required, append(slices.Clone(ch.properties), keyProperty)...)
		look := func(ctx context.Context, call *mcpsec.Call, in In) (plan, error) {
			n, err := c.names(call.Principal.ID, ch.name, in, in.callerKey())
			if err != nil {
				return plan{}, err
			}
			p, err := c.planned(ctx, n, ch.sets, func(ctx context.Context) (plan, error) { return build(c, ctx, in) })
			if err == nil {
				err = p.check(ch)
			}
			if err == nil {
				if ch.moves && p.Alone != "" {
					p.again = func(ctx context.Context) (plan, error) { return build(c, ctx, in) }
				}
				c.remember(call.ID, p)
				call.After(func(context.Context, time.Duration) { c.forget(call.ID) })
			}
			return p, err
		}
		spec.Guards = append(spec.Guards, func(ctx context.Context, call *mcpsec.Call) error {
			if in, ok := call.Args.(In); ok && slices.Contains(c.o.Unasked[ch.resource], ch.action) {
				if p, err := look(ctx, call, in); err != nil || !p.Asks {
					return err
				}
			}
			return mcpsec.Preview(func(ctx context.Context, in In) (string, error) {
				p, err := look(ctx, call, in)
				return p.text() + " [state " + p.digest() + "]", err
			})(ctx, call)
		})
		lease, readable := spec.Timeout+time.Minute, fields(may)
		if may == "" {
			readable = c.readable(ch.resource)
		}
		return mcpsec.NewTool(spec, func(ctx context.Context, in In) (mcpsec.Content, error) {
			p, err := c.remembered(mcpsec.CallID(ctx))
			if err != nil {
				return mcpsec.Content{}, err
			}
			raw, err := c.had(ctx, ch, p, readable, lease, func() (plan, error) { return build(c, ctx, in) })
			if err == nil && ch.page {
				err = onlyPage(raw)
			}
			return mcpsec.Content{Text: string(raw)}, err
		})
	}
}

// readable is what a change tells of its object: who may change what may not be read, as a
// customer's description, is not told the e-mail address.
func (c *Client) readable(resource string) tree {
	if slices.Contains(c.o.Resources, resource) {
		return resources[resource].fields
	}
	return fields("id object amount created currency deleted livemode status")
}

// check refuses a plan that is none of the change's, or has a text that people read
// otherwise than programs do. Only what is for a bank to read has lines.
func (p plan) check(ch change) error {
	if p.Done {
		return nil
	}
	if ch.moves != (p.Moves.Currency != "") {
		return errors.New("a plan that does not say what it moves")
	}
	if b, err := json.Marshal(p); err != nil || len(b) > state.MaxResult-1<<10 { // or it could not be kept for the call that repeats it
		return cmp.Or(err, refuse("the texts are too long for one call", "size"))
	}
	for _, kv := range p.Form {
		_, hidden := text.Strip(kv[1])
		if hidden > 0 || !utf8.ValidString(kv[1]) || strings.ContainsAny(kv[1], "\t\r\n\u2028\u2029") && !strings.HasPrefix(kv[0], "evidence[") {
			return refuse("a text must have no invisible characters, control characters and line breaks", "text")
		}
	}
	return nil
}

// had has the effect of a plan. What repeats a call that has set a state returns the
// object as it is. Of a state that was set by a call whose answer was lost, nobody
// knows whether it was before or after what others have set since: it is looked at.
func (c *Client) had(ctx context.Context, ch change, p plan, may tree, lease time.Duration, build func() (plan, error)) (json.RawMessage, error) {
	if ch.sets && p.Done {
		var raw json.RawMessage
		if err := c.get(ctx, &raw, nil, p.Path[:2]...); err != nil {
			return nil, err
		}
		out, ok := may.trim(raw)
		if !ok {
			return nil, errAnswer
		}
		return out, nil
	}
	raw, err := c.carryOut(ctx, p.names, p, may, lease)
	if err == nil && ch.sets && p.Lost {
		if now, err := build(); !now.Same {
			return nil, cmp.Or(err, refuse("it was done before, and changed by others since: call again, and it is done anew", "once"))
		}
	}
	return raw, err
}

func (c *Client) remember(call string, p plan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plans[call] = p
}

func (c *Client) forget(call string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.plans, call)
}

// remembered is the plan that a person was asked about in a call.
func (c *Client) remembered(call string) (plan, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.plans[call]
	if !ok {
		return plan{}, errUnasked
	}
	return p, nil
}
