package outbound

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
)

const (
	firstPause    = 100 * time.Millisecond
	lastPause     = 5 * time.Second
	maxRetryAfter = 30 * time.Second // a longer wait is the caller's to decide about
)

// errAgain marks an attempt that may be repeated.
var errAgain = errors.New("again")

// fullJitter is a pause drawn evenly from nothing to d, so that clients that
// failed together do not come back together.
func fullJitter(d time.Duration) time.Duration { return rand.N(d + 1) }

// attempts is one request that is sent until it is answered: the operation, and
// the backoff.BackOff that decides whether and when it is repeated. One
// goroutine uses it.
type attempts struct {
	t    *transport
	h    *host
	req  *http.Request
	exp  *backoff.ExponentialBackOff // without jitter: its own is not full
	sent int

	resp   *http.Response // of the last attempt, or
	err    *Error         // why there is none
	paused bool           // the last attempt is over, and the next has not begun
}

// retry sends a request, and again while that can help and can do no harm.
func (t *transport) retry(h *host, req *http.Request) (*http.Response, *Error) {
	a := &attempts{t: t, h: h, req: req, exp: backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(firstPause), backoff.WithMaxInterval(lastPause), backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(0), backoff.WithMaxElapsedTime(0))}
	_ = backoff.RetryNotifyWithTimer(a.once, backoff.WithContext(a, req.Context()), a.pause, t.timer())
	if a.paused {
		a.err = t.ended(req.Context())
	}
	if a.err != nil {
		a.err.Host, a.err.Attempts = h.name, a.sent
	}
	return a.resp, a.err
}

// unsent makes e, by which this attempt was not sent, one of a request of which an
// earlier attempt was: whoever reads that nothing was sent must be able to rely on it.
func unsent(e *Error, earlier int) *Error {
	if earlier == 0 {
		return e
	}
	return &Error{Reason: Failed, text: "it had no answer, and then was not sent again: " + e.text, err: e.err}
}

// once makes one attempt. It returns errAgain if another may be made.
func (a *attempts) once() error {
	a.resp, a.err, a.paused = nil, nil, false
	probe, wait := a.h.enter(time.Now())
	if wait > 0 {
		closeBody(a.req)
		a.err = unsent(&Error{Reason: BreakerOpen, RetryIn: wait, text: "not asked for another " + wait.Round(time.Millisecond).String() + ": it failed too often in a row"}, a.sent)
		return nil
	}
	v, again := silent, false
	defer func() { a.h.leave(v, probe, time.Now()) }()
	a.sent++
	v, again = a.send()
	if again && replayable(a.req) {
		return errAgain
	}
	return nil
}

// send makes the attempt, and says what it tells about the host and whether its
// failure may pass.
func (a *attempts) send() (v verdict, again bool) {
	ctx, cancel := context.WithCancelCause(a.req.Context())
	req := a.req.WithContext(ctx)
	if a.sent > 1 && req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			cancel(nil)
			a.err = &Error{Reason: Failed, text: "the request's GetBody failed", err: err}
			return silent, false
		}
		req.Body = body
	}
	resp, err := a.t.base.RoundTrip(req)
	if err != nil {
		cancel(nil)
		a.err = a.t.explain(a.req.Context(), err)
		return a.judge(err)
	}
	if a.req.Context().Err() != nil {
		// Giving up shuts the connection, whereupon a server can end in good
		// form what it had begun: an answer that says nothing.
		_ = resp.Body.Close()
		cancel(nil)
		a.err = a.t.ended(a.req.Context())
		return a.judge(a.err)
	}
	resp.Request = a.req
	a.t.wrapBody(ctx, cancel, resp, a.h)
	a.resp = resp
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		return overwhelm, true
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return unhealthy, true
	}
	return healthy, false
}

// judge decides about an attempt without an answer.
func (a *attempts) judge(err error) (v verdict, again bool) {
	switch ctx := a.req.Context(); {
	case a.err.Reason == Refused:
		a.err = unsent(a.err, a.sent-1)
		return silent, false
	case ctx.Err() != nil && context.Cause(ctx) != errTimeout:
		return silent, false
	case ctx.Err() != nil:
		return unhealthy, false
	}
	return unhealthy, passing(err)
}

// passing reports whether the connection failed in a way that may pass. Whether
// the server has seen the request is not known then.
func passing(err error) bool {
	var (
		op  *net.OpError
		dns *net.DNSError
	)
	switch {
	case errors.As(err, &dns):
		return !dns.IsNotFound
	case errors.As(err, &op): // not TLS's "remote error" and "local error"
		return op.Op == "dial" || op.Op == "read" || op.Op == "write"
	}
	return err.Error() == tlsTimeout || disconnected(err)
}

// replayable reports whether a request can be sent twice and means the same as
// once: its method is idempotent (RFC 9110, 9.2.2), or it carries a key by which
// the server knows it again, and its body can be had again.
func replayable(req *http.Request) bool {
	if req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
		return false
	}
	idempotent := []string{"", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete}
	return slices.Contains(idempotent, req.Method) || strings.TrimSpace(req.Header.Get("Idempotency-Key")) != ""
}

// NextBackOff is the pause before the next attempt, or backoff.Stop if what
// there is must do.
func (a *attempts) NextBackOff() time.Duration {
	pause := a.t.jitter(a.exp.NextBackOff())
	if a.resp != nil {
		after := retryAfter(a.resp.Header.Get("Retry-After"), time.Now())
		if after > maxRetryAfter {
			return backoff.Stop
		}
		pause += after
	}
	deadline, _ := a.req.Context().Deadline()
	if a.sent > a.t.o.Retries || time.Until(deadline) <= pause || !a.h.mayRetry() {
		return backoff.Stop
	}
	return pause
}

// Reset implements backoff.BackOff.
func (a *attempts) Reset() { a.exp.Reset() }

// pause ends an attempt that will be repeated.
func (a *attempts) pause(error, time.Duration) {
	a.paused = true
	if a.resp != nil {
		drain(a.resp)
	}
	a.resp, a.err = nil, nil
}

// retryAfter reads a Retry-After header, seconds or a date (RFC 9110, 10.2.3).
// It is 0 for none, one in the past and one that cannot be read.
func retryAfter(value string, now time.Time) time.Duration {
	if value != "" && strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.ParseInt(value, 10, 32)
		if err != nil {
			return 1<<63 - 1 // too many digits
		}
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return max(at.Sub(now), 0)
}
