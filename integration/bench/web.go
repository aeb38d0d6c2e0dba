package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

const webPreface = `
## HTTP

Server processes, asked by 1 and 16 callers that each have a connection: the
SDK's handler, stateless, with JSON responses and without tokens; and the
hardened server, which verifies a JWT with each call, of up to four clients whose
tokens are new in each round. A ratio of calls per second above 1 and of times
below 1 means that the hardened server is faster.

| tokens | callers | bare, calls/s | hardened, calls/s | calls/s | p50 | p99 | server CPU |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
`

const replicaPreface = `
Replicas that take %d calls at once, of a tool that waits %v for a backend, asked
in turn by %d callers. One that is refused a place tries the next replica, and
waits when it has tried all. The waiting, not the processors of this machine, is
what limits them; refusals are in the processor time.

| replicas | calls/s | to one replica | server CPU a call |
| ---: | ---: | ---: | ---: |
`

// A web measures servers over HTTP.
type web struct {
	*issuer
	rounds, calls int
}

func compareWeb(ctx context.Context, w *book, o settings) error {
	iss, err := newIssuer()
	if err != nil {
		return err
	}
	defer iss.Close()
	m := web{iss, o.rounds, o.calls}
	fmt.Fprint(w, webPreface)
	for _, callers := range []int{1, 16} {
		if err := m.compare(ctx, w, callers); err != nil {
			return err
		}
	}
	return m.replicas(ctx, w)
}

// compare interleaves the servers, in an order that changes.
func (m web) compare(ctx context.Context, w *book, callers int) error {
	kinds := []string{"bare", string(jose.ES256), string(jose.RS256)}
	got := map[string][]sample{}
	for i := range m.rounds + 1 {
		for k := range kinds {
			kind := kinds[(i+k)%len(kinds)]
			fmt.Fprintf(os.Stderr, "\rHTTP, %d callers: round %d of %d ", callers, i, m.rounds)
			s, err := m.round(ctx, []string{kind}, callers, orderCall)
			if err != nil {
				return fmt.Errorf("HTTP, %s: %w", kind, err)
			}
			if i > 0 { // the first is a warm-up
				got[kind] = append(got[kind], s)
			}
		}
	}
	fmt.Fprint(os.Stderr, "\r\x1b[K")
	bare, rate := got["bare"], func(s sample) float64 { return 1e6 / s.micros }
	for _, kind := range kinds[1:] {
		hard := got[kind]
		faster := ratio(bare, hard, rate)
		w.note(fmt.Sprintf("http %s %d", kind, callers), faster)
		fmt.Fprintf(w, "| %s | %d | %.0f | %.0f | %s | %s | %s | %s |\n", kind, callers, median(pick(bare, rate)), median(pick(hard, rate)), faster,
			ratio(bare, hard, func(s sample) float64 { return s.p50 }), ratio(bare, hard, func(s sample) float64 { return s.p99 }), ratio(bare, hard, func(s sample) float64 { return s.cpu }))
	}
	return nil
}

// replicas measures one, two and three of them.
func (m web) replicas(ctx context.Context, w io.Writer) error {
	const callers, most = 3 * places, 3
	fmt.Fprintf(w, replicaPreface, places, backendFor, callers)
	m.calls = max(m.calls/3, callers)
	got := make([][]sample, most+1)
	for i := range m.rounds {
		for n := 1; n <= most; n++ {
			fmt.Fprintf(os.Stderr, "\r%d replicas: round %d of %d ", n, i+1, m.rounds)
			s, err := m.round(ctx, slices.Repeat([]string{"waits"}, n), callers, strings.Replace(orderCall, "order", "wait", 1))
			if err != nil {
				return fmt.Errorf("%d replicas: %w", n, err)
			}
			got[n] = append(got[n], s)
		}
	}
	fmt.Fprint(os.Stderr, "\r\x1b[K")
	rate := func(s sample) float64 { return 1e6 / s.micros }
	for n := 1; n <= most; n++ {
		fmt.Fprintf(w, "| %d | %.0f | %s | %.0f µs |\n", n, median(pick(got[n], rate)), ratio(got[1], got[n], rate), median(pick(got[n], func(s sample) float64 { return s.cpu })))
	}
	return nil
}

