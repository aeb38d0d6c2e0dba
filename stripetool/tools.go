package stripetool

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/waive"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// ReadTools returns the tools that read: stripe_account and stripe_balance, and
// stripe_list, stripe_get and stripe_search for what Options.Resources lists.
func ReadTools(c *Client) []*mcpsec.Tool {
	tools := []*mcpsec.Tool{accountTool(c), balanceTool(c)}
	if len(c.o.Resources) > 0 {
		tools = append(tools, listTool(c), getTool(c))
	}
	if len(c.searchable()) > 0 {
		tools = append(tools, searchTool(c))
	}
	return tools
}

// spec is what all tools have in common. What an account says is private, and its
// customers have written some of it.
func (c *Client) spec(name, description string, effect mcpsec.Effect) mcpsec.ToolSpec {
	s := mcpsec.ToolSpec{
		Name:        name,
		Description: description,
		Effect:      effect,
		Labels:      mcpsec.Private | mcpsec.Untrusted,
		Guards:      []mcpsec.Guard{noCards},
		Timeout:     4 * time.Duration(effect) * c.o.Timeout, // what asks a person looks more than once
		MaxResult:   c.o.MaxBytes + 16<<10,
		Narrow:      "lower limit",
	}
	for _, w := range c.o.Waive {
		if w.Kind != waive.LiveMode || c.live { // a waiver that waives nothing is none
			s.Waive = append(s.Waive, w)
		}
	}
	return s
}

// schemaOf makes an InputSchema: every tool costs the model's context, and the
// type's own says more than needs to be said.
func schemaOf(required string, properties ...string) json.RawMessage {
	return json.RawMessage(`{"type":"object","additionalProperties":false,"required":[` + required + `],"properties":{` + strings.Join(properties, ",") + `}}`)
}

func resourceProperty(names []string) string {
	return `"resource":{"enum":["` + strings.Join(names, `","`) + `"]}`
}

var accountFields = fields("id object business_profile.name business_type charges_enabled country default_currency details_submitted payouts_enabled type " +
	"requirements.currently_due requirements.disabled_reason requirements.past_due")

type accountOut struct {
	Account json.RawMessage `json:"account" mcpsec:"any"`
	Live    bool            `json:"live"`
}

func accountTool(c *Client) *mcpsec.Tool {
	return mcpsec.NewTool(c.spec("stripe_account", "Tell which Stripe account this is, what it may do, and whether money is real (live).", mcpsec.Read),
		func(ctx context.Context, _ struct{}) (accountOut, error) {
			var raw json.RawMessage
			if err := c.get(ctx, &raw, nil, "account"); err != nil { // of the header's account
				return accountOut{}, err
			}
			out, ok := accountFields.trim(raw)
			if !ok {
				return accountOut{}, errAnswer
			}
			return accountOut{out, c.live}, nil
		})
}

type balanceOut struct {
	Available []string `json:"available"`
	Pending   []string `json:"pending"`
}

func balanceTool(c *Client) *mcpsec.Tool {
	return mcpsec.NewTool(c.spec("stripe_balance", "Tell the account's balance: what is available and what is pending, by currency.", mcpsec.Read),
		func(ctx context.Context, _ struct{}) (balanceOut, error) {
			type funds []struct {
				Amount   int64  `json:"amount"`
				Currency string `json:"currency"`
			}
			var b struct{ Available, Pending funds }
			if err := c.get(ctx, &b, nil, "balance"); err != nil {
				return balanceOut{}, err
			}
			out := balanceOut{Available: []string{}, Pending: []string{}}
			for list, into := range map[*funds]*[]string{&b.Available: &out.Available, &b.Pending: &out.Pending} {
				for _, f := range *list {
					sign, n := "", f.Amount
					if n < 0 { // what is owed
						sign, n = "-", -n
					}
					m, err := stripeMoney(n, f.Currency)
					if err != nil {
						return balanceOut{}, err
					}
					*into = append(*into, sign+m.String())
				}
			}
			return out, nil
		})
}

type getIn struct {
	Resource string `json:"resource" validate:"required,max=40"`
	ID       string `json:"id" validate:"required,max=220"`
}

type objectOut struct {
	Object json.RawMessage `json:"object" mcpsec:"any"`
}

func getTool(c *Client) *mcpsec.Tool {
	spec := c.spec("stripe_get", "Get one object by its id. Amounts are in the currency's smallest unit.", mcpsec.Read)
	spec.InputSchema = schemaOf(`"resource","id"`, `"resource":{"type":"string","maxLength":40,"description":"as in stripe_list"}`, `"id":{"type":"string","maxLength":220}`)
	return mcpsec.NewTool(spec, func(ctx context.Context, in getIn) (objectOut, error) {
		r, err := c.resource(in.Resource)
		if err != nil {
			return objectOut{}, err
		}
		if err := r.id(in.ID); err != nil {
			return objectOut{}, err
		}
		var raw json.RawMessage
		if err := c.get(ctx, &raw, nil, append(r.path[:len(r.path):len(r.path)], in.ID)...); err != nil {
			return objectOut{}, err
		}
		out, ok := r.fields.trim(raw)
		if !ok {
			return objectOut{}, errAnswer
		}
		if len(out) > c.o.MaxBytes {
			return objectOut{}, &mcpsec.Error{Message: "the object is larger than an answer may be", Rule: "size"}
		}
		return objectOut{out}, nil
	})
}
