package auth

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// Whatever tokens come, the number of answers that are kept is bounded, and
// refused tokens drive out no good ones.
func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		c := newCache(time.Hour, func(_ context.Context, token string) (mcpsec.Principal, time.Time, error) {
			asked++
			if strings.HasPrefix(token, "bad") {
				return mcpsec.Principal{}, time.Time{}, invalid("bad")
			}
			return mcpsec.Principal{ID: token}, time.Time{}, nil
		})
		verify := func(token string) { _, _ = c.verify(t.Context(), token) }
		verify("good")
		for n := range maxRefusals + 500 {
			verify(fmt.Sprint("bad", n))
		}
		if len(c.refusals) != maxRefusals || len(c.grants) != 1 || len(c.asking) != 0 {
			t.Errorf("got %d refusals, %d grants, %d questions", len(c.refusals), len(c.grants), len(c.asking))
		}
		before := asked
		if verify("good"); asked != before {
			t.Error("a good token was driven out")
		}
		for n := range maxGrants + 500 {
			verify(fmt.Sprint("good", n))
		}
		if len(c.grants) != maxGrants {
			t.Errorf("got %d grants, want %d", len(c.grants), maxGrants)
		}
	})
}

// Room is made by answers that count no more, if there are any.
func TestOldAnswersGoFirst(t *testing.T) {
	t.Parallel()
	now, kept := time.Now(), map[digest]*answer{}
	for n := range 100 {
		keep(kept, digest{1, byte(n)}, &answer{until: now}, 200)
		keep(kept, digest{2, byte(n)}, &answer{until: now.Add(time.Hour)}, 200)
	}
	for n := range 50 {
		keep(kept, digest{3, byte(n)}, &answer{until: now.Add(time.Hour)}, 200)
	}
	lost := 100
	for sum := range kept {
		if sum[0] == 2 {
			lost--
		}
	}
	if lost > 15 || len(kept) != 200 { // 25 at random; 2 if old ones are looked for
		t.Errorf("%d good answers were dropped of %d", lost, len(kept))
	}
}

// A token is in one place at most.
func TestAnswersMove(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var next error
		c := newCache(time.Minute, func(context.Context, string) (mcpsec.Principal, time.Time, error) {
			return mcpsec.Principal{ID: "x"}, time.Time{}, next
		})
		for n, want := range []struct {
			err             error
			grants, refusal int
		}{{nil, 1, 0}, {invalid("x"), 0, 1}, {nil, 1, 0}, {&unavailable{noAnswer, errTimeout}, 0, 0}} {
			next = want.err
			_, _ = c.verify(t.Context(), "token")
			if len(c.grants) != want.grants || len(c.refusals) != want.refusal {
				t.Errorf("%d: got %d grants, %d refusals", n, len(c.grants), len(c.refusals))
			}
			time.Sleep(time.Minute)
		}
	})
}
