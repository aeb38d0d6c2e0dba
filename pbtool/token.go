package pbtool

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"
)

// A token is what a request shows. PocketBase takes one that has expired, or was
// revoked, for none: the request is then a guest's, and nothing tells.
type token struct {
	text    string
	got     time.Time
	expires time.Time
}

// margin is how long before its end a token is renewed.
func (t token) margin() time.Duration { return min(5*time.Minute, t.expires.Sub(t.got)/5) }

func (t token) fresh(now time.Time) bool {
	return t.text != "" && now.Before(t.expires.Add(-t.margin()))
}

func (t token) good(now time.Time) bool { return t.text != "" && now.Before(t.expires) }

// claims are those of a token that PocketBase has issued. Nothing here is
// verified: that is the server's part.
type claims struct {
	Type        string `json:"type"`
	Collection  string `json:"collectionId"`
	Expires     int64  `json:"exp"`
	Refreshable bool   `json:"refreshable"`
}

func parseToken(text string) (c claims, err error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 || len(text) > maxToken {
		return c, errToken
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &c) != nil || c.Type != "auth" || c.Expires == 0 {
		return claims{}, errToken
	}
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return claims{}, errToken
		}
	}
	return c, nil
}

const maxToken = 8 << 10

var errToken = errors.New("it is no token of a user of PocketBase's")

// isSuperuserToken tells by the collection that the token says it is of, which is
// where the server looks for its owner.
func isSuperuserToken(text string) bool {
	c, err := parseToken(text)
	return err == nil && c.Collection == superusersID
}

// retryAfter is how long a failure to get a token is remembered, so that a wrong
// password is not tried with every call.
const retryAfter = 5 * time.Second

// A source keeps a token good. One caller renews it while others wait.
type source struct {
	renew func(ctx context.Context, old token) (token, error)
	now   func() time.Time
	turn  chan struct{} // held by who renews

	mu     sync.Mutex
	cur    token
	failed time.Time
	err    error
}

func newSource(first token, renew func(context.Context, token) (token, error)) *source {
	return &source{renew: renew, now: time.Now, turn: make(chan struct{}, 1), cur: first}
}

// get returns a token that is good for a while, or as long as it is.
func (s *source) get(ctx context.Context) (string, error) {
	if t, err := s.peek(); err != nil || t != "" {
		return t, err
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if t, err := s.peek(); err != nil || t != "" { // somebody else has renewed it
		return t, err
	}
	s.mu.Lock()
	old := s.cur
	s.mu.Unlock()
	t, err := s.renew(ctx, old)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		s.cur, s.err = t, nil
		return t.text, nil
	case ctx.Err() == nil:
		s.failed, s.err = s.now(), err
	}
	if old.good(s.now()) && s.cur.text == old.text {
		return old.text, nil
	}
	return "", err
}

// peek returns what needs no renewal: a fresh token, a good one just after a
// renewal has failed, or that failure.
func (s *source) peek() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	recently := s.err != nil && now.Before(s.failed.Add(retryAfter))
	switch {
	case s.cur.fresh(now), recently && s.cur.good(now):
		return s.cur.text, nil
	case recently:
		return "", s.err
	}
	return "", nil
}

// forget drops a token that the server does not take.
func (s *source) forget(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cur.text == text {
		s.cur = token{}
	}
}

// stale has a token renewed before it is used again.
func (s *source) stale() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cur.expires, s.err = s.now(), nil
}
