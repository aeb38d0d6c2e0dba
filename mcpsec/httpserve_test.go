package mcpsec_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/memnet"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A served is a server that serves connections in memory until stop is called.
type served struct {
	*httpFixture
	*memnet.Listener
	stop  context.CancelFunc
	ended chan error
}

// servePipes is for use in a synctest bubble.
func servePipes(t *testing.T, o mcpsec.HTTPOptions, change func(*mcpsec.Options), tools ...*mcpsec.Tool) *served {
	t.Helper()
	if o.Verifier == nil {
		o.Verifier = verify
	}
	f := newFixture(t, change, tools...)
	ctx, stop := context.WithCancel(context.Background())
	s := &served{&httpFixture{fixture: f}, memnet.New(), stop, make(chan error, 1)}
	go func() { s.ended <- f.Serve(ctx, s.Listener, o) }()
	return s
}

// conn opens a connection by hand.
func (s *served) conn(t *testing.T) net.Conn {
	t.Helper()
	c, err := s.Dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func header(token string, length int) string {
	return fmt.Sprintf("POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", token, length)
}

// ask sends a request on a connection and reads the answer.
func (s *served) ask(t *testing.T, c net.Conn, token, body string) (int, string) {
	t.Helper()
	if _, err := io.WriteString(c, header(token, len(body))+body); err != nil {
		t.Fatal(err)
	}
	return answer(t, c)
}

func answer(t *testing.T, c net.Conn) (int, string) {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// A client that sends too slowly, whatever it is, loses its connection. (P42)
func TestServeSlowClients(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{
		"nothing":                    "",
		"half a header":              "POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-A: ",
		"no body":                    header("alice-token", 100),
		"half a body":                header("alice-token", 100) + `{"jsonrpc"`,
		"a body nobody will read":    header("guess", 100) + `{"jsonrpc"`,
		"a chunk":                    strings.Replace(header("alice-token", 0), "Content-Length: 0", "Transfer-Encoding: chunked", 1) + "a\r\n",
		"a body for a probe":         "GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n",
		"a body that we will refuse": strings.Replace(header("alice-token", 100), "application/json\r", "text/plain\r", 1),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := servePipes(t, mcpsec.HTTPOptions{}, nil, echo())
				c := s.conn(t)
				var writer sync.WaitGroup
				writer.Go(func() {
					io.WriteString(c, first)
					for range 100 { // a byte every second is too slow, too
						time.Sleep(time.Second)
						if _, err := io.WriteString(c, " "); err != nil {
							return
						}
					}
				})
				start := time.Now()
				io.Copy(io.Discard, c)
				if took := time.Since(start); took > 25*time.Second {
					t.Errorf("closed after %s", took)
				}
				c.Close()
				writer.Wait()
				s.stop()
				<-s.ended
			})
		})
	}
}

// A connection without requests is closed.
func TestServeIdleClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := servePipes(t, mcpsec.HTTPOptions{}, nil, echo())
		c := s.conn(t)
		if status, body := s.ask(t, c, "alice-token", pingBody); status != 200 {
			t.Errorf("got %d %s", status, body)
		}
		start := time.Now()
		io.Copy(io.Discard, c)
		if took := time.Since(start); took > 3*time.Minute {
			t.Errorf("closed after %s", took)
		}
		c.Close()
		s.stop()
		<-s.ended
	})
}

func bigTool() *mcpsec.Tool {
	return tool("big", func(context.Context, none) (echoOut, error) { return echoOut{strings.Repeat("x", 200_000)}, nil })
}

