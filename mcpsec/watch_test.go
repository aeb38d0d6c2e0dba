package mcpsec_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A watch is a Watch that runs.
type watch struct {
	ctx     context.Context
	who     string
	uri     string
	updated func()
	over    chan struct{}
}

// watchable serves a page and a family of pages that are watched.
func watchable(f *fixture) chan *watch {
	began := make(chan *watch, 100)
	run := func(ctx context.Context, uri string, updated func()) {
		w := &watch{ctx, mcpsec.PrincipalFrom(ctx).ID, uri, updated, make(chan struct{})}
		defer close(w.over)
		began <- w
		<-ctx.Done()
	}
	closed := func(context.Context, *mcpsec.Call) error { return &mcpsec.Error{Message: "closed", Rule: "hours"} }
	f.AddResource(
		page(func(s *mcpsec.ResourceSpec) { s.Watch = run }),
		page(func(s *mcpsec.ResourceSpec) { s.Name, s.URI, s.Watch = "other", "test://other", run }),
		page(func(s *mcpsec.ResourceSpec) {
			s.Name, s.URI, s.Watch, s.Guards = "closed", "test://closed", run, []mcpsec.Guard{closed}
		}),
		page(func(s *mcpsec.ResourceSpec) {
			s.Name, s.URI, s.Watch = "broken", "test://broken", func(context.Context, string, func()) { panic("broken") }
		}))
	return began
}

// A Watch runs from when a client has subscribed until it has unsubscribed or gone,
// once for each subscription, and tells its own subscriber only.
func TestWatch(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *mcpsec.Options) { o.Principal.ID = "alice" })
	began := watchable(f)
	conn := f.serve(t, t.Context())
	r := newRaw(t, conn)
	r.ask(`{"jsonrpc":"2.0","id":"init","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`)
	other := f.dial(t)
	r.subscription("subscribe", "test://closed") // by whom it is refused does not begin
	for range 2 {
		r.subscription("subscribe", "test://page")
	}
	w := <-began
	if w.uri != "test://page" || w.who != "alice" {
		t.Errorf("got %+v", w)
	}
	other.subscription("subscribe", "test://page")
	theirs := <-began
	w.updated()
	if got := r.read(); got != updated("test://page") {
		t.Errorf("got %s", got)
	}
	other.send(`{"jsonrpc":"2.0","id":9,"method":"ping"}`)
	if got := other.read(); !strings.Contains(got, `"id":9`) {
		t.Errorf("another subscriber was told: %s", got)
	}
	r.subscription("unsubscribe", "test://page")
	<-w.over
	w.updated() // too late
	r.send(`{"jsonrpc":"2.0","id":9,"method":"ping"}`)
	if got := r.read(); !strings.Contains(got, `"id":9`) {
		t.Errorf("told after the end: %s", got)
	}
	r.subscription("subscribe", "test://other")
	last := <-began
	conn.Close()
	<-last.over
	select {
	case <-theirs.over:
		t.Error("another session's Watch has ended")
	case w := <-began:
		t.Errorf("one more began: %+v", w)
	default:
	}
	if got := other.subscription("subscribe", "test://broken"); !strings.Contains(got, `"result"`) {
		t.Errorf("got %s", got)
	}
	other.subscription("subscribe", "test://other")
	<-began
}

// Over HTTP a Watch lasts as long as the stream, of the older versions and of those
// that listen.
func TestWatchOverHTTP(t *testing.T) {
	t.Parallel()
	f := newHTTP(t, withSessions, nil)
	began := watchable(f.fixture)
	session := f.session(t, "alice-token")
	f.do(t, `{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"test://page"}}`, in(session, "alice-token", http.MethodPost))
	_, stream := f.open(t, "", in(session, "alice-token", http.MethodGet))
	w := <-began
	w.updated()
	if got := event(t, stream); !strings.Contains(got, updated("test://page")) || w.who != "alice" {
		t.Errorf("got %s, of %s", got, w.who)
	}
	f.do(t, "", in(session, "alice-token", http.MethodDelete))
	<-w.over

	listen := newRaw(t, f.serve(t, t.Context()))
	if got := listen.ask(modernBody("subscriptions/listen", `"notifications":{"resourceSubscriptions":["test://page","test://closed","test://other"]}`)); !strings.Contains(got, "acknowledged") {
		t.Errorf("got %s", got)
	}
	for range 2 {
		w = <-began
		w.updated()
		if got := listen.read(); !strings.Contains(got, `"uri":"`+w.uri+`"`) || !strings.Contains(got, `"io.modelcontextprotocol/subscriptionId":1`) {
			t.Errorf("got %s", got)
		}
	}
	listen.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
	<-w.over
}

// The newer client of the SDK is told, too.
func TestWatchWithClients(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"2025-11-25", "2026-07-28"} {
		f := newFixture(t, nil)
		began := watchable(f)
		conn := f.serve(t, t.Context())
		told := make(chan string, 1)
		cs, err := mcp.NewClient(impl, &mcp.ClientOptions{ResourceUpdatedHandler: func(_ context.Context, r *mcp.ResourceUpdatedNotificationRequest) {
			told <- fmt.Sprint(r.Params.URI)
		}}).Connect(t.Context(), &mcp.IOTransport{Reader: conn, Writer: conn}, &mcp.ClientSessionOptions{ProtocolVersion: version})
		if err != nil {
			t.Fatal(err)
		}
		if err := cs.Subscribe(t.Context(), &mcp.SubscribeParams{URI: "test://page"}); err != nil {
			t.Fatalf("%s: %v", version, err)
		}
		w := <-began
		w.updated()
		if got := <-told; got != "test://page" {
			t.Errorf("%s: told of %s", version, got)
		}
		cs.Close()
		<-w.over
	}
}
