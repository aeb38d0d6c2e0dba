package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/auth"
)

// web is HTTP, if there is an address to listen at. Without issuer and keys it serves
// this machine only.
type web struct {
	Addr        string   `env:"ADDR" validate:"required_with=Resource Issuer Keys Hosts Origins TLSCert BehindProxy Sessions TenantSetting"`
	Resource    string   `env:"RESOURCE" validate:"required_with=Issuer,omitempty,url"` // what clients know the server by
	Issuer      string   `env:"ISSUER" validate:"omitempty,url"`                        // whose JSON Web Tokens are taken
	Keys        []string `env:"KEYS"`                                                   // name=SHA-256 of a key, in hexadecimal digits
	Hosts       []string `env:"HOSTS"`
	Origins     []string `env:"ORIGINS"`
	TLSCert     string   `env:"TLS_CERT" validate:"required_with=TLSKey"` // files
	TLSKey      string   `env:"TLS_KEY" validate:"required_with=TLSCert"`
	BehindProxy bool     `env:"BEHIND_PROXY"`
	Sessions    bool     `env:"SESSIONS"`

	// TenantSetting is a setting such as app.caller, which policies read: it is the
	// caller's ID, for each transaction.
	TenantSetting string `env:"TENANT_SETTING" validate:"excluded_without_all=Issuer Keys,omitempty,contains=.,lowercase"`
}

func (w web) options() (o mcpsec.HTTPOptions, err error) {
	o = mcpsec.HTTPOptions{Resource: w.Resource, Hosts: w.Hosts, Origins: w.Origins, BehindProxy: w.BehindProxy, Sessions: w.Sessions}
	if w.Issuer != "" {
		o.AuthorizationServers = []string{w.Issuer}
	}
	if w.TLSCert != "" {
		cert, err := tls.LoadX509KeyPair(w.TLSCert, w.TLSKey)
		if err != nil {
			return o, fmt.Errorf("reading %sHTTP_TLS_CERT and %[1]sHTTP_TLS_KEY: %w", prefix, err)
		}
		o.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	}
	o.Verifier, err = w.verifier()
	return o, err
}

// verifier knows whose a token is, by issuer and by key.
func (w web) verifier() (mcpsec.TokenVerifier, error) {
	var all []mcpsec.TokenVerifier
	if w.Issuer != "" {
		v, err := auth.JWT(auth.JWTOptions{Issuer: w.Issuer, Audience: w.Resource})
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	if len(w.Keys) > 0 {
		var keys []auth.Key
		for _, entry := range w.Keys {
			name, hash, ok := strings.Cut(entry, "=")
			if !ok {
				return nil, errors.New(prefix + "HTTP_KEYS must be name=hash,name=hash")
			}
			keys = append(keys, auth.Key{Name: name, SHA256: hash})
		}
		v, err := auth.Keys(keys...)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	switch len(all) {
	case 0:
		return nil, nil
	case 1:
		return all[0], nil
	}
	return auth.AnyOf(all...), nil
}
