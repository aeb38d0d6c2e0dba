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
	Lost   bool   // it was sent already, and no answer has come
	Done   bool   // an equal call has had its effect
	Key    string // at Stripe, if it is another than that of names

	Same  bool  `json:"-"` // what Stripe has is what this would set
	Asks  bool  `json:"-"` // a person is asked, whatever Options.Unasked says
	names names // of the effect
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
	if callerKey != "" && !keyForm.MatchString(callerKey) {
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

// claim takes a key, or waits until its holder is done with it.
func (c *Client) claim(ctx context.Context, key string, lease time.Duration) (state.Claim, error) {
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		claim, err := c.o.State.Claim(ctx, key, lease)
		switch {
		case err != nil:
			return claim, &mcpsec.Error{Message: "whether this was done before cannot be told now: call again later", Rule: "once", Err: err}
		case claim.Status != state.Busy:
			return claim, nil
		case !sleep(ctx, pause/2+rand.N(pause)):
			return claim, errUnderWay
		}
	}
}

// look tells whether a key is done, and with which result.
func (c *Client) look(ctx context.Context, key string) ([]byte, bool, error) {
	claim, err := c.claim(ctx, key, 10*time.Second)
	if err != nil || claim.Status == state.Done {
		return claim.Result, err == nil, err
	}
	return nil, false, c.o.State.Fail(ctx, claim)
}

// maxTurns is how often within a day one state is set, and set anew after a change.
const maxTurns = 50

// undone are the keys of the first effect that equal calls have not had, and of the
// last that they had. What sets no state has one only.
func (c *Client) undone(ctx context.Context, n names, sets bool) (first names, before *names, err error) {
	for range maxTurns {
		_, done, err := c.look(ctx, n.once)
		if err != nil || !done {
			return n, before, err
		}
		last := n
		if before = &last; !sets {
			return n, before, nil
		}
		n = n.next()
	}
	return n, nil, &mcpsec.Error{Message: "this was set, and changed by others, too often today: give another idempotency_key", Rule: "once"}
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
		n, before, err := c.undone(ctx, first, sets)
		if err != nil {
			return plan{}, err
		}
		if before != nil && (!sets || p.Same) {
			return repeats(*before, p.Path), nil
		}
		if before, lost, err := c.lost(ctx, n); err != nil || lost {
			return before, err
		}
		if refused != nil {
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

// lost is the plan of an equal call that has had no answer.
func (c *Client) lost(ctx context.Context, n names) (plan, bool, error) {
	raw, lost, err := c.look(ctx, n.lost)
	if err != nil || !lost {
		return plan{}, false, err
	}
	var p plan
	if err := json.Unmarshal(raw, &p); err != nil {
		return plan{}, false, err
	}
	p.Lost, p.names = true, n
	return p, true, nil
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
	raw, err := c.effect(ctx, n, p, may)
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second) // what has happened is kept though the caller has gone
	defer cancel()
	if err != nil {
		return nil, errors.Join(err, c.o.State.Fail(after, claim))
	}
	if err := c.o.State.Complete(after, claim, raw, keep); err != nil { // Stripe still knows the key
		mcpsec.Logger(ctx).ErrorContext(ctx, "a result could not be kept", "error", err)
	}
	return raw, nil
}

// effect makes the request, by whoever has the claim.
func (c *Client) effect(ctx context.Context, n names, p plan, may tree) (json.RawMessage, error) {
	switch before, lost, err := c.lost(ctx, n); {
	case err != nil:
		return nil, err
	case lost && before.digest() != p.digest(): // it is the very request that must be sent again, or Stripe takes it for another
		return nil, &mcpsec.Error{Message: "an equal call has had no answer meanwhile: call again, and it is done once in all", Rule: "once"}
	case !lost && (p.Done || p.Lost):
		return nil, &mcpsec.Error{Message: "what this call repeats is forgotten by now: call again to have it done", Rule: "once"}
	}
	if err := c.take(ctx, &p); err != nil {
		return nil, err
	}
	f := &form.Values{}
	for _, kv := range p.Form {
		f.Add(kv[0], kv[1])
	}
	raw, err := c.call(ctx, request{method: cmp.Or(p.Method, http.MethodPost), path: p.Path, form: f, key: cmp.Or(p.Key, n.key)})
	if e := refusalOf(err); e != nil && e.status == http.StatusNotFound && p.Method == http.MethodDelete { // which has no keys at Stripe: what was there is gone by an attempt before
		raw, err = json.RawMessage(`{"id":"`+p.Path[len(p.Path)-1]+`","deleted":true}`), nil
	}
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	switch {
	case err == nil:
		if out, ok := may.trim(raw); ok {
			mcpsec.Logger(ctx).InfoContext(ctx, "stripe: done", "path", strings.Join(p.Path, "/"), "moves", p.Moves.String(), "idempotency_key", cmp.Or(p.Key, n.key))
			return out, nil
		}
		return nil, c.keepLost(after, n, p, errAnswer)
	case unknown(err):
		return nil, c.keepLost(after, n, p, modelError(ctx, err, true))
	case p.Lost: // what it took stays taken, or a third call would have it for nothing
		return nil, modelError(ctx, err, true)
	}
	return nil, errors.Join(modelError(ctx, err, true), c.giveBack(after, p))
}

// keepLost remembers a request that may have had its effect, for the call that
// repeats it, and returns cause.
func (c *Client) keepLost(ctx context.Context, n names, p plan, cause error) error {
	raw, err := json.Marshal(p)
	if err != nil {
		return errors.Join(cause, err)
	}
	claim, err := c.claim(ctx, n.lost, 10*time.Second) // another may be looking
	if err == nil && claim.Status == state.Taken {
		err = c.o.State.Complete(ctx, claim, raw, keepSent)
	}
	return errors.Join(cause, err)
}
