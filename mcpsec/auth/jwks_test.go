package auth_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
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
	bubble(t, "but for keys that are too old", func(t *testing.T) {
		s := publishing(allKeys()...)
		v := verifier(t, options(s))
		allow(t, v, good())
		time.Sleep(2 * time.Hour)
		s.answer(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			says(object{"keys": allKeys()})(w, r)
		})
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				if _, err := v(background, good()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
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
		"keys on this host": {tenant, map[string]string{"/tenants/a/.well-known/openid-configuration": meta(tenant, "http://127.0.0.1/k")}, "has TLS", nil},
		"issuer here too": {"http://localhost", map[string]string{"/.well-known/openid-configuration": meta("http://localhost", "http://127.0.0.1/k")}, "",
			[]string{"http://localhost/.well-known/openid-configuration", "http://127.0.0.1/k"}},
		"keys in a file": {tenant, map[string]string{"/tenants/a/.well-known/openid-configuration": meta(tenant, "file:///etc/passwd")}, "has TLS", nil},
		"no keys":        {tenant, map[string]string{"/tenants/a/.well-known/openid-configuration": meta(tenant, "")}, "has TLS", nil},
		"issuer twice":   {tenant, map[string]string{"/tenants/a/.well-known/openid-configuration": `{"issuer":"x",` + meta(tenant, tenant+"/k")[1:]}, "not the JSON", nil},
		"nothing":        {tenant, nil, "status 404", nil},
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
		cookies := new(jar)
		c.Jar = cookies
		opts := options(s)
		opts.Client = c
		puzzled(t, verifier(t, opts), good(), "status 302")
		if followed || s.count() != 1 || cookies.used {
			t.Error("a redirect was followed, or cookies were looked for")
		}
		if _ = c.CheckRedirect(nil, nil); !followed || c.Jar != cookies {
			t.Error("the client was changed")
		}
	})
}

type jar struct{ used bool }

func (j *jar) Cookies(*url.URL) []*http.Cookie     { j.used = true; return nil }
func (j *jar) SetCookies(*url.URL, []*http.Cookie) { j.used = true }

// What is too large is not read to its end.
func TestAnswersAreCutOff(t *testing.T) {
	t.Parallel()
	body := strings.NewReader(strings.Repeat(" ", 8<<20))
	opts := options(publishing())
	opts.Client = &http.Client{Transport: answers{body}}
	puzzled(t, verifier(t, opts), good(), "too large")
	if read := 8<<20 - body.Len(); read > 1<<20 {
		t.Errorf("%d bytes were read", read)
	}
}

type answers struct{ body io.Reader }

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(a.body), Request: r}, nil
}

// The client of our own trusts no certificate but those of known authorities.
func TestCertificateIsChecked(t *testing.T) {
	t.Parallel()
	web := httptest.NewUnstartedServer(says(object{"keys": allKeys()}))
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.StartTLS()
	defer web.Close()
	v := verifier(t, auth.JWTOptions{Issuer: web.URL, Audience: resource, KeysURL: web.URL + "/keys"})
	token := func() string { return signed(rsaKey(), goodHead(), with(goodClaims(), "iss", web.URL)) }
	puzzled(t, v, token(), "certificate is not trusted")
	allow(t, verifier(t, auth.JWTOptions{Issuer: web.URL, Audience: resource, KeysURL: web.URL + "/keys", Client: web.Client()}), token())
}
