package auth

import (
	"cmp"
	"context"
	"crypto"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	keysFresh  = 15 * time.Minute // a key that was withdrawn goes on as long
	keysUsable = time.Hour        // without the issuer; tokens seldom live longer
	fetchPause = 30 * time.Second // between two fetches, whatever tokens come
	retryPause = 5 * time.Second  // after one that failed
)

const noKeys = "the issuer's keys are not available"

// A keySet holds the keys that an issuer publishes. It is safe for concurrent
// use.
type keySet struct {
	http   *http.Client
	issuer string
	url    string // of the keys; empty: see the metadata

	mu      sync.Mutex
	keys    []publicKey
	fetched time.Time     // when the keys were read
	tried   time.Time     // when the last fetch ended
	failed  error         // how it ended
	running chan struct{} // closed when the running fetch ends; nil: none runs
}

// find returns the key with the id that fits the algorithm; without an id, the
// only one that fits.
func (s *keySet) find(ctx context.Context, id, alg string) (crypto.PublicKey, error) {
	if running := s.refresh(id, alg); running != nil {
		select {
		case <-running:
		case <-ctx.Done():
			return nil, &unavailable{noKeys, errTimeout}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys == nil || time.Since(s.fetched) > keysUsable {
		return nil, &unavailable{noKeys, cmp.Or(s.failed, errUnasked)}
	}
	if key := s.pick(id, alg); key != nil {
		return key, nil
	}
	if s.failed != nil { // the key may be new
		return nil, &unavailable{noKeys, s.failed}
	}
	return nil, invalid("its key is not known")
}

// pick returns nil if there is no such key, or more than one.
func (s *keySet) pick(id, alg string) crypto.PublicKey {
	var found crypto.PublicKey
	for _, k := range s.keys {
		if (id == "" || k.id == id) && slices.Contains(k.algs, alg) {
			if found != nil {
				return nil
			}
			found = k.key
		}
	}
	return found
}

// refresh starts a fetch when one is due, and returns what to wait for. Made-up
// ids cost the issuer no more than the clock allows.
func (s *keySet) refresh(id, alg string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		if s.usable(id, alg) {
			return nil
		}
		return s.running
	}
	if s.usable(id, alg) && time.Since(s.fetched) < keysFresh || time.Since(s.tried) < s.pause() {
		return nil
	}
	s.running = make(chan struct{})
	go s.fetch()
	return s.running
}

func (s *keySet) usable(id, alg string) bool {
	return s.pick(id, alg) != nil && time.Since(s.fetched) <= keysUsable
}

func (s *keySet) pause() time.Duration {
	if s.failed != nil {
		return retryPause
	}
	return fetchPause
}

// fetch belongs to no request: one that gives up must not spoil it for others.
func (s *keySet) fetch() {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	var keys []publicKey
	err := errPanic // unless read returns: a Client may end the goroutine
	defer func() { s.settle(keys, err) }()
	keys, err = s.read(ctx)
}

// settle takes over how a fetch ended.
func (s *keySet) settle(keys []publicKey, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried, s.failed = time.Now(), err
	if err == nil {
		s.keys, s.fetched = keys, s.tried
	}
	close(s.running)
	s.running = nil
}

// read runs on a goroutine of ours, where a panic would end the process.
func (s *keySet) read(ctx context.Context) (keys []publicKey, err error) {
	defer func() {
		if recover() != nil {
			keys, err = nil, errPanic
		}
	}()
	from := s.url
	if from == "" {
		if from, err = s.discover(ctx); err != nil {
			return nil, err
		}
	}
	doc, err := s.get(ctx, from)
	if err != nil {
		return nil, err
	}
	return parseKeys(doc)
}

func (s *keySet) get(ctx context.Context, from string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, errConnection
	}
	status, body, err := send(s.http, req)
	if err == nil && status != http.StatusOK {
		err = statusError(status)
	}
	return body, err
}

// discover returns the address of the keys by the issuer's metadata: where
// OpenID Connect Discovery puts it, else where RFC 8414, section 3, does.
func (s *keySet) discover(ctx context.Context) (string, error) {
	issuer, err := url.Parse(s.issuer)
	if err != nil {
		return "", errConnection
	}
	path := strings.TrimSuffix(issuer.EscapedPath(), "/")
	base := issuer.Scheme + "://" + issuer.Host
	doc, err := s.get(ctx, base+path+"/.well-known/openid-configuration")
	var status statusError
	if errors.As(err, &status) {
		doc, err = s.get(ctx, base+"/.well-known/oauth-authorization-server"+path)
	}
	if err != nil {
		return "", err
	}
	return s.keysURL(doc)
}

// keysURL reads the metadata, which must be the issuer's own (RFC 8414, section
// 3.3): otherwise one tenant of a server could speak for another. An issuer that
// is elsewhere has no say about this machine's ports.
func (s *keySet) keysURL(doc []byte) (string, error) {
	var meta struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	switch {
	case decodeObject(doc, &meta) != nil:
		return "", errNotJSON
	case meta.Issuer != s.issuer:
		return "", errors.New("its metadata is of another issuer")
	case checkURL("jwks_uri", meta.JWKSURI) != nil, plaintext(meta.JWKSURI) && !plaintext(s.issuer):
		return "", errors.New("its metadata names no address of keys that has TLS")
	}
	return meta.JWKSURI, nil
}
