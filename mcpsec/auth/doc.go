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
//	log.Fatal(srv.ListenAndServe(ctx, ":443", mcpsec.HTTPOptions{
//		TLS: certificates, Verifier: verify,
//		Resource:             "https://orders.example.com/mcp",
//		AuthorizationServers: []string{"https://login.example.com"},
//	}))
//
// A verifier is a [mcpsec.TokenVerifier]. [JWT] checks tokens by the keys that
// their issuer publishes, [Introspection] asks the issuer, [PocketBase] a
// PocketBase server, and [Keys] knows static API keys. [AnyOf] puts several
// together, and [Implies] adds the scopes that others stand for.
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
// [Introspection]. What an issuer signs is believed, where its metadata sends us
// for keys is asked, and a subject of its clients that looks like one of its users
// is that user (RFC 9068, section 5). Not every ID token can be told from an
// access token; that Audience is a URL, and no client's id, is what keeps them
// out. An issuer on this machine may be asked by plain http, since nothing of it
// leaves the machine; a Client of your own may show what is sent to others.
package auth
