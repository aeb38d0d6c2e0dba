package stripetool

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76/form"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// Stripe knows its keys for 24 hours at least, from the first request on.
const (
	keep     = 24 * time.Hour // a result
	keepSent = 23 * time.Hour // a request without an answer, so that it is never sent when Stripe has forgotten the key
)

// A plan is what a call would do, for a person, and the request that does it.
type plan struct {
	Text   string
	Says   string // what customers will read, for the person and for no log
	Method string // of the request; "" is POST
	Path   []string
	Form   [][2]string
	Moves  Money  // what it takes of the caps
	Day    string // on which that was taken
	Sent   int64  // when it was sent first, in seconds
	Lost   bool   // it was sent already, and no answer has come
	Done   bool   // an equal call has had its effect
	Key    string // at Stripe, if it is another than that of names
	Asks   bool   // a person is asked, whatever Options.Unasked says
	Alone  string // the object that no other call changes meanwhile

	Same  bool                                `json:"-"` // what Stripe has is what this would set
	names names                               // of the effect
	again func(context.Context) (plan, error) // what it would be now, if that must be the same
}

// digest names a plan.
func (p plan) digest() string {
	b, err := json.Marshal(p)
	if err != nil {
		return ""
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:8])
}

// names are the keys of one effect: whoever calls the same tool with the same
// arguments has the same, also on another replica.
type names struct {
	once, lost string // in Options.State
	key        string // at Stripe
}

// names makes the keys from all that tells one effect from another. Stripe keeps its
// keys by account; our store may be that of several.
func (c *Client) names(principal, tool string, in any, callerKey string) (names, error) {
	if callerKey != "" && !keyForm().MatchString(callerKey) {
		return names{}, &mcpsec.Error{Message: "idempotency_key must be 1 to 64 letters, digits, dots, colons, dashes and underscores", Rule: "id"}
	}
	args, err := json.Marshal(in)
	if err != nil {
		return names{}, err
	}
	effect := hash("mcpsec stripetool 1", c.o.Account, tool, principal, string(args), callerKey)
	own := hash(effect, c.o.Key.Reveal())
	return names{once: "stripetool once " + own, lost: "stripetool lost " + own, key: "mcpsec-" + effect}, nil
}

// next are the keys of the effect that an equal call has after what this one has set
// was changed: whoever finds it changed has the same.
func (n names) next() names {
	return names{once: "stripetool once " + hash(n.once), lost: "stripetool lost " + hash(n.lost), key: "mcpsec-" + hash(n.key)}
}

// hash is one of texts that cannot run into each other.
func hash(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

var (
	errUnderWay = &mcpsec.Error{Message: "an equal call is under way: call again for its answer", Rule: "once"}
	errUnasked  = errors.New("a change that nobody was asked about")
)

func untold(err error) error {
	return &mcpsec.Error{Message: "whether this was done before cannot be told now: call again later", Rule: "once", Err: err}
}

// claim takes a key, or waits until its holder is done with it.
func (c *Client) claim(ctx context.Context, key string, lease time.Duration) (state.Claim, error) {
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		claim, err := c.o.State.Claim(ctx, key, lease)
		switch {
		case err != nil && ctx.Err() != nil:
			return claim, errUnderWay // as far as is known
		case err != nil:
			return claim, untold(err)
		case claim.Status != state.Busy:
			return claim, nil
		case !sleep(ctx, pause/2+rand.N(pause)):
			return claim, errUnderWay
		}
	}
}

// look tells whether an effect was had, or else which request for it has had no answer:
// it looks while it has the claim, so that none is under way.
func (c *Client) look(ctx context.Context, n names) (done bool, before plan, err error) {
	claim, err := c.claim(ctx, n.once, 10*time.Second)
	if err != nil || claim.Status == state.Done {
		return err == nil, plan{}, err
	}
	before, _, err = c.lost(ctx, n)
	return false, before, errors.Join(err, c.o.State.Fail(ctx, claim))
}

// maxTurns is how often within a day one state is set, and set anew after a change.
const maxTurns = 50

// undone are the keys of the first effect that equal calls have not had, with the request
// for it that has had no answer, and of the last that they had. What sets no state has
// one only.
func (c *Client) undone(ctx context.Context, n names, sets bool) (first names, sent plan, before *names, err error) {
	for range maxTurns {
		done, sent, err := c.look(ctx, n)
		if err != nil || !done {
			return n, sent, before, err
		}
		last := n
		if before = &last; !sets {
			return n, plan{}, before, nil
		}
		n = n.next()
	}
	return n, plan{}, nil, &mcpsec.Error{Message: "this was set, and changed by others, too often today: give another idempotency_key", Rule: "once"}
}

// planned is what a call would do: what an equal one has done, or has tried, or what
// build says. What has set a state counts as done only while Stripe still has it: build
// reads that after it was seen who is done, so that no two calls which find it changed
// once change it twice. Where build refuses, an equal call may just have left nothing to
// do: it is looked for once more.
func (c *Client) planned(ctx context.Context, first names, sets bool, build func(context.Context) (plan, error)) (plan, error) {
	var p plan
	var refused error
	for {
		n, sent, before, err := c.undone(ctx, first, sets)
		switch {
		case err != nil:
			return plan{}, err
		case before != nil && (!sets || p.Same):
			return repeats(*before, p.Path), nil
		case sent.Lost:
			return sent, nil
		case refused != nil:
			return plan{}, refused
		}
		p, refused = build(ctx)
		if before != nil && p.Same {
			return repeats(*before, p.Path), nil
		}
		if refused == nil {
			if p.names = n; sets { // another day has other keys, or Stripe may remember one for longer than we do
				p.Key = "mcpsec-" + hash(n.key, c.today())
			}
			return p, nil
		}
	}
}

