package mcpsec_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// serveAt serves on a real listener and returns its address.
func serveAt(t *testing.T, addr string, o mcpsec.HTTPOptions, change func(*mcpsec.Options), tools ...*mcpsec.Tool) (string, *fixture) {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		missing(t, fmt.Sprintf("no listener at %s: %v", addr, err))
	}
	f := newFixture(t, change, tools...)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Serve(ctx, ln, o) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String(), f
}

// outsideAddress is one of this machine's that is not loopback.
func outsideAddress(t *testing.T) string {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() && ip.IP.To4() != nil {
			return net.JoinHostPort(ip.IP.String(), "0")
		}
	}
	t.Skip("this machine has no address but loopback") // which no gate can give it
	return ""
}

// An address that others reach is not served without tokens, encryption and a
// name. (HTTP-02, HTTP-03)
func TestServeRefusesOpenAddresses(t *testing.T) {
	t.Parallel()
	cert, _ := mcptest.Certificate(t, nil, "mcp.example.com")
	withCert := &tls.Config{Certificates: []tls.Certificate{cert}}
	const host = "mcp.example.com"
	for name, tc := range map[string]struct {
		addr string
		o    mcpsec.HTTPOptions
		want string
	}{
		"loopback":          {"127.0.0.1:0", mcpsec.HTTPOptions{}, ""},
		"loopback, TLS":     {"127.0.0.1:0", mcpsec.HTTPOptions{TLS: withCert}, ""},
		"all, nothing":      {"0.0.0.0:0", mcpsec.HTTPOptions{}, "set HTTPOptions.Verifier"},
		"all IPv6, nothing": {"[::]:0", mcpsec.HTTPOptions{}, "set HTTPOptions.Verifier"},
		"all, only TLS":     {"0.0.0.0:0", mcpsec.HTTPOptions{TLS: withCert, Hosts: []string{host}}, "set HTTPOptions.Verifier"},
		"all, only tokens":  {":0", mcpsec.HTTPOptions{Verifier: verify, Hosts: []string{host}}, "set HTTPOptions.TLS"},
		"all, no name":      {":0", mcpsec.HTTPOptions{Verifier: verify, TLS: withCert}, "set HTTPOptions.Hosts"},
		"empty TLS":         {"127.0.0.1:0", mcpsec.HTTPOptions{TLS: &tls.Config{}}, "no certificate"},
		"all, TLS":          {":0", mcpsec.HTTPOptions{Verifier: verify, TLS: withCert, Hosts: []string{host}}, ""},
		"all, proxy":        {":0", mcpsec.HTTPOptions{Verifier: verify, BehindProxy: true, Hosts: []string{host}}, ""},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // served for a moment at most
		err := newFixture(t, nil, echo()).ListenAndServe(ctx, tc.addr, tc.o)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
	if err := newFixture(t, nil).ListenAndServe(t.Context(), "127.0.0.1:-1", mcpsec.HTTPOptions{}); err == nil {
		t.Error("a wrong port is served")
	}
}

// Over an address of a real network a forged Host and a foreign Origin are
// refused, and a client with a token is served. (P26, P27)
func TestServeNetwork(t *testing.T) {
	t.Parallel()
	addr, _ := serveAt(t, outsideAddress(t), mcpsec.HTTPOptions{Verifier: verify, BehindProxy: true, Hosts: []string{"mcp.example.com"}}, nil, echo())
	for name, tc := range map[string]struct {
		change func(*http.Request)
		want   int
	}{
		"honest":    {func(r *http.Request) {}, 200},
		"forged":    {func(r *http.Request) { r.Host = "evil.example" }, 403},
		"localhost": {func(r *http.Request) { r.Host = "localhost" }, 403},
		"address":   {func(r *http.Request) { r.Host = addr }, 403},
		"page":      {func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, 403},
		"nobody":    {func(r *http.Request) { r.Header.Del("Authorization") }, 401},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/mcp", strings.NewReader(echoBody))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "mcp.example.com"
		r.Header = post("", "").Header
		tc.change(r)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if res.Body.Close(); res.StatusCode != tc.want {
			t.Errorf("%s: got %d", name, res.StatusCode)
		}
	}
}

// TLS connections speak HTTP/2 and 1.1, nothing before TLS 1.2, and no plain
// text.
func TestServeTLS(t *testing.T) {
	t.Parallel()
	cert, pool := mcptest.Certificate(t, nil, "mcp.example.com")
	addr, _ := serveAt(t, "127.0.0.1:0", mcpsec.HTTPOptions{
		Verifier: verify, TLS: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10}, Hosts: []string{"mcp.example.com"},
	}, nil, echo())
	dialer := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	}
	get := func(tr *http.Transport, scheme string) (*http.Response, error) {
		defer tr.CloseIdleConnections()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, scheme+"://mcp.example.com/mcp", strings.NewReader(echoBody))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = post("", "").Header
		res, err := tr.RoundTrip(r)
		if err == nil {
			defer res.Body.Close()
			if b, _ := io.ReadAll(res.Body); res.StatusCode == 200 && !strings.Contains(string(b), `"text":"x"`) {
				t.Errorf("got %s", b)
			}
		}
		return res, err
	}
	for proto, h2 := range map[string]bool{"HTTP/2.0": true, "HTTP/1.1": false} {
		res, err := get(&http.Transport{DialContext: dialer, TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: h2}, "https")
		if err != nil || res.StatusCode != 200 || res.Proto != proto {
			t.Errorf("%s: got %v, %v", proto, res, err)
		}
	}
	if res, err := get(&http.Transport{DialContext: dialer, TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}}, "https"); err == nil {
		t.Errorf("TLS 1.1: got %v", res)
	}
	if res, err := get(&http.Transport{DialContext: dialer}, "http"); err == nil && res.StatusCode == 200 {
		t.Errorf("plain text: got %v", res)
	}
}

