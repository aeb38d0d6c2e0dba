// Package seal turns bytes into tokens that a client keeps for us and can
// neither read nor change: AES-256-GCM under keys that are derived, by HKDF, for
// one purpose each, so that a token of one purpose is none for another.
//
// A token says nothing of its age, its owner or whether it was used before: what
// is sealed must say it, and whoever opens it must look.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

const (
	version = 1
	idLen   = 4
	header  = 1 + idLen // version and key id, which are authenticated too
	minKey  = 32        // bytes of a secret

	// MaxToken is how long a token may be, in bytes. A longer one is not
	// looked at.
	MaxToken = 64 << 10
)

// What is wrong with a token. The texts are constants.
var (
	ErrForged = errors.New("the token was not sealed here, or it was changed")
	ErrKey    = errors.New("the token was sealed under a key that is not in the ring")
)

// A Ring seals under its first key and opens under all of them. It is safe for
// concurrent use.
type Ring struct{ keys []key }

type key struct {
	id   [idLen]byte // says which key it is, and nothing about it
	aead cipher.AEAD
}

// New makes a ring for one purpose from secrets of 32 bytes or more, of which
// the first seals. Each secret should seal fewer than 2^32 tokens: nonces are
// random.
func New(purpose string, secrets ...[]byte) (*Ring, error) {
	if len(secrets) == 0 {
		return nil, errors.New("a key is required")
	}
	r := &Ring{}
	for _, s := range secrets {
		k, err := derive(purpose, s)
		if err != nil {
			return nil, err
		}
		r.keys = append(r.keys, k)
	}
	return r, nil
}

func derive(purpose string, secret []byte) (key, error) {
	if len(secret) < minKey {
		return key{}, fmt.Errorf("a key of %d bytes: at least %d are needed", len(secret), minKey)
	}
	b, err := hkdf.Key(sha256.New, secret, nil, "mcpsec seal v1: "+purpose, 32+idLen)
	if err != nil {
		return key{}, fmt.Errorf("deriving a key: %w", err)
	}
	block, err := aes.NewCipher(b[:32])
	if err != nil {
		return key{}, fmt.Errorf("deriving a key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return key{}, fmt.Errorf("deriving a key: %w", err)
	}
	return key{[idLen]byte(b[32:]), aead}, nil
}

// encoding has one spelling for each token, line ends aside, which open refuses.
var encoding = base64.RawURLEncoding.Strict()

// Seal returns plain as a token of the characters A-Z a-z 0-9 _ and -, a third
// longer than plain and 44 more. It must stay within [MaxToken] to be opened.
func (r *Ring) Seal(plain []byte) string {
	k := r.keys[0]
	b := append([]byte{version}, k.id[:]...)
	return encoding.EncodeToString(k.aead.Seal(b, nil, plain, b[:header:header]))
}

// Open returns what was sealed, or [ErrForged] or [ErrKey].
func (r *Ring) Open(token string) ([]byte, error) {
	if len(token) > MaxToken || strings.ContainsAny(token, "\r\n") {
		return nil, ErrForged
	}
	b, err := encoding.DecodeString(token)
	if err != nil || len(b) < header || b[0] != version {
		return nil, ErrForged
	}
	known := false
	for _, k := range r.keys {
		if [idLen]byte(b[1:]) != k.id {
			continue
		}
		known = true
		if plain, err := k.aead.Open(nil, nil, b[header:], b[:header]); err == nil {
			return plain, nil
		}
	}
	if !known {
		return nil, ErrKey
	}
	return nil, ErrForged
}

// Box seals plain for one place, as bytes that are 33 longer: at another place they do
// not open. It has no bound of its own.
func (r *Ring) Box(plain []byte, place string) []byte {
	k := r.keys[0]
	b := append([]byte{version}, k.id[:]...)
	return k.aead.Seal(b, nil, plain, append(b[:header:header], place...))
}

// Unbox returns what Box sealed for that place, or [ErrForged] or [ErrKey].
func (r *Ring) Unbox(box []byte, place string) ([]byte, error) {
	if len(box) < header || box[0] != version {
		return nil, ErrForged
	}
	err := ErrKey
	for _, k := range r.keys {
		if [idLen]byte(box[1:]) != k.id {
			continue
		}
		err = ErrForged
		if plain, opened := k.aead.Open(nil, nil, box[header:], append(box[:header:header], place...)); opened == nil {
			return plain, nil
		}
	}
	return nil, err
}
