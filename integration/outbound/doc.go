// Package outbound holds tests of mcpsec/outbound against real servers behind a
// network that fails: toxiproxy, in this process, between client and server.
// They protect against a rule that holds in calm weather only.
package outbound
