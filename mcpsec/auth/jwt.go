package auth

import (
	"context"
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
	// a token (RFC 8707): mcpsec.HTTPOptions.Resource. One of a token's audiences
	// must be it, with or without a slash at the end. It must be an absolute URI:
	// a bare name could be a client's id, which is the audience of ID tokens.
	// Required.
	Audience string

	// Algorithms are the signatures that are taken, out of RS256, RS384, RS512,
	// PS256, PS384, PS512, ES256, ES384, ES512, EdDSA and Ed25519, its newer name
	// (RFC 9864); none and HMAC are not among them. Defaults to RS256, PS256, ES256,
	// EdDSA and Ed25519.
	Algorithms []string

	// Types are the values of a token's typ header that are taken, in lower case
	// and without "application/"; "" stands for none. Set it to "at+jwt" if the
	// issuer follows RFC 9068. Defaults to "at+jwt", "jwt" and "".
	Types []string

	// KeysURL is where the issuer publishes its keys. Defaults to what its
	// metadata says (OpenID Connect Discovery, then RFC 8414).
	KeysURL string

	// Client fetches metadata and keys, without following redirects. One of
	// package outbound confines where it goes (and follows redirects on one host).
	// Defaults to a client of its own, which takes no proxy from the environment.
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
// A token names its key (kid), or just one key fits. Keys are fetched with the
// first token, and again when they are 15 minutes old or a token names an unknown
// one, but at most every 30 seconds (5 after a failure), whatever tokens come.
// Tokens of known keys do not wait for a fetch that others have caused. While the
// issuer cannot be reached, known keys are used until they are an hour old; after
// that tokens cannot be checked. RSA keys have 2048 to 8192 bits.
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
		times:      jwt.NewValidator(jwt.WithLeeway(opts.ClockSkew), jwt.WithExpirationRequired(), jwt.WithIssuedAt()),
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
		o.Algorithms = []string{"RS256", "PS256", "ES256", "EdDSA", "Ed25519"}
	}
	if len(o.Types) == 0 {
		o.Types = []string{accessTokenType, "jwt", ""}
	}
	for _, typ := range o.Types {
		if typ != (&header{Typ: typ}).typ() {
			return errors.New("auth: Types must be in lower case and without application/")
		}
	}
	for _, alg := range o.Algorithms {
		if !slices.Contains(signatures, alg) {
			return errors.New("auth: Algorithms may hold RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA and Ed25519")
		}
	}
	return nil
}

type jwtVerifier struct {
	JWTOptions
	keys  *keySet
	times *jwt.Validator
}

// verify asks for keys only if the token may be ours.
func (v *jwtVerifier) verify(ctx context.Context, token string) (mcpsec.Principal, error) {
	t, err := readToken(token)
	if err == nil {
		err = v.checkHeader(&t.header)
	}
	if err == nil && t.claims.Iss != v.Issuer {
		err = invalid("it is of another issuer")
	}
	if err != nil {
		return mcpsec.Principal{}, err
	}
	key, err := v.keys.find(ctx, t.header.Kid, t.header.Alg)
	if err != nil {
		return mcpsec.Principal{}, err
	}
	if signingMethod(t.header.Alg).Verify(t.signed, t.signature, key) != nil {
		return mcpsec.Principal{}, invalid("its signature is wrong")
	}
	if err := v.checkClaims(t); err != nil {
		return mcpsec.Principal{}, err
	}
	return newPrincipal(t.claims.Iss, t.claims.Sub, t.claims.granted())
}

// signingMethod takes one of signatures.
func signingMethod(alg string) jwt.SigningMethod {
	if alg == "Ed25519" {
		return jwt.SigningMethodEdDSA // the package knows the older name only
	}
	return jwt.GetSigningMethod(alg)
}

func (v *jwtVerifier) checkHeader(h *header) error {
	switch {
	case h.foreign():
		return invalid("its header brings a key or an extension along")
	case !slices.Contains(v.Algorithms, h.Alg):
		return invalid("its algorithm is not allowed")
	case !slices.Contains(v.Types, h.typ()):
		return invalid("its type is not that of an access token")
	}
	return nil
}

func (v *jwtVerifier) checkClaims(t *signedToken) error {
	err, use := v.times.Validate(&t.claims), t.claims.otherUse(t.header.typ())
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return invalid("it has expired")
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return invalid("it is not valid yet")
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return invalid("it has no expiry")
	case err != nil:
		return invalid("its times are malformed")
	case !t.claims.Aud.has(v.Audience):
		return invalid("it is for another audience")
	case use != "":
		return invalid(use)
	case t.claims.Cnf != nil:
		return invalid("it is bound to a key of the client's")
	}
	return nil
}
