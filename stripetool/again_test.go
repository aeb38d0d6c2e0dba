package stripetool

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// set plans and carries out a change that sets a state, of which same says whether it
// is there.
func (c *Client) set(t *testing.T, key string, same func() bool) (plan, error) {
	t.Helper()
	n, err := c.names("ann", "t", key, "")
	if err != nil {
		t.Fatal(err)
	}
	build := func(context.Context) (plan, error) {
		return plan{Text: "set", Path: []string{"customers", "cus_1"}, Form: [][2]string{{"name", "A"}}, Same: same()}, nil
	}
	p, err := c.planned(t.Context(), n, true, build)
	if err != nil {
		return p, err
	}
	_, err = c.had(t.Context(), change{sets: true}, p, fields("id"), time.Minute, func() (plan, error) { return build(t.Context()) })
	return p, err
}

// Who finds a state changed has keys that no effect had before: on all replicas the
// same, on another day others, since Stripe may remember for longer than we do.
func TestKeysOfStates(t *testing.T) {
	t.Parallel()
	f := newTeller(t)
	c := f.client(t, nil)
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	c.now = func() time.Time { return now }
	other := f.client(t, func(o *Options) { o.State = c.o.State })
	other.now = c.now
	never := func() bool { return false }
	n, err := c.names("ann", "t", "a", "")
	if err != nil {
		t.Fatal(err)
	}
	build := func(context.Context) (plan, error) { return plan{}, nil }
	seen := map[string]bool{}
	for i := range 4 {
		ours, err := c.planned(t.Context(), n, true, build)
		theirs, err2 := other.planned(t.Context(), n, true, build)
		if err != nil || err2 != nil || ours.Key != theirs.Key || ours.names != theirs.names || seen[ours.Key] || ours.Key == "" {
			t.Errorf("effect %d: got the keys %s and %s, errors %v and %v", i, ours.Key, theirs.Key, err, err2)
		}
		seen[ours.Key] = true
		if _, err := c.set(t, "a", never); err != nil {
			t.Error(err)
		}
		if got := f.asked()[i].Header.Get("Idempotency-Key"); got != ours.Key {
			t.Errorf("effect %d: got the key %s, want %s", i, got, ours.Key)
		}
	}
	before, _ := c.planned(t.Context(), n, true, build)
	now = now.Add(24 * time.Hour)
	if after, _ := c.planned(t.Context(), n, true, build); after.Key == before.Key || after.names != before.names {
		t.Errorf("on another day: got %s, was %s", after.Key, before.Key)
	}
	if p, _ := c.planned(t.Context(), n.next(), false, build); p.Key != "" {
		t.Error("what sets no state has a key of its day")
	}
}

// A state that is there is not set again; one that keeps changing is bounded.
func TestTurnsAreBounded(t *testing.T) {
	t.Parallel()
	f := newTeller(t)
	c := f.client(t, nil)
	there := false
	for range 3 {
		if _, err := c.set(t, "a", func() bool { return there }); err != nil {
			t.Fatal(err)
		}
		there = true
	}
	if got := posts(f); got != 1 {
		t.Errorf("got %d requests that write, want 1", got)
	}
	there = false
	for i := 1; i < maxTurns; i++ {
		if _, err := c.set(t, "a", func() bool { return there }); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.set(t, "a", func() bool { return there }); rule(err) != "once" || posts(f) != maxTurns {
		t.Errorf("got error %v after %d requests that write", err, posts(f))
	}
}

func posts(f *teller) (n int) {
	for _, r := range f.asked() {
		if r.Method != "GET" {
			n++
		}
	}
	return n
}

// A call that finds the state set while the one which has set it is not through waits
// for it, and is not refused.
func TestStateOfCallUnderWay(t *testing.T) {
	t.Parallel()
	f := newTeller(t)
	c := f.client(t, nil)
	n, err := c.names("ann", "t", "a", "")
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.planned(t.Context(), n, true, func(ctx context.Context) (plan, error) {
		claim, err := c.o.State.Claim(ctx, n.once, time.Minute) // the other is at it
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(20*time.Millisecond, func() { _ = c.o.State.Complete(ctx, claim, []byte(`{}`), time.Minute) })
		return plan{Same: true, Path: []string{"payment_intents", "pi_1", "confirm"}}, refuse("it was confirmed already", "state")
	})
	if err != nil || !p.Done || p.names != n || strings.Join(p.Path, "/") != "payment_intents/pi_1/confirm" {
		t.Errorf("got %+v and error %v", p, err)
	}
}

// A plan says what it moves, and no text that people read otherwise than programs do.
func TestPlansAreChecked(t *testing.T) {
	t.Parallel()
	moves, texts := plan{Moves: Money{0, "EUR"}}, func(name, v string) plan { return plan{Form: [][2]string{{name, v}}} }
	for _, p := range []plan{{}, texts("name", "Zoë 👩\u200d🍳 خانه\u200cها"), texts("evidence[product_description]", "a\nb\tc"), {Done: true, Moves: Money{1, "EUR"}}} {
		if err := p.check(change{}); err != nil {
			t.Errorf("%v: %v", p.Form, err)
		}
	}
	if moves.check(change{}) == nil || moves.check(change{moves: true}) != nil || (plan{}).check(change{moves: true}) == nil {
		t.Error("a plan moves what its change does not, or not what it does")
	}
	for _, s := range []string{"a\nb", "a\rb", "a\tb", "a\x00b", "a\x1b[2Jb", "a\u202eb", "a\u200bb", "a\u2028b", "a\xffb", "a\U000E0041b", "a\u00adb\u00ad"} {
		if texts("name", s).check(change{}) == nil {
			t.Errorf("%q is sent", s)
		}
	}
	if texts("evidence[product_description]", strings.Repeat("<", 11_000)).check(change{}) == nil {
		t.Error("a plan is sent that cannot be kept")
	}
	if texts("evidence[product_description]", "a\u202eb").check(change{}) == nil {
		t.Error("evidence has what nobody sees")
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "a b", "a[b", "a]b", "a][b", "a&b", "a=b", "é", "client_secret", strings.Repeat("k", 41)} {
		var s settings
		if s.metadata(nil, map[string]string{name: "x"}) == nil {
			t.Errorf("%q is a name", name)
		}
	}
	var s settings
	same, other, none := "a", "b", ""
	s.change("x", "a", nil)
	if s.change("x", "a", &same); s.differs || len(s.form) != 1 {
		t.Errorf("got %+v", s)
	}
	if s.change("y", "a", &other); !s.differs || s.String() != `x "a" as it is, y "b" in place of "a"` {
		t.Errorf("got %s", s.String())
	}
	if s.change("z", "a", &none); s.form[2] != [2]string{"z", ""} {
		t.Errorf("got %v", s.form)
	}
	if got := quoted(strings.Repeat("é", 81)); got != fmt.Sprintf("%q… of 81 characters", strings.Repeat("é", 80)) {
		t.Errorf("got %s", got)
	}
}
