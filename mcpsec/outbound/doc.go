// Package outbound makes the HTTP client with which a server asks others: one
// that goes where it may, waits as long as it should, and asks again when that
// helps.
//
//	client, err := outbound.New(outbound.Options{
//		Allow: []string{"api.example.com"}, // required: where requests may go
//	})
//	if err != nil {
//		return err
//	}
//	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://api.example.com/orders", strings.NewReader(order))
//	if err != nil {
//		return err
//	}
//	req.Header.Set("Idempotency-Key", key) // so that it may be sent again
//	resp, err := client.Do(req)
//
// It is a plain [net/http.Client] and needs nothing else of this module.
//
// # What it protects, and from whom
//
// It protects the network that the server is in, and its credentials, from
// whoever chooses a URL, a name's address or an answer: a prompt, a client, a
// name server, a backend that was taken over. It protects the server from a
// backend that is slow, silent or endless, and a backend in trouble from the
// server. And it keeps what is secret in a request out of errors.
//
//   - Where to: https only, to the hosts of Options.Allow. The address is
//     decided on when it is dialled, each one, so that a name that changes its
//     mind in between gains nothing. What is not public (private, loopback,
//     link-local, metadata, shared, reserved) is refused, also inside of
//     IPv4-mapped and NAT64 addresses; 6to4, Teredo, ISATAP, local NAT64 and
//     IPv4-compatible addresses are refused whatever they hold. Options.Networks
//     opens what is listed, and nothing that must stay shut.
//   - Redirects stay with scheme, host and port, are at most three, and are
//     followed for GET and HEAD only; of the headers only a few harmless ones go
//     along. Any other is an error.
//   - How long: connect, TLS, header, gaps in the body, and all together. The
//     context is heeded in every wait.
//   - How much: the body is bounded after decompression, the header at 64 KiB.
//   - Again: 429, 502, 503, 504 and broken connections, if the method is
//     idempotent or the request has an Idempotency-Key
//     (draft-ietf-httpapi-idempotency-key-header), and its body can be had
//     again (GetBody, which [net/http.NewRequest] sets). Pauses have full
//     jitter, and are no shorter than Retry-After asks; if that is longer than 30
//     seconds or than the time left, the answer is returned as it is. A budget
//     for each host bounds retries to a tenth of what succeeds.
//   - Not at all: after five failures in a row, a host is left alone for ten
//     seconds, and then tried with one request. Failures are those of the
//     connection, 502, 503 and 504; not 500, which one caller's input may cause
//     and must not cost the others.
//   - Errors hold the host and fixed words: no path, query, header or body, and
//     nothing that the server said.
//
// # What it does not protect
//
// A host that is allowed is trusted with what is sent to it, and its answers
// are data from outside. A path on it is not restricted. Addresses are not
// checked behind a proxy: it resolves the names. An error of
// [net/http.NewRequest], Client.Get and the like about a URL that cannot be
// parsed quotes the URL. A request that net/http or HTTP/2 knows to be unseen by
// the server, since nothing was written or the server said so, is sent again on
// another connection without counting as a retry; so is one with an
// Idempotency-Key or X-Idempotency-Key, or an idempotent method, on a kept
// connection that turns out to be closed. A server that answers and then
// withholds the body does not open the breaker.
package outbound
