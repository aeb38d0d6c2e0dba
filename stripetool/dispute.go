package stripetool

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

var disputeChanges = []change{{
	resource: "disputes", action: "update", effect: mcpsec.Destroy, sets: true, labels: mcpsec.Egress,
	name: "stripe_update_dispute", description: "Set the evidence against a dispute, of texts by Stripe's names, as product_description. submit sends it to the bank, which cannot be undone.",
	required: `"id","evidence"`, properties: append(texts("id"), `"evidence":{"type":"object","additionalProperties":{"type":"string"}}`, `"submit":{"type":"boolean"}`),
	tool: changeTool("", (*Client).planUpdateDispute),
}, {
	resource: "disputes", action: "close", effect: mcpsec.Destroy,
	name: "stripe_close_dispute", description: "Accept that a dispute is lost, for good.",
	required: `"id"`, properties: texts("id"),
	tool: changeTool("", (*Client).planCloseDispute),
}}

type dispute struct {
	ID       string         `json:"id"`
	Amount   int64          `json:"amount"`
	Currency string         `json:"currency"`
	Charge   string         `json:"charge"`
	Reason   string         `json:"reason"`
	Status   string         `json:"status"`
	Evidence map[string]any `json:"evidence"` // texts, ids of files, and objects
	Details  struct {
		Submissions int64 `json:"submission_count"`
	} `json:"evidence_details"`
}

// dispute reads a dispute, and says which it is. One that is decided is an error.
func (c *Client) dispute(ctx context.Context, id string) (dispute, string, error) {
	var d dispute
	if err := c.object(ctx, "disputes", id, &d); err != nil {
		return d, "", err
	}
	m, err := stripeMoney(d.Amount, d.Currency)
	if err != nil || d.ID != id {
		return d, "", errAnswer
	}
	which := fmt.Sprintf("dispute %s of %s, charge %s, reason %s", d.ID, m, quoted(d.Charge), quoted(d.Reason))
	if !strings.HasSuffix(d.Status, "needs_response") && !strings.HasSuffix(d.Status, "under_review") {
		return d, which, refuse("the dispute is decided", "state")
	}
	return d, which, nil
}

type updateDisputeIn struct {
	ID       string            `json:"id" validate:"required,max=220"`
	Evidence map[string]string `json:"evidence" validate:"min=1,max=18,dive,keys,max=40,endkeys,max=5000"`
	Submit   bool              `json:"submit"`
	keyed
}

// evidence are the names of texts. The others are of files.
var evidence = strings.Fields("access_activity_log billing_address cancellation_policy_disclosure cancellation_rebuttal customer_email_address customer_name customer_purchase_ip " +
	"duplicate_charge_explanation duplicate_charge_id product_description refund_policy_disclosure refund_refusal_explanation service_date shipping_address shipping_carrier shipping_date " +
	"shipping_tracking_number uncategorized_text")

func (c *Client) planUpdateDispute(ctx context.Context, in updateDisputeIn) (plan, error) {
	d, which, err := c.dispute(ctx, in.ID)
	if which == "" {
		return plan{}, err
	}
	var s settings
	for _, name := range slices.Sorted(maps.Keys(in.Evidence)) {
		if !slices.Contains(evidence, name) {
			return plan{}, refuse("evidence has the names "+strings.Join(evidence, ", "), "argument")
		}
		now, _ := d.Evidence[name].(string)
		value := in.Evidence[name]
		s.change("evidence["+name+"]", now, &value)
	}
	p := plan{Path: []string{"disputes", d.ID}, Form: s.form, Same: !s.differs && (!in.Submit || d.Details.Submissions > 0)}
	p.Text = "set evidence of " + which + ": " + s.String()
	if in.Submit {
		p.Form = append(p.Form, [2]string{"submit", "true"})
		p.Text = "send evidence to the bank, which cannot be undone, of " + which + ": " + s.String()
	} else {
		p.Form = append(p.Form, [2]string{"submit", "false"})
	}
	return p, err
}

type closeDisputeIn struct {
	ID string `json:"id" validate:"required,max=220"`
	keyed
}

func (c *Client) planCloseDispute(ctx context.Context, in closeDisputeIn) (plan, error) {
	d, which, err := c.dispute(ctx, in.ID)
	return plan{Text: "accept the loss of " + which + ": its amount is not got back, and it cannot be contested any more", Path: []string{"disputes", d.ID, "close"}}, err
}
