//go:build !race

package pbtool

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pocketbase/pocketbase/core"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/pbtool"
)

// guests are the options of a client whose callers sign in.
func (s *server) guests() pbtool.Options {
	o := s.options()
	o.As, o.Superuser = nil, pbtool.Login{}
	return o
}

type signedIn struct {
	Session       string `json:"sign_in"`
	User, Expires string
	SecondFactor  bool `json:"second_factor"`
}

func (s *session) signIn(tool, args string) (out signedIn) {
	s.t.Helper()
	s.ok(tool, args, &out)
	return out
}

// sees fails unless the caller sees posts of these titles.
func (s *session) sees(want ...string) {
	s.t.Helper()
	var l listed
	s.ok("pb_list_records", `{"collection":"posts","sort":["title"]}`, &l)
	if got := titles(l); !slices.Equal(got, want) {
		s.t.Errorf("sees %v, want %v", got, want)
	}
}

// A watcher has seen every token that the server has issued.
func (s *server) tokens() func() []string {
	var mu sync.Mutex
	var tokens []string
	s.hook(func(r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if t := r.Header.Get("Authorization"); t != "" {
			tokens = append(tokens, t)
		}
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(tokens)
	}
}

// clean fails if one of the texts has left by an answer, a record or a log.
func (s *session) clean(secrets ...string) {
	s.t.Helper()
	for _, secret := range secrets {
		if secret == "" || strings.Contains(s.said.String(), secret) || strings.Contains(s.log.String(), secret) {
			s.t.Errorf("%.10s... has left, or is none", secret)
		}
	}
}

const annSignsIn = `{"identity":"` + annEmail + `","password":"` + password + `"}`

// Who has signed in acts as the account, and nobody else does; no token leaves.
func TestPbAuthPassword(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.onlyOwn()
	used := s.tokens()
	pb := open(t, s.guests())
	c, other := serveAs(t, pb, "caller"), serveAs(t, pb, "other")
	c.sees()
	got := c.signIn("pb_auth_password", annSignsIn)
	if got.User != "users/"+s.ann.Id || !strings.HasPrefix(got.Session, "pbs_") || got.SecondFactor || got.Expires == "" {
		t.Errorf("got %+v", got)
	}
	c.sees("ann's")
	other.sees()
	other.deny("no such sign-in", "pb_auth_session", `{"do":"logout","sign_in":"`+got.Session+`"}`)
	other.deny("no such sign-in", "pb_auth_session", `{"do":"refresh","sign_in":"`+got.Session+`"}`)
	c.deny("no such sign-in", "pb_auth_session", `{"do":"refresh","sign_in":"pbs_x"}`)
	again := c.signIn("pb_auth_session", `{"do":"refresh","sign_in":"`+got.Session+`"}`)
	if again.Session != got.Session {
		t.Errorf("got %+v", again)
	}
	c.sees("ann's")
	c.clean(append(used(), password)...)
	if len(used()) == 0 {
		t.Error("no token was used")
	}
	c.ok("pb_auth_session", `{"do":"logout","sign_in":"`+got.Session+`"}`, nil)
	c.sees()
	c.deny("no such sign-in", "pb_auth_session", `{"do":"refresh","sign_in":"`+got.Session+`"}`)
	for why, args := range map[string]string{
		"nobody signs in to that": `{"collection":"_superusers","identity":"` + rootEmail + `","password":"` + password + `"}`,
		"to these: users":         `{"collection":"pbc_3142635823","identity":"` + rootEmail + `","password":"` + password + `"}`,
		"PocketBase refuses it:":  `{"identity":"` + annEmail + `","password":"wrong` + password + `"}`,
		"invalid arguments":       `{"identity":"","password":"` + password + `"}`,
		"unknown":                 `{"identity":"x","passwords":"` + password + `"}`,
		"255":                     `{"identity":"x","password":"` + strings.Repeat(password, 20) + `"}`,
	} {
		c.deny(why, "pb_auth_password", args)
	}
	c.clean(password)
}

// Answers about an account that exists and one that does not are the same, attempts
// of both are counted in the same way, and what is over is not sent.
func TestPbAuthIsEven(t *testing.T) {
	t.Parallel()
	s := start(t)
	k := s.mail(t)
	pb := open(t, s.guests())
	said := map[string][]string{}
	for _, email := range []string{annEmail, "nobody@example.com"} {
		c := serveAs(t, pb, "try "+email)
		add := func(tool, args string) {
			a := c.call(tool, args)
			said[email] = append(said[email], fmt.Sprint(a.refused, a.text))
		}
		add("pb_auth_password", `{"identity":"`+email+`","password":"wrong password"}`)
		for _, what := range []string{"otp", "verification", "password_reset"} {
			add("pb_auth_request", `{"what":"`+what+`","email":"`+email+`"}`)
		}
		add("pb_auth_otp", `{"passcode":"00000000"}`)
		s.requests()
		add("pb_auth_request", `{"what":"otp","email":"`+strings.ToUpper(email)+`"}`)
		for range 3 {
			a := c.call("pb_auth_password", `{"identity":"`+email+`","password":"`+password+`"}`)
			said[email] = append(said[email], fmt.Sprint(a.refused, strings.Contains(a.text, "too many attempts: wait")))
			if !a.refused {
				t.Errorf("%s: a sixth attempt", email)
			}
		}
		if n := len(s.requests()); n != 1 {
			t.Errorf("%s: %d requests were sent", email, n)
		}
	}
	if !slices.Equal(said[annEmail], said["nobody@example.com"]) {
		t.Errorf("got %q", said)
	}
	c := serveAs(t, pb, "caller") // counted for the caller, too
	limited := 0
	for i := range 14 {
		if a := c.call("pb_auth_password", `{"identity":"x`+fmt.Sprint(i)+`@example.com","password":"x"}`); strings.Contains(a.text, "too many attempts") {
			limited++
		}
	}
	if limited < 3 {
		t.Errorf("%d of 14 were refused", limited)
	}
	for range 3 {
		k.wait("(.)")
	}
	select { // PocketBase may know the address in capitals
	case <-k.mails:
	default:
	}
	k.none("to nobody")
}

// The code comes by mail, and two factors are two.
func TestPbAuthOTP(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.onlyOwn()
	k := s.mail(t)
	used := s.tokens()
	pb := open(t, s.guests())
	c, other := serveAs(t, pb, "caller"), serveAs(t, pb, "other")
	c.deny("no code was asked for", "pb_auth_otp", `{"passcode":"12345678"}`)
	c.ok("pb_auth_request", `{"what":"otp","email":"`+annEmail+`"}`, nil)
	code := k.wait(codeIn)
	other.deny("no code was asked for", "pb_auth_otp", `{"passcode":"`+code+`"}`)
	c.deny("PocketBase refuses it", "pb_auth_otp", `{"passcode":"00000000"}`)
	if got := c.signIn("pb_auth_otp", `{"passcode":"`+code+`"}`); got.User != "users/"+s.ann.Id {
		t.Errorf("got %+v", got)
	}
	c.sees("ann's")
	c.deny("no code was asked for", "pb_auth_otp", `{"passcode":"`+code+`"}`)

	// Two factors.
	if got := other.signIn("pb_auth_password", `{"identity":"`+bobEmail+`","password":"`+password+`"}`); !got.SecondFactor || got.Session != "" {
		t.Errorf("got %+v", got)
	}
	other.sees()
	mfa, err := s.app.FindFirstRecordByFilter("_mfas", "id != ''")
	if err != nil {
		t.Fatal(err)
	}
	other.ok("pb_auth_request", `{"what":"otp","email":"`+bobEmail+`"}`, nil)
	second := k.wait(codeIn)
	if got := other.signIn("pb_auth_otp", `{"passcode":"`+second+`"}`); got.User != "users/"+s.bob.Id {
		t.Errorf("got %+v", got)
	}
	other.sees("bob's")
	for _, c := range []*session{c, other} {
		c.clean(append(used(), code, second, password, mfa.Id)...)
	}
}

// What mails bring confirms; tokens and passwords stay out of records and logs, and
// a session whose token was revoked does not become a guest's.
func TestPbAuthConfirm(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.onlyOwn()
	k := s.mail(t)
	c := serveAs(t, open(t, s.guests()), "caller")
	c.ok("pb_auth_request", `{"what":"verification","email":"`+annEmail+`"}`, nil)
	verify := k.wait(tokenIn)
	c.ok("pb_auth_confirm", `{"what":"verification","token":"`+verify+`"}`, nil)
	r, err := s.app.FindRecordById("users", s.ann.Id)
	if err != nil || !r.Verified() {
		t.Errorf("not verified: %v", err)
	}
	got := c.signIn("pb_auth_password", annSignsIn)
	email := func(s string) string {
		return `{"do":"email_change","sign_in":"` + got.Session + `","email":"` + s + `"}`
	}
	free := c.call("pb_auth_session", email("new@example.com"))
	change := k.wait(tokenIn)
	if taken := c.call("pb_auth_session", email(bobEmail)); taken != free || taken.refused {
		t.Errorf("got %+v of an address that is taken, and %+v of one that is free", taken, free)
	}
	c.deny("PocketBase refuses it", "pb_auth_confirm", `{"what":"email_change","token":"`+change+`","password":"wrong password"}`)
	c.ok("pb_auth_confirm", `{"what":"email_change","token":"`+change+`","password":"`+password+`"}`, nil)
	c.ok("pb_auth_request", `{"what":"password_reset","email":"new@example.com"}`, nil)
	reset := k.wait(tokenIn)
	const fresh = "another good password"
	c.deny("password is needed", "pb_auth_confirm", `{"what":"password_reset","token":"`+reset+`"}`)
	c.ok("pb_auth_confirm", `{"what":"password_reset","token":"`+reset+`","password":"`+fresh+`"}`, nil)
	c.deny("PocketBase refuses it", "pb_auth_confirm", `{"what":"password_reset","token":"`+reset+`","password":"`+fresh+`"}`)
	c.clean(verify, change, reset, fresh, password)
	c.deny("the sign-in has ended", "pb_list_records", `{"collection":"posts"}`)
	c.deny("the sign-in has ended", "pb_auth_session", `{"do":"refresh","sign_in":"`+got.Session+`"}`)
	c.ok("pb_auth_session", `{"do":"logout","sign_in":"`+got.Session+`"}`, nil)
	c.sees()
}

// The code is good with the verifier that is kept for its state, for the same caller,
// once.
func TestPbAuthOAuth2(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.onlyOwn()
	var mu sync.Mutex
	var verifiers []string
	idp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/token" {
			mu.Lock()
			verifiers = append(verifiers, r.FormValue("code_verifier"))
			mu.Unlock()
			_, _ = io.WriteString(w, `{"access_token":"x","token_type":"Bearer"}`)
			return
		}
		_, _ = io.WriteString(w, `{"sub":"1","email":"`+annEmail+`","email_verified":true}`)
	}))
	t.Cleanup(idp.Close)
	pkce := true
	s.users(func(u *core.Collection) {
		u.OAuth2.Enabled = true
		u.OAuth2.Providers = []core.OAuth2ProviderConfig{{Name: "oidc", ClientId: "id", ClientSecret: "canary" + "client", AuthURL: idp.URL + "/auth", TokenURL: idp.URL + "/token", UserInfoURL: idp.URL + "/user", PKCE: &pkce}}
	})
	o := s.guests()
	o.RedirectURL = "https://app.example.com/back?x=1"
	pb := open(t, o)
	c, other := serveAs(t, pb, "caller"), serveAs(t, pb, "other")
	var methods struct {
		Password []string `json:"password_identities"`
		OTP      bool     `json:"one_time_code"`
		OAuth2   []struct{ Provider, URL string }
	}
	c.ok("pb_auth_methods", `{}`, &methods)
	if len(methods.OAuth2) != 1 || !slices.Equal(methods.Password, []string{"email"}) || methods.OTP {
		t.Fatalf("got %+v", methods)
	}
	u, err := http.NewRequest(http.MethodGet, methods.OAuth2[0].URL, nil)
	if err != nil || u.URL.Query().Get("redirect_uri") != o.RedirectURL || u.URL.Query().Get("code_challenge") == "" {
		t.Fatalf("got %v, %v", methods, err)
	}
	args, err := json.Marshal(map[string]string{"provider": "oidc", "code": "canary" + "code", "state": u.URL.Query().Get("state")})
	if err != nil {
		t.Fatal(err)
	}
	other.deny("PocketBase refuses it", "pb_auth_oauth2", string(args))
	c.deny("PocketBase refuses it", "pb_auth_oauth2", `{"provider":"oidc","code":"x","state":"another"}`)
	if got := c.signIn("pb_auth_oauth2", string(args)); got.User != "users/"+s.ann.Id {
		t.Errorf("got %+v", got)
	}
	c.sees("ann's")
	c.deny("PocketBase refuses it", "pb_auth_oauth2", string(args))
	c.ok("pb_auth_methods", `{}`, &methods)
	if u, err = http.NewRequest(http.MethodGet, methods.OAuth2[0].URL, nil); err != nil {
		t.Fatal(err)
	}
	s.requests()
	c.deny("PocketBase refuses it", "pb_auth_oauth2", `{"provider":"google","code":"x","state":"`+u.URL.Query().Get("state")+`"}`)
	if n := len(s.requests()); n != 0 {
		t.Errorf("a state of another provider was sent")
	}
	if len(verifiers) != 1 {
		t.Fatalf("%d codes were sent", len(verifiers))
	}
	c.clean(verifiers[0], "canaryclient", "canarycode")
}

