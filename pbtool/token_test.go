package pbtool

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// A token is renewed before it ends, by one caller while the others wait, and a
// failure is not repeated by each of them.
func TestTokens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		renewals, fails := 0, false
		s := newSource(token{}, func(context.Context, token) (token, error) {
			time.Sleep(time.Second)
			if renewals++; fails {
				return token{}, errors.New("no")
			}
			return token{fmt.Sprint("token ", renewals), time.Now(), time.Now().Add(time.Hour)}, nil
		})
		all := func(want string) {
			t.Helper()
			var wait sync.WaitGroup
			for range 50 {
				wait.Go(func() {
					if got, err := s.get(t.Context()); got != want || (err == nil) != (want != "") {
						t.Errorf("got %q and error %v, want %q", got, err, want)
					}
				})
			}
			wait.Wait()
		}
		count := func(want int) {
			t.Helper()
			if renewals != want {
				t.Errorf("%d renewals, want %d", renewals, want)
			}
		}
		all("token 1")
		time.Sleep(54 * time.Minute)
		all("token 1")
		count(1)
		time.Sleep(2 * time.Minute) // 4 are left
		all("token 2")
		count(2)
		fails = true
		time.Sleep(56 * time.Minute)
		all("token 2") // which is good still
		count(3)
		time.Sleep(3 * time.Second)
		all("token 2")
		count(3)
		time.Sleep(5 * time.Minute)
		all("")
		count(4)
		fails = false
		time.Sleep(6 * time.Second)
		all("token 5")
		s.forget("another")
		all("token 5")
		s.forget("token 5")
		all("token 6")
		count(6)
	})
}

// A caller who leaves does not spoil it for those who wait.
func TestTokensOfCallersWhoLeave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSource(token{}, func(ctx context.Context, _ token) (token, error) {
			select {
			case <-ctx.Done():
				return token{}, ctx.Err()
			case <-time.After(time.Second):
				return token{"good", time.Now(), time.Now().Add(time.Hour)}, nil
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() {
			if got, err := s.get(ctx); err == nil {
				t.Errorf("got %q", got)
			}
		})
		synctest.Wait()
		wait.Go(func() {
			if got, err := s.get(t.Context()); got != "good" || err != nil {
				t.Errorf("got %q and error %v", got, err)
			}
		})
		synctest.Wait()
		cancel()
		wait.Wait()
	})
}

// A token that was given is refreshed if it can be, and ends otherwise.
func TestLoginByToken(t *testing.T) {
	t.Parallel()
	for _, refreshable := range []bool{true, false} {
		var asked atomic.Int32
		fresh := jwt(t, "users", time.Now().Add(time.Hour), true)
		old := jwt(t, "users", time.Now().Add(time.Second), refreshable)
		c := fake(t, Options{User: Login{Token: redact.NewSecret(old)}}, func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			if r.URL.Path != "/api/collections/users/auth-refresh" || r.Header.Get("Authorization") != old {
				t.Errorf("asked for %s with %s", r.URL.Path, r.Header.Get("Authorization"))
			}
			fmt.Fprintf(w, `{"token":%q,"record":{}}`, fresh)
		})
		c.user.cur.got = time.Now().Add(-time.Hour) // most of its life is over
		got, err := c.user.get(t.Context())
		if want := map[bool]string{true: fresh, false: old}[refreshable]; got != want || err != nil || (asked.Load() == 1) != refreshable {
			t.Errorf("refreshable %v: got error %v after %d requests", refreshable, err, asked.Load())
		}
	}
}

// A token of a superuser's is not taken for a user's, whoever gives it, nor the other
// way round.
func TestTokensOfOthers(t *testing.T) {
	t.Parallel()
	super, user := jwt(t, superusersID, time.Now().Add(time.Hour), true), jwt(t, "users", time.Now().Add(time.Hour), true)
	gives := ""
	login := Login{Identity: "x", Password: redact.NewSecret("y")}
	c := fake(t, Options{Superuser: login, User: login}, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"token":%q}`, gives) })
	gives = super
	if got, err := c.user.get(t.Context()); err == nil {
		t.Errorf("a superuser's is taken for a user's: %s", got)
	}
	gives = user
	if got, err := c.super.get(t.Context()); err == nil {
		t.Errorf("a user's is taken for a superuser's: %s", got)
	}
	for _, bad := range []string{"", "x", "a.b.c", "e30.e30.x", super + "\n", "e30." + strings.Repeat("A", maxToken) + ".x"} {
		if c, err := parseToken(bad); err == nil {
			t.Errorf("%.20q is taken: %+v", bad, c)
		}
	}
}
