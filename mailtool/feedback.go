package mailtool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/mcpsec/mcpsec-go/mailtool/suppress"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

// FeedbackOptions configures a [Feedback]. Provider, Verifier and Suppressions are
// required.
type FeedbackOptions struct {
	// Provider is whose events these are: sendgrid, postmark, resend, mailgun, or
	// ses for Amazon SES over SNS. Required.
	Provider string
	// Verifier checks that they are: webhook.SendGrid, Postmark, Standard (Resend),
	// Mailgun or SNS. Required.
	Verifier *webhook.Verifier
	// Suppressions is the list that takes who gets no mail any more. Required.
	Suppressions suppress.Store
	// Once tells repeated deliveries and counts soft bounces; replicas share one.
	// Defaults to this process's memory.
	Once state.Once
	// SoftBounces is how many soft bounces suppress an address, 1 to 10, and Window
	// the time in which they come, up to 90 days. Defaults to 3, and 7 days.
	SoftBounces int
	Window      time.Duration
	// Handle gets each event after it was carried out, such as to keep a log. An
	// error lets the provider deliver again, and Handle see the event again.
	// Defaults to none.
	Handle func(context.Context, FeedbackEvent) error
	// Confirm gets the URL that confirms a subscription at SNS, which is checked to
	// be Amazon's, to visit it. Defaults to none: then the delivery fails, and the
	// log says so.
	Confirm func(ctx context.Context, url string) error
	// Webhook bounds deliveries. Defaults to that package's defaults, but for a
	// Timeout of a minute: a delivery may have thousands of events.
	Webhook webhook.Options
}

// A FeedbackEvent is what became of a message to one recipient, in words that all
// providers share.
type FeedbackEvent struct {
	// Kind is hard_bounce, soft_bounce, complaint, unsubscribe, delivered or
	// rejected: the provider did not send it.
	Kind string
	// Address is the recipient, as in envelopes.
	Address string
	// MessageID is the provider's name of the message, or the Message-ID without
	// angle brackets where the provider tells it: printable ASCII, at most 250
	// bytes, or empty.
	MessageID string
	// Time is when it happened, or when the event came if that makes no sense.
	Time time.Time
	// Provider is that of the options.
	Provider string
	// Code is the provider's own word for it, as in "5.1.1" or
	// "Permanent/General": letters, digits and . _ - / only, at most 64. It may be
	// empty.
	Code string
}

// A Feedback is the http.Handler of a provider's bounces and complaints: see
// [NewFeedback].
type Feedback struct {
	o        FeedbackOptions
	parse    func(webhook.Event, *batch) error
	receiver *webhook.Receiver
	log      *slog.Logger

	mu    sync.Mutex
	stats map[string]uint64
}

// NewFeedback returns the handler of a provider's events, which suppresses whom hard
// bounces, complaints and unsubscriptions are of, and whom soft bounces are of once
// SoftBounces of them have come within Window. Nothing an event says takes anybody off
// the list.
//
// A delivery is verified, and answered, as by a [webhook.Receiver]. Of a delivery with
// many events, those that cannot be read, or that are of no address that this package
// could write to, are counted and left out. One that cannot be read at all fails, and
// so does one whose suppressions could not be kept: the provider delivers it again, and
// what was done of it is not done twice.
//
// Of a bounce that does not tell which of several recipients it is of, each has had a
// soft one. A complaint that does not tell suppresses all of them.
func NewFeedback(o FeedbackOptions) (*Feedback, error) {
	f := &Feedback{stats: map[string]uint64{}}
	if err := o.setDefaults(); err != nil {
		return nil, fmt.Errorf("mailtool: %w", err)
	}
	f.o, f.parse, f.log = o, parsers[o.Provider], o.Webhook.Log
	f.receiver = webhook.NewReceiver(o.Verifier, o.Once, f.receive, o.Webhook)
	for _, key := range feedbackKeys {
		f.stats[key] = 0
	}
	return f, nil
}

