package mailtool

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// dkim looks at the key of one selector (RFC 6376, 3.6.1; RFC 8463).
func (d DomainCheck) dkim(ctx context.Context, l *lookups, selector string, own crypto.PublicKey) Finding {
	f := Finding{Check: "dkim " + selector, Verdict: verdictPass}
	name := selector + "._domainkey." + d.Domain
	if own != nil {
		if value, err := dkimRecord(own); err == nil {
			f.Publish = record(name, "TXT", value)
		} else {
			f.note(verdictWrong, "the key that signs cannot be used for DKIM")
		}
	}
	records, err := l.txt(ctx, name)
	f.found(records...)
	switch {
	case err != nil:
		f.note(verdictUnknown, "the name server gave no answer for %s", name)
	case len(records) == 0:
		f.note(verdictMissing, "there is no key at %s: signatures with it fail", name)
	case len(records) > 1:
		f.note(verdictWrong, "there are %d records at %s: which one counts is anybody's guess (RFC 6376, 3.6.2.2)", len(records), name)
	case len(records[0]) > maxRecord:
		f.note(verdictWrong, "the record has more than %d bytes", maxRecord)
	default:
		f.dkimKey(records[0], own)
	}
	if f.Verdict == verdictPass || f.Verdict == verdictUnknown {
		f.Publish = ""
	}
	return f
}

func (f *Finding) dkimKey(s string, own crypto.PublicKey) {
	values, names, ok := tags(s)
	p, has := values["p"]
	switch version, said := values["v"]; {
	case !ok || !has || said && (version != "DKIM1" || names[0] != "v"):
		f.note(verdictWrong, "it is no DKIM key record")
		return
	case p == "":
		f.note(verdictWrong, "the key is revoked (p= is empty): signatures with it fail")
		return
	}
	f.dkimUse(values)
	key, err := dkimPublic(values["k"], p)
	if err != nil {
		f.note(verdictWrong, "the key cannot be read: %v", err)
		return
	}
	if r, ok := key.(*rsa.PublicKey); ok {
		switch bits := r.N.BitLen(); {
		case bits < 1024:
			f.note(verdictWrong, "RSA of %d bits: receivers ignore it (RFC 8301, 3.2)", bits)
		case bits < 2048:
			f.note(verdictWeak, "RSA of %d bits: use 2048 or more (RFC 8301, 3.2)", bits)
		default:
			f.note(verdictPass, "RSA of %d bits", bits)
		}
	} else {
		f.note(verdictPass, "Ed25519, which some receivers do not know: sign with RSA, too")
	}
	if equal, ok := key.(interface{ Equal(crypto.PublicKey) bool }); own != nil && ok && !equal.Equal(own) {
		f.note(verdictWrong, "it is not the key that signs: signatures fail")
	}
}

// dkimUse looks at what a key may be used for.
func (f *Finding) dkimUse(values map[string]string) {
	list := func(s string) []string {
		return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return r == ':' || unicode.IsSpace(r) })
	}
	if h, ok := values["h"]; ok && !slices.Contains(list(h), "sha256") {
		f.note(verdictWrong, "h= does not allow sha256, and nobody takes sha1 any more (RFC 8301, 3.1)")
	}
	if s, ok := values["s"]; ok && !slices.Contains(list(s), "email") && !slices.Contains(list(s), "*") {
		f.note(verdictWrong, "s= does not allow mail")
	}
	if slices.Contains(list(values["t"]), "y") {
		f.note(verdictWeak, "t=y says that it is a test: some receivers treat what it signs as unsigned")
	}
}

// dkimPublic reads a key; RSA comes in two forms.
func dkimPublic(kind, p string) (crypto.PublicKey, error) {
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(p), ""))
	if err != nil {
		return nil, errors.New("it is no base64")
	}
	switch strings.ToLower(kind) {
	case "", "rsa":
		if k, err := x509.ParsePKIXPublicKey(b); err == nil {
			if r, ok := k.(*rsa.PublicKey); ok {
				return r, nil
			}
			return nil, errors.New("it is of another kind than k= says")
		}
		if k, err := x509.ParsePKCS1PublicKey(b); err == nil {
			return k, nil
		}
		return nil, errors.New("it is no RSA key")
	case "ed25519":
		if len(b) != ed25519.PublicKeySize {
			return nil, errors.New("it is no Ed25519 key")
		}
		return ed25519.PublicKey(b), nil
	}
	return nil, errors.New("k= is neither rsa nor ed25519")
}

func dkimRecord(key crypto.PublicKey) (string, error) {
	switch key := key.(type) {
	case ed25519.PublicKey:
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(key), nil
	case *rsa.PublicKey:
		b, err := x509.MarshalPKIXPublicKey(key)
		return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(b), err
	}
	return "", fmt.Errorf("a key of type %T", key)
}
