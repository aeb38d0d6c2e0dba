package stripetool

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

// A DeadLetter is an event whose handler keeps failing. It can be printed and stored
// as JSON: Body is masked in both.
type DeadLetter struct {
	ID, Type, Account, Kind, Object string // as of WebhookEvent

	Created  time.Time
	Failures int    // of the handler, on all replicas; more than MaxFailures if it was not to be recorded before
	Error    string // the last, redacted, up to 1 KiB
	// Body is the event, for Replay, if WebhookOptions.KeepBody asks for it. Only
	// Reveal shows it.
	Body mcpsec.Secret
}

const maxReason = 1 << 10

// failed counts a failure, and hands the event over when there were too many. It
// returns nil when it was recorded.
func (w *Webhook) failed(ctx context.Context, e event, body []byte, cause error) error {
	if w.o.DeadLetter == nil || said(cause) {
		return cause
	}
	ctx, cancel := after(ctx)
	defer cancel()
	n, err := w.countFailure(ctx, e)
	if err != nil || n < int64(w.o.MaxFailures) {
		return errors.Join(cause, err)
	}
	letter := DeadLetter{ID: e.ID, Type: e.Type, Account: e.Account, Kind: e.Kind, Object: e.Object, Created: e.Created, Failures: int(n), Error: w.reason(cause)}
	if w.o.KeepBody {
		letter.Body = redact.NewSecret(string(body))
	}
	if err := w.bury(ctx, letter); err != nil {
		return errors.Join(cause, fmt.Errorf("recording a dead letter: %w", err))
	}
	w.counts["dead_letter"].Add(1)
	w.log.ErrorContext(ctx, "webhook: a dead letter", "receiver", w.o.Receiver.Name, "event", e.ID, "type", e.Type, "failures", n)
	return nil
}

// countFailure is called by whoever has the claim of the event: nobody counts at the
// same moment.
func (w *Webhook) countFailure(ctx context.Context, e event) (int64, error) {
	key := w.key("failures", e.ID)
	before, err := w.raise(ctx, key, 0)
	if err == nil {
		_, err = w.raise(ctx, key, before+1)
	}
	if err != nil {
		return 0, fmt.Errorf("counting failures: %w", err)
	}
	return before + 1, nil
}

// bury hands an event over, and then remembers that it may be replayed: for no longer than
// its deliveries are known, so that it cannot be handled in both ways.
func (w *Webhook) bury(ctx context.Context, letter DeadLetter) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("DeadLetter panicked: %v\n%s", p, debug.Stack())
		}
	}()
	if err := w.o.DeadLetter(ctx, letter); err != nil {
		return err
	}
	_, err = w.raise(ctx, w.key("dead", letter.ID), 1)
	return err
}

// isDead reports whether an event may be replayed.
func (w *Webhook) isDead(ctx context.Context, e event) (bool, error) {
	if w.o.DeadLetter == nil {
		return false, nil
	}
	dead, err := w.raise(ctx, w.key("dead", e.ID), 0)
	if err != nil {
		return false, unknownState("whether the event is a dead letter", err)
	}
	return dead != 0, nil
}

// reason is what of an error may be kept: redacted first, since a cut could leave half
// a secret.
func (w *Webhook) reason(err error) string {
	text := w.redactor.String(err.Error())
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "")
	}
	return text
}

var errNotDead = errors.New("stripetool: replaying an event: it is no dead letter of this receiver, or one of longer ago than WebhookOptions.Receiver.Keep")

// Replay handles an event that DeadLetter has recorded, by its body: what
// DeadLetter.Body reveals, or what `stripe events retrieve evt_…` prints if that has
// the same API version. It returns nil when the handler is done, now or at a Replay
// before, for as long as events are known (WebhookOptions.Receiver.Keep, 31 days). Any
// other event is an error, so that none is handled twice. Mode, version and account are
// asked again, and a handler that is InOrder does nothing if a newer event was handled.
//
// No signature is verified: the body must come from a place that is as safe as the
// handler's own data. A failure is returned, and not counted.
func (w *Webhook) Replay(ctx context.Context, body []byte) error {
	e, err := readEvent(body)
	if err == nil {
		err = w.o.allow(e)
	}
	h, ok := w.handlers[e.Type]
	switch {
	case err != nil:
	case !ok:
		err = fmt.Errorf("there is no handler of %s", e.Type)
	default:
		err = h.fits(e)
	}
	if err != nil {
		return fmt.Errorf("stripetool: replaying an event: %w", err)
	}
	switch dead, err := w.raise(ctx, w.key("dead", e.ID), 0); {
	case err != nil:
		return fmt.Errorf("stripetool: replaying an event: %w", err)
	case dead == 0:
		return errNotDead
	}
	return w.replay(ctx, h, e)
}

func recorded(err error) error {
	if err != nil {
		return fmt.Errorf("stripetool: replaying an event: it was handled, but that could not be recorded: %w", err)
	}
	return nil
}

func (w *Webhook) replay(ctx context.Context, h WebhookHandler, e event) (err error) {
	claim, err := w.o.State.Claim(ctx, w.key("replay", e.ID), w.o.Receiver.Timeout+webhookOverrun)
	switch {
	case err != nil:
		return fmt.Errorf("stripetool: replaying an event: %w", err)
	case claim.Status == state.Done:
		return nil
	case claim.Status == state.Busy:
		return fmt.Errorf("stripetool: replaying an event: another is at it: %w", &webhook.Error{Reason: "busy"})
	}
	done := false
	defer func() { // also when the handler ends its goroutine
		ctx, cancel := after(ctx)
		defer cancel()
		if done {
			err = recorded(w.o.State.Complete(ctx, claim, nil, w.o.Receiver.Keep))
		} else {
			err = errors.Join(err, w.o.State.Fail(ctx, claim))
		}
	}()
	within, cancel := context.WithTimeout(ctx, w.o.Receiver.Timeout)
	defer cancel()
	if err := w.run(within, h, e); err != nil {
		return fmt.Errorf("stripetool: replaying an event: %w", err)
	}
	done = true
	w.counts["replayed"].Add(1)
	return nil
}
