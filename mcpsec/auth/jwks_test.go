package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/auth"
	"github.com/mcpsec/mcpsec-go/mcpsec/outbound"
)

// Keys that must not be used count as not published.
func TestUnfitKeysAreLeftOut(t *testing.T) {
	t.Parallel()
	rsa := func(members ...any) object { return with(published("r1", rsaKey().Public()), members...) }
	ec := func(members ...any) object { return with(published("e1", ecKey().Public()), members...) }
	odd := func(bits uint) string {
		return encode(new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), bits-1), big.NewInt(1)).Bytes())
	}
	for name, key := range map[string]object{
		"RSA of 1024 bits":    published("r1", weakRSA().Public()),
		"RSA of 2047 bits":    rsa("n", odd(2047)),
		"RSA of 8193 bits":    rsa("n", odd(8193)),
		"even modulus":        rsa("n", encode(new(big.Int).Lsh(big.NewInt(1), 2047).Bytes())),
		"exponent 1":          rsa("e", "AQ"),
		"exponent 3":          rsa("e", "Aw"),
		"even exponent":       rsa("e", "AQAC"),
		"exponent of 16 bits": rsa("e", encode([]byte{0xff, 0xff})),
		"exponent of 32 bits": rsa("e", encode([]byte{0x80, 0, 0, 1})),
		"huge exponent":       rsa("e", encode([]byte{1, 0, 0, 0, 0, 0, 1, 0, 1})), // 65537 in its last 64 bits
		"no modulus":          rsa("n", nil),
		"padded modulus":      rsa("n", rsa()["n"].(string)+"="),
		"modulus with breaks": rsa("n", rsa()["n"].(string)[:4]+"\n"+rsa()["n"].(string)[4:]),
		"a number for n":      rsa("n", 7),
		"for encryption":      rsa("use", "enc"),
		"not to verify":       rsa("key_ops", []string{"sign"}),
		"private":             rsa("d", "AQ"),
		"HMAC algorithm":      rsa("alg", "HS256"),
		"long id":             rsa("kid", strings.Repeat("r", 257)),
		"symmetric":           {"kid": "r1", "kty": "oct", "k": "AAAA"},
		"unknown kind":        {"kid": "r1", "kty": "PQC", "x": "AAAA"},
		"off the curve":       ec("x", encode(make([]byte, 32))),
		"short coordinate":    ec("x", encode(make([]byte, 31))),
		"point cut elsewhere": cutElsewhere(),
		"compressed point":    ec("y", ""),
		"another curve":       ec("crv", "secp256k1"),
		"curve's other name":  ec("crv", "p-256"),
		"Ed448":               with(published("d1", edKey().Public()), "crv", "Ed448"),
		"X25519":              with(published("d1", edKey().Public()), "crv", "X25519"),
		"short Ed25519":       {"kid": "d1", "kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
	} {
		bubble(t, name, func(t *testing.T) {
			opts := options(publishing(key))
			opts.Algorithms = []string{"RS256", "ES256", "EdDSA"}
			head, signer := goodHead(), any(rsaKey())
			switch key["kid"] {
			case "e1":
				head, signer = object{"alg": "ES256", "kid": "e1"}, ecKey()
			case "d1":
				head, signer = object{"alg": "EdDSA", "kid": "d1"}, edKey()
			}
			puzzled(t, verifier(t, opts), signed(signer, head, goodClaims()), "no key that can be used")
		})
	}
}

// cutElsewhere is a point on the curve whose coordinates have other lengths.
func cutElsewhere() object {
	point := must(ecKey().PublicKey.Bytes())
	return object{"kid": "e1", "kty": "EC", "crv": "P-256", "x": encode(point[1:32]), "y": encode(point[32:])}
}

