package outbound

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/mcpsec/mcpsec-go/mcpsec/outbound"
)

// secret stands in each request where no error may show it.
const secret = "hunter2"

// A network is a TLS server, and a proxy before it that can be made to fail.
type network struct {
	t        *testing.T
	proxy    *toxiproxy.Proxy
	srv      *httptest.Server
	requests atomic.Int32
}

// protocols runs a test over HTTP/1.1 and HTTP/2.
func protocols(t *testing.T, f func(*testing.T, bool)) {
	t.Parallel()
	t.Run("HTTP 1", func(t *testing.T) { t.Parallel(); f(t, false) })
	t.Run("HTTP 2", func(t *testing.T) { t.Parallel(); f(t, true) })
}

func newNetwork(t *testing.T, http2 bool, h http.HandlerFunc) *network {
	t.Helper()
	n := &network{t: t}
	n.srv = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.requests.Add(1)
		h(w, r)
	}))
	n.srv.EnableHTTP2 = http2
	n.srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	n.srv.StartTLS()
	api := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	n.proxy = toxiproxy.NewProxy(api, t.Name(), "127.0.0.1:0", n.srv.Listener.Addr().String())
	if err := n.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // without an end to the toxics first: that waits for readers who are gone
		n.proxy.Stop()
		n.srv.CloseClientConnections()
		n.srv.Close()
	})
	return n
}

// toxic has the network fail in one way. The direction is upstream (to the
// server) or downstream.
func (n *network) toxic(kind, direction, attributes string) {
	n.t.Helper()
	_, err := n.proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(`{"type": %q, "stream": %q, "attributes": {%s}}`, kind, direction, attributes)))
	if err != nil {
		n.t.Fatal(err)
	}
}

// calm ends all failures of the network.
func (n *network) calm() { n.proxy.Toxics.ResetToxics(context.Background()) }

// client makes a client that reaches the server through the proxy.
func (n *network) client(o outbound.Options) *http.Client {
	n.t.Helper()
	o.Allow = []string{n.proxy.Listen}
	o.Networks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	o.RootCAs = x509.NewCertPool()
	o.RootCAs.AddCert(n.srv.Certificate())
	c, err := outbound.New(o)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(c.CloseIdleConnections)
	return c
}

// do sends a request and reads the answer.
func (n *network) do(c *http.Client, method, body string, headers ...string) (int, string, error) {
	n.t.Helper()
	req, err := http.NewRequestWithContext(n.t.Context(), method, "https://"+n.proxy.Listen+"/?key="+secret, strings.NewReader(body))
	if err != nil {
		n.t.Fatal(err)
	}
	if body == "" {
		req.Body, req.GetBody = nil, nil
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data), err
}

// warm has the client connect, so that what follows happens to a request and
// not to the handshake.
func (n *network) warm(c *http.Client) {
	n.t.Helper()
	if code, _, err := n.do(c, http.MethodGet, "", "Do: nothing"); err != nil || code != 200 {
		n.t.Fatalf("got %d and error %v", code, err)
	}
	n.requests.Store(0)
}

// fails checks that err has one of the reasons and shows no secret.
func fails(t *testing.T, err error, reasons ...outbound.Reason) *outbound.Error {
	t.Helper()
	var e *outbound.Error
	if !errors.As(err, &e) {
		t.Fatalf("got error %v, want one with reason %q", err, reasons)
	}
	ok := false
	for _, r := range reasons {
		ok = ok || e.Reason == r
	}
	if !ok || strings.Contains(err.Error(), secret) {
		t.Fatalf("got reason %q and error %v (of %v), want %q and no secret", e.Reason, err, e.Unwrap(), reasons)
	}
	return e
}
