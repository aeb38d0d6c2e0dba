// Package pbtool tests the tools for PocketBase against a real one, in this
// process and behind a real socket.
package pbtool