// A key fits one kind of algorithm, and one curve one hash.
func TestKeysFitTheirAlgorithm(t *testing.T) {
	t.Parallel()
	all := []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
	ec521, _ := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	keys := map[string]object{"r": published("r", rsaKey().Public()), "e": published("e", ecKey().Public()),
		"f": published("f", ec384().Public()), "g": published("g", ec521.Public()), "d": published("d", edKey().Public())}
	signers := map[string]any{"RS": rsaKey(), "PS": rsaKey(), "ES256": ecKey(), "ES384": ec384(), "ES512": ec521, "Ed": edKey()}
	fits := map[string]string{"RS": "r", "PS": "r", "ES256": "e", "ES384": "f", "ES512": "g", "Ed": "d"}
	for _, alg := range all {
		kind := alg
		if _, ok := signers[kind]; !ok {
			kind = alg[:2]
		}
		bubble(t, alg, func(t *testing.T) {
			opts := options(publishing(keys["r"], keys["e"], keys["f"], keys["g"], keys["d"]))
			opts.Algorithms = all
			v := verifier(t, opts)
			for kid := range keys {
				token := signed(signers[kind], object{"alg": alg, "kid": kid}, goodClaims())
				if kid == fits[kind] {
					allow(t, v, token)
				} else {
					deny(t, v, token, "key is not known")
				}
			}
		})
	}
}

// A key that names its algorithm serves no other.
func TestKeysNameTheirAlgorithm(t *testing.T) {
	t.Parallel()
	bubble(t, "PS256", func(t *testing.T) {
		v := verifier(t, options(publishing(with(published("r1", rsaKey().Public()), "alg", "PS256"))))
		allow(t, v, signed(rsaKey(), with(goodHead(), "alg", "PS256"), goodClaims()))
		deny(t, v, good(), "key is not known")
	})
}

// The numbers are the key; a certificate beside them is somebody's claim.
func TestCertificatesAreNotKeys(t *testing.T) {
	t.Parallel()
	bubble(t, "x5c", func(t *testing.T) {
		v := verifier(t, options(publishing(with(published("r1", rsaKey().Public()), "x5c", []string{encode([]byte("the certificate of another key"))}))))
		allow(t, v, good())
		deny(t, v, signed(otherRSA(), goodHead(), goodClaims()), "signature is wrong")
	})
}

// A token that two keys fit says too little.
func TestAmbiguousKeys(t *testing.T) {
	t.Parallel()
	bubble(t, "no kid", func(t *testing.T) {
		v := verifier(t, options(publishing(published("r1", rsaKey().Public()), published("r2", otherRSA().Public()))))
		allow(t, v, good())
		deny(t, v, signed(rsaKey(), object{"alg": "RS256"}, goodClaims()), "key is not known")
	})
	bubble(t, "one kid twice", func(t *testing.T) {
		v := verifier(t, options(publishing(published("r1", rsaKey().Public()), published("r1", otherRSA().Public()))))
		deny(t, v, good(), "key is not known")
	})
	bubble(t, "one kid for two kinds", func(t *testing.T) {
		v := verifier(t, options(publishing(published("r1", rsaKey().Public()), published("r1", ecKey().Public()))))
		allow(t, v, good())
	})
}

func TestKeysAreBounded(t *testing.T) {
	t.Parallel()
	bubble(t, "the hundred and first", func(t *testing.T) {
		var keys []object
		for n := range 100 {
			keys = append(keys, published(fmt.Sprint("e", n), ecKey().Public()))
		}
		v := verifier(t, options(publishing(append(keys, published("r1", rsaKey().Public()))...)))
		allow(t, v, signed(ecKey(), object{"alg": "ES256", "kid": "e99"}, goodClaims()))
		deny(t, v, good(), "key is not known")
	})
}

