// Package auth tests the verifiers of mcpsec/auth against a real OpenID
// provider, in this process and behind real sockets.
package auth
