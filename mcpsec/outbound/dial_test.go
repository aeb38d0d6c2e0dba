package outbound

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/waive"
)

// nameserver answers each question for an IPv4 address with one of answers, and
// others with nothing. It speaks DNS (RFC 1035) over UDP.
func nameserver(t *testing.T, answer func() []netip.Addr) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		for buf := make([]byte, 1500); ; {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(dnsReply(buf[:n], answer), from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func dnsReply(q []byte, answer func() []netip.Addr) []byte {
	end := 12
	for q[end] != 0 {
		end += int(q[end]) + 1
	}
	end += 5 // the root label, type and class
	out := append([]byte{}, q[:end]...)
	copy(out[2:], []byte{0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0})
	const typeA = 1
	if binary.BigEndian.Uint16(q[end-4:]) != typeA {
		return out
	}
	for _, a := range answer() {
		out[7]++
		out = append(out, 0xc0, 12, 0, typeA, 0, 1, 0, 0, 0, 0, 0, 4)
		out = append(out, a.AsSlice()...)
	}
	return out
}

// named makes a client whose names are resolved by answer.
func named(t *testing.T, srv *httptest.Server, nets []netip.Prefix, answer func() []netip.Addr) (*http.Client, string) {
	t.Helper()
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	o, err := Options{Allow: []string{"api.example.com:" + port}, Networks: nets, RootCAs: roots(srv)}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	rt, err := newTransport(o, nameserver(t, answer))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rt.CloseIdleConnections)
	return &http.Client{Transport: rt}, "https://api.example.com:" + port
}

// A name that leads to an allowed address first and to another then gains
// nothing, nor does one that leads to both.
func TestRebinding(t *testing.T) {
	t.Parallel()
	srv, n := serveWith(t, func(http.ResponseWriter, *http.Request) {}, func(s *httptest.Server) {
		l, err := net.Listen("tcp", "0.0.0.0:0") // so that all of 127/8 leads here
		if err != nil {
			t.Fatal(err)
		}
		_ = s.Listener.Close()
		s.Listener = l
	})
	var now atomic.Value
	now.Store("127.0.0.2")
	c, base := named(t, srv, prefixes("127.0.0.2/32"), func() []netip.Addr { return addresses(strings.Fields(now.Load().(string))...) })
	pauses(c)
	if conn, err := net.Dial("tcp", "127.0.0.2:"+base[strings.LastIndex(base, ":")+1:]); err != nil {
		missing(t, "this system has no 127.0.0.2")
	} else {
		_ = conn.Close()
	}
	if _, _, err := get(t, c, base); err != nil {
		t.Fatal(err)
	}
	count(t, n, 1)
	c.CloseIdleConnections()
	for _, to := range []string{"127.0.0.1", "127.0.0.3 127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0", "192.168.1.1 100.100.100.200"} {
		now.Store(to)
		_, _, err := get(t, c, base)
		if e := fails(t, err, Refused); e.Attempts != 1 || !strings.Contains(e.Error(), "not public") {
			t.Errorf("%s: got error %v after %d attempts", to, err, e.Attempts)
		}
	}
	count(t, n, 1)
	now.Store("127.0.0.1 127.0.0.2") // only the second is dialled
	if _, _, err := get(t, c, base); err != nil {
		t.Error(err)
	}
	count(t, n, 2)
	now.Store("")
	c.CloseIdleConnections()
	_, _, err := get(t, c, base)
	if e := fails(t, err, Failed); e.Attempts != 1 || !strings.Contains(e.Error(), "not resolved") {
		t.Errorf("got error %v after %d attempts", err, e.Attempts)
	}
}

// The time to connect includes that to resolve the name.
func TestConnectTimeout(t *testing.T) {
	t.Parallel()
	o, err := Options{Allow: []string{"api.example.com"}, ConnectTimeout: 50 * time.Millisecond}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	rt, err := newTransport(o, &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: rt}
	waits := pauses(c)
	_, _, err = get(t, c, "https://api.example.com")
	if e := fails(t, err, TimedOut); e.Attempts != 3 || len(*waits) != 2 || !strings.Contains(e.Error(), "connecting") {
		t.Errorf("got error %v after %d attempts, want three that took too long to connect", err, e.Attempts)
	}
}

// Without Networks, nothing on this machine is reached.
func TestLoopbackIsRefused(t *testing.T) {
	t.Parallel()
	srv, n := serve(t, func(http.ResponseWriter, *http.Request) {})
	c := client(t, srv, Options{Networks: []netip.Prefix{}})
	_, _, err := get(t, c, srv.URL)
	fails(t, err, Refused)
	count(t, n, 0)
}

func plaintextWaiver() []Waiver { return []Waiver{{Kind: waive.PlaintextHTTP, Reason: "a test"}} }

func TestPlaintext(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(srv.Close)
	_, _, err := get(t, client(t, srv, Options{}), srv.URL)
	fails(t, err, Refused)
	var log bytes.Buffer
	c := client(t, srv, Options{Waive: plaintextWaiver(), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if code, _, err := get(t, c, srv.URL); err != nil || code != 200 {
		t.Errorf("got %d and error %v", code, err)
	}
	if got := log.String(); !strings.Contains(got, "plaintext-http") || !strings.Contains(got, "a test") {
		t.Errorf("got log %q, want the waiver and its reason", got)
	}
	// Other rules hold, and errors are as clean.
	_, _, err = get(t, c, "http://127.0.0.1:1")
	if fails(t, err, Refused); !strings.Contains(err.Error(), `"http://127.0.0.1:1"`) {
		t.Errorf("got error %v", err)
	}
}

// A proxy is used if given, and its address must be allowed too. The
// environment has no say.
func TestProxy(t *testing.T) {
	srv, n := serve(t, func(http.ResponseWriter, *http.Request) {})
	var asked atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Method != http.MethodConnect || r.Host != srv.Listener.Addr().String() {
			http.Error(w, secret, http.StatusForbidden)
			return
		}
		up, err := net.Dial("tcp", r.Host)
		if err != nil {
			return
		}
		down, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = down.Write([]byte("HTTP/1.1 200 OK\r\n\r\n"))
		go func() { _, _ = up.(*net.TCPConn).ReadFrom(down); _ = up.Close() }()
		_, _ = down.(*net.TCPConn).ReadFrom(up)
		_ = down.Close()
	}))
	t.Cleanup(proxy.Close)
	t.Setenv("HTTPS_PROXY", proxy.URL)
	t.Setenv("ALL_PROXY", proxy.URL)
	if _, _, err := get(t, client(t, srv, Options{}), srv.URL); err != nil {
		t.Error(err)
	}
	count(t, &asked, 0)

	at, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := get(t, client(t, srv, Options{Proxy: at}), srv.URL); err != nil {
		t.Error(err)
	}
	count(t, &asked, 1)
	count(t, n, 2)

	_, _, err = get(t, client(t, srv, Options{Proxy: at, Networks: prefixes("10.0.0.0/8")}), srv.URL)
	fails(t, err, Refused)
	c := client(t, srv, Options{Proxy: at})
	_, _, err = get(t, c, "https://elsewhere.example")
	fails(t, err, Refused)
	count(t, &asked, 1)
	_, _, err = get(t, client(t, srv, Options{Proxy: at, Allow: []string{"elsewhere.example"}}), "https://elsewhere.example")
	fails(t, err, Failed)
	count(t, &asked, 2)
}
