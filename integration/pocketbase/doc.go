// Package pocketbase tests against a real PocketBase, in this process and behind
// a real socket.
package pocketbase