func TestRotation(t *testing.T) {
	t.Parallel()
	bubble(t, "a new key", func(t *testing.T) {
		s := publishing(published("r1", rsaKey().Public()))
		v := verifier(t, options(s))
		allow(t, v, good())
		s.answer(says(object{"keys": []object{published("r1", rsaKey().Public()), published("r2", otherRSA().Public())}}))
		next := func() string { return signed(otherRSA(), with(goodHead(), "kid", "r2"), goodClaims()) }
		deny(t, v, next(), "key is not known") // too early to ask again
		time.Sleep(30 * time.Second)
		allow(t, v, next())
		allow(t, v, good())
		if s.count() != 2 {
			t.Errorf("got %d fetches, want 2", s.count())
		}
	})
	bubble(t, "a key withdrawn", func(t *testing.T) {
		s := publishing(published("r1", rsaKey().Public()))
		v := verifier(t, options(s))
		allow(t, v, good())
		s.answer(says(object{"keys": []object{published("r2", otherRSA().Public())}}))
		time.Sleep(15*time.Minute - 1)
		allow(t, v, good())
		time.Sleep(time.Nanosecond)
		deny(t, v, good(), "key is not known")
	})
	bubble(t, "a key exchanged under its name", func(t *testing.T) {
		s := publishing(published("r1", rsaKey().Public()))
		v := verifier(t, options(s))
		allow(t, v, good())
		s.answer(says(object{"keys": []object{published("r1", otherRSA().Public())}}))
		time.Sleep(15 * time.Minute)
		deny(t, v, good(), "signature is wrong")
	})
}