// PocketBase's own limit is said, and so is that nobody signs in where callers are
// users already.
func TestPbAuthMethods(t *testing.T) {
	t.Parallel()
	s := start(t)
	settings := s.app.Settings()
	settings.RateLimits.Enabled = true
	settings.RateLimits.Rules = []core.RateLimitRule{{Label: "users:auth", MaxRequests: 2, Duration: 100}, {Label: "users:authWithPassword", MaxRequests: 2, Duration: 100}}
	if err := s.app.Save(settings); err != nil {
		t.Fatal(err)
	}
	c := serveAs(t, open(t, s.guests()), "caller")
	limited := answer{}
	for range 4 {
		limited = c.call("pb_auth_password", `{"identity":"`+annEmail+`","password":"wrong password"}`)
	}
	if !limited.refused || !strings.Contains(limited.text, "PocketBase has had too many requests") {
		t.Errorf("got %+v", limited)
	}
	for name, change := range map[string]func(*pbtool.Options){
		"As": func(o *pbtool.Options) { o.As = s.options().As },
		"User": func(o *pbtool.Options) {
			o.User = pbtool.Login{Identity: bobEmail, Password: s.options().Superuser.Password}
		},
	} {
		settings.RateLimits.Enabled = false
		if err := s.app.Save(settings); err != nil {
			t.Fatal(err)
		}
		o := s.guests()
		o.Superuser = s.options().Superuser
		change(&o)
		c := serve(t, open(t, o))
		for _, tool := range []string{"pb_auth_password", "pb_auth_otp", "pb_auth_oauth2", "pb_auth_session"} {
			if a := c.call(tool, annSignsIn); !a.refused || !strings.Contains(a.text, "unknown tool") {
				t.Errorf("%s: %s: got %+v", name, tool, a)
			}
		}
		c.ok("pb_auth_methods", `{}`, nil)
	}
}

// What asks a person with the arguments shows no password.
func TestPbAuthIsNotShown(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := serveAs(t, open(t, s.guests()), "caller")
	c.guards = []mcpsec.Guard{func(_ context.Context, call *mcpsec.Call) error {
		if strings.HasPrefix(call.Tool, "pb_auth") {
			return mcpsec.Ask("")
		}
		return nil
	}}
	c.call("pb_auth_password", annSignsIn)
	c.call("pb_auth_otp", `{"passcode":"canarycode1"}`)
	c.call("pb_auth_confirm", `{"what":"verification","token":"canarytoken1"}`)
	c.clean(password, "canarycode1", "canarytoken1")
}
