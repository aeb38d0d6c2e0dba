package pbtool

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

const (
	sessionTime   = time.Hour        // from signing in, or refreshing
	longestTime   = 12 * time.Hour   // from signing in
	checkEvery    = 5 * time.Minute  // whether PocketBase still takes a session's token
	pendingTime   = 10 * time.Minute // of a second factor, a code that was sent, or a provider's state
	maxVisitors   = 4_096
	maxOAuthTries = 8 // that are open, of one principal
)

// Allowances of attempts. They are counted whether an account exists or not.
var (
	ofPrincipal = state.Allowance{Limit: 10, Per: 2 * time.Minute}
	ofIdentity  = state.Allowance{Limit: 5, Per: 10 * time.Minute}
)

// A visitor is what is kept of a principal that signs in: nothing of it leaves but
// the session's handle.
type visitor struct {
	used    time.Time
	session *session
	factor  pending            // the id of the first factor
	otp     pending            // the id of the code that was sent
	oauth   map[string]pending // the verifier, by state
}

// pending is what a later step needs, for the collection and provider it began with.
type pending struct {
	value, of string
	until     time.Time
}

func (p pending) good(of string, now time.Time) string {
	if p.of != of || !now.Before(p.until) {
		return ""
	}
	return p.value
}

// A session is a sign-in.
type session struct {
	handle         string
	collection, id string
	began, expires time.Time
	source         *source
}

// visit calls f with what is kept of the principal that makes the call, and makes room
// for it by forgetting who was not seen for longest.
func (c *Client) visit(ctx context.Context, f func(*visitor)) {
	p := mcpsec.PrincipalFrom(ctx).ID
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.visitors[p]
	if v == nil {
		if len(c.visitors) >= maxVisitors {
			c.forgetVisitor()
		}
		v = &visitor{oauth: map[string]pending{}}
		c.visitors[p] = v
	}
	v.used = c.now()
	f(v)
}

// forgetVisitor forgets who was not seen for longest, of those who have signed in only
// if there are no others. The lock is held.
func (c *Client) forgetVisitor() {
	var last *visitor
	who := ""
	for k, v := range c.visitors {
		in := v.session != nil
		if last == nil || in != (last.session != nil) && !in || in == (last.session != nil) && v.used.Before(last.used) {
			last, who = v, k
		}
	}
	delete(c.visitors, who)
}

var errSignedOut = &mcpsec.Error{Message: "the sign-in has ended: sign in again, or sign out to go on as a guest", Rule: "user"}

// signedIn returns the rights of the account that the caller has signed in to, or a
// guest's. A sign-in that has ended is no guest: who believes to be signed in would
// take an empty list for the truth.
func (c *Client) signedIn(ctx context.Context) (actor, error) {
	p := mcpsec.PrincipalFrom(ctx).ID
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.visitors[p]
	switch {
	case p == "" || v == nil || v.session == nil:
		return actor{}, nil
	case !c.now().Before(v.session.expires):
		return actor{}, errSignedOut
	}
	v.used = c.now()
	return actor{v.session.source.get, v.session.source.forget}, nil
}

// mySession returns the caller's session, if the handle is that one's.
func (c *Client) mySession(ctx context.Context, handle string) (s *session, err error) {
	c.visit(ctx, func(v *visitor) { s = v.session })
	if s == nil || s.handle != handle {
		return nil, &mcpsec.Error{Message: "there is no such sign-in of yours", Rule: "user"}
	}
	return s, nil
}

// attempt counts an attempt, before anything is known of it.
func (c *Client) attempt(ctx context.Context, identity string) error {
	keys := map[string]state.Allowance{"pb auth caller " + hashed(mcpsec.PrincipalFrom(ctx).ID): ofPrincipal}
	if identity != "" {
		keys["pb auth identity "+hashed(strings.ToLower(identity))] = ofIdentity
	}
	for key, a := range keys {
		wait, err := c.o.State.Take(ctx, key, 1, a)
		if err != nil {
			return fmt.Errorf("counting an attempt to sign in: %w", err)
		}
		if wait > 0 {
			return &mcpsec.Error{Message: fmt.Sprintf("too many attempts: wait %s before the next", wait.Truncate(time.Second)+time.Second), Rule: "rate"}
		}
	}
	return nil
}

func hashed(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:16])
}

