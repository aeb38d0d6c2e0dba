package stripetool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

// A Webhook receives the events of one endpoint at Stripe: see [NewWebhook]. It is an
// [http.Handler] and safe for concurrent use.
type Webhook struct {
	o        WebhookOptions
	handlers map[string]WebhookHandler
	receiver *webhook.Receiver
	redactor *redact.Redactor
	log      *slog.Logger
	counts   map[string]*atomic.Uint64 // what the receiver does not count
}

// NewWebhook returns the http.Handler of an endpoint, or says what is wrong with o. It
// panics as webhook.NewReceiver does when o.Receiver makes no sense.
//
// A delivery is verified as webhook.Stripe and a webhook.Receiver do it: v1 signatures
// over the raw bytes, fresh in both directions, once for an event. Its body is then
// read in one way only, and must be a snapshot event of the mode, a version and an
// account that o names, about an object of the kind that its type says. What is not is
// answered with 400, counted, and logged with what to do; Stripe sends it again, for
// three days, so that nothing is lost while an operator sets it right. An event of a
// type without a handler is answered with 200, and so is one of test mode that a
// connected account causes: Stripe sends these to live endpoints, too.
//
// 200 means that the handler is done, that there is none, or that DeadLetter has
// recorded the event.
func NewWebhook(o WebhookOptions) (*Webhook, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("stripetool: %w", err)
	}
	verifier, err := webhook.Stripe(o.Secrets...)
	if err != nil {
		return nil, fmt.Errorf("stripetool: WebhookOptions.Secrets: %w", err)
	}
	w := &Webhook{o: o, redactor: redact.New(redact.Options{}), counts: map[string]*atomic.Uint64{}}
	if w.handlers, err = registry(o.Handlers); err != nil {
		return nil, fmt.Errorf("stripetool: WebhookOptions.Handlers: %w", err)
	}
	for _, reason := range webhookCounts {
		w.counts[reason] = new(atomic.Uint64)
	}
	w.log = slog.New(redact.NewHandler(o.Receiver.Log.Handler(), w.redactor))
	w.receiver = webhook.NewReceiver(verifier.WithTolerance(o.Tolerance), o.State, w.handle, o.Receiver)
	return w, nil
}

// ServeHTTP implements [http.Handler].
func (w *Webhook) ServeHTTP(rw http.ResponseWriter, r *http.Request) { w.receiver.ServeHTTP(rw, r) }

// What Stats counts besides what webhook.Receiver does.
var webhookCounts = []string{"ignored", "stale", "dead_letter", "replayed", "malformed", "thin", "mode", "version", "account", "object", "order"}

// Stats returns how many deliveries ended in which way since the start: all that
// webhook.Receiver.Stats counts, and
//
//	ignored      there is no handler of the type
//	stale        an InOrder handler was not run: a newer event was handled before
//	dead_letter  DeadLetter has recorded the event
//	replayed     Replay has handled the event
//	order        the order of an object's events could not be recorded
//	malformed    the body is no event, or can be read in two ways
//	thin         a thin event of API v2
//	mode         an event of test mode at a live receiver, or the reverse
//	version      an API version that is not listed
//	account      an account that is not listed
//	object       about an object of another kind than the type says
func (w *Webhook) Stats() map[string]uint64 {
	m := w.receiver.Stats()
	for reason, n := range w.counts {
		m[reason] = n.Load()
	}
	return m
}

// A refusedEvent is Stripe's own, and none that is handled here.
type refusedEvent struct{ reason, text string }

func (e *refusedEvent) Error() string { return "event refused: " + e.reason + ": " + e.text }

func (e *refusedEvent) Unwrap() error { return &webhook.Error{Reason: "refused"} }

