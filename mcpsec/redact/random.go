package redact

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
)

const randomBits = 128 // what CheckRandom(0) asks for

var (
	errPublicKey = errors.New("is not a private key in PEM but something public")
	errURL       = errors.New("is a URL, and no random key")
	errUUID      = errors.New("is a UUID that is not random (version 4)")
)

// CheckRandom tells whether the value can be a randomly made key of that many
// bits; 0 means 128. It refuses what Check refuses, what is too short for its
// alphabet, and what a person made up: words, repetitions, sequences, walks
// over the keyboard. Hex digits, base32, base58, base62, base64, UUIDs of
// version 4 (122 bits, taken for 128) and private keys in PEM are known.
// The error holds nothing of the value.
//
// The estimate is how short the value could be written by someone who knows
// these habits, and may fall short of bits by an eighth. So a random key of the
// stated strength passes (measured: all but one in half a million), and what
// passes by default has 112 bits by the estimate: below that NIST SP 800-131A
// (revision 2, section 10) allows no HMAC key. RFC 2104 (section 3) asks for as
// many bits as the hash has; for HMAC-SHA-256 make keys by
//
//	openssl rand -hex 32
//
// It cannot know whether a value that looks random was published or made by a
// weak generator, and a sentence of some sixty letters may pass.
func (s Secret) CheckRandom(bits int) error {
	if bits < 0 {
		panic("redact: CheckRandom needs a positive number of bits")
	}
	if bits == 0 {
		bits = randomBits
	}
	if err := s.Check(); err != nil {
		return err
	}
	text, err := material(strings.TrimSpace(s.Reveal()))
	if err != nil {
		return err
	}
	if estimate(text) < float64(bits-bits/8) {
		return fmt.Errorf("is guessable or too short for a random key of %d bits: make one by openssl rand -hex %d", bits, max(32, (bits+7)/8))
	}
	return nil
}

var (
	pemBlock  = lazy.Regexp(`(?s)\A-----BEGIN ([A-Z0-9 ]+)-----\s(.*)-----END [A-Z0-9 ]+-----\z`)
	uuid      = lazy.Regexp(`(?i)\A[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\z`)
	hexGroups = lazy.Regexp(`(?i)\A(?:0x)?([0-9a-f]+(?:[-: ][0-9a-f]+)*)\z`)
	dateTime  = lazy.Regexp(`(?:19|20)\d\d-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?Z?)?`)
	urlScheme = lazy.Regexp(`(?i)\A[a-z][a-z0-9+.-]*://`)
	// What services put before a key, which is known to everybody.
	keyPrefix = lazy.Regexp(`\A(?:(?:v1,)?whsec_|[a-z]{2,8}_(?:live|test|prod)_|github_pat_|base64:|hex:|sha256[:=])`)
)

// material returns what of value can be random.
func material(value string) (string, error) {
	if m := pemBlock().FindStringSubmatch(value); m != nil {
		if !strings.HasSuffix(m[1], "PRIVATE KEY") {
			return "", errPublicKey
		}
		return strings.Join(strings.Fields(m[2]), ""), nil
	}
	if m := uuid().FindStringSubmatch(value); m != nil && m[1] != "4" {
		return "", errUUID
	}
	if urlScheme().MatchString(value) {
		return "", errURL
	}
	value = value[len(keyPrefix().FindString(value)):]
	if m := hexGroups().FindStringSubmatch(value); m != nil {
		return strings.NewReplacer("-", "", ":", "", " ", "").Replace(m[1]), nil
	}
	value = dateTime().ReplaceAllString(strings.TrimRight(value, "="), "")
	return strings.Join(strings.Fields(value), ""), nil
}
