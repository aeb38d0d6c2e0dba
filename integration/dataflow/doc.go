// Package dataflow has an incident that was published as a test, against a real
// PostgreSQL, with shared state in it, and a real SMTP server. Those with Stripe and with
// PocketBase are in integration/stripetool and integration/pbtool.
package dataflow
