package pbtool

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// recorded makes changes and their entries in one transaction, all of them or none,
// and returns the answers to the changes.
func (c *Client) recorded(ctx context.Context, ops []op) ([]json.RawMessage, error) {
	as, err := c.caller(ctx)
	if err != nil {
		return nil, err
	}
	if c.o.History.Collection == "" {
		return c.transaction(ctx, as, ops)
	}
	ops = slices.Clone(ops)
	var entries []op
	for i := range ops {
		if err := ops[i].name(); err != nil {
			return nil, err
		}
		e, err := c.entry(ctx, ops[i])
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	if c.o.History.Values {
		if err := c.withValues(ctx, ops, entries); err != nil {
			return nil, err
		}
	}
	answers, err := c.transaction(ctx, as, append(ops, entries...))
	if s := statusOf(err); s != nil && s.index >= len(entries) {
		return nil, &mcpsec.Error{Message: "the history of changes cannot be written, and so nothing was changed: an operator has to look at its collection", Rule: "history", Err: err}
	}
	if err != nil {
		return nil, err
	}
	return answers[:len(entries)], nil
}

// name gives a new record its id before it is made, since the entry names it. One that
// the caller sets must be one that PocketBase reads as it is.
func (o *op) name() error {
	if o.method != http.MethodPost {
		return nil
	}
	if raw, ok := o.data["id"]; ok {
		id, err := text(raw)
		if err != nil || !recordID().MatchString(id) {
			return badArgument(errID)
		}
		o.id = id
		return nil
	}
	o.id = absent()
	data := values{"id": json.RawMessage(`"` + o.id + `"`)}
	maps.Copy(data, o.data)
	o.data = data
	return nil
}

var actionOf = map[string]string{http.MethodPost: "create", http.MethodPatch: "update", http.MethodPut: "upsert", http.MethodDelete: "delete"}

// entry is the op that records another.
func (c *Client) entry(ctx context.Context, o op) (op, error) {
	data := values{}
	for name, v := range map[string]any{
		"collection": o.k.Name, "record": o.id, "action": actionOf[o.method], "principal": mcpsec.PrincipalFrom(ctx).ID, "call": mcpsec.CallID(ctx), "fields": o.sets(),
	} {
		raw, err := json.Marshal(v)
		if err != nil {
			return op{}, err
		}
		data[name] = raw
	}
	k := &Collection{Name: c.o.History.Collection}
	return op{method: http.MethodPost, k: k, data: data, headers: map[string]string{historyHeader: c.o.History.Key.Reveal()}}, nil
}

// sets are the names of the fields that an op sets.
func (o op) sets() []string {
	names := []string{}
	for f := range o.data {
		if f != "id" {
			names = append(names, strings.TrimRight(f, "+-"))
		}
	}
	if o.file != nil {
		names = append(names, strings.TrimRight(o.file.field, "+"))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// withValues adds values to entries: before, of the fields that are set or, of a
// deletion, of all, and after. Of a file there is no name yet.
func (c *Client) withValues(ctx context.Context, ops, entries []op) error {
	ids, shown := map[*Collection][]string{}, map[*Collection]map[string]bool{}
	for _, o := range ops {
		if o.method != http.MethodPost { // who asks for what there is not is slowed down
			ids[o.k] = append(ids[o.k], o.id)
		}
		if shown[o.k] == nil {
			s, err := c.schema(ctx, o.k.Name)
			if err != nil {
				return err
			}
			shown[o.k] = s.shown(o.k)
		}
	}
	were := map[string]values{}
	for k, of := range ids {
		if err := c.records(ctx, k, of, were); err != nil {
			return err
		}
	}
	for i, o := range ops {
		before, after := maps.Clone(were[o.k.Name+"/"+o.id]), maps.Clone(o.data)
		maps.DeleteFunc(before, func(f string, _ json.RawMessage) bool {
			return o.method != http.MethodDelete && !slices.Contains(o.sets(), f)
		})
		maps.DeleteFunc(after, func(f string, _ json.RawMessage) bool { return !shown[o.k][strings.TrimRight(f, "+-")] })
		for name, v := range map[string]values{"before": before, "after": after} {
			raw, err := json.Marshal(v)
			if err != nil {
				return err
			}
			entries[i].data[name] = raw
		}
	}
	return nil
}

// shown are the fields whose values may be recorded.
func (s schema) shown(k *Collection) map[string]bool {
	out := map[string]bool{}
	for _, f := range s.Fields {
		if n := nameOf(f); f["hidden"] != true && f["type"] != "password" && (k.shows(n) || slices.Contains(k.Write, n)) && !isSecret(n) {
			out[n] = true
		}
	}
	return out
}

// records reads records as the caller's user sees them, into a map by collection and
// id.
func (c *Client) records(ctx context.Context, k *Collection, ids []string, into map[string]values) error {
	for chunk := range slices.Chunk(ids, maxIn) {
		p, err := c.byID(ctx, k, chunk)
		if err != nil {
			return err
		}
		for _, raw := range p.Items {
			var r values
			if json.Unmarshal(raw, &r) != nil {
				return errAnswer
			}
			id, err := text(r["id"])
			if err != nil {
				return errAnswer
			}
			into[k.Name+"/"+id] = r
		}
	}
	return nil
}
