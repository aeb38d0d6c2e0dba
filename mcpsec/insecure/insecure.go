// Package insecure is the only place where a protection of this module can be
// switched off. Each function is named by what happens without the protection,
// takes a constant reason, and returns a waiver for the Waive field of the tool
// or connection it concerns. The reason is logged at start and written into
// every audit record that the waiver affects.
//
// No configuration file, flag or environment variable reaches these functions:
// a reviewer finds every exception by looking for this import.
package insecure

import "github.com/mcpsec/mcpsec-go/internal/waive"

// A reason must be an untyped constant: a variable does not compile. It is not
// exported, so nobody can convert to it either.
type reason string

// RawOutput lets the results of a tool, prompt or resource leave without redaction
// of secrets and without removal of invisible characters. Size limits stay.
func RawOutput(why reason) waive.Waiver { return waiver(waive.RawOutput, why) }

// PlaintextDatabase lets a database connection cross a network without TLS, or
// with TLS that does not verify the server: its traffic, passwords included, can
// be read and changed on the way.
func PlaintextDatabase(why reason) waive.Waiver { return waiver(waive.PlaintextDatabase, why) }

// OverprivilegedRole lets a database be used with a role that can do more than
// its tools should, a superuser for example: one mistake in the layers above it
// then costs the whole server.
func OverprivilegedRole(why reason) waive.Waiver { return waiver(waive.OverprivilegedRole, why) }

// PlaintextHTTP lets an HTTP client use http URLs and send credentials to an http
// proxy: requests and answers, credentials included, can be read and changed on
// the way.
func PlaintextHTTP(why reason) waive.Waiver { return waiver(waive.PlaintextHTTP, why) }

// Unconfirmed lets a tool run without a person's yes, what cannot be undone
// included, and whatever its own guards ask. Questions of the server's guards
// are asked all the same.
func Unconfirmed(why reason) waive.Waiver { return waiver(waive.Unconfirmed, why) }

// AnySQL lets a caller's statement name every function, table and view that the
// database's role may use, those that lock, wait, open connections or show what
// other sessions do included. One statement at a time, READ ONLY and the limits
// stay.
func AnySQL(why reason) waive.Waiver { return waiver(waive.AnySQL, why) }

// LiveMode lets a key of Stripe's live mode be used: what tools do moves real money.
// Caps and confirmations stay.
func LiveMode(why reason) waive.Waiver { return waiver(waive.LiveMode, why) }

// PlaintextMail lets mail be handed to a server without TLS: whoever is on the way
// can read and change it. Passwords are not sent all the same.
func PlaintextMail(why reason) waive.Waiver { return waiver(waive.PlaintextMail, why) }

// AnyRecipient lets mail be sent to every address there is when no list says who may
// be written to: one message is enough to take out what a model has read. Lists of who
// may not, caps and confirmations stay.
func AnyRecipient(why reason) waive.Waiver { return waiver(waive.AnyRecipient, why) }

func waiver(k waive.Kind, why reason) waive.Waiver {
	if why == "" {
		panic("insecure: " + string(k) + ": a reason is required")
	}
	return waive.Waiver{Kind: k, Reason: string(why)}
}
