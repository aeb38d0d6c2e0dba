package pbtool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type batchIn struct {
	Requests []batchRequest `json:"requests" validate:"min=1,max=1000"`
}

type batchRequest struct {
	Op         string `json:"op" validate:"required,oneof=create update upsert delete"`
	Collection string `json:"collection" validate:"required,max=100"`
	ID         string `json:"id" validate:"max=100"`
	Data       values `json:"data" validate:"max=100,dive,keys,max=100,endkeys" mcpsec:"any"`
}

type batchOut struct {
	IDs []string `json:"ids"`
}

func batchTool(c *Client) *mcpsec.Tool {
	spec := c.spec("pb_batch", fmt.Sprintf("Create, update, upsert and delete records in one transaction, all or nothing. At most %d requests.", c.o.MaxAffected), mcpsec.Destroy)
	spec.InputSchema = schemaOf(`"requests"`, `"requests":{"type":"array","items":{"type":"object","required":["op","collection"],"properties":{"op":{"enum":["create","update","upsert","delete"]},`+
		collectionProperty+`,"id":{"type":"string","description":"unless create"},"data":{"type":"object"}}}}`)
	return changeTool(c, spec, c.planBatch, func(ctx context.Context, _ batchIn, p plan) (mcpsec.Content, error) {
		ids, err := c.all(ctx, p.ops)
		return asText(batchOut{ids}, err)
	})
}

func (c *Client) planBatch(ctx context.Context, in batchIn) (plan, error) {
	if len(in.Requests) > c.o.MaxAffected {
		return plan{}, c.tooMany(len(in.Requests))
	}
	var p plan
	counts := map[string]int{}
	ids := map[*Collection][]string{}
	var details []string
	for _, r := range in.Requests {
		o, err := c.batchOp(r)
		if err != nil {
			return plan{}, err
		}
		p.ops = append(p.ops, o)
		counts[r.Op+"s"]++
		detail := r.Op + "s " + strings.TrimSpace(o.k.Name+" "+r.ID)
		if len(r.Data) > 0 {
			detail += " (" + show(r.Data) + ")"
		}
		details = append(details, detail)
		if r.ID != "" {
			ids[o.k] = append(ids[o.k], r.ID)
		}
	}
	states := []string{}
	for k, of := range ids {
		state, err := c.states(ctx, k, of)
		if err != nil {
			return plan{}, err
		}
		states = append(states, k.Name+" "+state)
	}
	slices.Sort(states)
	p.digest = digest([]byte(strings.Join(states, "\n")))
	var sums []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		sums = append(sums, fmt.Sprintf("%d %s", counts[what], what))
	}
	p.text = "in one transaction " + strings.Join(sums, ", ") + ": " + some(details)
	return p, nil
}

func (c *Client) tooMany(n int) error {
	return &mcpsec.Error{Message: fmt.Sprintf("that is %d records, and a call changes %d at most: choose fewer", n, c.o.MaxAffected), Rule: "records"}
}

func (c *Client) batchOp(r batchRequest) (op, error) {
	if r.Op == "delete" {
		k, err := c.deletable(r.Collection)
		if err == nil && (!recordID().MatchString(r.ID) || len(r.Data) > 0) {
			err = badArgument(errors.New("a delete needs an id, and no data"))
		}
		return op{method: http.MethodDelete, k: k, id: r.ID}, err
	}
	k, err := c.writable(r.Collection)
	if err != nil {
		return op{}, err
	}
	switch r.Op {
	case "update":
		return updateOp(k, r.ID, r.Data, nil, nil)
	case "upsert":
		o, err := updateOp(k, r.ID, r.Data, nil, nil)
		if err != nil {
			return op{}, err
		}
		o.method, o.data["id"] = http.MethodPut, json.RawMessage(`"`+r.ID+`"`) // an id needs no escapes
		return o, nil
	}
	if r.ID != "" {
		return op{}, badArgument(errors.New("a create takes no id: PocketBase makes one"))
	}
	return createOp(k, r.Data)
}

// states is a digest of records as they are, those that are not there included.
func (c *Client) states(ctx context.Context, k *Collection, ids []string) (string, error) {
	var records [][]byte
	for chunk := range slices.Chunk(ids, maxIn) {
		p, err := c.byID(ctx, k, chunk)
		if err != nil {
			return "", err
		}
		for _, r := range p.Items {
			records = append(records, r)
		}
	}
	return digest(records...), nil
}

// byID lists records by their ids, at most maxIn.
func (c *Client) byID(ctx context.Context, k *Collection, ids []string) (Page, error) {
	raw, err := json.Marshal(ids)
	if err != nil {
		return Page{}, err
	}
	f, err := Where{{Condition: Condition{Field: "id", Op: "in", Value: raw}}}.Filter()
	if err != nil {
		return Page{}, err
	}
	return c.list(ctx, k, Query{Filter: f}, len(ids)+1)
}
