package stripetool

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/state"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

// run runs a handler, in the order of the object's events if it asks for that.
func (w *Webhook) run(ctx context.Context, h WebhookHandler, e event) error {
	if !h.inOrder || e.Object == "" {
		return h.call(ctx, e)
	}
	object := w.key("order", strconv.FormatBool(e.Live), e.Account, e.Kind, e.Object)
	lock, err := w.lock(ctx, object)
	if err != nil {
		return err
	}
	defer w.unlock(ctx, lock)
	switch newest, err := w.raise(ctx, object, 0); {
	case err != nil:
		return unknownState("the order of the object's events", err)
	case e.Created.Unix() < newest:
		w.counts["stale"].Add(1)
		return nil
	}
	if err := h.call(ctx, e); err != nil {
		return err
	}
	w.handled(ctx, object, e.Created.Unix())
	return nil
}

// lock waits until no other event of an object is being handled.
func (w *Webhook) lock(ctx context.Context, key string) (state.Claim, error) {
	ctx, cancel := context.WithTimeout(ctx, w.o.Receiver.Timeout/2)
	defer cancel()
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		claim, err := w.o.State.Claim(ctx, key, w.o.Receiver.Timeout+webhookOverrun)
		switch {
		case err != nil && ctx.Err() == nil:
			return claim, unknownState("whether another event of the object is being handled", err)
		case err == nil && claim.Status == state.Taken:
			return claim, nil
		case err != nil || !sleep(ctx, pause/2+rand.N(pause)):
			return claim, fmt.Errorf("another event of the object is being handled: %w", &webhook.Error{Reason: "busy"})
		}
	}
}

// unlock lets the next event of the object be handled. If that fails, it is when the
// lease ends.
func (w *Webhook) unlock(ctx context.Context, lock state.Claim) {
	ctx, cancel := after(ctx)
	defer cancel()
	if err := w.o.State.Fail(ctx, lock); err != nil {
		w.unordered(ctx, err)
	}
}

// handled records how new the newest event of an object is that was handled. It is
// worth a few attempts: what is not recorded lets an older one be handled afterwards.
func (w *Webhook) handled(ctx context.Context, object string, created int64) {
	ctx, cancel := after(ctx)
	defer cancel()
	var err error
	for range 3 {
		if _, err = w.raise(ctx, object, created); err == nil {
			return
		}
	}
	w.unordered(ctx, err)
}

func (w *Webhook) unordered(ctx context.Context, err error) {
	w.counts["order"].Add(1)
	w.log.ErrorContext(ctx, "webhook: the order of an object's events was not recorded", "receiver", w.o.Receiver.Name, "error", err)
}

func unknownState(what string, err error) error {
	return fmt.Errorf("%s cannot be told: %w: %w", what, &webhook.Error{Reason: "state"}, err)
}
