package redact

// Inside returns the very bytes that s holds.
func Inside(s Secret) []byte { return s.vault().value }
