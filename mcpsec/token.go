package mcpsec

import (
	"context"
	"errors"
)

// A TokenVerifier says whose a bearer token is. It must check that the token was
// issued for this server (RFC 8707) and is valid now, and return a Principal
// with an ID and all scopes that the token grants, those that others imply
// included. The token is untrusted, has the form of RFC 6750, section 2.1, and
// at most 8 KiB.
//
// An error that is [ErrInvalidToken] means that the token is not good; any
// other, that it could not be checked. Neither text reaches the client; the
// second is logged. A TokenVerifier must be safe for concurrent use, and heed
// its context, which ends after ten seconds. Package auth makes such verifiers.
type TokenVerifier func(ctx context.Context, token string) (Principal, error)

// ErrInvalidToken is what a [TokenVerifier]'s error wraps when the token is
// malformed, unknown, expired, revoked or for another server.
var ErrInvalidToken = errors.New("mcpsec: invalid token")
