package auth

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// PocketBaseOptions say whose tokens [PocketBase] takes.
type PocketBaseOptions struct {
	// URL is the server's address, such as https://pb.example.com. It begins the
	// ID of every Principal. Required.
	URL string

	// Collection is the name of the auth collection whose users may come.
	// _superusers is refused: its tokens open everything (the SQL console among
	// it), and are not for callers. Required.
	Collection string

	// Scopes says what a user is granted, by the record as the user sees it. Do
	// not go by a field that users may write themselves. Defaults to no scopes.
	Scopes func(record map[string]any) []string

	// MaxAge is how long an answer is believed, and so how long a token whose
	// user was deleted or logged out everywhere goes on: up to 1 hour. A
	// nanosecond asks every time. Defaults to 1 minute.
	MaxAge time.Duration

	// Client asks, without following redirects. One of package outbound confines
	// where it goes. Defaults to a client of its own, which takes no proxy from
	// the environment.
	Client *http.Client
}

var (
	collectionName = lazy.Regexp(`^[A-Za-z0-9_]{1,100}$`)
	recordID       = lazy.Regexp(`^[A-Za-z0-9_-]{1,64}$`)
)

// PocketBase returns a verifier of users' tokens of a PocketBase server, which
// is asked by auth-refresh: that checks signature, expiry, the user's token key
// and the collection's auth rule. Tokens of other collections, superusers' and
// those for files, e-mails and passwords are refused.
//
// PocketBase tokens know no audience: whoever gets one from another service of
// the same server can use it here, and this server could use it there. Give the
// callers of an MCP server a collection of their own where that matters.
//
// The Principal's ID is the URL, "|", the collection's name, "/" and the
// record's id. Answers are kept, and questions bounded, as by [Introspection].
//
// PocketBase itself connects to nothing. It returns an error for options that
// cannot be right.
func PocketBase(opts PocketBaseOptions) (mcpsec.TokenVerifier, error) {
	opts.URL = strings.TrimSuffix(opts.URL, "/")
	if err := errors.Join(checkIssuer("URL", opts.URL), checkMaxAge(&opts.MaxAge)); err != nil {
		return nil, err
	}
	switch {
	case !collectionName().MatchString(opts.Collection):
		return nil, errors.New("auth: Collection must be the name of an auth collection")
	case strings.HasPrefix(opts.Collection, "_"):
		return nil, errors.New("auth: Collection must not be one of PocketBase's own: superusers' tokens are not for callers")
	}
	b := &pocketBase{opts, newClient(opts.Client)}
	return newCache(opts.MaxAge, b.ask).verify, nil
}

type pocketBase struct {
	PocketBaseOptions
	http *http.Client
}

func (b *pocketBase) ask(ctx context.Context, token string) (mcpsec.Principal, time.Time, error) {
	expiry, err := userToken(token)
	if err != nil {
		return mcpsec.Principal{}, time.Time{}, err
	}
	// Without "fields" the answer would hold a new token.
	to := b.URL + "/api/collections/" + b.Collection + "/auth-refresh?fields=record"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, nil)
	if err != nil {
		return mcpsec.Principal{}, time.Time{}, &unavailable{noAnswer, errConnection}
	}
	req.Header.Set("Authorization", "Bearer "+token)
	status, body, err := send(b.http, req)
	switch {
	case err != nil:
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return mcpsec.Principal{}, time.Time{}, invalid("the server does not take it")
	case status != http.StatusOK:
		err = statusError(status)
	}
	if err != nil {
		return mcpsec.Principal{}, time.Time{}, &unavailable{noAnswer, err}
	}
	p, err := b.principal(body)
	return p, expiry, err
}

// userToken looks at a token that nobody has verified yet, to spare the server
// what it would refuse, and to know how long its answer can hold.
func userToken(token string) (expiry time.Time, err error) {
	var c struct {
		Type string   `json:"type"`
		Exp  *seconds `json:"exp"`
	}
	parts, ok := split(token)
	if !ok || decode(parts[1], &c) != nil || c.Type != "auth" {
		return time.Time{}, invalid("it is not a user's token")
	}
	exp, err := c.Exp.date()
	if err != nil || exp == nil || !time.Now().Before(exp.Time) {
		return time.Time{}, invalid("it has expired")
	}
	return exp.Time, nil
}

// principal reads the answer, which must be about a record of the collection.
func (b *pocketBase) principal(body []byte) (mcpsec.Principal, error) {
	var said struct {
		Record map[string]any `json:"record"`
	}
	if decodeObject(body, &said) != nil {
		return mcpsec.Principal{}, &unavailable{noAnswer, errNotJSON}
	}
	id, _ := said.Record["id"].(string)
	if collection, _ := said.Record["collectionName"].(string); collection != b.Collection || !recordID().MatchString(id) {
		return mcpsec.Principal{}, &unavailable{noAnswer, errNotJSON}
	}
	var granted []string
	if b.Scopes != nil {
		granted = slices.Clone(b.Scopes(said.Record))
	}
	return newPrincipal(b.URL, b.Collection+"/"+id, granted)
}
