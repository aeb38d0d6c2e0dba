package webhook

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"mime"
	"net/textproto"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// HMACOptions describes a sender that signs with an HMAC and has no function of
// its own here. What is signed follows from the headers that it signs:
//
//	the body                            without TimestampHeader
//	the time, a dot, the body           with TimestampHeader
//	the id, a dot, the time, a dot …    with IDHeader as well
type HMACOptions struct {
	// Secrets are what the sender signs with, as bytes of their text: one, or
	// several for rotation, a new one first, of 16 bytes or more. Required.
	Secrets []redact.Secret
	// SignatureHeader holds the signature, once. Required.
	SignatureHeader string
	// Prefix stands before the signature, such as sha256=. Defaults to none.
	Prefix string
	// Hash is sha256 or sha512. Defaults to sha256.
	Hash string
	// Encoding of the signature: hex, in lower case, or base64. Defaults to
	// hex.
	Encoding string
	// TimestampHeader holds when the sender signed, in seconds since 1970.
	// Defaults to none: then nothing but [Options.Keep] bounds how long a
	// captured delivery can be repeated.
	TimestampHeader string
	// IDHeader holds the event's id, without dots. It needs TimestampHeader,
	// and must be signed. Defaults to none: then the ID is a digest of the body,
	// and without TimestampHeader one by the last of the Secrets, which must
	// therefore stay for as long as repetitions are to be found.
	IDHeader string
	// TypeHeader holds what becomes the event's Type, and is not signed.
	// Defaults to none.
	TypeHeader string
	// ContentTypes are accepted besides application/json, without parameters.
	// Defaults to none.
	ContentTypes []string
}

// HMAC returns a verifier of a sender that the options describe. The time, if it
// is signed, is by default at most five minutes away.
func HMAC(o HMACOptions) (*Verifier, error) {
	h, size, err := o.hash()
	if err == nil {
		err = o.checkHeaders()
	}
	if err != nil {
		return nil, fmt.Errorf("webhook: hmac: %w", err)
	}
	keys, err := newRing("hmac", h, o.Secrets, asIs)
	if err != nil {
		return nil, err
	}
	v := &Verifier{
		scheme: "hmac", types: append([]string(nil), o.ContentTypes...),
		check: func(_ context.Context, d delivery) (Event, error) { return verifyHMAC(keys, size, &o, d) },
	}
	if o.TimestampHeader != "" {
		v.past, v.future = defaultTolerance, defaultTolerance
	}
	return v, nil
}

func (o *HMACOptions) hash() (func() hash.Hash, int, error) {
	switch o.Hash {
	case "", "sha256":
		return sha256.New, sha256.Size, nil
	case "sha512":
		return sha512.New, sha512.Size, nil
	}
	return nil, 0, errors.New("the hash must be sha256 or sha512")
}

func (o *HMACOptions) checkHeaders() error {
	seen := map[string]bool{}
	for _, name := range []*string{&o.SignatureHeader, &o.TimestampHeader, &o.IDHeader, &o.TypeHeader} {
		*name = textproto.CanonicalMIMEHeaderKey(*name)
		if *name != "" && (seen[*name] || !isID(*name) || strings.ContainsAny(*name, `:,;()"`)) {
			return errors.New("a header's name is malformed or stands for two things")
		}
		seen[*name] = true
	}
	for _, kind := range o.ContentTypes {
		if m, params, err := mime.ParseMediaType(kind); err != nil || m != kind || len(params) > 0 {
			return errors.New("ContentTypes must be lower case and without parameters")
		}
	}
	switch {
	case o.SignatureHeader == "":
		return errors.New("SignatureHeader is required")
	case o.IDHeader != "" && o.TimestampHeader == "":
		return errors.New("IDHeader needs TimestampHeader: an id that is not signed protects from no repetition")
	case o.Encoding != "" && o.Encoding != "hex" && o.Encoding != "base64":
		return errors.New("the encoding must be hex or base64")
	}
	return nil
}

func verifyHMAC(keys ring, size int, o *HMACOptions, d delivery) (Event, error) {
	header, err := one(d.header, o.SignatureHeader)
	if err != nil {
		return Event{}, err
	}
	sig, ok := o.signature(header, size)
	if !ok {
		return Event{}, refuse(reasonHeader, "the signature is malformed")
	}
	ev := Event{}
	prefix, err := o.prefix(d, &ev)
	if err != nil {
		return Event{}, err
	}
	if o.TypeHeader != "" {
		if ev.Type, err = one(d.header, o.TypeHeader); err != nil {
			return Event{}, err
		}
	}
	if prefix == nil {
		ev.ID, ok = keys.identify(sig, d.body)
	} else {
		ok = keys.match(sig, d.body, prefix...)
	}
	if !ok {
		return Event{}, refuse(reasonSignature, "the signature does not fit")
	}
	if ev.ID == "" { // the signature covers the time, which differs when the sender tries again
		ev.ID = digest(d.body)
	}
	return ev, nil
}

func (o *HMACOptions) signature(header string, size int) (sig []byte, ok bool) {
	text, ok := strings.CutPrefix(header, o.Prefix)
	if !ok {
		return nil, false
	}
	if o.Encoding == "base64" {
		sig, ok = unbase64(text)
		return sig, ok && len(sig) == size
	}
	sig = make([]byte, size)
	return sig, unhex(sig, text)
}

// prefix returns what is signed before the body, and takes time and id into ev.
func (o *HMACOptions) prefix(d delivery, ev *Event) (prefix []string, err error) {
	if o.IDHeader != "" {
		if ev.ID, err = one(d.header, o.IDHeader); err != nil {
			return nil, err
		}
		if !isID(ev.ID) || strings.Contains(ev.ID, ".") {
			return nil, refuse(reasonHeader, "the id is malformed")
		}
		prefix = append(prefix, ev.ID, ".")
	}
	if o.TimestampHeader == "" {
		return nil, nil
	}
	stamp, err := one(d.header, o.TimestampHeader)
	if err != nil {
		return nil, err
	}
	signed, ok := unix(stamp)
	if !ok {
		return nil, refuse(reasonHeader, "the time is malformed")
	}
	ev.Time = signed
	return append(prefix, stamp, "."), d.fresh(signed)
}
