package mcpsec

import (
	"github.com/mcpsec/mcpsec-go/internal/waive"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// A Secret is a value that never prints: every formatter, marshaller and logger
// shows a placeholder, and only its Reveal method gives the value out. See
// [redact.Secret] for how to make one. It is safe for concurrent use.
type Secret = redact.Secret

// A Waiver switches one protection off. Only package insecure makes them.
type Waiver = waive.Waiver