// Many connections of one address leave room for others, and are not served.
func TestServeManyConnections(t *testing.T) {
	t.Parallel()
	addr, f := serveAt(t, "127.0.0.1:0", mcpsec.HTTPOptions{MaxConnections: 8}, nil, echo())
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	answered := func(local string) bool {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}}
		c, err := d.DialContext(t.Context(), "tcp", addr)
		if err != nil {
			return false
		}
		open = append(open, c)
		io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err == nil {
			res.Body.Close()
		}
		return err == nil && res.StatusCode == 200
	}
	served := 0
	for range 20 {
		if answered("127.0.0.1") {
			served++
		}
	}
	if served != 2 {
		t.Errorf("%d connections of one address are served, want 2", served)
	}
	if runtime.GOOS == "linux" && !answered("127.0.0.2") { // all of 127/8 is ours there
		t.Error("another address is not served")
	}
	if !strings.Contains(f.audit.String(), "too many connections") {
		t.Errorf("recorded %s", f.audit.String())
	}
	open[0].Close() // its place is free when the server has seen that
	for !answered("127.0.0.1") {
		if t.Context().Err() != nil {
			t.Fatal("a closed connection keeps its place")
		}
	}
}

// A proxy's connections all have its address: only their number is bounded.
func TestServeManyConnectionsOfAProxy(t *testing.T) {
	t.Parallel()
	addr, _ := serveAt(t, "127.0.0.1:0", mcpsec.HTTPOptions{Verifier: verify, BehindProxy: true, MaxConnections: 3}, nil, echo())
	served := 0
	for range 10 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			continue
		}
		defer c.Close()
		io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil {
			served++
		}
	}
	if served != 3 {
		t.Errorf("%d connections are served, want 3", served)
	}
}

// Headers have a bound, before anything else is done with them.
func TestServeHugeHeaders(t *testing.T) {
	t.Parallel()
	addr, _ := serveAt(t, "127.0.0.1:0", mcpsec.HTTPOptions{}, nil, echo())
	for name, lines := range map[string]string{
		"long": "X-A: " + strings.Repeat("hunter2", 10_000) + "\r\n",
		"many": strings.Repeat("X-A: hunter2\r\n", 10_000),
	} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		go io.WriteString(c, "POST /mcp HTTP/1.1\r\nHost: localhost\r\n"+lines+"\r\n")
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%s: got %v, %v", name, res, err)
			continue
		}
		if b, _ := io.ReadAll(res.Body); strings.Contains(string(b), "hunter2") {
			t.Errorf("%s: echoes %s", name, b)
		}
	}
}

// Who is refused can read why, even while a large body is on its way.
func TestServeRefusesReadably(t *testing.T) {
	t.Parallel()
	addr, _ := serveAt(t, "127.0.0.1:0", mcpsec.HTTPOptions{Verifier: verify}, nil, echo())
	for token, want := range map[string]int{"alice-token": 413, "guess": 401} {
		for range 5 {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/mcp", strings.NewReader(strings.Repeat(" ", 3_000_000)))
			if err != nil {
				t.Fatal(err)
			}
			r.Header = post("", "").Header
			r.Header.Set("Authorization", "Bearer "+token)
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Errorf("%s: %v", token, err)
				continue
			}
			if res.Body.Close(); res.StatusCode != want {
				t.Errorf("%s: got %d", token, res.StatusCode)
			}
		}
	}
}

