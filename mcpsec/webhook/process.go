package webhook

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

const (
	overrun      = 5 * time.Minute // how long a lease outlasts the handler's time
	stateTime    = 5 * time.Second // for one question to the Once
	retryBusy    = 30 * time.Second
	retryUnknown = 10 * time.Second
)

// process handles an event that was verified, if nobody else has or does.
func (rc *Receiver) process(ctx context.Context, ev Event) outcome {
	claim, err := rc.claim(ctx, ev)
	switch {
	case err != nil:
		return outcome{reason: reasonState, err: fmt.Errorf("claiming the event: %w", err), wait: retryUnknown}
	case claim.Status == state.Done:
		return outcome{reason: outcomeRepeated}
	case claim.Status != state.Taken:
		return outcome{reason: reasonBusy, wait: max(time.Second, min(claim.Left, retryBusy))}
	}
	handled := false
	defer func() { // also when the handler ends its goroutine
		if !handled {
			rc.giveBack(ctx, claim)
		}
	}()
	if err := rc.call(ctx, ev); err != nil {
		return outcome{reason: failure(err), err: err, wait: retryUnknown}
	}
	handled = true
	if err := rc.complete(ctx, claim); err != nil {
		return outcome{reason: reasonUnrecorded, err: fmt.Errorf("recording that the event was handled: %w", err)}
	}
	return outcome{reason: outcomeHandled}
}

// failure is what a handler's error counts as.
func failure(err error) string {
	var e *Error
	if errors.As(err, &e) && (e.Reason == reasonRefused || e.Reason == reasonBusy || e.Reason == reasonState) {
		return e.Reason
	}
	return reasonHandler
}

func (rc *Receiver) claim(ctx context.Context, ev Event) (state.Claim, error) {
	ctx, cancel := context.WithTimeout(ctx, stateTime)
	defer cancel()
	return rc.once.Claim(ctx, rc.name+":"+ev.ID, rc.timeout+overrun)
}

// call runs the handler, and turns a panic into an error.
func (rc *Receiver) call(ctx context.Context, ev Event) (err error) {
	ctx, cancel := context.WithTimeout(ctx, rc.timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the handler panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return rc.handle(ctx, ev)
}

// complete records that the event was handled. It is worth a few attempts: what
// is not recorded is handled again after the lease.
func (rc *Receiver) complete(ctx context.Context, claim state.Claim) (err error) {
	for range 3 {
		if err = rc.completeNow(ctx, claim); err == nil || errors.Is(err, state.ErrLost) {
			return err
		}
	}
	return err
}

func (rc *Receiver) completeNow(ctx context.Context, claim state.Claim) error {
	ctx, cancel := context.WithTimeout(ctx, stateTime)
	defer cancel()
	return rc.once.Complete(ctx, claim, nil, rc.keep)
}

// giveBack lets the next delivery be handled. If that fails, it is when the lease
// ends.
func (rc *Receiver) giveBack(ctx context.Context, claim state.Claim) {
	ctx, cancel := context.WithTimeout(ctx, stateTime)
	defer cancel()
	if err := rc.once.Fail(ctx, claim); err != nil {
		rc.stats.count(reasonState)
		rc.log.ErrorContext(ctx, "webhook not given back", "receiver", rc.name, "error", rc.brief(err))
	}
}
