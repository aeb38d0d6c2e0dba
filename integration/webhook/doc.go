// Package webhook compares mcpsec/webhook with stripe-go's own signer and verifier, and
// kills receivers that share PostgreSQL. It protects receivers of Stripe's events from a
// verifier that reads signatures in another way than the sender writes them, and from a
// restart that forgets what was handled.
package webhook
