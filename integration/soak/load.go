package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A load makes requests of all kinds, at a bounded rate.
type load struct {
	web, hooks string
	clients    []*http.Client // of each kind one, from an address of its own
	counts     []atomic.Int64 // of kinds, that ended as they should
	wrong      []atomic.Int64 // and otherwise
	last       atomic.Pointer[string]
}

// A kind of request, and whether it ended as it should. Those that a cut connection to the
// database can fail may be answered with an error, too.
type kind struct {
	name string
	do   func(ctx context.Context, l *load, i int) (bool, string)
}

const rate = 200 // requests a second

var kinds = []kind{
	{"echo", calls("echo", `{"text":"hello"}`, "structuredContent")},
	{"query by key", calls("pg_query", `{"sql":"SELECT id, title FROM music.tracks WHERE id = $1","params":[17]}`, "structuredContent", "isError")},
	{"100 rows", calls("pg_query", `{"sql":"SELECT id, title, price FROM music.tracks ORDER BY id LIMIT 100"}`, "structuredContent", "isError")},
	{"refused SQL", calls("pg_query", `{"sql":"DROP TABLE music.tracks"}`, "isError")},
	{"invalid arguments", calls("echo", `{"text":7}`, "isError")},
	{"unknown tool", calls("nothing", `{}`, "error")},
	{"a panic", calls("panics", `{"text":"x"}`, "isError")},
	{"past its deadline", calls("slow", `{"text":"x"}`, "isError")},
	{"no token", noToken},
	{"too large", tooLarge},
	{"cancelled", cancelled},
	{"vanishes", vanishes},
	{"reads nothing", readsNothing},
	{"webhook", hook(true)},
	{"forged webhook", hook(false)},
}

// run spreads the kinds over time until ctx ends, and waits for what runs.
func (l *load) run(ctx context.Context) {
	l.counts, l.wrong = make([]atomic.Int64, len(kinds)), make([]atomic.Int64, len(kinds))
	for i := range kinds {
		dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(10+i))}}
		client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64, DialContext: dialer.DialContext}}
		defer client.CloseIdleConnections()
		l.clients = append(l.clients, client)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	places := make(chan struct{}, 64)
	tick := time.NewTicker(time.Second / rate)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		select {
		case places <- struct{}{}:
		default:
			continue // the machine is behind
		}
		k := i % len(kinds)
		wg.Go(func() {
			defer func() { <-places }()
			if ok, what := kinds[k].do(ctx, l, i); ok {
				l.counts[k].Add(1)
			} else if ctx.Err() == nil {
				l.wrong[k].Add(1)
				what = kinds[k].name + ": " + what
				l.last.Store(&what)
			}
		})
	}
}

// post makes request i as the caller of its kind.
func (l *load) post(ctx context.Context, i int, url, body string, header http.Header) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header = header
	res, err := l.clients[i%len(l.clients)].Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}

func headers(token string) http.Header {
	h := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}, "Mcp-Protocol-Version": {"2025-11-25"}}
	if token != "" {
		h.Set("Authorization", "Bearer "+token)
	}
	return h
}

// token is that of the caller who makes request i.
func (l *load) token(i int) string { return callerToken(i % len(l.clients)) }

func message(tool, args string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, tool, args)
}

// calls makes a call, whose answer must hold one of the texts.
func calls(tool, args string, want ...string) func(context.Context, *load, int) (bool, string) {
	return func(ctx context.Context, l *load, i int) (bool, string) {
		_, body, err := l.post(ctx, i, l.web, message(tool, args), headers(l.token(i)))
		for _, w := range want {
			if err == nil && strings.Contains(body, `"`+w+`"`) {
				return true, ""
			}
		}
		return false, fmt.Sprintf("%v %.200s", err, body)
	}
}

// noToken is refused, and after a while not even looked at.
func noToken(ctx context.Context, l *load, i int) (bool, string) {
	status, _, err := l.post(ctx, i, l.web, message("echo", `{"text":"x"}`), headers(""))
	return err == nil && (status == http.StatusUnauthorized || status == http.StatusTooManyRequests), fmt.Sprint(status, err)
}

// tooLarge is cut off or answered, and not taken.
func tooLarge(ctx context.Context, l *load, i int) (bool, string) {
	status, _, err := l.post(ctx, i, l.web, message("echo", `{"text":"`+strings.Repeat("x", 5<<20)+`"}`), headers(l.token(i)))
	return err != nil || status == http.StatusRequestEntityTooLarge || status == http.StatusTooManyRequests, fmt.Sprint(status)
}

func cancelled(ctx context.Context, l *load, i int) (bool, string) {
	ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	_, body, err := l.post(ctx, i, l.web, message("slow", `{"text":"x"}`), headers(l.token(i)))
	return err != nil, body
}

// raw sends bytes and does with the connection what f does.
func raw(ctx context.Context, l *load, text string, f func(net.Conn)) (bool, string) {
	host := strings.TrimSuffix(strings.TrimPrefix(l.web, "http://"), "/mcp")
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", host)
	if err != nil {
		return false, err.Error()
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		return false, err.Error()
	}
	f(conn)
	return true, ""
}

func request(token, body string) string {
	return fmt.Sprintf("POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"+
		"Mcp-Protocol-Version: 2025-11-25\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", token, len(body), body)
}

func vanishes(ctx context.Context, l *load, i int) (bool, string) {
	whole := request(l.token(i), message("echo", `{"text":"x"}`))
	return raw(ctx, l, whole[:i%len(whole)], func(net.Conn) {})
}

func readsNothing(ctx context.Context, l *load, i int) (bool, string) {
	text := request(l.token(i), message("pg_query", `{"sql":"SELECT id, title, price FROM music.tracks ORDER BY id LIMIT 100"}`))
	return raw(ctx, l, strings.Repeat(text, 4), func(net.Conn) {
		select {
		case <-ctx.Done():
		case <-time.After(500 * time.Millisecond):
		}
	})
}

// hook delivers an event; every other genuine one for the second time.
func hook(genuine bool) func(context.Context, *load, int) (bool, string) {
	return func(ctx context.Context, l *load, i int) (bool, string) {
		event := fmt.Sprintf(`{"id":"evt_%d","object":"event","type":"charge.succeeded","data":{"object":{"id":"ch_1"}}}`, i/30) // its turn comes every 15
		key := hookKey
		if !genuine {
			key = strings.ToLower(key)
		}
		now := fmt.Sprint(time.Now().Unix())
		m := hmac.New(sha256.New, []byte(key))
		io.WriteString(m, now+"."+event)
		status, body, err := l.post(ctx, i, l.hooks, event, http.Header{"Content-Type": {"application/json"}, "Stripe-Signature": {"t=" + now + ",v1=" + hex.EncodeToString(m.Sum(nil))}})
		return err == nil && (status == http.StatusOK) == genuine, fmt.Sprint(status, body, err)
	}
}
