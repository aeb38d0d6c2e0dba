package webhook

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// Standard returns a verifier of Standard Webhooks (standardwebhooks.com, 1.0.0),
// as Svix, Resend and others send them, with headers named webhook-… or svix-….
// A secret is whsec_ and base64, for signatures v1 (HMAC-SHA256), or a public key:
// whpk_ and base64, for v1a (Ed25519). Several are for rotation.
//
// Signed are the id, the time, by default at most five minutes away, and the
// whole body. The ID is webhook-id; Type is the body's member type, if it has
// one that is plain.
func Standard(secrets ...redact.Secret) (*Verifier, error) {
	keys, err := newStandardKeys(secrets)
	if err != nil {
		return nil, err
	}
	return &Verifier{
		scheme: "standard", past: defaultTolerance, future: defaultTolerance,
		check: func(_ context.Context, d delivery) (Event, error) { return verifyStandard(keys, d) },
	}, nil
}

type standardKeys struct {
	ring   ring
	public []ed25519.PublicKey
}

func newStandardKeys(secrets []redact.Secret) (keys standardKeys, err error) {
	read, err := readSecrets("standard", secrets, standardSecret)
	if err != nil {
		return keys, err
	}
	for i, key := range read {
		if strings.HasPrefix(secrets[i].Reveal(), "whpk_") {
			keys.public = append(keys.public, key)
		} else {
			keys.ring = append(keys.ring, newMAC(sha256.New, key))
		}
	}
	return keys, nil
}

func standardSecret(s string) ([]byte, error) {
	if strings.HasPrefix(s, "whsk_") {
		return nil, errors.New("is the sender's private key: the public key is needed, which begins with whpk_")
	}
	text, public := strings.CutPrefix(s, "whpk_")
	key, ok := unbase64(strings.TrimPrefix(text, "whsec_"))
	switch {
	case !ok:
		return nil, errors.New("is not base64 after its prefix")
	case public && len(key) != ed25519.PublicKeySize:
		return nil, fmt.Errorf("is a public key of %d bytes: Ed25519 has %d", len(key), ed25519.PublicKeySize)
	}
	return key, nil
}

func verifyStandard(keys standardKeys, d delivery) (Event, error) {
	h, err := standardHeaders(d)
	if err != nil {
		return Event{}, err
	}
	signed, ok := unix(h.timestamp)
	// A dot in the id would let it be read as an id, a time and more.
	if !ok || !isID(h.id) || strings.Contains(h.id, ".") {
		return Event{}, refuse(reasonHeader, "webhook-id or webhook-timestamp is malformed")
	}
	if err := d.fresh(signed); err != nil {
		return Event{}, err
	}
	sigs, ok := parseStandard(h.signature)
	if !ok {
		return Event{}, refuse(reasonHeader, "webhook-signature is malformed")
	}
	if !keys.ring.match(sigs.v1, d.body, h.id, ".", h.timestamp, ".") && !keys.matchPublic(sigs.v1a, h, d.body) {
		return Event{}, refuse(reasonSignature, "no signature fits")
	}
	return Event{ID: h.id, Type: kind(d.body, "type"), Time: signed}, nil
}

func (k standardKeys) matchPublic(signatures [][]byte, h standardHeader, body []byte) bool {
	if len(k.public) == 0 || len(signatures) == 0 {
		return false
	}
	content := append([]byte(h.id+"."+h.timestamp+"."), body...)
	for _, key := range k.public {
		for _, s := range signatures {
			if ed25519.Verify(key, content, s) {
				return true
			}
		}
	}
	return false
}

type standardHeader struct{ id, timestamp, signature string }

// standardHeaders reads the headers by either name. Both may be sent, if they say
// the same: this and another reader must not take different ones.
func standardHeaders(d delivery) (h standardHeader, err error) {
	if h.id, err = either(d.header, "Webhook-Id", "Svix-Id"); err != nil {
		return h, err
	}
	if h.timestamp, err = either(d.header, "Webhook-Timestamp", "Svix-Timestamp"); err != nil {
		return h, err
	}
	h.signature, err = either(d.header, "Webhook-Signature", "Svix-Signature")
	return h, err
}

func either(h http.Header, webhook, svix string) (string, error) {
	a, b := h[webhook], h[svix]
	switch {
	case len(a) == 0:
		return one(h, svix)
	case len(b) > 0 && (len(b) != 1 || b[0] != a[0]):
		return "", refuse(reasonHeader, webhook+" and "+svix+" differ")
	}
	return one(h, webhook)
}

type standardSignatures struct {
	v1  []byte // one after the other
	v1a [][]byte
}

// parseStandard reads v1,base64 and v1a,base64 with one space between them.
// Versions to come are skipped.
func parseStandard(header string) (sigs standardSignatures, ok bool) {
	n := 0
	for entry := range strings.SplitSeq(header, " ") {
		version, text, found := strings.Cut(entry, ",")
		if n++; !found || version == "" || n > maxSignatures {
			return sigs, false
		}
		if version != "v1" && version != "v1a" {
			continue
		}
		sig, ok := unbase64(text)
		switch {
		case ok && version == "v1" && len(sig) == sha256.Size:
			sigs.v1 = append(sigs.v1, sig...)
		case ok && version == "v1a" && len(sig) == ed25519.SignatureSize:
			sigs.v1a = append(sigs.v1a, sig)
		default:
			return sigs, false
		}
	}
	return sigs, len(sigs.v1)+len(sigs.v1a) > 0
}