// Requests that are not HTTP, or not in one way, are refused without echo.
func TestServeMalformedHTTP(t *testing.T) {
	t.Parallel()
	addr, _ := serveAt(t, "127.0.0.1:0", mcpsec.HTTPOptions{}, nil, echo())
	body := fmt.Sprintf("Content-Type: application/json\r\nAccept: */*\r\n\r\n%s", echoBody)
	for name, request := range map[string]string{
		"garbage":            "hunter2\r\n\r\n",
		"two lengths":        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n" + body,
		"length and chunks":  "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: hunter2\r\n" + body,
		"two hosts":          "POST /mcp HTTP/1.1\r\nHost: localhost\r\nHost: hunter2\r\n" + body,
		"no host":            "POST /mcp HTTP/1.1\r\n" + body,
		"host in the target": "POST http://hunter2/mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n" + body,
		"space in a header":  "POST /mcp HTTP/1.1\r\nHost: localhost\r\nhunter2 : 1\r\n" + body,
		"a NUL":              "POST /mcp HTTP/1.1\r\nHost: localhost\r\nX: hunter2\x00\r\n" + body,
		"CONNECT":            "CONNECT hunter2:443 HTTP/1.1\r\nHost: hunter2:443\r\n\r\n",
		"all options":        "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"TLS":                "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03hunter2\r\n\r\n",
		"HTTP/2 without TLS": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"HTTP/0.9":           "GET /healthz\r\n\r\n",
	} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, request)
		c.(*net.TCPConn).CloseWrite()
		b, err := io.ReadAll(c)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && len(b) == 0 {
			continue // a reset tells nothing
		}
		if got := string(b); strings.Contains(got, "hunter2") || strings.Contains(got, " 200 ") || strings.Contains(got, "structuredContent") {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

// A proxy that takes a body to end elsewhere than we do must not find the answer
// to what it has not sent: a body in chunks, beside which a Content-Length may
// have been, is the last thing that its connection brings.
func TestServeSmuggledRequests(t *testing.T) {
	t.Parallel()
	head, _, _ := strings.Cut(header("alice-token", 0), "Content-Length")
	for name, lengths := range map[string]string{
		"chunks":            "Transfer-Encoding: chunked\r\n",
		"chunks and length": "Content-Length: 300\r\nTransfer-Encoding: chunked\r\n",
		"length and chunks": "Transfer-Encoding: chunked\r\nContent-Length: 300\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, _ := serveAt(t, "127.0.0.1:0", mcpsec.HTTPOptions{Verifier: verify}, nil, echo())
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(pingBody), pingBody)
			io.WriteString(c, head+lengths+"\r\n"+chunk+"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
			all, _ := io.ReadAll(c)
			if n := strings.Count(string(all), "HTTP/1.1 "); n != 1 || !strings.Contains(string(all), "HTTP/1.1 200") {
				t.Errorf("got %d answers: %s", n, all)
			}
		})
	}
}

// Answers reach those who asked, however many ask with the same id at once.
func TestServeAnswersDoNotMix(t *testing.T) {
	t.Parallel()
	addr, _ := serveAt(t, "127.0.0.1:0", mcpsec.HTTPOptions{Verifier: verify}, func(o *mcpsec.Options) { o.Limits.CallsPerSecond = 1e4 },
		tool("echo", func(ctx context.Context, in echoIn) (echoOut, error) {
			return echoOut{in.Text + " " + mcpsec.PrincipalFrom(ctx).ID}, nil
		}))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			who := []string{"alice", "bob"}[i%2]
			for j := range 30 {
				r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/mcp", strings.NewReader(strings.Replace(echoBody, `"x"`, fmt.Sprintf(`"%d-%d"`, i, j), 1)))
				r.Header = post("", "").Header
				r.Header.Set("Authorization", "Bearer "+who+"-token")
				res, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				b, _ := io.ReadAll(res.Body)
				res.Body.Close()
				if want := fmt.Sprintf(`"structuredContent":{"text":"%d-%d %s"}`, i, j, who); !strings.Contains(string(b), want) {
					t.Errorf("got %s, want %s", b, want)
				}
			}
		})
	}
	wg.Wait()
}

// A socket is its user's only, takes the place of a dead one and of nothing
// else, and goes with its server. (SBP-04)
func TestServeUnixSocket(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("modes mean nothing on Windows")
	}
	dir, err := os.MkdirTemp("", "s") // shorter than t.TempDir, as socket names must be
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "mcp.sock")
	dead, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	dead.Close()

	f := newFixture(t, nil, echo())
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.ListenAndServe(ctx, "unix:"+path, mcpsec.HTTPOptions{}) }()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		for {
			if c, err := (&net.Dialer{}).DialContext(ctx, "unix", path); err == nil || ctx.Err() != nil {
				return c, err
			}
		}
	}}}
	res, err := client.Post("http://localhost/mcp", "application/json", strings.NewReader(echoBody))
	if err != nil || res.StatusCode != http.StatusNotAcceptable { // Post sets no Accept: it was reached
		t.Errorf("got %v, %v", res, err)
	}
	client.CloseIdleConnections()
	if info, err := os.Stat(path); err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
	if err := newFixture(t, nil).ListenAndServe(t.Context(), "unix:"+path, mcpsec.HTTPOptions{}); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second server: %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := newFixture(t, nil).ListenAndServe(t.Context(), "unix:"+path, mcpsec.HTTPOptions{}); err == nil {
		t.Error("a file is replaced")
	}
	if b, _ := os.ReadFile(path); string(b) != "precious" {
		t.Errorf("the file holds %q", b)
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
