package auth

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

const (
	defaultSkew     = time.Minute
	maxSkew         = 5 * time.Minute
	accessTokenType = "at+jwt" // RFC 9068, section 2.1
)

// JWTOptions say whose tokens [JWT] takes.
type JWTOptions struct {
	// Issuer is the authorization server's issuer identifier, exactly as it
	// stands in its tokens and its metadata. Required.
	Issuer string

	// Audience is this server's URL, the one that clients name when they ask for
	// a token (RFC 8707). One of a token's audiences must be it, with or without
	// a slash at the end. It must be an absolute URI: a bare name could be a
	// client's id, which is the audience of ID tokens. Required.
	Audience string

	// Algorithms are the signatures that are taken, out of RS256, RS384, RS512,
	// PS256, PS384, PS512, ES256, ES384, ES512 and EdDSA; none and HMAC are not
	// among them. Defaults to RS256, PS256, ES256 and EdDSA.
	Algorithms []string

	// Types are the values of a token's typ header that are taken, in lower case
	// and without "application/"; "" stands for none. Set it to "at+jwt" if the
	// issuer follows RFC 9068. Defaults to "at+jwt", "jwt" and "".
	Types []string

	// KeysURL is where the issuer publishes its keys. Defaults to what its
	// metadata says (OpenID Connect Discovery, then RFC 8414).
	KeysURL string

	// Client fetches metadata and keys, without following redirects. Set one
	// that is guarded if outgoing connections are restricted. Defaults to a
	// client of its own.
	Client *http.Client

	// ClockSkew is how far the issuer's clock may differ from ours: up to 5
	// minutes. Defaults to 1 minute.
	ClockSkew time.Duration
}

// JWT returns a verifier of JWT access tokens (RFC 9068) that are signed with a
// key which the issuer publishes (RFC 7517). A token must have that issuer, this
// audience, a subject and an expiry; nbf and iat must not lie ahead. It may
// neither bring a key along nor be bound to one (cnf: nobody proves possession
// here), nor be an ID, refresh or logout token, as far as that can be told.
//
// The Principal's ID is the issuer, "|" and the subject: the only pair that is
// unique and never given to another (OIDC Core, section 5.7). Scopes are those
// of the claim scope, or of scp where it is missing.
//
// Keys are fetched with the first token, and again when they are 15 minutes old
// or a token names an unknown one, but at most every 30 seconds (5 after a
// failure), whatever tokens come. While the issuer cannot be reached, known keys
// are used until they are an hour old; after that tokens cannot be checked. RSA
// keys have 2048 to 8192 bits.
//
// JWT itself connects to nothing. It returns an error for options that cannot
// be right.
func JWT(opts JWTOptions) (mcpsec.TokenVerifier, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	v := &jwtVerifier{
		JWTOptions: opts,
		keys:       &keySet{http: newClient(opts.Client), issuer: opts.Issuer, url: opts.KeysURL, failed: errUnasked},
		parser: jwt.NewParser(jwt.WithValidMethods(opts.Algorithms), jwt.WithIssuer(opts.Issuer), jwt.WithStrictDecoding(),
			jwt.WithLeeway(opts.ClockSkew), jwt.WithExpirationRequired(), jwt.WithIssuedAt()),
	}
	return v.verify, nil
}

func (o *JWTOptions) complete() error {
	if err := errors.Join(checkIssuer("Issuer", o.Issuer), checkAudience("Audience", o.Audience)); err != nil {
		return err
	}
	if o.KeysURL != "" {
		if err := checkURL("KeysURL", o.KeysURL); err != nil {
			return err
		}
	}
	if o.ClockSkew < 0 || o.ClockSkew > maxSkew {
		return fmt.Errorf("auth: ClockSkew must lie between 0 and %v", maxSkew)
	}
	if o.ClockSkew == 0 {
		o.ClockSkew = defaultSkew
	}
	o.Algorithms, o.Types = slices.Clone(o.Algorithms), slices.Clone(o.Types)
	if len(o.Algorithms) == 0 {
		o.Algorithms = []string{"RS256", "PS256", "ES256", "EdDSA"}
	}
	if len(o.Types) == 0 {
		o.Types = []string{accessTokenType, "jwt", ""}
	}
	for _, alg := range o.Algorithms {
		if !slices.Contains(signatures, alg) {
			return errors.New("auth: Algorithms may hold RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512 and EdDSA")
		}
	}
	return nil
}

type jwtVerifier struct {
	JWTOptions
	keys   *keySet
	parser *jwt.Parser
}

// verify leaves signature, issuer and times to the JWT package, and adds what
// that does not look at.
func (v *jwtVerifier) verify(ctx context.Context, token string) (mcpsec.Principal, error) {
	head, err := v.header(token)
	if err != nil {
		return mcpsec.Principal{}, err
	}
	var c claims
	if _, err = v.parser.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return v.key(ctx, head, &c) }); err != nil {
		return mcpsec.Principal{}, reason(err)
	}
	switch use := c.otherUse(head.typ()); {
	case !c.Aud.has(v.Audience):
		return mcpsec.Principal{}, invalid("it is for another audience")
	case use != "":
		return mcpsec.Principal{}, invalid(use)
	case c.Cnf != nil:
		return mcpsec.Principal{}, invalid("it is bound to a key of the client's")
	}
	return newPrincipal(c.Iss, c.Sub, c.granted())
}

func (v *jwtVerifier) header(token string) (*header, error) {
	parts, ok := split(token)
	if !ok {
		return nil, invalid("it is not a signed JWT")
	}
	var h header
	switch err := decode(parts[0], &h); {
	case err != nil:
		return nil, invalid("its header is malformed")
	case h.foreign():
		return nil, invalid("its header brings a key or an extension along")
	case !slices.Contains(v.Algorithms, h.Alg):
		return nil, invalid("its algorithm is not allowed")
	case !slices.Contains(v.Types, h.typ()):
		return nil, invalid("its type is not that of an access token")
	}
	return &h, nil
}

// key finds the key for a token that may be ours: for others nobody is asked.
func (v *jwtVerifier) key(ctx context.Context, h *header, c *claims) (crypto.PublicKey, error) {
	if c.Iss != v.Issuer {
		return nil, invalid("it is of another issuer")
	}
	return v.keys.find(ctx, h.Kid, h.Alg)
}

// reason turns an error of the JWT package, whose texts hold parts of the token,
// into a constant. What key says is one already.
func reason(err error) error {
	var away *unavailable
	var own *refusal
	switch {
	case errors.As(err, &away):
		return away
	case errors.As(err, &own):
		return own
	case errors.Is(err, jwt.ErrTokenExpired):
		return invalid("it has expired")
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return invalid("it is not valid yet")
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return invalid("it has no expiry")
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return invalid("its signature is wrong")
	}
	return invalid("it is malformed")
}
