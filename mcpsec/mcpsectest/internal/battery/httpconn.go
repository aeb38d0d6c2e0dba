package battery

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"sync"
	"time"
)

// A poster is a conn over Streamable HTTP: each message is a POST, and what comes
// back for it, as one body or as a stream of events, are the messages.
type poster struct {
	url    string
	header http.Header
	client *http.Client
	in     chan []byte
	quit   chan struct{}
	wg     sync.WaitGroup
	once   sync.Once

	mu      sync.Mutex
	session string
}

func newPoster(url string, header http.Header) *poster {
	return &poster{url: url, header: header, in: make(chan []byte, 64), quit: make(chan struct{}), client: &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, MaxConnsPerHost: 128, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a header must not go elsewhere
	}}
}

// request makes the POST of a message as a well-behaved client does.
func (c *poster) request(ctx context.Context, m packet) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(m.raw))
	if err != nil {
		return nil, err
	}
	for name, values := range c.header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if m.version != "" {
		req.Header.Set("MCP-Protocol-Version", m.version)
	}
	if m.version == modern {
		req.Header.Set("Mcp-Method", m.method)
		if m.name != "" {
			req.Header.Set("Mcp-Name", m.name)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session != "" {
		req.Header.Set("Mcp-Session-Id", c.session)
	}
	return req, nil
}

func (c *poster) send(ctx context.Context, m packet) error {
	req, err := c.request(ctx, m)
	if err != nil {
		return err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return errors.Join(errGone, err)
	}
	if id := resp.Header.Get("Mcp-Session-Id"); id != "" {
		c.mu.Lock()
		c.session = id
		c.mu.Unlock()
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind == "text/event-stream" {
		c.wg.Go(func() { c.events(resp.Body) })
		return nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxMessage))
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	body = bytes.TrimSpace(body)
	if len(body) > 0 && (body[0] == '{' || body[0] == '[') && isMessage(body) {
		c.deliver(body)
		return nil
	}
	if resp.StatusCode >= 300 {
		return &refusal{resp.StatusCode, body[:min(len(body), 64<<10)]}
	}
	return nil
}

// events reads a stream of server-sent events. Comments, ids and names are not needed.
func (c *poster) events(body io.ReadCloser) {
	defer body.Close()
	br := bufio.NewReaderSize(body, 64<<10)
	var data []byte
	for {
		line, err := readLine(br)
		line = bytes.TrimRight(line, "\r\n")
		if rest, ok := bytes.CutPrefix(line, []byte("data:")); ok && len(data)+len(rest) <= maxMessage {
			data = append(data, bytes.TrimPrefix(rest, []byte(" "))...)
		} else if len(line) == 0 && len(data) > 0 {
			c.deliver(data)
			data = nil
		}
		if err != nil {
			return
		}
	}
}

func (c *poster) deliver(message []byte) {
	select {
	case c.in <- message:
	case <-c.quit:
	}
}

func (c *poster) messages() <-chan []byte { return c.in }

// close ends the session, as a client should, and all streams.
func (c *poster) close() bool {
	c.once.Do(func() {
		close(c.quit)
		ctx, cancel := context.WithTimeout(context.Background(), brief)
		defer cancel()
		if req, err := c.request(ctx, packet{}); err == nil && req.Header.Get("Mcp-Session-Id") != "" {
			req.Method, req.Body, req.ContentLength = http.MethodDelete, nil, 0
			if resp, err := c.client.Do(req); err == nil {
				_ = resp.Body.Close()
			}
		}
		c.client.CloseIdleConnections()
	})
	return true
}
