// Package webhook receives webhooks from Stripe, Standard Webhooks (Svix, Resend
// and others), GitHub, SendGrid, Postmark, Mailgun, Amazon SNS, and any sender that
// signs with an HMAC.
//
//	secret, err := redact.SecretFromEnv("STRIPE_WEBHOOK_SECRET")
//	if err != nil {
//		return err
//	}
//	verifier, err := webhook.Stripe(secret)
//	if err != nil {
//		return err
//	}
//	http.Handle("/webhooks/stripe", webhook.Handler(verifier, nil, func(ctx context.Context, ev webhook.Event) error {
//		if ev.Type != "invoice.paid" {
//			return nil // not of interest: done
//		}
//		return book(ctx, ev.Body) // an error lets the sender try again
//	}))
//
// # What it protects, and from whom
//
// It protects what a webhook sets in motion from everybody who can reach its URL:
// who makes up events, changes genuine ones, sends captured ones again, or sends
// what no sender would, in order to be read in two ways or to use the machine up.
//
// A delivery is a POST of a bounded body, of the sender's content type and
// unencoded. Its signature is checked over the exact bytes that came, in constant
// time, against every secret that is given, and so is the time of signing, in
// both directions, where the sender signs one. Headers stand once and are read in
// one way. Only what is signed tells one event from another, so that a captured
// delivery cannot be made to look new.
//
// An event has its effect once at most, however many deliveries of it come, at one
// moment or later, to this process or another: the handler runs for it once, and
// again only if it failed. See [state.Once]. The sender gets a 2xx only when the
// handler is done. What goes wrong is counted
// ([Receiver.Stats]) and logged, without body, headers and secrets. The sender is
// told nothing but the status.
//
// # What the handler should know
//
// It runs to its end although the sender hangs up, within [Options.Timeout]. An
// error, or a panic, means that nothing was done: the event is free again, and its
// next delivery comes to the handler. Return nil for what will never succeed,
// unless you want to see it again for days. An error that wraps an [Error] says that
// the event is none for the handler, or that it comes at a bad time. Events come
// late, twice and in any order: a signature says who wrote an event, and not that it
// still holds.
//
// # What it does not protect
//
// Who has the secret can send anything. TLS is the server's business; without it a
// delivery can be held back and changed where it is not signed. Some senders sign
// little: GitHub no time, Mailgun no event, Postmark nothing. The functions that
// make verifiers say what is signed, and what follows.
//
// A process that dies after the effect and before it was recorded runs the handler
// again at the next delivery, if the lease has ended: five minutes after the
// timeout. So does one whose [state.Once] is a [state.Memory] and that starts anew:
// several replicas, and effects that must not be repeated after a restart, need a
// shared one. A handler that ignores its context for five minutes longer than its
// timeout can run beside another.
//
// Each bad delivery of a flood costs a body of up to [Options.MaxBody] and an HMAC,
// or with Mailgun and SNS, whose signatures stand in the body, the reading of its
// JSON. Limit connections in front.
package webhook
