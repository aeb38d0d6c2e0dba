package mcpsec_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

func (r *raw) subscription(method, uri string) string {
	r.t.Helper()
	return r.ask(`{"jsonrpc":"2.0","id":1,"method":"resources/` + method + `","params":{"uri":"` + uri + `"}}`)
}

func updated(uri string) string {
	return `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"` + uri + `"}}`
}

// watched serves pages that may and may not be watched, and a template.
func watched(f *fixture) {
	closed := func(context.Context, *mcpsec.Call) error { return &mcpsec.Error{Message: "closed", Rule: "hours"} }
	f.AddResource(page(nil), order(nil), page(func(s *mcpsec.ResourceSpec) { s.Name, s.URI = "other", "test://other" }),
		page(func(s *mcpsec.ResourceSpec) {
			s.Name, s.URI, s.Scopes = "admin", "test://admin", []string{"orders.admin"}
		}),
		page(func(s *mcpsec.ResourceSpec) {
			s.Name, s.URI, s.Guards = "closed", "test://closed", []mcpsec.Guard{closed}
		}))
}

func (f *fixture) update(t testing.TB, uris ...string) {
	t.Helper()
	for _, uri := range uris {
		if err := f.ResourceUpdated(uri); err != nil {
			t.Errorf("%s: %v", uri, err)
		}
	}
}

// On a stream of an older version, who may read a resource may subscribe to it
// and is told of changes until it unsubscribes.
func TestSubscribe(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	watched(f)
	r := f.dial(t)
	for _, tc := range []struct{ method, uri, want string }{
		{"subscribe", "test://page", `"result":{}`},
		{"subscribe", "test://page", `"result":{}`},
		{"subscribe", "test://orders/7/data", `"result":{}`},
		{"subscribe", "test://other", `"result":{}`},
		{"subscribe", "test://admin", `"code":-32602,"message":"unknown resource`},
		{"subscribe", "test://adnim", `"code":-32602,"message":"unknown resource`},
		{"subscribe", "test://orders/../data", `"code":-32602,"message":"unknown resource`},
		{"subscribe", "test://orders/123456789/data", `"code":-32602,"message":"invalid arguments: id`},
		{"subscribe", "test://closed", `"code":4030,"message":"not allowed: closed"`},
		{"unsubscribe", "test://never", `"result":{}`},
		{"unsubscribe", "test://page", `"result":{}`},
	} {
		if got := r.subscription(tc.method, tc.uri); !strings.Contains(got, tc.want) {
			t.Errorf("%s %s: got %s", tc.method, tc.uri, got)
		}
	}
	f.update(t, "test://page", "test://admin", "test://closed", "test://orders/8/data", "test://orders/7/data", "test://other")
	for _, want := range []string{updated("test://orders/7/data"), updated("test://other")} {
		if got := r.read(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if f.ResourceUpdated("test://adnim") == nil {
		t.Error("a resource that does not exist was updated")
	}
	rec := f.records(t)
	if rec[0]["method"] != "resources/subscribe" || rec[0]["resource"] != "page" || rec[0]["decision"] != "allowed" {
		t.Errorf("recorded %v", rec[0])
	}
	if all := f.audit.String(); !strings.Contains(all, `"rule":"hours"`) || strings.Contains(all, "adnim") {
		t.Errorf("recorded %s", all)
	}
}

// Subscriptions are bounded for one principal, and free when their session ends.
func TestSubscriptionsAreBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *mcpsec.Options) { o.Limits.CallsPerSecond = 1e6 })
	watched(f)
	conn := f.serve(t, t.Context())
	r := newRaw(t, conn)
	r.ask(`{"jsonrpc":"2.0","id":"init","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`)
	for i := range 200 { // each twice, which counts once
		i %= 100
		if got := r.subscription("subscribe", fmt.Sprintf("test://orders/%d/data", i)); !strings.Contains(got, `"result"`) {
			t.Fatalf("%d: got %s", i, got)
		}
	}
	if got := r.subscription("subscribe", "test://page"); !strings.Contains(got, `"code":4290,"message":"too many subscriptions`) {
		t.Errorf("one more: got %s", got)
	}
	if !strings.Contains(f.audit.String(), `"rule":"busy","reason":"too many subscriptions`) {
		t.Error("the refusal is not recorded")
	}
	other := f.dial(t)
	if got := other.subscription("subscribe", "test://page"); !strings.Contains(got, `"code":4290`) {
		t.Errorf("the same principal's other session: got %s", got)
	}
	r.subscription("unsubscribe", "test://orders/3/data")
	r.subscription("unsubscribe", "test://orders/3/data")
	if got := r.subscription("subscribe", "test://page"); !strings.Contains(got, `"result"`) {
		t.Errorf("after an end: got %s", got)
	}
	if got := other.subscription("subscribe", "test://page"); !strings.Contains(got, `"code":4290`) {
		t.Errorf("one end makes room for one: got %s", got)
	}
	conn.Close()
	<-f.served
	if got := other.subscription("subscribe", "test://page"); !strings.Contains(got, `"result"`) {
		t.Errorf("after the session's end: got %s", got)
	}
}

