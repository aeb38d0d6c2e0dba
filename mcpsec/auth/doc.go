// Package auth verifies bearer tokens for MCP servers over HTTP, as an OAuth 2.1
// resource server must:
//
//	verify, err := auth.JWT(auth.JWTOptions{
//		Issuer:   "https://login.example.com",
//		Audience: "https://orders.example.com/mcp", // this server
//	})
//	if err != nil {
//		log.Fatal(err)
//	}
//	verify = auth.Implies(verify, map[string][]string{"orders:write": {"orders:read"}})
//
// The result is a [mcpsec.TokenVerifier]. [JWT] checks tokens by the keys that
// their issuer publishes, [Introspection] asks the issuer, [PocketBase] a
// PocketBase server, and [Keys] knows static API keys. [AnyOf] puts several
// together.
//
// # What it protects, and from whom
//
// It protects the server from whoever sends a token that was not issued for it:
// forged, expired, meant for another audience, of another issuer or kind, bound
// to a key that nobody proves to have, or read differently by two readers.
// Whose call it is comes from the verified token and from nothing else.
//
// It protects the issuer, and the server's own memory, from floods: whatever
// tokens come, keys are fetched by the clock, questions are few at a time, and
// what is kept is bounded. An issuer that is slow, huge, gone or redirecting
// costs five seconds at most.
//
// No error holds a piece of a token, a claim, or what a server said. One that is
// [mcpsec.ErrInvalidToken] means that the token is not good; any other, that it
// could not be checked.
//
// # What it does not protect
//
// A bearer token is whoever's who holds it. A revoked JWT lives on until it
// expires, give or take the clock skew: let issuers keep them short, or use
// [Introspection]. What an issuer signs is believed. Not every ID token can be
// told from an access token; that Audience is a URL, and no client's id, is what
// keeps them out. Who looks at the network between this machine and the
// issuer's sees nothing, but a Client of your own may change that.
package auth
