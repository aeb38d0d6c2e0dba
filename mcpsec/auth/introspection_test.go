package auth_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/auth"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// clientSecret has what basic authentication must escape.
func clientSecret() mcpsec.Secret {
	return redact.NewSecret("4f9c:" + "Zr%2b+" + "kQ7 w/b1xV8nLp")
}

func introspecting(s *server) auth.IntrospectionOptions {
	return auth.IntrospectionOptions{URL: issuerURL + "/introspect", Issuer: issuerURL, Audience: resource,
		ClientID: "orders", ClientSecret: clientSecret(), Client: s.client()}
}

func introspection(t *testing.T, opts auth.IntrospectionOptions) mcpsec.TokenVerifier {
	t.Helper()
	v, err := auth.Introspection(opts)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func active() object {
	return object{"active": true, "iss": issuerURL, "sub": "ann", "aud": resource, "exp": time.Now().Add(time.Hour).Unix(),
		"scope": "orders:read", "token_type": "Bearer", "client_id": "agent"}
}

const opaque = "opaque-token-0001"

func TestIntrospectionAllows(t *testing.T) {
	t.Parallel()
	for name, members := range map[string][]any{
		"all":                  nil,
		"no issuer":            {"iss", nil},
		"no expiry":            {"exp", nil},
		"no token type":        {"token_type", nil},
		"type's case":          {"token_type", "bearer"},
		"one of two audiences": {"aud", []string{"x", resource + "/"}},
		"nbf within the skew":  {"nbf", 946_684_800 + 60},
		"scope list":           {"scope", []string{"orders:read"}},
	} {
		bubble(t, name, func(t *testing.T) {
			p := allow(t, introspection(t, introspecting(&server{handler: says(with(active(), members...))})), opaque)
			if p.ID != issuerURL+"|ann" || !slices.Equal(p.Scopes, []string{"orders:read"}) {
				t.Errorf("got %+v", p)
			}
		})
	}
}

// (AUTH-02, SBP-01)
func TestIntrospectionDenies(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		members []any
		reason  string
	}{
		"inactive":           {[]any{"active", false}, "not active"},
		"active missing":     {[]any{"active", nil}, "not active"},
		"active null":        {[]any{"active", json.RawMessage("null")}, "not active"},
		"another issuer":     {[]any{"iss", issuerURL + "/"}, "another issuer"},
		"another audience":   {[]any{"aud", "https://evil.example.com"}, "another audience"},
		"no audience":        {[]any{"aud", nil}, "another audience"},
		"expired":            {[]any{"exp", 946_684_800}, "expired"},
		"expiry no date":     {[]any{"exp", -1}, "times are malformed"},
		"nbf no date":        {[]any{"nbf", -1}, "times are malformed"},
		"not yet":            {[]any{"nbf", 946_684_800 + 61}, "not valid yet"},
		"no subject":         {[]any{"sub", nil}, "subject is missing"},
		"invisible subject":  {[]any{"sub", "ann\u200b"}, "not printable"},
		"sender constrained": {[]any{"cnf", object{"jkt": "x"}}, "not a bearer token"},
		"DPoP":               {[]any{"token_type", "DPoP"}, "not a bearer token"},
	} {
		bubble(t, name, func(t *testing.T) {
			deny(t, introspection(t, introspecting(&server{handler: says(with(active(), tc.members...))})), opaque, tc.reason)
		})
	}
}

