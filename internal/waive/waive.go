// Package waive holds the type that package insecure makes and the other
// packages take, so that they need not import insecure.
package waive

// A Waiver switches one protection off, for a stated reason.
type Waiver struct {
	Kind   Kind
	Reason string
}

// A Kind names a protection by what happens without it.
type Kind string

// The protections that can be waived.
const (
	RawOutput          Kind = "raw-output"
	PlaintextDatabase  Kind = "plaintext-database"
	OverprivilegedRole Kind = "overprivileged-role"
	PlaintextHTTP      Kind = "plaintext-http"
	Unconfirmed        Kind = "unconfirmed"
	AnySQL             Kind = "any-sql"
	LiveMode           Kind = "live-mode"
	PlaintextMail      Kind = "plaintext-mail"
	AnyRecipient       Kind = "any-recipient"
)

// Has reports whether one of the waivers is of kind k.
func Has(ws []Waiver, k Kind) bool {
	for _, w := range ws {
		if w.Kind == k {
			return true
		}
	}
	return false
}
