package outbound

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// both runs a test over HTTP/1.1 and HTTP/2.
func both(t *testing.T, f func(*testing.T, func(*httptest.Server))) {
	t.Run("HTTP 1", func(t *testing.T) { t.Parallel(); f(t, func(*httptest.Server) {}) })
	t.Run("HTTP 2", func(t *testing.T) { t.Parallel(); f(t, http2) })
}

func zipped(n int) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_, _ = w.Write(make([]byte, n))
	_ = w.Close()
	return buf.Bytes()
}

func TestBodyIsBounded(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, proto func(*httptest.Server)) {
		srv, _ := serveWith(t, func(w http.ResponseWriter, r *http.Request) {
			var n int
			_, _ = fmt.Sscan(r.Header.Get("Bytes"), &n)
			switch r.Header.Get("Send") {
			case "known length":
				w.Header().Set("Content-Length", fmt.Sprint(n))
			case "zipped":
				w.Header().Set("Content-Encoding", "gzip")
				_, _ = w.Write(zipped(n))
				return
			default:
				w.(http.Flusher).Flush()
			}
			_, _ = w.Write(make([]byte, n))
		}, proto)
		c := client(t, srv, Options{MaxBody: 100_000})
		for _, send := range []string{"known length", "unknown length", "zipped"} {
			for n, ok := range map[int]bool{0: true, 1: true, 99_999: true, 100_000: true, 100_001: false, 10_000_000: false} {
				_, text, err := get(t, c, srv.URL, "Send: "+send, fmt.Sprintf("Bytes: %d", n))
				if ok && (err != nil || len(text) != n) {
					t.Errorf("%s, %d bytes: got %d and error %v", send, n, len(text), err)
				}
				if !ok {
					fails(t, err, TooLarge)
					if len(text) > 100_000 {
						t.Errorf("%s: got %d bytes", send, len(text))
					}
				}
			}
		}
	})
}

// The error stays, however often it is asked for.
func TestBodyErrorStays(t *testing.T) {
	t.Parallel()
	srv, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		_, _ = w.Write(make([]byte, 100))
	})
	resp, err := ask(t, client(t, srv, Options{MaxBody: 10}), http.MethodGet, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	fails(t, err, TooLarge)
	if len(data) != 10 {
		t.Errorf("got %d bytes, want 10", len(data))
	}
	for range 3 {
		n, err := resp.Body.Read(make([]byte, 10))
		fails(t, err, TooLarge)
		if n != 0 {
			t.Errorf("got %d bytes after the error", n)
		}
	}
}

func TestBodyTimeouts(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, proto func(*httptest.Server)) {
		srv, _ := serveWith(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Send") == "empty zips" {
				w.Header().Set("Content-Encoding", "gzip")
			}
			_, _ = w.Write(make([]byte, 0))
			w.(http.Flusher).Flush()
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-r.Context().Done():
					return
				case <-tick.C:
				}
				switch r.Header.Get("Send") {
				case "drops":
					_, _ = w.Write([]byte("x"))
				case "empty zips":
					_, _ = w.Write(zipped(0))
				}
				w.(http.Flusher).Flush()
			}
		}, proto)
		const short = 100 * time.Millisecond
		for send, o := range map[string]Options{
			"nothing":    {BodyTimeout: short},
			"empty zips": {BodyTimeout: short},
			"drops":      {Timeout: 2 * short, BodyTimeout: time.Minute},
		} {
			c := client(t, srv, o)
			resp, err := ask(t, c, http.MethodGet, srv.URL, nil, "Send: "+send)
			if err != nil {
				t.Fatal(send, err)
			}
			_, err = io.Copy(io.Discard, resp.Body)
			e := fails(t, err, TimedOut)
			want := "no byte of the body for 100ms"
			if send == "drops" {
				want = "no complete answer within 200ms"
			}
			if !strings.HasSuffix(e.Error(), want) || e.Host == "" {
				t.Errorf("%s: got error %v, want %q", send, err, want)
			}
			if err := resp.Body.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// A caller who is slow to read is not a server that is slow to send.
func TestSlowReaderIsNoTimeout(t *testing.T) {
	t.Parallel()
	next := make(chan bool)
	srv, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 2 {
			_, _ = w.Write([]byte("x"))
			w.(http.Flusher).Flush()
			<-next
		}
	})
	resp, err := ask(t, client(t, srv, Options{}), http.MethodGet, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	buf := make([]byte, 1)
	if _, err := resp.Body.Read(buf); err != nil {
		t.Fatal(err)
	}
	if resp.Body.(*body).gap.Stop() {
		t.Error("the clock runs between two reads")
	}
	next <- true
	if _, err := resp.Body.Read(buf); err != nil {
		t.Error(err)
	}
	next <- true
	if _, err := resp.Body.Read(buf); err != io.EOF {
		t.Errorf("got error %v, want io.EOF", err)
	}
}

// When the deadline passes, the connection is closed, and a server that notices
// may end its body early and in good form. This is no complete answer.
func TestEndAfterDeadlineIsNoEnd(t *testing.T) {
	t.Parallel()
	srv, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() })
	resp, err := ask(t, client(t, srv, Options{}), http.MethodGet, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b := resp.Body.(*body)
	b.rc = struct {
		io.Reader
		io.Closer
	}{readerFunc(func([]byte) (int, error) { b.cancel(errTimeout); return 0, io.EOF }), b.rc}
	_, err = io.ReadAll(b)
	fails(t, err, TimedOut)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestTruncatedBody(t *testing.T) {
	t.Parallel()
	srv, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, secret)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	_, text, err := get(t, client(t, srv, Options{}), srv.URL)
	fails(t, err, Failed)
	if text != secret || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %q and error %v, want what came and io.ErrUnexpectedEOF", text, err)
	}
}

// A body that is read or closed gives its connection and its timers back.
func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	var ports sync.Map
	srv, n := serve(t, func(w http.ResponseWriter, r *http.Request) {
		ports.Store(r.RemoteAddr, true)
		_, _ = io.WriteString(w, "hello")
	})
	c := client(t, srv, Options{})
	for range 5 {
		resp, err := ask(t, c, http.MethodGet, srv.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		b := resp.Body.(*body)
		if b.ctx.Err() == nil || resp.Request.Context().Err() != nil {
			t.Error("the request's context outlives the body, or the caller's has ended with it")
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
	}
	count(t, n, 5)
	got := 0
	ports.Range(func(any, any) bool { got++; return true })
	if got != 1 {
		t.Errorf("got %d connections, want 1", got)
	}
}
