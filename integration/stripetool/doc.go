// Package stripetool holds tests of stripetool against stripe-mock, which checks
// requests by Stripe's own description of its API, with a thin layer before it that
// knows what stripe-mock does not: what was paid and refunded, keys of idempotency,
// objects that there are not, declines and locks. Between the two and the client
// stands a network that fails. Replicas are processes of their own, on one PostgreSQL.
package stripetool
