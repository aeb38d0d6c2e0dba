package pbtool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// An actor is whose rights a request has. The zero actor is a guest.
type actor struct {
	token  func(context.Context) (string, error)
	forget func(text string) // nil: the token is not ours to renew
}

// caller returns whose rights the call has that ctx belongs to: never a
// superuser's.
func (c *Client) caller(ctx context.Context) (actor, error) {
	if c.o.As == nil {
		if c.user == nil {
			return c.signedIn(ctx)
		}
		return actor{c.user.get, c.user.forget}, nil
	}
	u, err := c.o.As(ctx, mcpsec.PrincipalFrom(ctx))
	if err != nil {
		return actor{}, err
	}
	switch {
	case !u.Token.IsZero():
		return ownToken(u.Token.Reveal())
	case u.Collection == "" && u.ID == "":
		return actor{}, nil
	case !collectionName().MatchString(u.Collection) || isSystem(u.Collection) || !recordID().MatchString(u.ID):
		return actor{}, errors.New("Options.As has returned no user of a collection of users")
	}
	s, err := c.impersonated(u.Collection, u.ID)
	if err != nil {
		return actor{}, err
	}
	return actor{s.get, s.forget}, nil
}

// ownToken is the actor of a token that As has given. One that has expired would
// make the request a guest's.
func ownToken(text string) (actor, error) {
	cl, err := parseToken(text)
	switch {
	case err != nil:
		return actor{}, errors.New("Options.As has returned a token that is none")
	case cl.Collection == superusersID:
		return actor{}, errors.New("Options.As has returned a superuser's token")
	case time.Now().Unix() >= cl.Expires:
		return actor{}, &mcpsec.Error{Message: "the user's token for PocketBase has expired: sign in again", Rule: "user"}
	}
	return actor{token: func(context.Context) (string, error) { return text, nil }}, nil
}

// errNoSuperuser is for a program that lacks an option, not for a model.
var errNoSuperuser = errors.New("pbtool: Options.Superuser is required for this")

// superuser returns the rights of the sets that need them.
func (c *Client) superuser() (actor, error) {
	if c.super == nil {
		return actor{}, errNoSuperuser
	}
	return actor{c.super.get, c.super.forget}, nil
}

// maxUsers is for how many users tokens are kept.
const maxUsers = 4_096

// impersonated returns the source of a user's tokens. They are static, short and
// renewed like any other.
func (c *Client) impersonated(collection, id string) (*source, error) {
	if c.super == nil {
		return nil, errNoSuperuser
	}
	key := strings.ToLower(collection) + "/" + id
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.users[key]; s != nil {
		return s, nil
	}
	for k := range c.users { // any one: a token costs one request
		if len(c.users) < maxUsers {
			break
		}
		delete(c.users, k)
	}
	s := newSource(token{}, func(ctx context.Context, _ token) (token, error) {
		super, err := c.superuser()
		if err != nil {
			return token{}, err
		}
		t, err := c.authenticate(ctx, super, []string{collection, "impersonate", id}, map[string]any{"duration": int(c.o.Impersonate.Seconds())})
		if isStatus(err, http.StatusNotFound) {
			return token{}, &mcpsec.Error{Message: "the caller's user is not known to PocketBase", Rule: "user", Err: err}
		}
		return t, err
	})
	c.users[key] = s
	return s, nil
}

// login returns the source of an account's tokens.
func (c *Client) login(l Login) (*source, error) {
	if l.Token.IsZero() {
		return newSource(token{}, func(ctx context.Context, _ token) (token, error) {
			return c.authenticate(ctx, actor{}, []string{l.Collection, "auth-with-password"}, map[string]any{"identity": l.Identity, "password": l.Password.Reveal()})
		}), nil
	}
	text := l.Token.Reveal()
	cl, err := parseToken(text)
	if err != nil {
		return nil, fmt.Errorf("the token of %s: %w", l.Collection, err)
	}
	first := token{text, time.Now(), time.Unix(cl.Expires, 0)}
	return newSource(first, func(ctx context.Context, old token) (token, error) {
		if !old.good(time.Now()) {
			return token{}, errors.New("the token has expired, or PocketBase does not take it: Identity and Password get new ones")
		}
		if cl, err := parseToken(old.text); err != nil || !cl.Refreshable {
			return old, nil
		}
		return c.authenticate(ctx, actor{token: func(context.Context) (string, error) { return old.text, nil }}, []string{l.Collection, "auth-refresh"}, nil)
	}), nil
}

// authenticate makes a request whose answer holds a token.
func (c *Client) authenticate(ctx context.Context, as actor, path []string, body map[string]any) (token, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return token{}, err
	}
	answer, err := c.do(ctx, as, request{method: http.MethodPost, path: append([]string{"collections"}, path...), body: data})
	if err != nil {
		return token{}, authError(err)
	}
	var said struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal(answer, &said); err != nil {
		return token{}, errAnswer
	}
	cl, err := parseToken(said.Token)
	if err != nil || (cl.Collection == superusersID) != (path[0] == superusers) { // a user's rights are not to become a superuser's
		return token{}, errAnswer
	}
	return token{said.Token, time.Now(), time.Unix(cl.Expires, 0)}, nil
}

// authError keeps from the model that an account of the operator's is refused.
func authError(err error) error {
	for _, status := range []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden} {
		if isStatus(err, status) {
			return fmt.Errorf("PocketBase refuses the account in Options: %w", statusOf(err))
		}
	}
	return err
}
