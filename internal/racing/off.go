//go:build !race

// Package racing tells tests that count allocations whether the race detector is on,
// which makes some of its own and throws pools away at random.
package racing

// Enabled reports whether the race detector is on.
const Enabled = false
