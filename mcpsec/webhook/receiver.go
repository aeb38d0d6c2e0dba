package webhook

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// Options bounds what a [Receiver] does. The zero value is safe.
type Options struct {
	// Name tells this receiver's events from others' in a shared Once, and is
	// in the log. Two receivers with one Once and one sender, such as two
	// endpoints of a GitHub organization, need different names, or each takes
	// the other's events for its own, done already. Defaults to the name of
	// the verifier's scheme.
	Name string
	// MaxBody is how many bytes a body may have, up to 64 MiB. Defaults to
	// 1 MiB.
	MaxBody int
	// Timeout is how long a body may take to arrive, and then the handler to
	// run, up to an hour. Most senders wait ten seconds or more. Defaults to 10
	// seconds.
	Timeout time.Duration
	// Keep is how long a handled event is known, so that repetitions are not
	// handled. It must be longer than deliveries of it can be fresh, and should
	// be longer than the sender goes on to deliver, which is three days for
	// most. Defaults to 7 days.
	Keep time.Duration
	// Log gets a record of each failure: up to ten a second of what senders and
	// strangers cause, and ten of what goes wrong here, with the number left
	// out. Its records are redacted. Defaults to slog.Default().
	Log *slog.Logger
}

// A Receiver is the http.Handler of one sender's webhooks: see [NewReceiver].
type Receiver struct {
	verifier *Verifier
	once     state.Once
	handle   func(context.Context, Event) error
	name     string
	maxBody  int64
	timeout  time.Duration
	keep     time.Duration
	log      *slog.Logger
	redactor *redact.Redactor
	stats    counters

	// What strangers cause does not keep from the log what goes wrong here.
	strangers, own limiter
}

// Handler returns a [Receiver] with the default [Options].
func Handler(v *Verifier, once state.Once, handle func(context.Context, Event) error) http.Handler {
	return NewReceiver(v, once, handle, Options{})
}

// NewReceiver returns the handler of a sender's webhooks. It verifies each
// delivery with v and calls handle once for an event, as once tells; a nil once
// is a [state.Memory] of its own. It panics when v or handle is nil, or an option
// makes no sense.
//
// A delivery is answered with 200 when its event was handled, now or before; 500
// when handle failed; 503, and when to come again, when the event is being handled
// or nothing could be found out; 401 when it is not the sender's; 400, 405, 408,
// 413 or 415 when it is none, or when handle refuses it (see [Error]).
func NewReceiver(v *Verifier, once state.Once, handle func(context.Context, Event) error, o Options) *Receiver {
	if v == nil || v.check == nil || handle == nil {
		panic("webhook: a Receiver needs a Verifier and a func that handles events")
	}
	if once == nil {
		once = new(state.Memory)
	}
	o.setDefaults(v)
	o.check(v)
	r := redact.New(redact.Options{})
	return &Receiver{
		verifier: v, once: once, handle: handle, name: o.Name, maxBody: int64(o.MaxBody), timeout: o.Timeout, keep: o.Keep,
		log: slog.New(redact.NewHandler(o.Log.Handler(), r)), redactor: r,
	}
}

func (o *Options) setDefaults(v *Verifier) {
	if o.Name == "" {
		o.Name = v.scheme
	}
	if o.MaxBody == 0 {
		o.MaxBody = 1 << 20
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Keep == 0 {
		o.Keep = 7 * 24 * time.Hour
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
}

func (o *Options) check(v *Verifier) {
	switch {
	case !isID(o.Name) || len(o.Name) > 100 || strings.Contains(o.Name, ":"): // which ends it in a key
		panic("webhook: Options.Name must be up to 100 bytes of printable ASCII, without spaces and colons")
	case o.MaxBody < 0 || o.MaxBody > 64<<20:
		panic("webhook: Options.MaxBody must be up to 64 MiB")
	case o.Timeout < 0 || o.Timeout > time.Hour:
		panic("webhook: Options.Timeout must be up to an hour")
	case o.Keep < v.past+v.future || o.Keep < 0 || o.Keep > 365*24*time.Hour:
		panic("webhook: Options.Keep must be longer than deliveries are fresh, and at most 365 days")
	}
}

// ServeHTTP implements [http.Handler].
func (rc *Receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := rc.receive(w, r)
	rc.stats.count(out.reason)
	if out.err != nil {
		rc.record(r, out)
	}
	rc.answer(w, out)
}

// An outcome is how a delivery ended. Without an error it was handled, or
// another is at it.
type outcome struct {
	reason string
	err    error
	wait   time.Duration // before another delivery makes sense
}

func (rc *Receiver) receive(w http.ResponseWriter, r *http.Request) outcome {
	if r.Method != http.MethodPost {
		return refused(refuse(reasonMethod, "the method is not POST"))
	}
	if err := rc.verifier.checkType(r.Header); err != nil { // before anything is read
		return refused(err)
	}
	body, err := rc.read(w, r)
	if err != nil {
		return refused(err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), rc.timeout)
	defer cancel()
	ev, err := rc.verifier.Verify(ctx, r.Header, body)
	if err != nil {
		return refused(err)
	}
	// From here on the sender may hang up: what was begun is brought to its end.
	return rc.process(context.WithoutCancel(r.Context()), ev)
}

func refused(err error) outcome {
	var e *Error
	if errors.As(err, &e) {
		return outcome{reason: e.Reason, err: err, wait: retryUnknown}
	}
	return outcome{reason: reasonRead, err: err}
}

// read returns the body, if it is within the cap and comes in time.
func (rc *Receiver) read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > rc.maxBody {
		return nil, refuse(reasonTooLarge, "the body is larger than MaxBody")
	}
	// Where it is supported; net/http lifts it at the body's end.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(rc.timeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, rc.maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, refuse(reasonTooLarge, "the body is larger than MaxBody")
	case err != nil:
		return nil, refuse(reasonRead, "the body did not come, or not in time")
	}
	return body, nil
}

var statuses = map[string]int{
	reasonMethod: http.StatusMethodNotAllowed, reasonContentType: http.StatusUnsupportedMediaType,
	reasonTooLarge: http.StatusRequestEntityTooLarge, reasonRead: http.StatusRequestTimeout,
	reasonHeader: http.StatusUnauthorized, reasonSignature: http.StatusUnauthorized, reasonTimestamp: http.StatusUnauthorized,
	reasonEvent: http.StatusBadRequest, reasonRefused: http.StatusBadRequest, reasonHandler: http.StatusInternalServerError,
	reasonKey: http.StatusServiceUnavailable, reasonBusy: http.StatusServiceUnavailable, reasonState: http.StatusServiceUnavailable,
	// Handled is handled: another delivery would do it again.
	outcomeHandled: http.StatusOK, outcomeRepeated: http.StatusOK, reasonUnrecorded: http.StatusOK,
}

// answer tells the sender the status, and a forger no more than that.
func (rc *Receiver) answer(w http.ResponseWriter, out outcome) {
	status := statuses[out.reason]
	h := w.Header()
	switch status {
	case http.StatusMethodNotAllowed:
		h.Set("Allow", http.MethodPost)
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", rc.challenge())
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", strconv.Itoa(int(out.wait/time.Second)))
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, http.StatusText(status)+"\n") // the sender may be gone
}

func (rc *Receiver) challenge() string {
	if rc.verifier.challenge != "" {
		return rc.verifier.challenge
	}
	return "Signature" // RFC 9110, section 11.6.1, wants one
}
