// Package webhook compares mcpsec/webhook with stripe-go's own signer and verifier.
// It protects receivers of Stripe's events from a verifier that reads signatures
// in another way than the sender writes them.
package webhook