func (o *FeedbackOptions) setDefaults() error {
	o.SoftBounces, o.Window = or(o.SoftBounces, 3), or(o.Window, 7*24*time.Hour)
	if o.Once == nil {
		o.Once = new(state.Memory)
	}
	o.Webhook.Timeout = or(o.Webhook.Timeout, time.Minute)
	if o.Webhook.Log == nil {
		o.Webhook.Log = slog.Default()
	}
	switch {
	case parsers[o.Provider] == nil:
		return errors.New("FeedbackOptions.Provider must be sendgrid, postmark, resend, mailgun or ses")
	case o.Verifier == nil:
		return errors.New("FeedbackOptions.Verifier is required: without one anybody could suppress anybody")
	case o.Suppressions == nil:
		return errors.New("FeedbackOptions.Suppressions is required")
	case o.SoftBounces < 1 || o.SoftBounces > 10:
		return errors.New("FeedbackOptions.SoftBounces must be 1 to 10")
	case o.Window < time.Minute || o.Window > 90*24*time.Hour:
		return errors.New("FeedbackOptions.Window must be a minute to 90 days")
	}
	return nil
}

// ServeHTTP implements [http.Handler].
func (f *Feedback) ServeHTTP(w http.ResponseWriter, r *http.Request) { f.receiver.ServeHTTP(w, r) }

// What is counted of events, beside their kinds.
const (
	countSuppressed = "suppressed"
	countIgnored    = "ignored"
	countUnreadable = "unreadable"
)

var feedbackKeys = []string{kindHard, kindSoft, kindComplaint, kindUnsubscribe, kindDelivered, kindRejected, countSuppressed, countIgnored, countUnreadable}

// Stats returns how many events there were since the start, by kind; suppressed, which
// counts addresses that were new on the list or are on it for a weightier reason now;
// ignored, which are of no interest; and unreadable. Events count when their delivery
// is done. Beside them it has what [webhook.Receiver.Stats] tells.
func (f *Feedback) Stats() map[string]uint64 {
	m := f.receiver.Stats()
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, n := range f.stats {
		m[key] = n
	}
	return m
}

// receive carries out what a delivery says. It is done again if it fails, so each step
// of it does nothing when it was done before.
func (f *Feedback) receive(ctx context.Context, ev webhook.Event) error {
	if ev.Scheme == "sns" && ev.Type != "Notification" {
		return f.subscription(ctx, ev)
	}
	b := batch{provider: f.o.Provider, now: time.Now(), counts: map[string]uint64{}}
	if err := f.parse(ev, &b); err != nil {
		return fmt.Errorf("reading an event of %s: %w", f.o.Provider, err)
	}
	for _, e := range b.events {
		if err := f.carryOut(ctx, e, b.counts); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, n := range b.counts {
		f.stats[key] += n
	}
	if n := b.counts[countUnreadable]; n > 0 {
		f.log.WarnContext(ctx, "mailtool: events of mail were left out that cannot be read", "provider", f.o.Provider, "events", n)
	}
	return nil
}

var suppressing = map[string]suppress.Reason{kindHard: suppress.HardBounce, kindComplaint: suppress.Complaint, kindUnsubscribe: suppress.Unsubscribe}

func (f *Feedback) carryOut(ctx context.Context, e event, counts map[string]uint64) error {
	reason := suppressing[e.Kind]
	if e.Kind == kindSoft {
		many, err := f.countSoft(ctx, e)
		if err != nil {
			return fmt.Errorf("counting a soft bounce: %w", err)
		}
		if many {
			reason = suppress.Bounces
		}
	}
	if reason != "" {
		changed, err := f.o.Suppressions.Add(ctx, suppress.Entry{Address: e.Address, Reason: reason, Time: e.Time, Source: e.Provider, Detail: e.Code})
		if err != nil {
			return err
		}
		if changed {
			counts[countSuppressed]++
		}
	}
	if f.o.Handle != nil {
		if err := f.o.Handle(ctx, e.FeedbackEvent); err != nil {
			return fmt.Errorf("handling an event: %w", err)
		}
	}
	return nil
}
