package stripetool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	stripe "github.com/stripe/stripe-go/v76"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

// WebhookOptions configures a [Webhook]. Secrets and Handlers are required; the zero
// value of every other field is the safest useful setting.
type WebhookOptions struct {
	// Secrets are the endpoint's signing secrets (whsec_…): one, or two while it is
	// rolled. Required.
	Secrets []mcpsec.Secret
	// Handlers say what is done about events, each of one type: see [On]. Required.
	Handlers []WebhookHandler
	// Live says that events of live mode are handled, and those of test mode
	// refused. Defaults to false, which is the reverse.
	Live bool
	// Versions are the API versions that events may have: those whose objects the
	// handlers can read. Defaults to 2023-10-16.
	Versions []string
	// Accounts are the connected accounts (acct_…) whose events are handled, and no
	// others then. "*" is any: handlers must look at WebhookEvent.Account, since
	// whoever has a connected account chooses what is in its objects. Defaults to
	// none: events of one's own account.
	Accounts []string
	// State is what replicas share: which events were handled, how new the newest of
	// an object was, how often an event has failed. Defaults to this process's
	// memory, which is forgotten with it.
	State interface {
		state.Once
		state.Documents
	}
	// Tolerance is how long ago, or how far ahead, a delivery may be signed: up to
	// three days. Defaults to 5 minutes.
	Tolerance time.Duration
	// DeadLetter records an event whose handler has failed MaxFailures times. If it
	// returns nil, the event is answered with 200 and not delivered again: see
	// [Webhook.Replay]. It may be called again for an event of which that was not
	// to be recorded; it has 5 seconds. Defaults to none: events fail until Stripe
	// gives up, after three days.
	DeadLetter func(context.Context, DeadLetter) error
	// MaxFailures is how often a handler may fail for an event, on all replicas
	// together, 1 to 100. Stripe delivers about ten times to a live endpoint, the
	// fifth time after half a day, and three times in test mode. Defaults to 5.
	MaxFailures int
	// KeepBody puts the event, with all personal data in it, into DeadLetter.Body.
	// Defaults to false.
	KeepBody bool
	// Receiver bounds the body, and the time of a handler, and names the receiver in
	// State and log: two endpoints with one State need two names. Defaults to those of
	// webhook.Options, but for Keep, which is 31 days: Stripe lets people resend an
	// event for 30.
	Receiver webhook.Options
}

var apiVersion = lazy.Regexp(`^20[0-9]{2}-[0-9]{2}-[0-9]{2}(\.[a-z]{1,20})?$`)

func (o WebhookOptions) withDefaults() (WebhookOptions, error) {
	o.Secrets, o.Handlers, o.Versions, o.Accounts = slices.Clone(o.Secrets), slices.Clone(o.Handlers), slices.Clone(o.Versions), slices.Clone(o.Accounts)
	err := o.check()
	if len(o.Versions) == 0 {
		o.Versions = []string{stripe.APIVersion}
	}
	if o.Receiver.Name == "" {
		o.Receiver.Name = "stripe"
	}
	if o.Receiver.Log == nil {
		o.Receiver.Log = slog.Default()
	}
	if o.State == nil {
		o.State = new(state.Memory)
		if o.Live && err == nil {
			o.Receiver.Log.Warn("stripetool: WebhookOptions.State is this process's memory: after a restart, events of live mode that are delivered again are handled again; use a pgstate.Store", "receiver", o.Receiver.Name)
		}
	}
	o.Tolerance, o.MaxFailures = or(o.Tolerance, 5*time.Minute), or(o.MaxFailures, 5)
	o.Receiver.Timeout, o.Receiver.Keep = or(o.Receiver.Timeout, 10*time.Second), or(o.Receiver.Keep, 31*day)
	return o, err
}

func (o *WebhookOptions) check() error {
	switch {
	case len(o.Secrets) == 0:
		return errors.New("WebhookOptions.Secrets is required: the endpoint's signing secret, as in whsec_…")
	case len(o.Handlers) == 0:
		return errors.New("WebhookOptions.Handlers is required: what is done about events, as in stripetool.On(\"invoice.paid\", …)")
	case o.Tolerance != 0 && (o.Tolerance < time.Second || o.Tolerance > 3*day):
		return errors.New("WebhookOptions.Tolerance must be 1s to 72h")
	case o.MaxFailures < 0 || o.MaxFailures > 100:
		return errors.New("WebhookOptions.MaxFailures must be 1 to 100")
	case o.DeadLetter == nil && (o.MaxFailures != 0 || o.KeepBody):
		return errors.New("WebhookOptions.MaxFailures and KeepBody are of no use without DeadLetter")
	}
	for _, v := range o.Versions {
		if !apiVersion().MatchString(v) {
			return fmt.Errorf("WebhookOptions.Versions has %q: versions look like %s", v, stripe.APIVersion)
		}
	}
	for _, a := range o.Accounts {
		if a != "*" && !accountID().MatchString(a) {
			return fmt.Errorf("WebhookOptions.Accounts has %q: ids of connected accounts look like acct_1N…", a)
		}
	}
	return nil
}

// version is what of an event's version may be told.
func version(v string) string {
	if !apiVersion().MatchString(v) {
		return "no API version"
	}
	return "API version " + v
}

func list(v []string) string { return strings.Join(v, ", ") }