func repeats(n names, path []string) plan {
	return plan{Done: true, Text: "does nothing more: an equal call was carried out already, and its answer is returned", Path: path, names: n}
}

// lost is the plan of an equal call that was sent and has had no answer, if there is one,
// and the document that it stands in.
func (c *Client) lost(ctx context.Context, n names) (plan, state.Document, error) {
	d, err := c.o.State.Get(ctx, n.lost)
	if err != nil {
		return plan{}, d, untold(err)
	}
	if d.Version == 0 {
		return plan{}, d, nil
	}
	var p plan
	if err := json.Unmarshal(d.Value, &p); err != nil {
		return plan{}, d, err
	}
	p.Lost, p.names = true, n
	return p, d, nil
}

// text is what a person reads.
func (p plan) text() string {
	if p.Says != "" {
		p.Text += fmt.Sprintf("; customers read %q", p.Says)
	}
	if p.Lost {
		return p.Text + "; this was sent before and had no answer: it is done once in all"
	}
	return p.Text
}

// carryOut has the effect once, and returns what the first call with these names has
// returned. What it returns is trimmed to what may be read.
func (c *Client) carryOut(ctx context.Context, n names, p plan, may tree, lease time.Duration) (json.RawMessage, error) {
	claim, err := c.claim(ctx, n.once, lease)
	if err != nil || claim.Status == state.Done {
		return claim.Result, err
	}
	raw, d, err := c.effect(ctx, n, p, may, lease)
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second) // what has happened is kept though the caller has gone
	defer cancel()
	if err != nil {
		return nil, errors.Join(err, c.o.State.Fail(after, claim))
	}
	err = c.o.State.Complete(after, claim, raw, keep)
	if err == nil { // until then it is lost, and Stripe still knows the key
		err = c.o.State.Delete(after, d)
	}
	if err != nil {
		mcpsec.Logger(ctx).ErrorContext(ctx, "a result could not be kept", "error", err)
	}
	return raw, nil
}

// effect makes the request, by whoever has the claim. The document that it returns has
// the plan of a request that has had its effect, or may have had it.
func (c *Client) effect(ctx context.Context, n names, p plan, may tree, lease time.Duration) (json.RawMessage, state.Document, error) {
	before, d, err := c.lost(ctx, n)
	switch {
	case err != nil:
		return nil, d, err
	case before.Lost && before.digest() != p.digest(): // it is the very request that must be sent again, or Stripe takes it for another
		return nil, d, &mcpsec.Error{Message: "an equal call has had no answer meanwhile: call again, and it is done once in all", Rule: "once"}
	case !before.Lost && (p.Done || p.Lost):
		return nil, d, &mcpsec.Error{Message: "what this call repeats is forgotten by now: call again to have it done", Rule: "once"}
	}
	release, err := c.alone(ctx, p, lease)
	if err != nil {
		return nil, d, err
	}
	defer release()
	if err := c.take(ctx, &p); err != nil {
		return nil, d, err
	}
	if d, err = c.keepRequest(ctx, d, before, p); err != nil { // what it took stays taken: it may have been kept
		return nil, d, err
	}
	raw, err := c.request(ctx, n, p)
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	switch {
	case err == nil:
		if out, ok := may.trim(raw); ok {
			mcpsec.Logger(ctx).InfoContext(ctx, "stripe: done", "path", strings.Join(p.Path, "/"), "moves", p.Moves.String(), "idempotency_key", cmp.Or(p.Key, n.key))
			return out, d, nil
		}
		return nil, d, errAnswer
	case unknown(err), p.Lost: // what it took stays taken, or a third call would have it for nothing
		return nil, d, modelError(ctx, err, true)
	}
	late := c.o.State.Delete(after, d)
	if late == nil { // as long as it counts as sent, nobody takes for it again
		late = c.giveBack(after, p)
	}
	return nil, d, errors.Join(modelError(ctx, err, true), late)
}

// keepRequest remembers a request before it is sent, for the call that repeats it: nothing
// else is left of it if this process dies.
func (c *Client) keepRequest(ctx context.Context, d state.Document, before, p plan) (state.Document, error) {
	if before.Lost && before.Day == p.Day {
		return d, nil
	}
	now := c.now()
	if p.Lost = false; p.Sent == 0 {
		p.Sent = now.Unix()
	}
	var err error
	if d.Value, err = json.Marshal(p); err != nil {
		return d, err
	}
	written, err := c.o.State.Put(ctx, d, max(keepSent-now.Sub(time.Unix(p.Sent, 0)), time.Second))
	if err != nil {
		return d, untold(err)
	}
	return written, nil
}

// request sends what is planned.
func (c *Client) request(ctx context.Context, n names, p plan) (json.RawMessage, error) {
	f := &form.Values{}
	for _, kv := range p.Form {
		f.Add(kv[0], kv[1])
	}
	raw, err := c.call(ctx, request{method: cmp.Or(p.Method, http.MethodPost), path: p.Path, form: f, key: cmp.Or(p.Key, n.key)})
	if e := refusalOf(err); e != nil && e.Status == http.StatusNotFound && p.Method == http.MethodDelete { // which has no keys at Stripe: what was there is gone by an attempt before
		return json.RawMessage(`{"id":"` + p.Path[len(p.Path)-1] + `","deleted":true}`), nil
	}
	return raw, err
}