// handle is what the receiver calls for an event that is genuine, fresh and new.
func (w *Webhook) handle(ctx context.Context, d webhook.Event) error {
	e, err := readEvent(d.Body)
	if err == nil && (e.ID != d.ID || e.Type != d.Type) {
		err = malformed("its id and type are not those that were verified")
	}
	if err == nil && w.foreignTest(e) {
		w.counts["mode"].Add(1)
		return nil
	}
	if err == nil {
		err = w.o.allow(e)
	}
	h, ok := w.handlers[e.Type]
	if err == nil && ok {
		err = h.fits(e)
	}
	switch {
	case err != nil:
		return w.refused(err)
	case !ok:
		w.counts["ignored"].Add(1)
		return nil
	}
	if dead, err := w.isDead(ctx, e); err != nil || dead { // and is Replay's, though the answer that said so was lost
		return err
	}
	if err := w.run(ctx, h, e); err != nil {
		return w.failed(ctx, e, d.Body, err)
	}
	return nil
}

func (w *Webhook) refused(err error) error {
	var e *refusedEvent
	if errors.As(err, &e) {
		w.counts[e.reason].Add(1)
	}
	return err
}

// foreignTest reports whether an event of test mode is at a live endpoint because a
// connected account has caused it: docs.stripe.com/connect/webhooks. To refuse these
// would have Stripe repeat them, and switch the endpoint off in the end.
func (w *Webhook) foreignTest(e event) bool { return w.o.Live && !e.Live && e.Account != "" }

// allow refuses events that the operator has not asked for.
func (o *WebhookOptions) allow(e event) error {
	switch {
	case e.Live && !o.Live:
		return &refusedEvent{"mode", "it is of live mode, and this receiver of test mode: set WebhookOptions.Live where it is to have real effects"}
	case !e.Live && o.Live:
		return &refusedEvent{"mode", "it is of test mode, and this receiver of live mode: give each mode an endpoint and a secret of its own"}
	case !slices.Contains(o.Versions, e.Version):
		return &refusedEvent{"version", fmt.Sprintf("it has %s, and handlers here read %s: create the endpoint with api_version=%s "+
			"(the version of an endpoint is set when it is made, by the API), or list the version in WebhookOptions.Versions if the handlers read it, too",
			version(e.Version), list(o.Versions), o.Versions[0])}
	case e.Account == "" && len(o.Accounts) > 0:
		return &refusedEvent{"account", "it is of your own account, and WebhookOptions.Accounts lists connected ones: give your own events another receiver"}
	case e.Account != "" && !slices.Contains(o.Accounts, e.Account) && !slices.Contains(o.Accounts, "*"):
		return &refusedEvent{"account", fmt.Sprintf("it is of %s, which WebhookOptions.Accounts does not list", e.Account)}
	}
	return nil
}

// sayings are the Reasons of a webhook.Error by which a handler says that it has not
// failed.
var sayings = []string{"refused", "busy", "state"}

// said reports whether an error is no failure of a handler's.
func said(err error) bool {
	var e *webhook.Error
	return errors.As(err, &e) && slices.Contains(sayings, e.Reason)
}

const (
	webhookOverrun = 5 * time.Minute // how long a lease outlasts the handler's time, as the receiver's does
	webhookState   = 5 * time.Second // for what the state is asked when the handler is done
)

// after is a context for what is left to do though the handler's time is over.
func after(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), webhookState)
}

// raise raises a number that replicas share, unless it is higher, and returns what it was
// before: 0 if nobody has raised it. With n 0 it only reads.
func (w *Webhook) raise(ctx context.Context, key string, n int64) (int64, error) {
	for {
		d, err := w.o.State.Get(ctx, key)
		before, _ := strconv.ParseInt(string(d.Value), 10, 64) // of none: 0
		if err != nil || n <= before {
			return before, err
		}
		d.Key, d.Value = key, strconv.AppendInt(nil, n, 10)
		if _, err = w.o.State.Put(ctx, d, w.o.Receiver.Keep); !errors.Is(err, state.ErrLost) { // another was quicker
			return before, err
		}
	}
}

// key is one of Options.State for something of this receiver's.
func (w *Webhook) key(what string, parts ...string) string {
	return w.o.Receiver.Name + ":" + what + ":" + hash(parts...)
}
