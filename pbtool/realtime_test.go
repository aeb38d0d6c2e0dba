package pbtool

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// Events are read as they are written, lines are bounded, and what is cut off is no
// event.
func TestNextEvent(t *testing.T) {
	t.Parallel()
	in := bufio.NewReaderSize(strings.NewReader("id:1\nevent:PB_CONNECT\ndata:{\"clientId\":\"abc\"}\n\n: comment\n\nid:2\r\nevent: posts/*\r\ndata: {}\r\n\r\n"+
		"event:long\ndata:"+strings.Repeat("x", 3*maxEventLine)+"\n\nevent:cut"), maxEventLine)
	for _, want := range []struct{ name, data string }{{"PB_CONNECT", `{"clientId":"abc"}`}, {"posts/*", "{}"}, {"long", strings.Repeat("x", maxEventLine-5)}} {
		name, data, err := nextEvent(in)
		if err != nil || name != want.name || string(data) != want.data {
			t.Errorf("got %s, %.20s of %d bytes, %v; want %s, %.20s", name, data, len(data), err, want.name, want.data)
		}
	}
	if name, _, err := nextEvent(in); !errors.Is(err, io.EOF) {
		t.Errorf("got %s, %v", name, err)
	}
}

func FuzzNextEvent(f *testing.F) {
	f.Add("event:a\ndata:b\n\n")
	f.Add("\n\n:\n\r\nevent\n\ndata:\n\n")
	f.Fuzz(func(t *testing.T, s string) {
		in := bufio.NewReaderSize(strings.NewReader(s), 16)
		for range len(s) + 1 {
			name, data, err := nextEvent(in)
			if err != nil {
				return
			}
			if strings.ContainsAny(name+string(data), "\n") || len(name) > 16 || len(data) > 16 || name == "" && data == nil {
				t.Errorf("%q: got %q, %q", s, name, data)
			}
		}
		t.Errorf("%q has no end", s)
	})
}

// Many changes at once are one notification, and the last of them is told of.
func TestCalmly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		f := calmly(func() { n.Add(1) })
		for range 1000 {
			f()
		}
		time.Sleep(2 * calm)
		synctest.Wait()
		if f(); n.Load() != 1 {
			t.Errorf("told %d times", n.Load())
		}
		time.Sleep(2 * calm)
		synctest.Wait()
		if n.Load() != 2 {
			t.Errorf("told %d times", n.Load())
		}
	})
}

// A fakeFeed is PocketBase's realtime API as far as connections go.
type fakeFeed struct {
	*httptest.Server
	open  atomic.Int32 // connections
	least atomic.Int32 // that there were since the first subscription
	made  atomic.Int32 // subscriptions
}

func newFakeFeed(t *testing.T) *fakeFeed {
	f := &fakeFeed{}
	f.least.Store(1)
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			f.made.Add(1)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		f.open.Add(1)
		defer func() {
			if n := f.open.Add(-1); n < f.least.Load() {
				f.least.Store(n)
			}
		}()
		_, _ = io.WriteString(w, "event:PB_CONNECT\ndata:{\"clientId\":\"abc\"}\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(f.Close)
	return f
}

func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// A connection has a successor before it ends, and its subscriber is told nothing; if
// the caller has no rights any more by then, the old one ends too.
func TestWatchIsRenewed(t *testing.T) {
	t.Parallel()
	f := newFakeFeed(t)
	var refuse atomic.Bool
	c, err := newClient(Options{URL: f.URL, As: func(context.Context, mcpsec.Principal) (User, error) {
		if refuse.Load() {
			return User{}, errors.New("no longer")
		}
		return User{}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	c.feedTime = 20 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var told atomic.Int32
	over := make(chan struct{})
	go func() {
		defer close(over)
		c.watch(ctx, collectionsPrefix+"posts", func() { told.Add(1) })
	}()
	until(t, "no successors", func() bool { return f.made.Load() > 5 })
	if told.Load() > 1 || f.least.Load() < 1 {
		t.Errorf("told %d times; at least %d connections", told.Load(), f.least.Load())
	}
	refuse.Store(true)
	until(t, "a connection goes on without rights", func() bool { return f.open.Load() == 0 })
	cancel()
	<-over
	if len(c.feeds) != 0 || c.feedCount != 0 {
		t.Errorf("counted are %v, %d", c.feeds, c.feedCount)
	}
}
