package hostile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// seed is told with each run, so that a failure can be had again.
func seed(t *testing.T) uint64 {
	t.Helper()
	s := rand.Uint64()
	if given := os.Getenv("HOSTILE_SEED"); given != "" {
		var err error
		if s, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("HOSTILE_SEED=%d", s)
	return s
}

func atMost(n int) int {
	if testing.Short() || racing {
		return n / 10
	}
	return n
}

// Twenty thousand hostile requests do not end the server, change nothing, learn
// nothing, and leave nothing behind. Alice is served all the while.
func TestHostileRequests(t *testing.T) {
	t.Parallel()
	p, seed := start(t, "http"), seed(t)
	mallory, alice := p.token("mallory"), p.token("alice")
	var mu sync.Mutex
	seen := map[int]int{}
	run := func(from, to int) {
		work(t, to-from, func(i int) error {
			n := from + i
			if n%500 == 0 {
				if err := p.honest(t.Context(), alice, n); err != nil {
					return fmt.Errorf("after %d attacks: %w", n, err)
				}
			}
			a := p.attack(seed, n, mallory, alice)
			all, err := p.send(t.Context(), a, n)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				err = p.judge(a, all, seen)
			}
			if err != nil {
				return fmt.Errorf("attack %d, %s: %w\nsent %.3000q\ngot %.3000q", n, a.kind, err, a.bytes, all)
			}
			return nil
		})
	}
	n := atMost(20_000)
	run(0, n/10)
	first := p.settled(t)
	run(n/10, n)
	if err := p.honest(t.Context(), alice, n); err != nil {
		t.Errorf("at the end: %v", err)
	}
	p.recovers(t, first)
	p.unharmed(t)
	t.Logf("statuses: %v", seen)
	for _, status := range []int{200, 202, 400, 401, 403, 404, 405, 406, 415, 431, 501} {
		if seen[status] < n/4000 {
			t.Errorf("%d answers had the status %d: the attack does not get there", seen[status], status)
		}
	}
	if seen[200] < n/10 {
		t.Errorf("%d of %d attacks got through to something", seen[200], n)
	}
}

// One client that begins twenty thousand times leaves nothing behind. (P23)
func TestInitializeFlood(t *testing.T) {
	t.Parallel()
	p := start(t, "http")
	mallory := p.token("mallory")
	client := &http.Transport{MaxIdleConnsPerHost: 8}
	initialize := func(int) error {
		body := `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"` + strings.Repeat("c", 1000) + `","version":"1"}}}`
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+p.Plain+"/mcp", strings.NewReader(body))
		if err != nil {
			return err
		}
		r.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}, "Authorization": {"Bearer " + mallory}}
		res, err := client.RoundTrip(r)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if b, err := io.ReadAll(res.Body); err != nil || res.StatusCode != 200 || res.Header.Get("Mcp-Session-Id") != "" || !strings.Contains(string(b), `"serverInfo"`) {
			return fmt.Errorf("got %d %v %s, %v", res.StatusCode, res.Header, b, err)
		}
		return nil
	}
	n := atMost(20_000)
	work(t, n/10, initialize)
	client.CloseIdleConnections()
	first := p.settled(t)
	work(t, n, initialize)
	client.CloseIdleConnections()
	p.recovers(t, first)
	if err := p.honest(t.Context(), p.token("alice"), n); err != nil {
		t.Error(err)
	}
	p.unharmed(t)
}

// Five thousand hostile lines over standard input: the same.
func TestHostileLines(t *testing.T) {
	t.Parallel()
	p, seed := start(t, "stdio"), seed(t)
	ask := func(id, method, params string) {
		if _, err := fmt.Fprintf(p.stdin, `{"jsonrpc":"2.0","id":%q,"method":%q,"params":%s}`+"\n", id, method, params); err != nil {
			t.Fatal(err)
		}
	}
	answers := make(chan string)
	go p.read(t, answers)
	// until waits for the answer that has the id.
	until := func(id string) string {
		for line := range answers {
			if strings.Contains(line, `"id":"`+id+`"`) {
				return line
			}
		}
		t.Fatalf("the server is gone: %s", p.stderr)
		return ""
	}
	ask("init", "initialize", `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}`)
	until("init")
	run := func(from, to int) {
		for n := from; n < to; n++ {
			m := &mutator{rand.New(rand.NewPCG(seed, uint64(n))), fmt.Sprintf("%s%08xqz", marks, n)}
			_, msg := m.message()
			line := m.body(msg) + "\n"
			if m.one(100) {
				line = strings.Repeat(line, 1+m.IntN(20_000/len(line)+1)) + strings.Repeat("x", m.IntN(2<<20)) + "\n"
			}
			if _, err := io.WriteString(p.stdin, line); err != nil {
				t.Fatalf("line %d: the server is gone: %v: %s", n, err, p.stderr)
			}
			if n%100 == 99 {
				got := ""
				for try := 0; try == 0 || try < 1000 && strings.Contains(got, "too many"); try++ { // calls that are still running
					id := fmt.Sprintf("honest-%d-%d", n, try)
					ask(id, "tools/call", `{"name":"order_get","arguments":{"id":"2"}}`)
					got = until(id)
				}
				if !strings.Contains(got, `"structuredContent":{"text":"an order"}`) {
					t.Fatalf("after line %d: got %.300s", n, got)
				}
			}
		}
	}
	n := atMost(5_000)
	run(0, n/10)
	first := p.settled(t)
	run(n/10, n)
	p.recovers(t, first)
	p.unharmed(t)
}

// read judges all that a server on standard output tells, and passes on what
// answers a test's own requests, which have words for ids.
func (p *process) read(t *testing.T, answers chan<- string) {
	defer close(answers)
	for {
		line, err := p.stdout.ReadBytes('\n')
		if err != nil {
			return
		}
		if bytes.HasPrefix(line, []byte(`{"jsonrpc":"2.0","id":"init"`)) || bytes.HasPrefix(line, []byte(`{"jsonrpc":"2.0","id":"honest-`)) {
			answers <- string(line)
			continue
		}
		if err := p.silent(attack{}, string(line)); err != nil || !json.Valid(line) || !bytes.HasPrefix(line, []byte(`{"jsonrpc":"2.0",`)) {
			t.Errorf("%v: %.3000q", err, line)
		}
	}
}
