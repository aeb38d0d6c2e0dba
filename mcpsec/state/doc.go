// Package state lets something be done once, however often and wherever it is
// asked for (a payment, a webhook's effect, the use of a confirmation), and only so
// much of something be had (calls a second, money a day).
//
//	claim, err := once.Claim(ctx, "pay:"+key, time.Minute)
//	if err != nil {
//		return nil, err // nothing is known: do nothing
//	}
//	switch claim.Status {
//	case state.Done:
//		return claim.Result, nil // what the first answer was
//	case state.Busy:
//		return nil, errTryLater
//	}
//	result, err := pay(ctx)
//	if err != nil {
//		return nil, errors.Join(err, once.Fail(ctx, claim)) // gives the key back
//	}
//	return result, once.Complete(ctx, claim, result, 24*time.Hour)
//
// # What it protects, and from whom
//
// It protects an effect from being had twice: from a caller who repeats a
// request, a sender that delivers again, an attacker who replays what was
// captured, and two replicas that get the same request at the same moment. Of
// all who claim a key, one gets it. Whoever asks while that one is at it is told
// so; whoever asks later gets the result that was kept.
//
// A claim ends after its lease, so that a process that died does not hold a key
// for ever. Each claim has a fencing number: one whose lease ended and whose key
// was taken over can neither complete nor fail it ([ErrLost]).
//
// A [Limiter] protects what is scarce from whoever asks for too much of it at once
// or in a day, and counts exactly: no rounding adds up, no clock that goes backwards
// fills anything, and of takers at one moment no more get some than there is.
//
//	wait, err := limiter.Take(ctx, "refunds:"+principal, cents, perDay)
//	if err != nil || wait > 0 {
//		return errNotNow // an error means that nothing is known
//	}
//
// [Memory] is the [Store] of one process. It is bounded, and refuses a new key
// rather than forget one that still counts ([ErrFull]). Package pgstate has the
// one that replicas share.
//
// # What it does not protect
//
// A process that dies between the effect and [Once.Complete] leaves a key whose
// lease ends, and the effect is had again. Where that must not be, the effect
// and the key belong into one database transaction, or the effect takes the key
// itself, as Stripe's idempotency keys do. A worker that goes on after its lease
// runs beside the one that took over: let leases be longer than the work can
// take. Memory forgets with its process and is not shared between replicas. Who
// may use which key is left to the caller: put the principal into the key. What is
// taken of an allowance and not spent stays taken unless it is given back, also
// when the process dies.
package state