const bigBody = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"big"}}`

// A client that reads nothing, or too slowly, is left, and its place is free.
func TestServeDeafReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := servePipes(t, mcpsec.HTTPOptions{}, func(o *mcpsec.Options) { o.Limits.MaxConcurrent, o.Limits.MaxConcurrentPerPrincipal = 1, 1 }, bigTool(), echo())
		start := time.Now()
		for range 2 { // all the places there are
			c := s.conn(t)
			io.WriteString(c, header("alice-token", len(bigBody))+bigBody)
			synctest.Wait()
			defer c.Close()
		}
		c := s.conn(t)
		if status, _ := s.ask(t, c, "bob-token", echoBody); status != 429 {
			t.Errorf("with no place free: got %d", status)
		}
		time.Sleep(15 * time.Second)
		if status, body := s.ask(t, c, "bob-token", echoBody); status != 200 || time.Since(start) > 20*time.Second {
			t.Errorf("afterwards: got %d %s", status, body)
		}
		c.Close()
		s.stop()
		<-s.ended
	})
}

// A call may take longer than a client may dawdle.
func TestServeLongCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := servePipes(t, mcpsec.HTTPOptions{Timeout: time.Second}, nil, tool("echo", func(ctx context.Context, in echoIn) (echoOut, error) {
			select {
			case <-time.After(20 * time.Second):
				return echoOut(in), nil
			case <-ctx.Done():
				return echoOut{}, ctx.Err()
			}
		}))
		c := s.conn(t)
		if status, body := s.ask(t, c, "alice-token", echoBody); status != 200 || strings.Contains(body, "isError") {
			t.Errorf("got %d %s", status, body)
		}
		c.Close()
		s.stop()
		<-s.ended
	})
}

// One principal's slow bodies leave places for the others.
func TestServePlacesPerPrincipal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := servePipes(t, mcpsec.HTTPOptions{}, func(o *mcpsec.Options) { o.Limits.MaxConcurrentPerPrincipal = 2 }, echo())
		for range 4 {
			c := s.conn(t)
			io.WriteString(c, header("alice-token", 100))
			defer c.Close()
		}
		synctest.Wait()
		c := s.conn(t)
		for range 200 { // a refusal takes no place
			if status, _ := s.ask(t, c, "alice-token", echoBody); status != 429 {
				t.Fatalf("one more of hers: got %d", status)
			}
		}
		if status, body := s.ask(t, c, "bob-token", echoBody); status != 200 {
			t.Errorf("of somebody else: got %d %s", status, body)
		}
		c.Close()
		s.stop()
		<-s.ended
	})
}

// A client that goes away ends its call, whatever protocol it speaks. (P21,
// HTTP-05)
func TestServeDisconnectCancels(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		started, ended := make(chan struct{}), make(chan error)
		s := servePipes(t, mcpsec.HTTPOptions{}, nil, tool("echo", func(ctx context.Context, _ echoIn) (echoOut, error) {
			started <- struct{}{}
			<-ctx.Done()
			ended <- ctx.Err()
			return echoOut{}, ctx.Err()
		}))
		start := time.Now()
		for _, send := range []string{
			header("alice-token", len(echoBody)) + echoBody,
			modernHead("tools/call", "echo", modernBody("tools/call", `"name":"echo","arguments":{"text":"x"}`)),
		} {
			c := s.conn(t)
			io.WriteString(c, send)
			<-started
			c.Close()
			if err := <-ended; err != context.Canceled {
				t.Errorf("got %v", err)
			}
		}
		if time.Since(start) > time.Second {
			t.Errorf("after %s", time.Since(start))
		}
		s.stop()
		<-s.ended
		if recs := f(s).records(t); recs[len(recs)-1]["outcome"] != "cancelled" {
			t.Errorf("recorded %v", recs)
		}
	})
}

func f(s *served) *fixture { return s.fixture }

func modernHead(method, name, body string) string {
	h := "Mcp-Protocol-Version: 2026-07-28\r\nMcp-Method: " + method + "\r\n"
	if name != "" {
		h += "Mcp-Name: " + name + "\r\n"
	}
	return strings.Replace(header("alice-token", len(body)), "Host:", h+"Host:", 1) + body
}

// When the server stops, running calls may finish, new ones find no server, and
// those that take too long are cancelled.
func TestServeDrains(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		takes time.Duration
		heeds bool
		want  string
	}{
		"in time":       {3 * time.Second, true, `"text":"x"`},
		"late":          {10 * time.Second, true, ""},
		"deaf, late":    {10 * time.Second, false, ""},
		"deaf, in time": {3 * time.Second, false, `"text":"x"`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				started := make(chan struct{})
				s := servePipes(t, mcpsec.HTTPOptions{}, nil, tool("echo", func(ctx context.Context, in echoIn) (echoOut, error) {
					close(started)
					if !tc.heeds {
						ctx = context.Background()
					}
					select {
					case <-time.After(tc.takes):
						return echoOut(in), nil
					case <-ctx.Done():
						return echoOut{}, ctx.Err()
					}
				}))
				c := s.conn(t)
				got := make(chan string, 1)
				go func() {
					io.WriteString(c, header("alice-token", len(echoBody))+echoBody)
					b, _ := io.ReadAll(c)
					got <- string(b)
				}()
				<-started
				start := time.Now()
				s.stop()
				synctest.Wait()
				if _, err := s.Dial(t.Context(), "", ""); err == nil {
					t.Error("a new connection was accepted")
				}
				if err := <-s.ended; err != nil || time.Since(start) > 5900*time.Millisecond {
					t.Errorf("ended after %s: %v", time.Since(start), err)
				}
				if all := <-got; tc.want == "" && strings.Contains(all, `"text":"x"`) || !strings.Contains(all, tc.want) {
					t.Errorf("got %q", all)
				}
				want := map[bool]string{true: "ok", false: "cancelled"}[tc.want != ""]
				if recs := s.records(t); recs[len(recs)-1]["outcome"] != want {
					t.Errorf("recorded %v", recs)
				}
				time.Sleep(tc.takes) // the deaf handler returns at last
			})
		})
	}
}

// Progress goes ahead of the answer, which makes it a stream that no proxy
// holds back; without a token for it the answer is a document. (HTTP-10, P41)
func TestHTTPProgressStreams(t *testing.T) {
	t.Parallel()
	eras(t, func(t *testing.T, modern bool) {
		f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify}, nil, tool("echo", func(ctx context.Context, in echoIn) (echoOut, error) {
			mcpsec.Progress(ctx, 1, 2, "half\nway")
			return echoOut(in), nil
		}))
		body, change := strings.Replace(echoBody, `"params":{`, `"params":{"_meta":{"progressToken":"p"},`, 1), func(*http.Request) {}
		if modern {
			body = strings.Replace(modernBody("tools/call", `"name":"echo","arguments":{"text":"x"}`), `"_meta":{`, `"_meta":{"progressToken":"p",`, 1)
			change = modernHeaders("tools/call", "echo")
		}
		res, got := f.do(t, body, change)
		events := strings.Split(strings.TrimSuffix(got, "\n\n"), "\n\n")
		if res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("X-Accel-Buffering") != "no" || res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("got %v", res.Header)
		}
		if len(events) != 2 || !strings.HasPrefix(events[0], "event: message\ndata: {") || !strings.Contains(events[0], `"progressToken":"p"`) || !strings.Contains(events[1], `"structuredContent":{"text":"x"}`) {
			t.Errorf("got %q", got)
		}
		if strings.Count(events[0], "\n") != 1 || strings.Count(events[1], "\n") != 1 {
			t.Errorf("an event of several lines: %q", got)
		}
		if res, _ = f.do(t, echoBody, nil); res.Header.Get("Content-Type") != "application/json" {
			t.Errorf("without progress: got %v", res.Header)
		}
	})
}

const listenParams = `"notifications":{"toolsListChanged":true}`

// A subscription lasts until the client, the server or its time ends it, and
// takes no place of a call.
func TestServeSubscriptions(t *testing.T) {
	t.Parallel()
	open := func(t *testing.T, s *served) (net.Conn, *bufio.Reader) {
		c := s.conn(t)
		io.WriteString(c, modernHead("subscriptions/listen", "", modernBody("subscriptions/listen", listenParams)))
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		return c, bufio.NewReader(res.Body)
	}
	for name, end := range map[string]func(s *served, c net.Conn){
		"client":     func(_ *served, c net.Conn) { c.Close() },
		"server":     func(s *served, _ net.Conn) { s.stop() },
		"its length": func(*served, net.Conn) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := servePipes(t, mcpsec.HTTPOptions{}, func(o *mcpsec.Options) { o.Limits.MaxConcurrent, o.Limits.MaxConcurrentPerPrincipal = 1, 1 }, echo())
				c, events := open(t, s)
				event := func() string {
					b := &bytes.Buffer{}
					for {
						l, err := events.ReadString('\n')
						if err != nil || l == "\n" {
							return b.String()
						}
						b.WriteString(l)
					}
				}
				if got := event(); !strings.Contains(got, "subscriptions/acknowledged") {
					t.Errorf("got %q", got)
				}
				another, _ := open(t, s)
				defer another.Close()
				time.Sleep(time.Minute)
				c2 := s.conn(t)
				if status, _ := s.ask(t, c2, "alice-token", echoBody); status != 200 {
					t.Errorf("a call beside it: got %d", status)
				}
				c2.Close()
				s.Add(scoped("later"))
				if got := event(); !strings.Contains(got, "tools/list_changed") {
					t.Errorf("got %q", got)
				}
				another.Close()
				end(s, c)
				if got := event(); name != "client" && !strings.Contains(got, `"result":`) {
					t.Errorf("at the end: got %q", got)
				}
				start := time.Now()
				c.Close()
				s.stop()
				if <-s.ended; time.Since(start) > time.Second {
					t.Errorf("the end takes %s", time.Since(start))
				}
			})
		})
	}
	t.Run("are bounded", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := servePipes(t, mcpsec.HTTPOptions{}, nil, echo())
			for range 8 {
				c, _ := open(t, s)
				defer c.Close()
			}
			c := s.conn(t)
			io.WriteString(c, modernHead("subscriptions/listen", "", modernBody("subscriptions/listen", listenParams)))
			if status, _ := answer(t, c); status != 429 {
				t.Errorf("one more: got %d", status)
			}
			c.Close()
			s.stop()
			<-s.ended
		})
	})
}
