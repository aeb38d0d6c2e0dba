package mcpsec

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// A session that nobody uses ends, one with an open stream does not, and there is
// a bound to all of them.
func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	var ks keptSessions
	now := time.Now()
	idle, used, open := ks.make("alice", now), ks.make("alice", now), ks.make("bob", now)
	_, open.end = context.WithCancel(t.Context())
	if ks.find(used.id, "alice", now.Add(sessionTime)) == nil {
		t.Error("ended early")
	}
	late := now.Add(sessionTime + time.Second)
	for name, tc := range map[string]struct {
		k     *keptSession
		alive bool
	}{"idle": {idle, false}, "used": {used, true}, "open": {open, true}} {
		if got := ks.find(tc.k.id, tc.k.principal, late); (got != nil) != tc.alive {
			t.Errorf("%s: got %v", name, got)
		}
	}
	later := late.Add(sessionTime + time.Second)
	ks.make("carol", later)
	if ks.m[open.id] == nil || len(ks.m) != 2 {
		t.Errorf("kept %d", len(ks.m))
	}
	late = later
	for i := len(ks.m); i < maxSessions; i++ {
		ks.m[fmt.Sprint(i)] = &keptSession{id: fmt.Sprint(i), principal: fmt.Sprint(i), used: late}
	}
	if ks.make("dave", late) != nil || len(ks.m) != maxSessions {
		t.Errorf("kept %d", len(ks.m))
	}
}

// A principal has only so many questions open, and an answer goes to one of them
// once.
func TestOpenQuestionsAreBounded(t *testing.T) {
	t.Parallel()
	var q questions
	var got []*jsonrpc.Response
	deliver := func(r *jsonrpc.Response) { got = append(got, r) }
	var ends []func()
	for range maxQuestionsOf {
		_, end, err := q.ask("alice", deliver)
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, end)
	}
	if _, _, err := q.ask("alice", deliver); err == nil {
		t.Error("one more is asked")
	}
	id, _, err := q.ask("bob", deliver)
	name, _ := id.Raw().(string)
	if err != nil || q.take(name, "alice") != nil {
		t.Errorf("another's: %v", err)
	}
	if d := q.take(name, "bob"); d == nil || q.take(name, "bob") != nil {
		t.Error("not taken once")
	}
	for _, end := range ends {
		end()
		end()
	}
	if len(q.open) != 0 || q.of.n["alice"] != 0 {
		t.Errorf("left: %d, %d", len(q.open), q.of.n["alice"])
	}
}

// A session watches only so much, and each once.
func TestSessionsWatchLittle(t *testing.T) {
	t.Parallel()
	k := &keptSession{}
	for i := range maxWatched {
		for range 2 {
			if !k.watch(fmt.Sprint("test://", i)) {
				t.Fatalf("%d is refused", i)
			}
		}
	}
	if k.watch("test://more") {
		t.Error("one more is watched")
	}
	if k.unwatch("test://1"); !k.watch("test://more") {
		t.Error("unwatching makes no room")
	}
}
