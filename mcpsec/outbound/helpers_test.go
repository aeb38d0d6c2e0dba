package outbound

import (
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// secret stands in every URL's query and in every header and body that must not
// show up in an error.
const secret = "hunter2"

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// serve starts a TLS server that counts its requests.
func serve(t testing.TB, h http.HandlerFunc) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	return serveWith(t, h, func(*httptest.Server) {})
}

func serveWith(t testing.TB, h http.HandlerFunc, change func(*httptest.Server)) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	var n atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		h(w, r)
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	change(srv)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv, &n
}

func http2(s *httptest.Server) { s.EnableHTTP2 = true }

// client makes a client for a server on this machine.
func client(t testing.TB, srv *httptest.Server, o Options) *http.Client {
	t.Helper()
	if o.Allow == nil {
		o.Allow = []string{srv.Listener.Addr().String()}
	}
	if o.Networks == nil {
		o.Networks = loopback
	}
	if o.RootCAs == nil {
		o.RootCAs = roots(srv)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func roots(srv *httptest.Server) *x509.CertPool {
	pool := x509.NewCertPool()
	if srv.Certificate() != nil {
		pool.AddCert(srv.Certificate())
	}
	return pool
}

// pauses has a client not wait, and notes for how long it would have.
func pauses(c *http.Client) *[]time.Duration {
	var out []time.Duration
	t := c.Transport.(*transport)
	t.jitter = func(d time.Duration) time.Duration { return d }
	t.timer = func() backoff.Timer { return &instant{out: &out, c: make(chan time.Time, 1)} }
	return &out
}

// lockstep guards the notes of pauses when there are several requests at once.
var lockstep sync.Mutex

type instant struct {
	out *[]time.Duration
	c   chan time.Time
}

func (i *instant) Start(d time.Duration) {
	lockstep.Lock()
	defer lockstep.Unlock()
	*i.out = append(*i.out, d)
	i.c <- time.Time{}
}
func (i *instant) Stop()               {}
func (i *instant) C() <-chan time.Time { return i.c }

// ask sends a request with secrets wherever a request can have some.
func ask(t testing.TB, c *http.Client, method, base string, body io.Reader, headers ...string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, base+"/hook/"+secret+"?key="+secret, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	return c.Do(req)
}

// get asks for a page and returns its status and body.
func get(t testing.TB, c *http.Client, base string, headers ...string) (int, string, error) {
	t.Helper()
	resp, err := ask(t, c, http.MethodGet, base, nil, headers...)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data), err
}

// fails checks that err is an Error for this reason that shows nothing, and
// returns it.
func fails(t testing.TB, err error, want Reason) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got error %v, want one with reason %q", err, want)
	}
	if e.Reason != want {
		t.Fatalf("got reason %q (%v, of %v), want %q", e.Reason, err, e.err, want)
	}
	if strings.Contains(err.Error(), secret) || strings.Contains(e.Error(), secret) {
		t.Fatalf("the error shows the secret: %v", err)
	}
	var u *url.Error
	if errors.As(err, &u) && (u.Timeout() != (want == TimedOut) || strings.Contains(u.URL, secret)) {
		t.Fatalf("got url.Error with Timeout %v and URL %s", u.Timeout(), u.URL)
	}
	return e
}

// count checks how many requests a server has seen.
func count(t testing.TB, n *atomic.Int32, want int32) {
	t.Helper()
	if got := n.Load(); got != want {
		t.Errorf("the server got %d requests, want %d", got, want)
	}
}

// hangUp ends the connection of a request without an answer.
func hangUp(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.(interface{ NetConn() net.Conn }).NetConn().(*net.TCPConn).SetLinger(0) // a reset
		_ = conn.(interface{ NetConn() net.Conn }).NetConn().Close()
	}
}

// missing skips a test of what this machine has not, but not in the gate: there
// it is promised.
func missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" && runtime.GOOS == "linux" {
		t.Fatal(why)
	}
	t.Skip(why)
}