func TestIntrospectionCannotTell(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		why     string
	}{
		"down":           {breaks(errors.New("hunter2")), "connection failed"},
		"slow":           {hangs, "no answer in time"},
		"our secret":     {fails(http.StatusUnauthorized), "status 401"},
		"forbidden":      {fails(http.StatusForbidden), "status 403"},
		"error":          {fails(http.StatusInternalServerError), "status 500"},
		"redirect":       {fails(http.StatusTemporaryRedirect), "status 307"},
		"created":        {fails(http.StatusCreated), "status 201"},
		"huge":           {says(strings.Repeat(" ", 256<<10) + `{"active":false}`), "too large"},
		"not JSON":       {says("active=true"), "not the JSON"},
		"empty":          {says(""), "not the JSON"},
		"list":           {says("[true]"), "not the JSON"},
		"active as text": {says(`{"active":"true"}`), "not the JSON"},
		"active as 1":    {says(`{"active":1}`), "not the JSON"},
		"scopes for all": {says(with(object{"active": true}, "scope", strings.Repeat("a ", 5<<10))), "not the JSON"},
		"active twice":   {says(`{"active":false,"active":true,"sub":"ann","aud":"` + resource + `"}`), "not the JSON"},
	} {
		bubble(t, name, func(t *testing.T) {
			s := &server{handler: tc.handler}
			puzzled(t, introspection(t, introspecting(s)), opaque, tc.why)
			if s.count() != 1 {
				t.Errorf("asked %d times", s.count())
			}
		})
	}
	bubble(t, "panicking", func(t *testing.T) {
		opts := introspecting(&server{})
		opts.Client = &http.Client{Transport: panicking{}}
		puzzled(t, introspection(t, opts), opaque, "panicked")
	})
}

// The question is the one of RFC 7662, section 2.1, with credentials encoded as
// RFC 6749, section 2.3.1, says, and the token nowhere but in the body.
func TestIntrospectionAsks(t *testing.T) {
	t.Parallel()
	bubble(t, "form", func(t *testing.T) {
		s := &server{}
		s.answer(func(w http.ResponseWriter, r *http.Request) {
			user, pass, _ := r.BasicAuth()
			if user != "orders%3Aeu" || pass != "4f9c%3AZr%252b%2BkQ7+w%2Fb1xV8nLp" {
				t.Errorf("got %q and %q", user, pass)
			}
			if r.Method != http.MethodPost || r.URL.RawQuery != "" || r.PostFormValue("token") != "a&b=c" || r.PostFormValue("token_type_hint") != "access_token" {
				t.Errorf("got %s %s %v", r.Method, r.URL, r.PostForm)
			}
			says(active())(w, r)
		})
		opts := introspecting(s)
		opts.ClientID = "orders:eu"
		allow(t, introspection(t, opts), "a&b=c")
	})
}

// An answer is believed for as long as it may be.
func TestAnswersAreKept(t *testing.T) {
	t.Parallel()
	bubble(t, "for MaxAge", func(t *testing.T) {
		s := &server{handler: says(active())}
		v := introspection(t, introspecting(s))
		allow(t, v, opaque)
		p := allow(t, v, opaque)
		p.Scopes[0] = "root" // a copy
		s.answer(says(object{"active": false}))
		time.Sleep(time.Minute - 1)
		if p := allow(t, v, opaque); !slices.Equal(p.Scopes, []string{"orders:read"}) {
			t.Errorf("got %q", p.Scopes)
		}
		time.Sleep(time.Nanosecond)
		deny(t, v, opaque, "not active")
		if s.count() != 2 {
			t.Errorf("asked %d times, want 2", s.count())
		}
	})
	bubble(t, "not past the expiry", func(t *testing.T) {
		s := &server{handler: says(with(active(), "exp", time.Now().Add(10*time.Second).Unix()))}
		v := introspection(t, introspecting(s))
		allow(t, v, opaque)
		time.Sleep(10 * time.Second)
		deny(t, v, opaque, "expired")
	})
	bubble(t, "refusals", func(t *testing.T) {
		s := &server{handler: says(object{"active": false})}
		v := introspection(t, introspecting(s))
		for range 100 {
			deny(t, v, opaque, "not active")
		}
		if s.count() != 1 {
			t.Errorf("asked %d times, want 1", s.count())
		}
		s.answer(says(active()))
		time.Sleep(10 * time.Second)
		allow(t, v, opaque)
	})
	bubble(t, "no failure", func(t *testing.T) {
		s := &server{handler: fails(http.StatusBadGateway)}
		v := introspection(t, introspecting(s))
		puzzled(t, v, opaque, "status 502")
		s.answer(says(active()))
		allow(t, v, opaque)
	})
	bubble(t, "hardly at all", func(t *testing.T) {
		s := &server{handler: says(active())}
		opts := introspecting(s)
		opts.MaxAge = 1
		v := introspection(t, opts)
		allow(t, v, opaque)
		time.Sleep(time.Nanosecond)
		allow(t, v, opaque)
		if s.count() != 2 {
			t.Errorf("asked %d times, want 2", s.count())
		}
		s.answer(says(object{"active": false}))
		time.Sleep(time.Nanosecond)
		deny(t, v, opaque, "not active")
		s.answer(says(active()))
		time.Sleep(time.Nanosecond)
		allow(t, v, opaque)
	})
	bubble(t, "counted from the question", func(t *testing.T) {
		s := &server{handler: func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(4 * time.Second)
			says(active())(w, r)
		}}
		v := introspection(t, introspecting(s))
		allow(t, v, opaque)
		time.Sleep(56 * time.Second)
		allow(t, v, opaque)
		if s.count() != 2 {
			t.Errorf("asked %d times, want 2", s.count())
		}
	})
}