const listening = `"notifications":{"resourceSubscriptions":["test://page","test://admin","test://adnim","test://closed","test://orders/%2e%2e/data","test://page","test://other"]}`

// Of what subscriptions/listen names, only what the principal may read is
// acknowledged, and told of, on streams and over HTTP. (SUB-01)
func TestListenForResources(t *testing.T) {
	t.Parallel()
	const acknowledged = `"notifications":{"resourceSubscriptions":["test://page","test://other"]}`
	t.Run("stream", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		watched(f)
		r := newRaw(t, f.serve(t, t.Context()))
		if got := r.ask(modernBody("subscriptions/listen", listening)); !strings.Contains(got, "subscriptions/acknowledged") || !strings.Contains(got, acknowledged) {
			t.Errorf("got %s", got)
		}
		f.update(t, "test://admin", "test://closed", "test://page")
		if got := r.read(); !strings.Contains(got, `"uri":"test://page"`) || !strings.Contains(got, `"io.modelcontextprotocol/subscriptionId":1`) {
			t.Errorf("got %s", got)
		}
		many := `"notifications":{"resourceSubscriptions":[` + strings.Repeat(`"test://page",`, 100) + `"test://page"]}`
		if got := r.ask(strings.Replace(modernBody("subscriptions/listen", many), `"id":1`, `"id":2`, 1)); !strings.Contains(got, `"code":4290`) {
			t.Errorf("too many: got %s", got)
		}
		if got := r.ask(strings.Replace(modernBody("resources/subscribe", `"uri":"test://page"`), `"id":1`, `"id":3`, 1)); !strings.Contains(got, `"code":-32601`) {
			t.Errorf("the older method: got %s", got)
		}
	})
	t.Run("HTTP", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := servePipes(t, mcpsec.HTTPOptions{Verifier: verify, BehindProxy: true, Hosts: []string{"localhost"}}, nil)
			watched(s.fixture)
			c := s.conn(t)
			io.WriteString(c, modernHead("subscriptions/listen", "", modernBody("subscriptions/listen", listening)))
			var got []byte
			b := make([]byte, 4096)
			read := func() string {
				n, err := c.Read(b)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, b[:n]...)
				synctest.Wait()
				return string(got)
			}
			for !strings.Contains(read(), acknowledged) {
			}
			s.update(t, "test://admin", "test://closed", "test://page", "test://other")
			for !strings.Contains(read(), `"uri":"test://other"`) {
			}
			if all := string(got); !strings.Contains(all, `"uri":"test://page"`) || strings.Contains(all, "admin") || strings.Contains(all, "closed") {
				t.Errorf("got %s", all)
			}
			c.Close()
			s.stop()
			<-s.ended
		})
	})
}

// Over HTTP the older versions have no session that could subscribe.
func TestSubscribeNeedsASession(t *testing.T) {
	t.Parallel()
	f := newHTTP(t, mcpsec.HTTPOptions{}, nil)
	watched(f.fixture)
	for _, method := range []string{"subscribe", "unsubscribe"} {
		if _, got := f.do(t, `{"jsonrpc":"2.0","id":1,"method":"resources/`+method+`","params":{"uri":"test://page"}}`, nil); !strings.Contains(got, `"code":-32601`) {
			t.Errorf("%s: got %s", method, got)
		}
	}
}

