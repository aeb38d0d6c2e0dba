//go:build race

package hostile

// Under the race detector a process keeps shadows of all memory that it ever
// had, and everything takes ten times as long.
const racing = true
