package auth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

var errMaxAge = errors.New("auth: MaxAge must lie between 0 and 1 hour")

// IntrospectionOptions say whom [Introspection] asks.
type IntrospectionOptions struct {
	// URL is the authorization server's introspection endpoint. Required.
	URL string

	// Issuer is that server's issuer identifier. It begins the ID of every
	// Principal, and an answer that names another is refused. Required.
	Issuer string

	// Audience is this server's URL, which must be among a token's audiences,
	// with or without a slash at the end. An answer without audiences is
	// refused. Required.
	Audience string

	// ClientID and ClientSecret are this server's credentials at the endpoint,
	// sent by HTTP basic authentication. Required.
	ClientID     string
	ClientSecret mcpsec.Secret

	// MaxAge is how long an answer is believed, and so how long a revoked token
	// goes on: up to 1 hour. A nanosecond asks every time. Defaults to 1 minute.
	MaxAge time.Duration

	// Client asks, without following redirects. One of package outbound confines
	// where it goes. Defaults to a client of its own, which takes no proxy from
	// the environment.
	Client *http.Client
}

// Introspection returns a verifier that asks the authorization server about each
// token (RFC 7662). It is for tokens that are not JWTs, and where a revoked
// token must not live on. An answer counts if active is exactly true, audience,
// issuer and times fit, and the token is a bearer's and bound to no key.
//
// The Principal's ID is the issuer, "|" and the subject, as with [JWT].
//
// A good answer is kept for MaxAge and never past the token's expiry, a refusal
// for at most 10 seconds. At most 32 tokens are asked about at once; what is
// more cannot be checked, and neither can what has no answer after 5 seconds.
//
// Introspection itself connects to nothing. It returns an error for options that
// cannot be right.
func Introspection(opts IntrospectionOptions) (mcpsec.TokenVerifier, error) {
	if err := errors.Join(checkURL("URL", opts.URL), checkIssuer("Issuer", opts.Issuer),
		checkAudience("Audience", opts.Audience), checkMaxAge(&opts.MaxAge)); err != nil {
		return nil, err
	}
	if opts.ClientID == "" {
		return nil, errors.New("auth: ClientID is required: endpoints must not answer everybody")
	}
	if err := opts.ClientSecret.Check(); err != nil {
		return nil, errors.New("auth: ClientSecret " + err.Error())
	}
	i := &introspector{opts, newClient(opts.Client)}
	return newCache(opts.MaxAge, i.ask).verify, nil
}

type introspector struct {
	IntrospectionOptions
	http *http.Client
}

func (i *introspector) ask(ctx context.Context, token string) (mcpsec.Principal, time.Time, error) {
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, i.URL, strings.NewReader(form.Encode()))
	if err != nil {
		return mcpsec.Principal{}, time.Time{}, &unavailable{noAnswer, errConnection}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	// RFC 6749, section 2.3.1, wants both encoded like a form first.
	req.SetBasicAuth(url.QueryEscape(i.ClientID), url.QueryEscape(i.ClientSecret.Reveal()))
	status, body, err := send(i.http, req)
	if err == nil && status != http.StatusOK {
		err = statusError(status) // 401 is about our credentials, not the token
	}
	var said introspected
	if err == nil && decodeObject(body, &said) != nil {
		err = errNotJSON
	}
	if err != nil {
		return mcpsec.Principal{}, time.Time{}, &unavailable{noAnswer, err}
	}
	return i.judge(&said)
}

// An introspected is an answer (RFC 7662, section 2.2).
type introspected struct {
	Active    bool           `json:"active"`
	TokenType string         `json:"token_type"`
	Iss       string         `json:"iss"`
	Sub       string         `json:"sub"`
	Aud       names          `json:"aud"`
	Exp       *seconds       `json:"exp"`
	Nbf       *seconds       `json:"nbf"`
	Scope     scopes         `json:"scope"`
	Cnf       jsontext.Value `json:"cnf"`
}

func (i *introspector) judge(said *introspected) (mcpsec.Principal, time.Time, error) {
	expiry, err := said.times(time.Now())
	switch {
	case !said.Active:
		err = invalid("it is not active")
	case err != nil:
	case said.Iss != "" && said.Iss != i.Issuer:
		err = invalid("it is of another issuer")
	case !said.Aud.has(i.Audience):
		err = invalid("it is for another audience")
	case said.TokenType != "" && !strings.EqualFold(said.TokenType, "bearer"), said.Cnf != nil:
		err = invalid("it is not a bearer token")
	}
	if err != nil {
		return mcpsec.Principal{}, time.Time{}, err
	}
	p, err := newPrincipal(i.Issuer, said.Sub, said.Scope)
	return p, expiry, err
}

// times returns the expiry, or the zero time if the server keeps it to itself.
// There is no skew: it says active by the same clock.
func (said *introspected) times(now time.Time) (time.Time, error) {
	exp, errExp := said.Exp.date()
	nbf, errNbf := said.Nbf.date()
	switch {
	case errExp != nil || errNbf != nil:
		return time.Time{}, invalid("its times are malformed")
	case nbf != nil && now.Add(defaultSkew).Before(nbf.Time):
		return time.Time{}, invalid("it is not valid yet")
	case exp == nil:
		return time.Time{}, nil
	case !now.Before(exp.Time):
		return time.Time{}, invalid("it has expired")
	}
	return exp.Time, nil
}
