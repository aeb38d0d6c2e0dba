// Package battery attacks an MCP server from outside, and says what it found.
//
// It speaks JSON-RPC by itself: a client's library would refuse to send what an
// attacker sends, and repair what a server must not answer. [Run] opens a target,
// reads what it offers, and runs [Checks] in order. What a check reports was observed:
// where it cannot tell, it is silent, or says so with severity [Info].
//
// A tool is called only if it says that it only reads (readOnlyHint) and its name does
// not say otherwise, or if the caller lists it: see [Options].
package battery