// A flood of made-up tokens is 32 questions at a time, and drives out nobody
// who is known.
func TestQuestionsAreBounded(t *testing.T) {
	t.Parallel()
	bubble(t, "flood", func(t *testing.T) {
		s := &server{handler: says(active())}
		v := introspection(t, introspecting(s))
		allow(t, v, opaque)
		s.answer(hangs)
		var all sync.WaitGroup
		var mu sync.Mutex
		reasons := map[string]int{}
		for n := range 500 {
			all.Go(func() {
				_, err := v(background, fmt.Sprint("made-up-", n))
				mu.Lock()
				defer mu.Unlock()
				reasons[err.Error()]++
			})
		}
		synctest.Wait()
		allow(t, v, opaque)
		all.Wait()
		if s.count() != 1+32 || len(reasons) != 2 {
			t.Errorf("asked %d times: %v", s.count(), reasons)
		}
	})
	bubble(t, "the same token", func(t *testing.T) {
		s := &server{handler: func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			says(active())(w, r)
		}}
		v := introspection(t, introspecting(s))
		var all sync.WaitGroup
		for range 500 {
			all.Go(func() {
				if _, err := v(background, opaque); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if s.count() != 1 {
			t.Errorf("asked %d times, want 1", s.count())
		}
	})
	bubble(t, "one who gives up", func(t *testing.T) {
		s := &server{handler: func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			says(active())(w, r)
		}}
		v := introspection(t, introspecting(s))
		short, cancel := contextFor(t, time.Millisecond)
		defer cancel()
		if _, err := v(short, opaque); err == nil || errors.Is(err, mcpsec.ErrInvalidToken) {
			t.Errorf("got %v", err)
		}
		allow(t, v, opaque)
		if s.count() != 1 {
			t.Errorf("asked %d times, want 1", s.count())
		}
	})
	bubble(t, "a huge token", func(t *testing.T) {
		s := &server{handler: says(active())}
		v := introspection(t, introspecting(s))
		deny(t, v, strings.Repeat("a", 8<<10+1), "too long")
		deny(t, v, "", "empty")
		if s.count() != 0 {
			t.Error("asked")
		}
	})
}

func TestIntrospectionRefusesOptions(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*auth.IntrospectionOptions)
		want   string
	}{
		"no URL":         {func(o *auth.IntrospectionOptions) { o.URL = "" }, "URL is required"},
		"plain URL":      {func(o *auth.IntrospectionOptions) { o.URL = "http://login.example.com/i" }, "https"},
		"no issuer":      {func(o *auth.IntrospectionOptions) { o.Issuer = "" }, "Issuer is required"},
		"no audience":    {func(o *auth.IntrospectionOptions) { o.Audience = "" }, "Audience is required"},
		"no client":      {func(o *auth.IntrospectionOptions) { o.ClientID = "" }, "ClientID is required"},
		"no secret":      {func(o *auth.IntrospectionOptions) { o.ClientSecret = mcpsec.Secret{} }, "ClientSecret is empty"},
		"placeholder":    {func(o *auth.IntrospectionOptions) { o.ClientSecret = redact.NewSecret("changeme") }, "placeholder"},
		"kept for long":  {func(o *auth.IntrospectionOptions) { o.MaxAge = time.Hour + 1 }, "MaxAge"},
		"kept backwards": {func(o *auth.IntrospectionOptions) { o.MaxAge = -1 }, "MaxAge"},
	} {
		opts := introspecting(&server{})
		tc.change(&opts)
		if v, err := auth.Introspection(opts); v != nil || err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q in it", name, err, tc.want)
		}
	}
}
