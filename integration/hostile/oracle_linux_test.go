package hostile

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// dial connects from an address of this machine's own, of which there are 2^24.
func dial(ctx context.Context, to string, from int) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, byte(1+from>>16&0x7f), byte(from>>8), byte(from))}}
	return d.DialContext(ctx, "tcp", to)
}

// send carries an attack out and returns what came back.
func (p *process) send(ctx context.Context, a attack, from int) ([]byte, error) {
	c, err := dial(ctx, p.Plain, from)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return nil, err
	}
	_, _ = c.Write(a.bytes) // the server may have closed already
	if a.hangUp {
		_ = c.(*net.TCPConn).CloseWrite() // the same
	}
	all, err := io.ReadAll(c)
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		return all, errors.New("the server neither answered nor closed the connection")
	}
	return all, nil // a reset is an end, too
}

// The statuses that an answer may have. No attack brings the server to fail.
var allowed = []int{100, 200, 202, 204, 400, 401, 403, 404, 405, 406, 413, 415, 417, 429, 431, 501, 505}

var errNoAnswer = errors.New("no answer")

// judge says what is wrong with an answer, and counts its statuses.
func (p *process) judge(a attack, all []byte, seen map[int]int) error {
	r := bufio.NewReader(bytes.NewReader(all))
	method, _, _ := strings.Cut(string(a.bytes), " ")
	for n := 0; ; n++ {
		if _, err := r.Peek(1); err != nil {
			if n == 0 && !a.hangUp {
				return errNoAnswer
			}
			return nil
		}
		res, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return fmt.Errorf("not an HTTP response: %w", err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil && !a.hangUp {
			return fmt.Errorf("a cut response: %w", err)
		}
		if method == "HEAD" && res.Close && res.StatusCode >= 400 && res.ContentLength < 0 {
			body, _ = io.ReadAll(r) // net/http's own answer to what is no HTTP
		}
		seen[res.StatusCode]++
		if !slices.Contains(allowed, res.StatusCode) {
			return fmt.Errorf("the status is %d", res.StatusCode)
		}
		if err := p.quiet(a, res, body); err != nil {
			return err
		}
	}
}

// quiet finds what an answer should not hold.
func (p *process) quiet(a attack, res *http.Response, body []byte) error {
	var header bytes.Buffer
	if err := res.Header.Write(&header); err != nil {
		return err
	}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") && len(body) > 0 && !json.Valid(body) {
		return errors.New("the body is not JSON")
	}
	if res.Header.Get("X-Injected") != "" {
		return errors.New("a header was injected")
	}
	return p.silent(a, header.String()+string(body))
}

var marker = regexp.MustCompile(marks + `[0-9a-f]{8}qz`)

// silent finds, in what the server has told, secrets, what belongs to somebody
// else, what was sent, and that something was done.
func (p *process) silent(a attack, told string) error {
	for what, bad := range map[string]string{
		"a secret of the environment": p.secret, "what is alice's": p.private, "an error of a driver": "postgres:", "an error of Go": "goroutine ",
		"a type of Go": "json: cannot", "a path": p.dir, "a system's file": "root:x:",
	} {
		if strings.Contains(told, bad) {
			return fmt.Errorf("it holds %s", what)
		}
	}
	if m := marker.FindString(told); m != "" {
		return fmt.Errorf("it repeats %s", m)
	}
	if a.mustFail && strings.Contains(told, `"result":`) || strings.Contains(told, `"done"`) {
		return errors.New("it was done")
	}
	return nil
}

// honest are calls as they should be: alice gets what is hers, and changes what
// she may.
func (p *process) honest(ctx context.Context, alice string, n int) error {
	note := fmt.Sprintf("of alice %d", n)
	p.mu.Lock()
	p.notes = append(p.notes, "note "+note)
	p.mu.Unlock()
	for _, call := range []struct{ params, want string }{
		{`{"name":"note_add","arguments":{"text":"` + note + `"}}`, `"structuredContent":{"text":"done"}`},
		{`{"name":"order_get","arguments":{"id":"1"}}`, `"structuredContent":{"text":"hers: ` + p.private},
	} {
		body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":` + call.params + `}`
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.Plain+"/mcp", strings.NewReader(body))
		if err != nil {
			return err
		}
		r.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}, "Authorization": {"Bearer " + alice}}
		res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
		if err != nil {
			return err
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !strings.Contains(string(b), call.want) {
			return fmt.Errorf("alice got %d %s, %v", res.StatusCode, b, err)
		}
	}
	return nil
}

// work does n jobs by a few workers, until one fails the test.
func work(t *testing.T, n int, job func(i int) error) {
	t.Helper()
	jobs := make(chan int)
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for i := range jobs {
				if t.Failed() {
					continue
				}
				if err := job(i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range n {
		jobs <- i
	}
	close(jobs)
	workers.Wait()
}
