package pbtool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/waive"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/outbound"
)

// A Client is a PocketBase server. It is safe for concurrent use.
type Client struct {
	o     Options
	read  *http.Client // repeats what has failed
	write *http.Client // sends once
	feed  *http.Client // for answers that do not end

	user, super *source
	historyID   string                 // of the history's collection
	known       map[string]*Collection // nil: all that are not PocketBase's own
	feedTime    time.Duration          // of one connection for a subscription
	now         func() time.Time

	mu        sync.Mutex
	users     map[string]*source // by collection and id
	counted   map[string]string  // what calls were seen to do, by their id
	feeds     map[string]int     // connections for subscriptions, by principal
	feedCount int
	visitors  map[string]*visitor // by principal
	probedAt  time.Time           // when filters were last seen to take a backslash
}

// Open makes a client from o, or says what is wrong with o; the error holds no
// piece of a password or token. It asks the server whether it is there, and logs
// in with the accounts that o names: what is wrong shows now and not at a call.
// Ctx bounds that.
func Open(ctx context.Context, o Options) (*Client, error) {
	c, err := newClient(o)
	if err == nil {
		err = c.start(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("pbtool: %w", err)
	}
	return c, nil
}

func newClient(o Options) (*Client, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Client{o: o, users: map[string]*source{}, counted: map[string]string{}, feeds: map[string]int{}, visitors: map[string]*visitor{}, now: time.Now, feedTime: min(longestFeed, o.Impersonate)}
	if o.Collections != nil {
		c.known = map[string]*Collection{}
		for _, k := range o.Collections {
			c.known[k.Name] = k.clone()
		}
	}
	if c.read, err = newHTTP(o, 0); err != nil {
		return nil, err
	}
	if c.write, err = newHTTP(o, -1); err != nil {
		return nil, err
	}
	long := o
	long.Timeout = 2 * longestFeed
	if c.feed, err = newHTTP(long, -1); err != nil {
		return nil, err
	}
	if !o.User.isZero() {
		if c.user, err = c.login(o.User); err != nil {
			return nil, err
		}
	}
	if !o.Superuser.isZero() {
		c.super, err = c.login(o.Superuser)
	}
	return c, err
}

// newHTTP makes the client below. On this machine plain text needs no waiver.
func newHTTP(o Options, retries int) (*http.Client, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, err
	}
	host := u.Host
	if u.Port() == "" {
		host += map[string]string{"https": ":443", "http": ":80"}[u.Scheme]
	}
	out := outbound.Options{
		Allow: []string{host}, Networks: o.Networks, RootCAs: o.RootCAs, Timeout: o.Timeout, HeaderTimeout: o.Timeout, BodyTimeout: o.Timeout,
		MaxBody: int64(max(8<<20, 4*o.MaxBytes)), Retries: retries,
	}
	for _, w := range o.Waive {
		if w.Kind == waive.PlaintextHTTP {
			out.Waive = append(out.Waive, w)
		}
	}
	if u.Scheme == "http" && loopback(u.Hostname()) {
		out.Waive, out.Logger = []outbound.Waiver{{Kind: waive.PlaintextHTTP, Reason: "the server is on this machine"}}, slog.New(slog.DiscardHandler)
	}
	return outbound.New(out)
}

// start makes the first requests.
func (c *Client) start(ctx context.Context) error {
	if _, err := c.do(ctx, actor{}, request{method: http.MethodGet, path: []string{"health"}}); err != nil {
		return fmt.Errorf("asking Options.URL: %w", startError(err))
	}
	for name, s := range map[string]*source{"User": c.user, "Superuser": c.super} {
		if s == nil {
			continue
		}
		if _, err := s.get(ctx); err != nil {
			return fmt.Errorf("logging in as Options.%s: %w", name, startError(err))
		}
	}
	if c.o.History.Collection != "" {
		if err := c.findHistory(ctx); err != nil {
			return fmt.Errorf("Options.History: %w", err)
		}
	}
	return nil
}

// startError prefers the cause, whose words are fixed too, to what a model reads.
func startError(err error) error {
	var out *outbound.Error
	if errors.As(err, &out) {
		return out
	}
	if s := statusOf(err); s != nil {
		return s
	}
	return err
}

// A request is one of PocketBase's own routes. All requests are made here, of
// segments that have the form of names: there is no way to send another.
type request struct {
	method string
	path   []string // behind /api
	query  url.Values
	body   []byte // JSON, unless mime says otherwise
	mime   string
}

var errPath = errors.New("a name of PocketBase's has letters, digits, dashes and underscores only")

// target is the request's URL.
func (c *Client) target(rq request) (string, error) {
	var b strings.Builder
	b.WriteString(c.o.URL + "/api")
	for _, s := range rq.path {
		if !segmentName().MatchString(s) {
			return "", &mcpsec.Error{Message: errPath.Error(), Rule: "name"}
		}
		b.WriteString("/" + url.PathEscape(s))
	}
	if len(rq.path) == 0 || strings.EqualFold(rq.path[0], "sql") { // any SQL as the owner of all data and of the machine's files
		return "", errors.New("a route that must not be used")
	}
	if len(rq.query) > 0 {
		b.WriteString("?" + rq.query.Encode())
	}
	return b.String(), nil
}

// do makes a request and returns the body of its answer, if that is a good one.
// Otherwise the error is one that a model may read, or an internal one.
func (c *Client) do(ctx context.Context, as actor, rq request) ([]byte, error) {
	to, err := c.target(rq)
	if err != nil {
		return nil, err
	}
	for again := false; ; again = true {
		text := ""
		if as.token != nil {
			if text, err = as.token(ctx); err != nil {
				return nil, err
			}
		}
		body, status, err := c.send(ctx, rq, to, text)
		switch {
		case err != nil:
			return nil, sendError(ctx, rq.method, err)
		case status >= 200 && status < 300:
			return body, nil
		case status == http.StatusUnauthorized && as.forget != nil && !again:
			as.forget(text) // it was refused before anything was done
			continue
		}
		return nil, modelError(readError(status, body))
	}
}

// send makes a request once, with a token if there is one.
func (c *Client) send(ctx context.Context, rq request, to, token string) ([]byte, int, error) {
	req, err := http.NewRequestWithContext(ctx, rq.method, to, bytes.NewReader(rq.body))
	if err != nil {
		return nil, 0, errors.New("making a request") // the error would quote the URL
	}
	if len(rq.body) > 0 {
		req.Header.Set("Content-Type", or2(rq.mime, "application/json"))
	}
	if token != "" {
		req.Header.Set("Authorization", token)
	}
	client := c.write
	if rq.method == http.MethodGet {
		client = c.read
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	body, err := readAll(resp)
	return body, resp.StatusCode, err
}

// usualBody is what a page of records takes, for servers that do not say how long it is.
const usualBody = 32 << 10

// readAll reads a body whose size outbound bounds, into a buffer of that size
// where the server has told it.
func readAll(resp *http.Response) ([]byte, error) {
	var b bytes.Buffer
	switch n := resp.ContentLength; {
	case n > 0 && n < 1<<20:
		b.Grow(int(n) + bytes.MinRead)
	case n < 0:
		b.Grow(usualBody)
	}
	_, err := b.ReadFrom(io.Reader(resp.Body))
	return b.Bytes(), err
}

func or2(s, d string) string {
	if s == "" {
		return d
	}
	return s
}

// remember keeps what a call was seen to do until it is over.
func (c *Client) remember(call, does string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counted[call] = does
}

func (c *Client) remembered(call string) (does string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	does, ok = c.counted[call]
	return does, ok
}

func (c *Client) forget(call string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.counted, call)
}
