package mailtool

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// keep is for how long an equal call is answered with the first one's receipt. A
// claim lasts as long: of a process that died while it sent, nobody knows whether it
// has sent, so nobody else does.
const keep = 24 * time.Hour

var keyForm = lazy.Regexp(`^[A-Za-z0-9._:-]{1,64}$`)

// hash is one of texts that cannot run into each other.
func hash(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// name is the key of one effect: whoever calls the same tool with the same arguments
// has the same, also on another replica.
func (c *Client) name(principal, tool string, in any, callerKey string) (string, error) {
	if callerKey != "" && !keyForm().MatchString(callerKey) {
		return "", wrong("id", "idempotency_key must be 1 to 64 letters, digits, dots, colons, dashes and underscores")
	}
	args, err := json.Marshal(in)
	if err != nil {
		return "", err
	}
	return "mailtool once " + hash("mailtool 1", c.o.From, tool, principal, string(args), callerKey), nil
}

var errUnderWay = &mcpsec.Error{Message: "an equal call is under way, or has had no end: call again for its answer, and if there is none for long, look into the log; it is not sent twice", Rule: "once"}

// claim takes a key, or waits until its holder is done with it.
func (c *Client) claim(ctx context.Context, key string, lease time.Duration) (state.Claim, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		claim, err := c.o.State.Claim(ctx, key, lease)
		switch {
		case err != nil && ctx.Err() != nil:
			return claim, errUnderWay // as far as is known
		case err != nil:
			return claim, &mcpsec.Error{Message: "whether this was sent before cannot be told now: call again later", Rule: "once", Err: err}
		case claim.Status != state.Busy:
			return claim, nil
		case !sleep(ctx, pause/2+rand.N(pause)):
			return claim, errUnderWay
		}
	}
}

// look tells whether an equal call has ended.
func (c *Client) look(ctx context.Context, key string) (bool, error) {
	claim, err := c.claim(ctx, key, 10*time.Second)
	if err != nil || claim.Status == state.Done {
		return err == nil, err
	}
	return false, c.o.State.Fail(ctx, claim)
}

// once sends a message once for all equal calls, and returns what the first one has
// returned. A nil message is one that was sent before.
func (c *Client) once(ctx context.Context, key string, b *built) (Receipt, error) {
	claim, err := c.claim(ctx, key, keep)
	switch {
	case err != nil:
		return Receipt{}, err
	case claim.Status == state.Done:
		return kept(claim.Result)
	case b == nil:
		err := wrong("once", "what this call repeats is forgotten by now: call again to have it sent")
		return Receipt{}, errors.Join(err, c.o.State.Fail(ctx, claim))
	}
	r, err := c.deliver(ctx, b)
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second) // what has happened is kept though the caller has gone
	defer cancel()
	if err != nil && r.Status == "" {
		return r, errors.Join(err, c.o.State.Fail(after, claim))
	}
	raw, marshal := json.Marshal(r)
	if late := errors.Join(marshal, c.o.State.Complete(after, claim, raw, keep)); late != nil { // the claim lasts: nothing is sent again
		c.log(ctx).ErrorContext(ctx, "a receipt could not be kept", "error", late, "message_id", r.MessageID)
	}
	return r, err
}

func kept(raw []byte) (Receipt, error) {
	var r Receipt
	if err := json.Unmarshal(raw, &r); err != nil {
		return r, err
	}
	if r.Status != "sent" {
		return r, unknownError(r, ErrUnknown)
	}
	return r, nil
}
