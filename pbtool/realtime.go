package pbtool

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

const (
	longestFeed  = 4 * time.Minute        // PocketBase ends a connection that was idle for 5
	feedOverlap  = 2 * time.Second        // of a connection and its successor
	calm         = 100 * time.Millisecond // between two notifications
	firstPause   = 200 * time.Millisecond
	longestPause = 30 * time.Second

	maxFeeds          = 1_000 // of all principals
	maxFeedsOf        = 20    // of one
	maxEventLine      = 4 << 10
	collectionsPrefix = "pb://collection/"
)

var errManyFeeds = &mcpsec.Error{Message: "too many collections are watched: end some subscriptions first", Rule: "busy"}

// mayFeed reports whether a principal may have one more connection.
func (c *Client) mayFeed(principal string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.feeds[principal] < maxFeedsOf && c.feedCount < maxFeeds
}

// enterFeed counts one more connection in, if it may be had.
func (c *Client) enterFeed(principal string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.feeds[principal] >= maxFeedsOf || c.feedCount >= maxFeeds {
		return false
	}
	c.feeds[principal]++
	c.feedCount++
	return true
}

func (c *Client) leaveFeed(principal string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.feedCount--
	if c.feeds[principal]--; c.feeds[principal] == 0 {
		delete(c.feeds, principal)
	}
}

// watch tells a subscriber of changes in a collection, with the subscriber's rights,
// until ctx ends. Each connection has a successor before it ends, for which these
// rights are asked for anew. Where there was none for a while, nobody knows what has
// happened meanwhile, and the subscriber is told once.
func (c *Client) watch(ctx context.Context, uri string, updated func()) {
	name, _ := url.PathUnescape(strings.TrimPrefix(uri, collectionsPrefix)) // as the URI was matched before
	k, err := c.collection(name)
	principal := mcpsec.PrincipalFrom(ctx).ID
	if err != nil || !c.enterFeed(principal) {
		mcpsec.Logger(ctx).WarnContext(ctx, "a subscription gets no connection", "error", errors.Join(err, errManyFeeds))
		return
	}
	defer c.leaveFeed(principal)
	updated = calmly(updated)
	var old *feed
	pause := firstPause
	for ctx.Err() == nil {
		f, err := c.connect(ctx, k, updated)
		if err != nil {
			old.end()
			old = nil
			mcpsec.Logger(ctx).WarnContext(ctx, "connecting to PocketBase for a subscription", "error", err)
			wait(ctx, pause/2+rand.N(pause/2))
			pause = min(2*pause, longestPause)
			continue
		}
		if pause = firstPause; old == nil {
			updated()
		} else {
			time.AfterFunc(feedOverlap, old.end)
		}
		if old = f; !f.lasts(ctx, c.feedTime) {
			old = nil
			wait(ctx, rand.N(firstPause)) // all are cut off when a server stops
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// calmly makes one call of all within a moment, at its end.
func calmly(f func()) func() {
	var waiting atomic.Bool
	return func() {
		if waiting.CompareAndSwap(false, true) {
			time.AfterFunc(calm, func() {
				waiting.Store(false)
				f()
			})
		}
	}
}

// A feed is one connection. Nil is none.
type feed struct {
	cancel context.CancelFunc
	over   chan struct{} // closed when nothing more comes
}

func (f *feed) end() {
	if f != nil {
		f.cancel()
	}
}

// lasts waits until it is time for a successor, or reports that the connection has
// ended before.
func (f *feed) lasts(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	case <-f.over:
		return false
	}
	return true
}

// connect makes a connection on which updated is called for each change of a record
// that the caller may list.
func (c *Client) connect(ctx context.Context, k *Collection, updated func()) (*feed, error) {
	as, err := c.caller(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(c.o.Timeout, cancel)
	defer late.Stop()
	body, err := c.openFeed(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	f := &feed{cancel, make(chan struct{})}
	in := bufio.NewReaderSize(body, maxEventLine)
	if err = c.subscribe(ctx, as, k, in); err != nil {
		cancel()
		_ = body.Close()
		return nil, err
	}
	go func() {
		defer close(f.over)
		defer cancel()
		defer body.Close()
		for {
			if _, _, err := nextEvent(in); err != nil {
				return
			}
			updated()
		}
	}()
	return f, nil
}

func (c *Client) openFeed(ctx context.Context) (io.ReadCloser, error) {
	to, err := c.target(request{path: []string{"realtime"}})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to, nil)
	if err != nil {
		return nil, errors.New("making a request") // the error would quote the URL
	}
	resp, err := c.feed.Do(req)
	if err != nil {
		return nil, sendError(ctx, http.MethodGet, err)
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, modelError(&statusError{status: resp.StatusCode, index: -1})
	}
	return resp.Body, nil
}

// subscribe names the collection, with the caller's rights, to a connection that
// has just been made. Of the records only ids are asked for.
func (c *Client) subscribe(ctx context.Context, as actor, k *Collection, in *bufio.Reader) error {
	name, data, err := nextEvent(in)
	if err != nil {
		return err
	}
	var said struct {
		ClientID string `json:"clientId"`
	}
	if name != "PB_CONNECT" || json.Unmarshal(data, &said) != nil || !recordID().MatchString(said.ClientID) {
		return errAnswer
	}
	body, err := json.Marshal(map[string]any{"clientId": said.ClientID, "subscriptions": []string{k.Name + `/*?options=%7B%22query%22:%7B%22fields%22:%22id%22%7D%7D`}})
	if err != nil {
		return err
	}
	_, err = c.do(ctx, as, request{method: http.MethodPost, path: []string{"realtime"}, body: body})
	return err
}

// nextEvent reads an event of a stream (HTML, section 9.2.6). Of a line that is too
// long the rest is lost, which leaves data that is no JSON.
func nextEvent(in *bufio.Reader) (name string, data []byte, err error) {
	for {
		line, err := readLine(in)
		if err != nil {
			return "", nil, err
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch {
		case len(line) == 0 && (name != "" || data != nil):
			return name, data, nil
		case string(field) == "event":
			name = string(value)
		case string(field) == "data":
			data = append([]byte{}, value...)
		}
	}
}

// readLine reads a line of a bounded length.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	line = bytes.Clone(line)
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = in.ReadSlice('\n')
	}
	return bytes.TrimRight(line, "\r\n"), err
}