// round starts servers, has them asked, and stops them.
func (m web) round(ctx context.Context, kinds []string, callers int, call string) (s sample, err error) {
	var addrs []string
	var replicas []*replica
	var cpu time.Duration
	for _, kind := range kinds {
		r, err := startReplica(ctx, kind, m.issuer)
		if err != nil {
			return s, err
		}
		addrs, replicas = append(addrs, r.addr), append(replicas, r)
	}
	tokens := make([]string, 4)
	for i := range tokens {
		alg := jose.ES256
		if kinds[0] == string(jose.RS256) {
			alg = jose.RS256
		}
		if tokens[i], err = m.token(alg, i); err != nil {
			return s, err
		}
	}
	s, err = m.ask(addrs, tokens, callers, call)
	for _, r := range replicas {
		took, err2 := r.stop()
		cpu, err = cpu+took, errors.Join(err, err2)
	}
	s.cpu = float64(cpu.Microseconds()) / float64(m.calls)
	return s, err
}

// ask makes the calls, by callers that take turns among the servers.
func (m web) ask(addrs, tokens []string, callers int, call string) (sample, error) {
	var left atomic.Int64
	left.Store(int64(m.calls))
	times, errs := make([][]time.Duration, callers), make([]error, callers)
	start := time.Now()
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			c := &caller{addrs: addrs, conns: map[string]*bufio.ReadWriter{}, next: i, request: request(call, tokens[i%len(tokens)])}
			defer c.close()
			for left.Add(-1) >= 0 && errs[i] == nil {
				before := time.Now()
				errs[i] = c.call()
				times[i] = append(times[i], time.Since(before))
			}
		})
	}
	wg.Wait()
	took := time.Since(start)
	all := slices.Sorted(slices.Values(slices.Concat(times...)))
	if len(all) == 0 {
		return sample{}, errors.Join(errs...)
	}
	return sample{
		micros: float64(took.Microseconds()) / float64(m.calls),
		p50:    float64(all[len(all)/2].Nanoseconds()), p99: float64(all[len(all)*99/100].Nanoseconds()),
	}, errors.Join(errs...)
}

func request(call, token string) string {
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":` + call + `}`
	return fmt.Sprintf("POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"+
		"Mcp-Protocol-Version: 2025-11-25\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", token, len(body), body)
}

// A caller does as little as a client can, since it shares the machine with
// what it measures.
type caller struct {
	addrs   []string
	next    int
	request string
	conns   map[string]*bufio.ReadWriter
	open    []net.Conn
}

func (c *caller) close() {
	for _, conn := range c.open {
		conn.Close()
	}
}

// call asks one server after the other until there is a place.
func (c *caller) call() error {
	for tried := 1; ; tried++ {
		status, body, err := c.once(c.addrs[c.next%len(c.addrs)])
		c.next++
		switch {
		case err != nil:
			return err
		case status == http.StatusTooManyRequests || strings.Contains(body, "too many calls at once"):
			if tried%len(c.addrs) == 0 {
				time.Sleep(backendFor / 2)
			}
		case status != http.StatusOK || !strings.Contains(body, `"structuredContent"`):
			return fmt.Errorf("the server answered %d %.200s", status, body)
		default:
			return nil
		}
	}
}

func (c *caller) once(addr string) (int, string, error) {
	rw := c.conns[addr]
	if rw == nil {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return 0, "", err
		}
		rw = bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriter(conn))
		c.conns[addr], c.open = rw, append(c.open, conn)
	}
	if _, err := rw.WriteString(c.request); err != nil {
		return 0, "", err
	}
	if err := rw.Flush(); err != nil {
		return 0, "", err
	}
	res, err := http.ReadResponse(rw.Reader, nil)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}