func (c *Client) maySignIn(collection string) error {
	if !slices.Contains(c.o.SignIn, collection) {
		return denied("nobody signs in to that collection here; to these: %s", strings.Join(c.o.SignIn, ", "))
	}
	return nil
}

// authRequest makes a request of an auth collection as a guest. Of an answer that is
// none only the status is kept, and the id of a first factor.
func (c *Client) authRequest(ctx context.Context, collection, route string, body map[string]any) (answer []byte, status int, err error) {
	rq := request{method: http.MethodPost, path: []string{"collections", collection, route}}
	to, err := c.target(rq)
	if err != nil {
		return nil, 0, err
	}
	if rq.body, err = json.Marshal(body); err != nil {
		return nil, 0, errors.New("writing a request") // the error could quote it
	}
	answer, status, err = c.send(ctx, rq, to, "")
	switch {
	case err != nil:
		return nil, 0, sendError(ctx, http.MethodPost, err)
	case status == http.StatusTooManyRequests, status >= 500:
		return nil, status, modelError(&statusError{status: status, index: -1})
	}
	return answer, status, nil
}

// errRefused is the same for every reason that there is: which it was would tell who
// has an account.
var errRefused = &mcpsec.Error{Message: "PocketBase refuses it: the identity, password, code or token is wrong or used up, or this way to sign in is off", Rule: "sign-in"}

type signInOut struct {
	Session      string `json:"sign_in,omitempty"`
	User         string `json:"user,omitempty"`
	Expires      string `json:"expires,omitempty"`
	SecondFactor bool   `json:"second_factor,omitempty"`
}

// signIn takes one step. If it is the last one the caller acts as the account from
// then on.
func (c *Client) signIn(ctx context.Context, collection, route string, body map[string]any) (signInOut, error) {
	c.visit(ctx, func(v *visitor) {
		if id := v.factor.good(collection, c.now()); id != "" {
			body["mfaId"] = id
		}
	})
	answer, status, err := c.authRequest(ctx, collection, route, body)
	if err != nil {
		return signInOut{}, err
	}
	var said struct {
		Token  string `json:"token"`
		Factor string `json:"mfaId"`
		Record struct {
			ID string `json:"id"`
		} `json:"record"`
	}
	switch {
	case json.Unmarshal(answer, &said) != nil, status != http.StatusOK && status != http.StatusUnauthorized:
		return signInOut{}, errRefused
	case status == http.StatusUnauthorized && recordID().MatchString(said.Factor):
		c.visit(ctx, func(v *visitor) { v.factor = pending{said.Factor, collection, c.now().Add(pendingTime)} })
		return signInOut{SecondFactor: true}, nil
	case status != http.StatusOK:
		return signInOut{}, errRefused
	}
	cl, err := parseToken(said.Token)
	if err != nil || cl.Collection == superusersID || !recordID().MatchString(said.Record.ID) {
		return signInOut{}, errAnswer
	}
	now := c.now()
	s := &session{handle: "pbs_" + rand.Text(), collection: collection, id: said.Record.ID, began: now, expires: now.Add(sessionTime)}
	s.source = newSource(c.checked(said.Token), func(ctx context.Context, old token) (token, error) { return c.check(ctx, s.collection, old) })
	s.source.now = c.now
	c.visit(ctx, func(v *visitor) { v.session, v.factor, v.otp = s, pending{}, pending{} })
	return s.out(), nil
}

func (s *session) out() signInOut {
	return signInOut{Session: s.handle, User: s.collection + "/" + s.id, Expires: s.expires.UTC().Format(time.RFC3339)}
}

// checked is a token that PocketBase is asked about again soon: it takes one that was
// revoked for a guest's, and says nothing.
func (c *Client) checked(text string) token {
	return token{text, c.now(), c.now().Add(checkEvery)}
}

func (c *Client) check(ctx context.Context, collection string, old token) (token, error) {
	if old.text == "" {
		return token{}, errSignedOut
	}
	t, err := c.authenticate(ctx, actor{token: func(context.Context) (string, error) { return old.text, nil }}, []string{collection, "auth-refresh"}, nil)
	switch {
	case statusOf(err) != nil && statusOf(err).status < 500 && statusOf(err).status != http.StatusTooManyRequests:
		return token{}, errSignedOut
	case err != nil:
		return token{}, err
	}
	return c.checked(t.text), nil
}
