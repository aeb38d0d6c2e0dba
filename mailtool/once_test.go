package mailtool

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// While a message is being sent its key is taken, for as long as its receipt would be
// kept: also when the process that sends it dies, an equal call sends nothing.
func TestUnderWayForADay(t *testing.T) {
	t.Parallel()
	const key = "mailtool once x"
	store := new(state.Memory)
	var c *Client
	asked := false
	c = testClient(t, func(o *Options) {
		o.State, o.Timeout = store, 20*time.Millisecond
		o.Suppressed = func(ctx context.Context, _ string) (bool, error) {
			asked = true
			claim, err := store.Claim(t.Context(), key, time.Second)
			if err != nil || claim.Status != state.Busy || claim.Left < 23*time.Hour {
				t.Errorf("got %+v, %v", claim, err)
			}
			if _, err := c.once(t.Context(), key, nil); !errors.Is(err, errUnderWay) {
				t.Errorf("got %v", err)
			}
			return true, nil
		}
	})
	b := mustBuild(t, c, testMessage())
	if _, err := c.once(t.Context(), key, b); err == nil || !strings.Contains(err.Error(), "must not be written to") || !asked {
		t.Errorf("got %v", err)
	}
	if claim, err := store.Claim(t.Context(), key, time.Second); err != nil || claim.Status != state.Taken { // nothing was sent: it is free
		t.Errorf("got %+v, %v", claim, err)
	}
}

// Whoever calls the same with the same has the same key, and nobody else.
func TestMailNames(t *testing.T) {
	t.Parallel()
	c := testClient(t)
	other := testClient(t, func(o *Options) { o.From = "other@example.com" })
	in := sendIn{To: []string{"bob@example.com"}, Subject: "a", Text: "b"}
	more := in
	more.Cc = []string{"ann@example.com"}
	name := func(c *Client, principal, tool string, in sendIn, key string) string {
		t.Helper()
		n, err := c.name(principal, tool, in, key)
		if err != nil {
			t.Error(err)
		}
		return n
	}
	first := name(c, "p", "mail_send", in, "")
	if again := name(c, "p", "mail_send", in, ""); again != first {
		t.Errorf("got %s and %s", again, first)
	}
	for _, n := range []string{name(other, "p", "mail_send", in, ""), name(c, "q", "mail_send", in, ""), name(c, "p", "mail_other", in, ""), name(c, "p", "mail_send", more, ""), name(c, "p", "mail_send", in, "2")} {
		if n == first {
			t.Error("another call has the same key")
		}
	}
	if _, err := c.name("p", "mail_send", in, "a b"); err == nil {
		t.Error("a key that is none")
	}
}
