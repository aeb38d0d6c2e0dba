//go:build !race

package pbtool

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/mcpsec/mcpsec-go/pbtool"
)

// A network is a PocketBase behind a proxy that can be made to fail.
type network struct {
	*server
	proxy *toxiproxy.Proxy
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	n := &network{server: start(t)}
	api := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	n.proxy = toxiproxy.NewProxy(api, t.Name(), "127.0.0.1:0", strings.TrimPrefix(n.url, "http://"))
	if err := n.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.proxy.Stop)
	return n
}

func (n *network) toxic(kind, direction, attributes string) {
	n.t.Helper()
	_, err := n.proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(`{"type": %q, "stream": %q, "attributes": {%s}}`, kind, direction, attributes)))
	if err != nil {
		n.t.Fatal(err)
	}
}

func (n *network) calm() { n.proxy.Toxics.ResetToxics(context.Background()) }

// client goes through the proxy, and is warm: it has its tokens.
func (n *network) client(timeout time.Duration) *session {
	n.t.Helper()
	o := n.options()
	o.URL, o.Timeout = "http://"+n.proxy.Listen, timeout
	s := serve(n.t, open(n.t, o))
	s.ok("pb_list_records", `{"collection":"posts","limit":1}`, nil)
	n.requests()
	return s
}

const create = `{"collection":"posts","data":{"title":"one"}}`

// A network that is slow changes nothing; one that is too slow is given up, and what
// was being written is said to be unknown.
func TestFaultLatency(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	n.posts(5)
	c := n.client(2 * time.Second)
	n.toxic("latency", "downstream", `"latency": 30, "jitter": 20`)
	var l listed
	if c.ok("pb_list_records", `{"collection":"posts"}`, &l); len(l.Items) != 5 {
		t.Errorf("got %d", len(l.Items))
	}
	n.calm()
	n.toxic("latency", "downstream", `"latency": 8000`)
	c.deny("does not answer", "pb_list_records", `{"collection":"posts"}`)
	c.deny("may or may not", "pb_create_record", create)
}

// A connection that is reset is tried again for what reads, and once for what writes.
func TestFaultReset(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	n.posts(5)
	c := n.client(2 * time.Second)
	n.toxic("reset_peer", "downstream", `"timeout": 0`)
	c.deny("may or may not", "pb_create_record", create)
	c.deny("does not answer", "pb_list_records", `{"collection":"posts"}`)
	n.calm()
	if n := n.count("posts"); n > 6 {
		t.Errorf("%d records, one creation was asked for", n-5)
	}
}

// An answer that is cut is no answer, wherever it is cut.
func TestFaultTruncation(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	n.posts(50)
	for _, bytes := range []string{"10", "300", "2000", "9000"} {
		c := n.client(5 * time.Second)
		n.toxic("limit_data", "downstream", `"bytes": `+bytes)
		c.deny("does not answer", "pb_list_records", `{"collection":"posts"}`)
		c.deny("does not answer", "pb_export_records", `{"collection":"posts","format":"json"}`)
		n.calm()
	}
}

// A server that has stopped is found again when another is begun on its data and port,
// with the tokens that the first one has given.
func TestFaultRestart(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.posts(5)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	run := func(ln net.Listener) *http.Server {
		web := &http.Server{Handler: s.handler, ReadHeaderTimeout: time.Second}
		go func() { _ = web.Serve(ln) }()
		return web
	}
	web := run(ln)
	o := s.options()
	o.URL = "http://" + addr
	c := serve(t, open(t, o))
	c.ok("pb_list_records", `{"collection":"posts"}`, nil)
	if err := web.Close(); err != nil {
		t.Fatal(err)
	}
	first := s.app
	s.stop()
	c.deny("does not answer", "pb_list_records", `{"collection":"posts"}`)
	if ln, err = net.Listen("tcp", addr); err != nil {
		t.Fatalf("the port, which was free a moment ago, is taken by another program: %v", err)
	}
	s.boot(s.app.DataDir())
	web = run(ln)
	defer func() { _ = web.Close() }()
	if s.app == first || first.IsBootstrapped() {
		t.Error("the first PocketBase runs on")
	}
	s.requests()
	var l listed
	if c.ok("pb_list_records", `{"collection":"posts"}`, &l); len(l.Items) != 5 {
		t.Errorf("got %d", len(l.Items))
	}
	if got := s.requests(); len(got) != 1 {
		t.Errorf("a token that is good was not used: %q", got)
	}
	// The writing client finds it too.
	c.ok("pb_create_record", create, nil)
	if n := s.count("posts"); n != 6 {
		t.Errorf("%d records, want 6", n)
	}
}

// A scan that a fault ends part of the way through has no result that looks whole.
func TestFaultInScan(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.posts(2500)
	c := serve(t, open(t, s.options()))
	var once sync.Once
	pages := 0
	s.hook(func(r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/posts/records") {
			if pages++; pages == 2 {
				once.Do(func() { panic(http.ErrAbortHandler) })
			}
		}
	})
	var out struct{ Records int }
	if c.ok("pb_aggregate_records", `{"collection":"posts","aggregates":[{"fn":"sum","field":"total"}]}`, &out); out.Records != 2500 {
		t.Errorf("one lost answer, which is asked for again: got %+v", out)
	}
	pages = -1000
	s.hook(func(r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/posts/records") {
			if pages++; pages > -999 {
				panic(http.ErrAbortHandler)
			}
		}
	})
	c.deny("does not answer", "pb_aggregate_records", `{"collection":"posts","aggregates":[{"fn":"sum","field":"total"}]}`)
}

// Whoever is asked for tokens while the server is down gets none, and one that is
// wrong now is not tried with every call.
func TestFaultOpen(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	n.toxic("timeout", "upstream", `"timeout": 0`)
	o := n.options()
	o.URL, o.Timeout = "http://"+n.proxy.Listen, 200*time.Millisecond
	if c, err := pbtool.Open(t.Context(), o); err == nil || c != nil || strings.Contains(err.Error(), password) {
		t.Errorf("got %v", err)
	}
}
