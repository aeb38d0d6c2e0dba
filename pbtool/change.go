package pbtool

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type values = map[string]json.RawMessage

// An op is one change of one record.
type op struct {
	method string
	k      *Collection
	id     string // in the URL; of a PUT it stands in data
	data   values
	file   *attachment // that is added to what data sets

	query   url.Values        // how much of the record is answered
	headers map[string]string // of this request in a batch
}

func (o op) path() []string {
	p := []string{"collections", o.k.Name, "records"}
	if o.id != "" && o.method != http.MethodPut && o.method != http.MethodPost {
		p = append(p, o.id)
	}
	return p
}

// writable returns a collection with fields that may be set.
func (c *Client) writable(name string) (*Collection, error) {
	k, err := c.collection(name)
	if err == nil && len(k.Write) == 0 {
		return nil, denied("the collection may only be read; these may be written: %s", strings.TrimPrefix(c.collections(mayWrite), " Collections: "))
	}
	return k, err
}

func (c *Client) deletable(name string) (*Collection, error) {
	k, err := c.collection(name)
	if err == nil && !k.Delete {
		return nil, denied("records of the collection may not be deleted")
	}
	return k, err
}

func mayWrite(k *Collection) bool  { return len(k.Write) > 0 }
func mayDelete(k *Collection) bool { return k.Delete }

// settable refuses what must not be set.
func (k *Collection) settable(data values) error {
	for f := range data {
		if !slices.Contains(k.Write, f) || isSecret(f) {
			return denied("a field may not be set, or there is none of that name; for %s these may: %s", k.Name, strings.Join(k.Write, ", "))
		}
	}
	return nil
}

// createOp is the op that makes a record.
func createOp(k *Collection, data values) (op, error) {
	if len(data) == 0 {
		return op{}, badArgument(errors.New("at least one field needs a value"))
	}
	return op{method: http.MethodPost, k: k, data: data}, k.settable(data)
}

// updateOp is the op that changes a record. What is added and removed are values of
// relations and other fields with several.
func updateOp(k *Collection, id string, set, add, remove values) (op, error) {
	if !recordID().MatchString(id) {
		return op{}, badArgument(errID)
	}
	data := values{}
	for modifier, from := range map[string]values{"": set, "+": add, "-": remove} {
		if err := k.settable(from); err != nil {
			return op{}, err
		}
		for f, v := range from {
			data[f+modifier] = v
		}
	}
	if len(data) == 0 {
		return op{}, badArgument(errors.New("at least one field needs a value"))
	}
	return op{method: http.MethodPatch, k: k, id: id, data: data}, nil
}

// one makes a change, and returns the record as it is afterwards.
func (c *Client) one(ctx context.Context, o op) (json.RawMessage, error) {
	v, t, err := c.shape(o.k, nil, nil)
	if err != nil {
		return nil, err
	}
	body, err := c.change(ctx, o, v)
	if err != nil || o.method == http.MethodDelete {
		return nil, err
	}
	r, err := t.record(jsontext.NewDecoder(bytes.NewBuffer(body)), nil, o.k, nil, 0)
	if err != nil || len(r) > c.o.MaxBytes {
		return json.RawMessage("null"), nil // what was done must not look as if it had failed
	}
	return r, nil
}

// all makes changes in one transaction, all of them or none, and returns the ids of
// their records.
func (c *Client) all(ctx context.Context, ops []op) ([]string, error) {
	answers, err := c.recorded(ctx, ops)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(answers))
	for i, a := range answers {
		var r struct {
			ID string `json:"id"`
		}
		_ = json.Unmarshal(a, &r) // a deletion has none
		if out[i] = r.ID; !recordID().MatchString(r.ID) {
			out[i] = ops[i].id
		}
	}
	return out, nil
}

// absent is the id of a record that there is not.
func absent() string { return strings.ToLower(rand.Text())[:15] }

// try tells whether a change would be taken: it is made in a transaction whose last
// request fails.
func (c *Client) try(ctx context.Context, o op) (fields map[string]string, err error) {
	as, err := c.caller(ctx)
	if err != nil {
		return nil, err
	}
	_, err = c.transaction(ctx, as, []op{o, {method: http.MethodDelete, k: o.k, id: absent()}})
	s := statusOf(err)
	switch {
	case err == nil:
		return nil, errors.New("a change that was to be undone was made")
	case s != nil && s.status == http.StatusBadRequest && s.index == 1:
		return nil, nil
	case s != nil && s.status == http.StatusBadRequest && s.index == 0 && len(s.fields) > 0:
		return s.fields, nil
	case s != nil && s.index == 0 && s.inner != 0 && s.inner != http.StatusBadRequest:
		return nil, modelError(&statusError{status: s.inner, index: -1})
	}
	return nil, err
}

// A plan is what a call would do, for a person, and the state that this is true in.
type plan struct {
	text   string
	digest string
	ops    []op
}

// digest names a state of records.
func digest(records ...[]byte) string {
	h := sha256.New()
	for _, r := range records {
		fmt.Fprintf(h, "%d:", len(r))
		h.Write(r)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// preview is the guard that asks a person. It leaves what it has seen for confirmed.
func preview[In any](c *Client, build func(context.Context, In) (plan, error)) mcpsec.Guard {
	return func(ctx context.Context, call *mcpsec.Call) error {
		var p plan
		ask := mcpsec.Preview(func(ctx context.Context, in In) (text string, err error) {
			p, err = build(ctx, in)
			if err != nil {
				return "", err
			}
			return p.text + " [state " + p.digest[:16] + "]", nil // a yes to it is none to another state
		})
		err := ask(ctx, call)
		if p.digest != "" {
			c.remember(call.ID, p.digest)
			call.After(func(context.Context, time.Duration) { c.forget(call.ID) })
		}
		return err
	}
}

// confirmed refuses a change that nobody was asked about, or of records that are
// others now than when somebody was.
func (c *Client) confirmed(ctx context.Context, effect mcpsec.Effect, p plan) error {
	if effect != mcpsec.Destroy {
		return nil
	}
	switch seen, ok := c.remembered(mcpsec.CallID(ctx)); {
	case !ok:
		return errors.New("a change that nobody was asked about")
	case seen != p.digest:
		return &mcpsec.Error{Message: "the records have changed since they were counted: call again to have that confirmed", Rule: "count"}
	}
	return nil
}

// A question has 4,000 bytes: no record must be such that it cannot be asked about.
const (
	maxShown   = 100   // characters of a value
	maxDetails = 1_200 // bytes of each part of a question
)

// show writes values for a person, each shortened and quoted, as many as fit.
func show(data values) string {
	var parts []string
	for _, f := range slices.Sorted(maps.Keys(data)) {
		parts = append(parts, f+" = "+shorten(data[f]))
	}
	return some(parts)
}

// some joins as many parts as fit.
func some(parts []string) string {
	var b strings.Builder
	for i, p := range parts {
		if b.Len()+len(p) > maxDetails {
			fmt.Fprintf(&b, "and %d more", len(parts)-i)
			break
		}
		if b.WriteString(p); i < len(parts)-1 {
			b.WriteString(", ")
		}
	}
	return b.String()
}

func shorten(v json.RawMessage) string {
	s, err := text(v)
	if err != nil {
		s = string(v)
	}
	if r := []rune(s); len(r) > maxShown {
		return fmt.Sprintf("%q… (%d characters)", string(r[:maxShown]), len(r))
	}
	return fmt.Sprintf("%q", s)
}
