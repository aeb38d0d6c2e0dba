package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A Key is a static API key.
type Key struct {
	// Name is the ID of the Principal whose key it is: 1 to 64 letters, digits,
	// dots, dashes and underscores. Two keys may have one name while one takes
	// the other's place. Required.
	Name string

	// Secret is the key: a random value of 128 bits or more, in characters that a
	// bearer token may have (RFC 6750, section 2.1). Either it or SHA256 is
	// required.
	Secret mcpsec.Secret

	// SHA256 is the hash of the key in hexadecimal digits, for a configuration
	// that is not secret:
	//
	//	printf %s "$KEY" | sha256sum
	//
	// The key must be random: the hash of one that can be guessed can be undone.
	SHA256 string

	// Scopes are what the key grants. Defaults to none.
	Scopes []string

	// Expires is when the key ends. Defaults to never.
	Expires time.Time
}

var (
	keyName     = lazy.Regexp(`^[A-Za-z0-9._-]{1,64}$`)
	bearerToken = lazy.Regexp(`^[A-Za-z0-9._~+/-]+=*$`) // RFC 6750, section 2.1
)

// Keys returns a verifier of static API keys, for callers without an
// authorization server: a job, a script. Only hashes are kept, and every key is
// compared in constant time, so the Secrets may be closed afterwards.
//
// It returns an error for keys that are guessable, malformed, without name or
// given twice, and for scopes that no token could have (RFC 6749, section 3.3) or
// that have a wildcard.
func Keys(keys ...Key) (mcpsec.TokenVerifier, error) {
	set := make([]storedKey, 0, len(keys))
	for n, k := range keys {
		stored, err := k.stored()
		if err == nil && slices.ContainsFunc(set, func(s storedKey) bool { return s.sum == stored.sum }) {
			err = errors.New("is given twice")
		}
		if err != nil {
			return nil, fmt.Errorf("auth: key %d: %w", n+1, err)
		}
		set = append(set, stored)
	}
	if len(set) == 0 {
		return nil, errors.New("auth: Keys needs a key")
	}
	return func(_ context.Context, token string) (mcpsec.Principal, error) { return match(set, token) }, nil
}

type storedKey struct {
	sum       digest
	principal mcpsec.Principal
	expires   time.Time
}

func (k *Key) stored() (storedKey, error) {
	s := storedKey{expires: k.Expires, principal: mcpsec.Principal{ID: k.Name, Scopes: slices.Clone(k.Scopes)}}
	if !keyName().MatchString(k.Name) {
		return s, errors.New("its Name must have 1 to 64 letters, digits, dots, dashes and underscores")
	}
	for _, scope := range k.Scopes {
		if !grantable(scope) {
			return s, errors.New("its Scopes may hold no spaces, quotes, backslashes, wildcards and control characters")
		}
	}
	if k.Secret.IsZero() == (k.SHA256 == "") {
		return s, errors.New("either Secret or SHA256 is required")
	}
	if k.SHA256 != "" {
		sum, err := hex.DecodeString(k.SHA256)
		if err != nil || len(sum) != len(s.sum) {
			return s, errors.New("its SHA256 must have 64 hexadecimal digits")
		}
		if s.sum = digest(sum); s.sum == sha256.Sum256(nil) { // $KEY was not set
			return s, errors.New("its SHA256 is the hash of nothing")
		}
		return s, nil
	}
	if err := k.Secret.CheckRandom(0); err != nil {
		return s, fmt.Errorf("its Secret %w", err)
	}
	if !bearerToken().MatchString(k.Secret.Reveal()) {
		return s, errors.New("its Secret may hold letters, digits and -._~+/ only, and = at the end")
	}
	s.sum = sha256.Sum256([]byte(k.Secret.Reveal()))
	return s, nil
}

// match looks at all keys, whichever fits.
func match(set []storedKey, token string) (mcpsec.Principal, error) {
	sum, found := sha256.Sum256([]byte(token)), -1
	for n := range set {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], set[n].sum[:]), n, found)
	}
	switch {
	case found < 0:
		return mcpsec.Principal{}, invalid("it is no known key")
	case !set[found].expires.IsZero() && !time.Now().Before(set[found].expires):
		return mcpsec.Principal{}, invalid("the key has expired")
	}
	p := set[found].principal
	p.Scopes = slices.Clone(p.Scopes)
	return p, nil
}
