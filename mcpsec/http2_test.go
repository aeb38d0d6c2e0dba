package mcpsec_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// serveTLSPipes is servePipes with TLS, for use in a synctest bubble.
func serveTLSPipes(t *testing.T, change func(*mcpsec.Options), tools ...*mcpsec.Tool) (*served, *x509.CertPool) {
	t.Helper()
	cert, pool := mcptest.Certificate(t, nil, "mcp.example.com")
	return servePipes(t, mcpsec.HTTPOptions{
		Hosts: []string{"mcp.example.com"}, TLS: &tls.Config{Certificates: []tls.Certificate{cert}},
	}, change, tools...), pool
}

// http2Client speaks HTTP/2 on one connection.
func (s *served) http2Client(t *testing.T, pool *x509.CertPool) *http.Transport {
	t.Helper()
	return &http.Transport{DialContext: s.Dial, TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
}

func post2(t *testing.T, tr *http.Transport, body string, change func(*http.Request)) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://mcp.example.com/mcp", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = post("", "").Header
	if change != nil {
		change(r)
	}
	res, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	if res.Proto != "HTTP/2.0" {
		t.Errorf("got %s", res.Proto)
	}
	return res
}

// A stream may be silent for longer than the client may dawdle over a piece of
// it: in HTTP/2 a deadline ends a stream that nobody writes to.
func TestHTTP2StreamsMayBeSilent(t *testing.T) {
	t.Parallel()
	t.Run("a call that tells of its progress", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, pool := serveTLSPipes(t, nil, tool("echo", func(ctx context.Context, in echoIn) (echoOut, error) {
				mcpsec.Progress(ctx, 1, 2, "half way")
				time.Sleep(25 * time.Second)
				return echoOut(in), nil
			}))
			tr := s.http2Client(t, pool)
			res := post2(t, tr, strings.Replace(echoBody, `"params":{`, `"params":{"_meta":{"progressToken":"p"},`, 1), nil)
			if b, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(b), `"structuredContent":{"text":"x"}`) {
				t.Errorf("got %q, %v", b, err)
			}
			tr.CloseIdleConnections()
			s.stop()
			<-s.ended
		})
	})
	t.Run("a subscription", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, pool := serveTLSPipes(t, nil, echo())
			tr := s.http2Client(t, pool)
			res := post2(t, tr, modernBody("subscriptions/listen", listenParams), modernHeaders("subscriptions/listen", ""))
			events := bufio.NewScanner(res.Body)
			next := func() string {
				for events.Scan() {
					if strings.HasPrefix(events.Text(), "data:") {
						return events.Text()
					}
				}
				return "the end"
			}
			if got := next(); !strings.Contains(got, "acknowledged") {
				t.Errorf("got %q", got)
			}
			time.Sleep(time.Minute)
			s.Add(scoped("later"))
			if got := next(); !strings.Contains(got, "tools/list_changed") {
				t.Errorf("a minute later: got %q", got)
			}
			res.Body.Close()
			tr.CloseIdleConnections()
			s.stop()
			<-s.ended
		})
	})
}

// A frames is a client of HTTP/2 by hand.
type frames struct{ net.Conn }

func (s *served) frames(t *testing.T, pool *x509.CertPool) *frames {
	t.Helper()
	c := tls.Client(s.conn(t), &tls.Config{RootCAs: pool, ServerName: "mcp.example.com", NextProtos: []string{"h2"}})
	if err := c.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	f := &frames{c}
	io.WriteString(f, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	f.send(frameSettings, 0, 0, nil)
	return f
}

// Types and flags of frames (RFC 9113, section 6).
const (
	frameData, frameHeaders, frameReset, frameSettings, framePing = 0, 1, 3, 4, 6
	endStream, endHeaders                                         = 1, 4
)

func (f *frames) send(kind, flags byte, stream uint32, payload []byte) error {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	b = binary.BigEndian.AppendUint32(append(b, flags), stream)
	_, err := f.Write(append(b, payload...))
	return err
}

// fields encodes a header without Huffman's codes and without the table.
func fields(pairs ...string) []byte {
	var b []byte
	for i, s := range pairs {
		if i%2 == 0 {
			b = append(b, 0)
		}
		b = append(append(b, byte(len(s))), s...)
	}
	return b
}

func (f *frames) post(stream uint32, flags byte, body string) {
	f.send(frameHeaders, flags|endHeaders, stream, fields(":method", "POST", ":scheme", "https", ":authority", "mcp.example.com", ":path", "/mcp",
		"content-type", "application/json", "accept", "application/json, text/event-stream", "authorization", "Bearer alice-token"))
	if body != "" {
		f.send(frameData, endStream, stream, []byte(body))
	}
}

// A client of HTTP/2 that is slow, deaf or silent loses its connection, or its
// streams, and the places that they hold.
func TestHTTP2SlowClients(t *testing.T) {
	t.Parallel()
	for name, attack := range map[string]func(f *frames){
		"nothing more":     func(*frames) {},
		"no body":          func(f *frames) { f.post(1, 0, "") },
		"reads nothing":    func(f *frames) { f.post(1, 0, bigBody) },
		"half a header":    func(f *frames) { f.send(frameHeaders, 0, 1, fields(":method", "POST")) },
		"half a frame":     func(f *frames) { f.Write([]byte{0, 1, 0, frameHeaders, 0, 0, 0, 0, 1, 0}) },
		"pings, unread":    func(f *frames) { f.send(framePing, 0, 0, make([]byte, 8)) },
		"settings, unread": func(f *frames) { f.send(frameSettings, 0, 0, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, pool := serveTLSPipes(t, func(o *mcpsec.Options) { o.Limits.MaxConcurrent, o.Limits.MaxConcurrentPerPrincipal = 1, 1 }, bigTool(), echo())
				f := s.frames(t, pool)
				attack(f)
				start := time.Now()
				for time.Since(start) < 4*time.Minute {
					time.Sleep(time.Second)
					if f.SetWriteDeadline(time.Now().Add(time.Second)); f.send(framePing, 1, 0, make([]byte, 8)) != nil {
						break
					}
				}
				if took := time.Since(start); took > 3*time.Minute {
					t.Errorf("the connection is open after %s", took)
				}
				f.Conn.Close()
				s.stop()
				<-s.ended
			})
		})
	}
}