// A capability is announced where it can be used.
func TestCapabilities(t *testing.T) {
	t.Parallel()
	const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`
	without := newFixture(t, nil, echo())
	with := newHTTP(t, mcpsec.HTTPOptions{}, nil)
	with.AddPrompt(review(func(s *mcpsec.PromptSpec) { s.Complete = completing("focus", nil, nil) }))
	watched(with.fixture)
	if got := newRaw(t, without.serve(t, t.Context())).ask(initialize); strings.Contains(got, "prompts") || strings.Contains(got, "resources") || strings.Contains(got, "completions") || strings.Contains(got, "logging") {
		t.Errorf("without: got %s", got)
	}
	if got := newRaw(t, with.serve(t, t.Context())).ask(initialize); !strings.Contains(got, `"completions":{}`) || !strings.Contains(got, `"prompts":{`) || !strings.Contains(got, `"subscribe":true`) {
		t.Errorf("stream: got %s", got)
	}
	if _, got := with.do(t, initialize, nil); !strings.Contains(got, `"completions":{}`) || !strings.Contains(got, `"prompts":{`) || !strings.Contains(got, `"resources":{`) || strings.Contains(got, `"subscribe"`) {
		t.Errorf("HTTP, older: got %s", got)
	}
	if _, got := with.do(t, modernBody("server/discover", ""), modernHeaders("server/discover", "")); !strings.Contains(got, `"completions":{}`) || !strings.Contains(got, `"subscribe":true`) {
		t.Errorf("HTTP: got %s", got)
	}
}

// A subscriber that reads nothing holds up neither the one who tells of changes
// nor memory: changes of one resource become one notification.
func TestUpdatesDoNotBlock(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	watched(f)
	r := f.dial(t)
	r.subscription("subscribe", "test://page")
	for range 10_000 {
		f.update(t, "test://page") // nobody reads
	}
	for got, n := "", 0; ; n++ {
		if n == 1 {
			r.send(`{"jsonrpc":"2.0","id":9,"method":"ping"}`)
		}
		if got = r.read(); strings.Contains(got, `"id":9`) {
			break
		}
		if n > 3 || got != updated("test://page") {
			t.Fatalf("%d: got %s", n, got)
		}
	}
}

// The SDK's clients of both eras subscribe by themselves.
func TestSubscribeWithClients(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"2025-11-25", "2026-07-28"} {
		f := newFixture(t, func(o *mcpsec.Options) { o.Limits.CallsPerSecond = 1e6 })
		watched(f)
		conn := f.serve(t, t.Context())
		told := make(chan string, 10)
		cs, err := mcp.NewClient(impl, &mcp.ClientOptions{ResourceUpdatedHandler: func(_ context.Context, r *mcp.ResourceUpdatedNotificationRequest) {
			select {
			case told <- r.Params.URI:
			default:
			}
		}}).Connect(t.Context(), &mcp.IOTransport{Reader: conn, Writer: conn}, &mcp.ClientSessionOptions{ProtocolVersion: version})
		if err != nil {
			t.Fatal(err)
		}
		if err := cs.Subscribe(t.Context(), &mcp.SubscribeParams{URI: "test://page"}); err != nil {
			t.Fatalf("%s: %v", version, err)
		}
		for uri := ""; uri == ""; { // the newer client does not wait for the acknowledgement
			f.update(t, "test://page")
			select {
			case uri = <-told:
				if uri != "test://page" {
					t.Errorf("%s: told of %s", version, uri)
				}
			default:
				if _, err := cs.ListResources(t.Context(), nil); err != nil { // a turn on the stream
					t.Fatal(err)
				}
			}
		}
		cs.Close()
	}
}

// A subscriber that reads nothing holds up no other, be it on a stream, where a
// write waits for ever, or over HTTP.
func TestUpdatesPassStuckSubscribers(t *testing.T) {
	t.Parallel()
	t.Run("stream", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		watched(f)
		stuck, reader := f.dial(t), f.dial(t)
		stuck.subscription("subscribe", "test://page")
		reader.subscription("subscribe", "test://page")
		reader.subscription("subscribe", "test://other")
		f.update(t, "test://page", "test://other")
		for _, want := range []string{updated("test://page"), updated("test://other")} {
			if got := reader.read(); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	})
	t.Run("HTTP", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := servePipes(t, mcpsec.HTTPOptions{Verifier: verify, BehindProxy: true, Hosts: []string{"localhost"}}, nil)
			watched(s.fixture)
			listen := func() (net.Conn, func(string)) {
				c := s.conn(t)
				io.WriteString(c, modernHead("subscriptions/listen", "", modernBody("subscriptions/listen", listening)))
				br := bufio.NewReader(c)
				until := func(want string) {
					for line := ""; !strings.Contains(line, want); {
						var err error
						if line, err = br.ReadString('\n'); err != nil {
							t.Fatal(err)
						}
					}
				}
				until("acknowledged")
				return c, until
			}
			var conns []net.Conn
			for range 4 { // the order in which subscribers are told is not fixed
				c, _ := listen()
				conns = append(conns, c)
			}
			c, until := listen()
			start := time.Now()
			s.update(t, "test://page", "test://other")
			until(`"uri":"test://page"`)
			until(`"uri":"test://other"`)
			if waited := time.Since(start); waited > 0 { // by the clock of the test
				t.Errorf("told after %s", waited)
			}
			for _, c := range append(conns, c) {
				c.Close()
			}
			s.stop()
			<-s.ended
		})
	})
}
