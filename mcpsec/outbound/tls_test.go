package outbound

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
)

// otherRoots makes a certificate for 127.0.0.1 of an authority of its own.
func otherRoots(t *testing.T, change ...func(*x509.Certificate)) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	return mcptest.Certificate(t, func(c *x509.Certificate) {
		c.Subject.CommonName = secret
		for _, f := range change {
			f(c)
		}
	})
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	for why, change := range map[string]func(*x509.Certificate){
		"":                         func(*x509.Certificate) {},
		"it is for another host":   func(c *x509.Certificate) { c.IPAddresses = nil; c.DNSNames = []string{secret + ".example"} },
		"it has expired":           func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) },
		"authority is not trusted": nil,
		"is not valid yet":         func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) },
	} {
		var changes []func(*x509.Certificate)
		if change != nil {
			changes = append(changes, change)
		}
		cert, pool := otherRoots(t, changes...)
		if change == nil {
			_, pool = otherRoots(t)
		}
		srv, n := serveWith(t, func(http.ResponseWriter, *http.Request) {}, func(s *httptest.Server) {
			s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
		})
		_, _, err := get(t, client(t, srv, Options{RootCAs: pool}), srv.URL)
		if why == "" {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		if e := fails(t, err, Failed); !strings.Contains(e.Error(), why) || e.Attempts != 1 {
			t.Errorf("got error %v after %d attempts, want %q in it", err, e.Attempts, why)
		}
		count(t, n, 0)
	}
}

func TestTLSVersion(t *testing.T) {
	t.Parallel()
	for version, ok := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		srv, n := serveWith(t, func(http.ResponseWriter, *http.Request) {}, func(s *httptest.Server) {
			s.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: version}
		})
		_, _, err := get(t, client(t, srv, Options{}), srv.URL)
		if ok != (err == nil) {
			t.Errorf("%s: got error %v", tls.VersionName(version), err)
		}
		if !ok {
			if e := fails(t, err, Failed); e.Attempts != 1 {
				t.Errorf("got %d attempts", e.Attempts)
			}
			count(t, n, 0)
		}
	}
}

// listen takes connections and hands them to f, which is done when they are.
func listen(t testing.TB, f func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); f(conn) }()
		}
	}()
	return l.Addr().String()
}

func TestPhasesHaveDeadlines(t *testing.T) {
	t.Parallel()
	const short = 50 * time.Millisecond
	srv, _ := serve(t, func(http.ResponseWriter, *http.Request) {})
	silent := listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	c := client(t, srv, Options{Allow: []string{silent}, TLSTimeout: short})
	waits := pauses(c)
	_, _, err := get(t, c, "https://"+silent)
	if e := fails(t, err, TimedOut); !strings.Contains(e.Error(), "TLS handshake") || len(*waits) != 2 {
		t.Errorf("got error %v and pauses %v, want two more attempts", err, *waits)
	}
	both(t, func(t *testing.T, proto func(*httptest.Server)) {
		srv, n := serveWith(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, proto)
		c := client(t, srv, Options{HeaderTimeout: short})
		pauses(c)
		_, _, err := get(t, c, srv.URL)
		if e := fails(t, err, TimedOut); !strings.Contains(e.Error(), "header") {
			t.Errorf("got error %v", err)
		}
		count(t, n, 1) // the server may be at it still

		_, _, err = get(t, client(t, srv, Options{Timeout: short}), srv.URL)
		if e := fails(t, err, TimedOut); !strings.Contains(e.Error(), "within 50ms") {
			t.Errorf("got error %v", err)
		}
	})
}

func TestNoTLS(t *testing.T) {
	t.Parallel()
	srv, _ := serve(t, func(http.ResponseWriter, *http.Request) {})
	for _, text := range []string{"HTTP/1.1 200 OK\r\n\r\n" + secret, secret + secret} {
		plain := listen(t, func(c net.Conn) { _, _ = io.WriteString(c, text); _, _ = io.Copy(io.Discard, c) })
		_, _, err := get(t, client(t, srv, Options{Allow: []string{plain}}), "https://"+plain)
		if e := fails(t, err, Failed); !strings.Contains(e.Error(), "does not speak TLS") || e.Attempts != 1 {
			t.Errorf("got error %v after %d attempts", err, e.Attempts)
		}
	}
}

func TestConnectionRefused(t *testing.T) {
	t.Parallel()
	srv, _ := serve(t, func(http.ResponseWriter, *http.Request) {})
	base := srv.URL
	c := client(t, srv, Options{})
	waits := pauses(c)
	srv.Close()
	_, _, err := get(t, c, base)
	if e := fails(t, err, Failed); e.Attempts != 3 || !strings.HasPrefix(e.text, "dial: ") || len(*waits) != 2 {
		t.Errorf("got error %v after %d attempts", err, e.Attempts)
	}
}