// Whatever tokens come, the issuer is asked by the clock.
func TestKeyFloodIsBounded(t *testing.T) {
	t.Parallel()
	bubble(t, "one at a time", func(t *testing.T) {
		s := publishing(allKeys()...)
		v := verifier(t, options(s))
		for n := range 3000 { // five minutes
			deny(t, v, encodeParts(fmt.Sprintf(`{"alg":"RS256","kid":"k%d"}`, n), goodClaims())+".AAAA", "key is not known")
			time.Sleep(100 * time.Millisecond)
		}
		if n := s.count(); n > 10 {
			t.Errorf("got %d fetches in 5 minutes, want 10", n)
		}
		allow(t, v, good())
	})
	bubble(t, "all at once", func(t *testing.T) {
		s := publishing(allKeys()...)
		v := verifier(t, options(s))
		var all sync.WaitGroup
		for n := range 500 {
			all.Go(func() {
				token := signed(rsaKey(), with(goodHead(), "kid", fmt.Sprint("k", n)), goodClaims())
				if _, err := v(background, token); !errors.Is(err, mcpsec.ErrInvalidToken) {
					t.Errorf("got %v", err)
				}
			})
			all.Go(func() {
				if _, err := v(background, good()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if s.count() != 1 {
			t.Errorf("got %d fetches, want 1", s.count())
		}
	})
	bubble(t, "while the issuer is down", func(t *testing.T) {
		s := &server{handler: fails(http.StatusBadGateway)}
		v := verifier(t, options(s))
		for range 600 { // a minute
			puzzled(t, v, good(), "status 502")
			time.Sleep(100 * time.Millisecond)
		}
		if n := s.count(); n > 12 {
			t.Errorf("got %d fetches in a minute, want 12", n)
		}
	})
	bubble(t, "tokens of other issuers", func(t *testing.T) {
		s := publishing(allKeys()...)
		deny(t, verifier(t, options(s)), signed(rsaKey(), goodHead(), with(goodClaims(), "iss", "https://other.example.com")), "another issuer")
		if s.count() != 0 {
			t.Error("the issuer was asked")
		}
	})
}

// What cannot be fetched is no reason to refuse a token, nor to take it.
func TestIssuerMisbehaves(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		why     string
	}{
		"down":             {breaks(errors.New("dial tcp 10.1.2.3:443: hunter2")), "the connection failed"},
		"no name":          {breaks(&net.DNSError{Err: "hunter2", Name: "login.example.com"}), "does not resolve"},
		"slow":             {hangs, "no answer in time"},
		"an error":         {fails(http.StatusInternalServerError), "status 500"},
		"not found":        {fails(http.StatusNotFound), "status 404"},
		"redirecting":      {fails(http.StatusFound), "status 302"},
		"moved":            {fails(http.StatusPermanentRedirect), "status 308"},
		"huge":             {says(`{"keys":[` + strings.Repeat(" ", 256<<10) + `]}`), "too large"},
		"not JSON":         {says("<html>hunter2"), "not the JSON"},
		"a list":           {says("[]"), "not the JSON"},
		"null":             {says("null"), "not the JSON"},
		"no keys":          {says("{}"), "no key"},
		"keys an object":   {says(`{"keys":{}}`), "not the JSON"},
		"keys twice":       {says(`{"keys":[],"keys":[]}`), "not the JSON"},
		"a key of strings": {says(`{"keys":["a",1,null,[]]}`), "no key"},
		"panicking":        {breaks(nil), "the Client panicked"},
	} {
		bubble(t, name, func(t *testing.T) {
			s := &server{handler: tc.handler}
			opts := options(s)
			if name == "panicking" {
				opts.Client = &http.Client{Transport: panicking{}}
			}
			started := time.Now()
			puzzled(t, verifier(t, opts), good(), tc.why)
			if d := time.Since(started); d > 5*time.Second {
				t.Errorf("took %v", d)
			}
			for _, hit := range s.hits {
				if !strings.HasPrefix(hit, "GET "+issuerURL) {
					t.Errorf("asked %s", hit)
				}
			}
		})
	}
}

type panicking struct{}

func (panicking) RoundTrip(*http.Request) (*http.Response, error) { panic("hunter2") }

// Known keys outlive an outage of an hour, counted from when they were read.
func TestOutage(t *testing.T) {
	t.Parallel()
	for name, down := range map[string]http.HandlerFunc{"down": fails(http.StatusBadGateway), "slow": hangs, "emptied": says(`{"keys":[]}`)} {
		bubble(t, name, func(t *testing.T) {
			s := publishing(allKeys()...)
			v := verifier(t, options(s))
			allow(t, v, good())
			s.answer(down)
			time.Sleep(50 * time.Minute)
			allow(t, v, good())
			puzzled(t, v, signed(otherRSA(), with(goodHead(), "kid", "r2"), goodClaims()), "keys are not available")
			deny(t, v, signed(otherRSA(), goodHead(), goodClaims()), "signature is wrong")
			time.Sleep(10*time.Minute + time.Second)
			puzzled(t, v, good(), "keys are not available")
			s.answer(says(object{"keys": allKeys()}))
			time.Sleep(5 * time.Second)
			allow(t, v, good())
		})
	}
}

// Who has a known key does not wait for a fetch that an unknown one has caused.
func TestKnownKeysDoNotWait(t *testing.T) {
	t.Parallel()
	bubble(t, "slow issuer", func(t *testing.T) {
		s := publishing(allKeys()...)
		v := verifier(t, options(s))
		allow(t, v, good())
		s.answer(hangs)
		time.Sleep(20 * time.Minute) // the keys are old, but usable
		var other sync.WaitGroup
		other.Go(func() { _, _ = v(background, signed(rsaKey(), with(goodHead(), "kid", "k0"), goodClaims())) })
		synctest.Wait()
		if s.count() != 2 {
			t.Fatalf("got %d fetches, want a second that runs", s.count())
		}
		started := time.Now()
		allow(t, v, good())
		if d := time.Since(started); d != 0 {
			t.Errorf("waited %v", d)
		}
		other.Wait()
	})
}

// A client of package outbound may be used; what it refuses is told.
func TestOutboundClient(t *testing.T) {
	t.Parallel()
	guarded, err := outbound.New(outbound.Options{Allow: []string{"elsewhere.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	opts := options(publishing())
	opts.Client, opts.KeysURL = guarded, issuerURL+"/keys?apikey=hunter2"
	_, err = verifier(t, opts)(t.Context(), good())
	var refused *outbound.Error
	if !errors.As(err, &refused) || refused.Reason != outbound.Refused || errors.Is(err, mcpsec.ErrInvalidToken) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

// A caller that gives up does not spoil the fetch for others.
func TestFetchSurvivesItsCaller(t *testing.T) {
	t.Parallel()
	bubble(t, "cancelled", func(t *testing.T) {
		s := &server{handler: func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			says(object{"keys": allKeys()})(w, r)
		}}
		v := verifier(t, options(s))
		short, cancel := contextFor(t, 10*time.Millisecond)
		defer cancel()
		if _, err := v(short, good()); err == nil || errors.Is(err, mcpsec.ErrInvalidToken) {
			t.Errorf("got %v", err)
		}
		allow(t, v, good())
		synctest.Wait()
		if s.count() != 1 {
			t.Errorf("got %d fetches, want 1", s.count())
		}
	})
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	const tenant = "https://login.example.com/tenants/a"
	meta := func(issuer, keys string) string { return fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, issuer, keys) }
	for name, tc := range map[string]struct {
		issuer string
		pages  map[string]string // the rest is not found
		why    string            // or allowed
		asked  []string
	}{
		"OpenID Connect": {issuerURL, map[string]string{"/.well-known/openid-configuration": meta(issuerURL, "https://keys.example.com/k")}, "",
			[]string{issuerURL + "/.well-known/openid-configuration", "https://keys.example.com/k"}},
		"OAuth, with a path": {tenant, map[string]string{"/.well-known/oauth-authorization-server/tenants/a": meta(tenant, tenant+"/k")}, "",
			[]string{tenant + "/.well-known/openid-configuration", "https://login.example.com/.well-known/oauth-authorization-server/tenants/a", tenant + "/k"}},
		"slash at the end": {tenant + "/", map[string]string{"/tenants/a/.well-known/openid-configuration": meta(tenant+"/", tenant+"/k")}, "",
			[]string{tenant + "/.well-known/openid-configuration", tenant + "/k"}},
		"another issuer's":  {tenant, map[string]string{"/tenants/a/.well-known/openid-configuration": meta("https://login.example.com/tenants/b", tenant+"/k")}, "of another issuer", nil},
		"almost the issuer": {tenant, map[string]string{"/tenants/a/.well-known/openid-configuration": meta(tenant+"/", tenant+"/k")}, "of another issuer", nil},
		"no issuer":         {tenant, map[string]string{"/tenants/a/.well-known/openid-configuration": `{"jwks_uri":"https://keys.example.com/k"}`}, "of another issuer", nil},
		"keys without TLS":  {tenant, map[string]string{"/tenants/a/.well-known/openid-configuration": meta(tenant, "http://login.example.com/k")}, "has TLS", nil},
		"keys in a file":    {tenant, map[string]string{"/tenants/a/.well-known/openid-configuration": meta(tenant, "file:///etc/passwd")}, "has TLS", nil},
		"no keys":           {tenant, map[string]string{"/tenants/a/.well-known/openid-configuration": meta(tenant, "")}, "has TLS", nil},
		"issuer twice":      {tenant, map[string]string{"/tenants/a/.well-known/openid-configuration": `{"issuer":"x",` + meta(tenant, tenant+"/k")[1:]}, "not the JSON", nil},
		"nothing":           {tenant, nil, "status 404", nil},
	} {
		bubble(t, name, func(t *testing.T) {
			s := &server{handler: func(w http.ResponseWriter, r *http.Request) {
				if page, ok := tc.pages[r.URL.Path]; ok {
					says(page)(w, r)
				} else if strings.HasSuffix(r.URL.Path, "/k") {
					says(object{"keys": allKeys()})(w, r)
				} else {
					http.NotFound(w, r)
				}
			}}
			v := verifier(t, auth.JWTOptions{Issuer: tc.issuer, Audience: resource, Client: s.client()})
			token := signed(rsaKey(), goodHead(), with(goodClaims(), "iss", tc.issuer))
			if tc.why != "" {
				puzzled(t, v, token, tc.why)
				return
			}
			allow(t, v, token)
			for n, hit := range s.hits {
				s.hits[n] = strings.TrimPrefix(hit, "GET ")
			}
			if !slices.Equal(s.hits, tc.asked) {
				t.Errorf("asked %q, want %q", s.hits, tc.asked)
			}
		})
	}
}

// A client that is given is not changed, and its redirects and cookies are not
// used.
func TestClientIsCopied(t *testing.T) {
	t.Parallel()
	bubble(t, "redirects", func(t *testing.T) {
		followed := false
		s := &server{handler: fails(http.StatusFound)}
		c := s.client()
		c.CheckRedirect = func(*http.Request, []*http.Request) error { followed = true; return nil }
		opts := options(s)
		opts.Client = c
		puzzled(t, verifier(t, opts), good(), "status 302")
		if followed || s.count() != 1 || c.CheckRedirect == nil {
			t.Error("followed")
		}
	})
}
