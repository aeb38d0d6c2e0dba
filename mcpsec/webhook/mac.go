package webhook

import (
	"crypto/hmac"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"
	"sync"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

const (
	minSecret  = 16 // bytes: what cannot be guessed by trying
	maxSecrets = 8  // each costs an HMAC a delivery
)

// A ring holds the keys of one sender; a delivery may be signed with any.
type ring []*mac

// mac computes HMACs with one key. The keyed states are pooled: hashing the key
// again for each delivery would cost a quarter of a small one.
type mac struct{ pool sync.Pool }

type keyed struct {
	hash.Hash
	buf []byte
}

func newMAC(h func() hash.Hash, key []byte) *mac {
	return &mac{sync.Pool{New: func() any { return &keyed{Hash: hmac.New(h, key)} }}}
}

// sum returns the HMAC of prefix and body, which is in k until the next.
func (k *keyed) sum(body []byte, prefix []string) []byte {
	k.Reset()
	k.buf = k.buf[:0]
	for _, p := range prefix {
		k.buf = append(k.buf, p...)
	}
	_, _ = k.Write(k.buf) // a hash returns no error
	_, _ = k.Write(body)
	k.buf = k.Sum(k.buf[:0])
	return k.buf
}

// fits reports whether one of the signatures, which stand one after the other, is
// the HMAC of prefix and body.
func (m *mac) fits(signatures, body []byte, prefix []string) bool {
	k := m.pool.Get().(*keyed)
	defer m.pool.Put(k)
	k.sum(body, prefix)
	for ; len(signatures) >= len(k.buf); signatures = signatures[len(k.buf):] {
		if hmac.Equal(signatures[:len(k.buf)], k.buf) {
			return true
		}
	}
	return false
}

// match reports whether one of the signatures is the HMAC of prefix and body by
// any key. The time it takes does not depend on the bytes of keys and signatures;
// it tells which key fits, which is no secret.
func (r ring) match(signatures, body []byte, prefix ...string) bool {
	return r.index(signatures, body, prefix) >= 0
}

func (r ring) index(signatures, body []byte, prefix []string) int {
	return slices.IndexFunc(r, func(m *mac) bool { return m.fits(signatures, body, prefix) })
}

// identify is match for one signature, of the body alone, and returns an id of the
// body: a digest of its HMAC by the last key. Nobody without that key can make two
// bodies of one id, and it stays the same when a new key is put before it.
func (r ring) identify(signature, body []byte) (id string, ok bool) {
	switch r.index(signature, body, nil) {
	case -1:
		return "", false
	case len(r) - 1:
		return digest(signature), true
	}
	last := r[len(r)-1]
	k := last.pool.Get().(*keyed)
	defer last.pool.Put(k)
	return digest(k.sum(body, nil)), true
}

// newRing makes a key of each secret with read, which may refuse it.
func newRing(scheme string, h func() hash.Hash, secrets []redact.Secret, read func(string) ([]byte, error)) (ring, error) {
	keys, err := readSecrets(scheme, secrets, read)
	if err != nil {
		return nil, err
	}
	r := make(ring, len(keys))
	for i, key := range keys {
		r[i] = newMAC(h, key)
	}
	return r, nil
}

// readSecrets refuses secrets that protect nothing or are mistaken. Its errors
// count secrets from one and never show them.
func readSecrets(scheme string, secrets []redact.Secret, read func(string) ([]byte, error)) ([][]byte, error) {
	if len(secrets) == 0 || len(secrets) > maxSecrets {
		return nil, fmt.Errorf("webhook: %s needs a secret, and takes up to %d for rotation", scheme, maxSecrets)
	}
	keys := make([][]byte, len(secrets))
	for i, s := range secrets {
		key, err := readSecret(s.Reveal(), read)
		if err != nil {
			return nil, fmt.Errorf("webhook: %s: secret %d %w", scheme, i+1, err)
		}
		keys[i] = key
	}
	return keys, nil
}

func readSecret(s string, read func(string) ([]byte, error)) ([]byte, error) {
	if s == "" {
		return nil, errors.New("is empty")
	}
	if s != strings.TrimSpace(s) {
		return nil, errors.New("has white space around it")
	}
	key, err := read(s)
	if err == nil && len(key) < minSecret {
		err = fmt.Errorf("is shorter than %d bytes", minSecret)
	}
	return key, err
}

// asIs takes the text of a secret as the key.
func asIs(s string) ([]byte, error) { return []byte(s), nil }
