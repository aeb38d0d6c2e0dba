package stripetool

import (
	"log/slog"

	"github.com/mcpsec/mcpsec-go/internal/waive"
	"github.com/mcpsec/mcpsec-go/mcpsec/outbound"
)

// onThisMachine lets a test's server be asked in plain text: checkURL has seen that
// it is on this machine.
func onThisMachine() ([]outbound.Waiver, *slog.Logger) {
	return []outbound.Waiver{{Kind: waive.PlaintextHTTP, Reason: "the server is on this machine"}}, slog.New(slog.DiscardHandler)
}
