package wire

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// A request is one that has no answer yet.
type request struct {
	method    string
	listens   bool           // a subscription, which has no end of its own
	cancelled bool           // the client has said so, once
	meta      jsontext.Value // of a call that the SDK decodes
}

// maxListens bounds the subscriptions, which hold their places for long.
const maxListens = 8

// drain waits until the calls in flight are answered, at most the grace period.
// The SDK cancels them and answers no more as soon as Read reports the end.
func (c *conn) drain() {
	c.mu.Lock()
	if c.working == 0 {
		c.mu.Unlock()
		return
	}
	if c.idle == nil {
		c.idle = make(chan struct{})
	}
	idle := c.idle
	c.mu.Unlock()
	t := time.NewTimer(c.cfg.Grace)
	defer t.Stop()
	select {
	case <-idle:
	case <-c.closed:
	case <-t.C: // the SDK would wait for a write that nobody reads
		c.giveUp.Do(func() { close(c.gaveUp) })
		c.Close()
	}
}

// admit counts a request in. One that reuses an id in flight gets its answer
// under no id, so that it cannot be taken for the answer to the first.
func (c *conn) admit(req *jsonrpc.Request, meta jsontext.Value) *Refusal {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !req.IsCall() {
		return c.admitNotification(req)
	}
	state := &request{method: req.Method, meta: meta, listens: req.Method == "subscriptions/listen"}
	switch {
	case c.inFlight[req.ID] != nil:
		return refuse(jsonrpc.CodeInvalidRequest, "a request with this id is in flight")
	case len(c.inFlight) >= c.cfg.MaxInFlight, state.listens && c.listening >= maxListens:
		return &Refusal{ID: req.ID, Code: CodeBusy, Text: busy}
	}
	c.inFlight[req.ID] = state
	if state.listens {
		c.listening++
	} else {
		c.working++
	}
	return nil
}

// admitNotification lets each notification pass once, and a cancellation only
// while there is something to cancel: the SDK queues them without a bound.
func (c *conn) admitNotification(req *jsonrpc.Request) *Refusal {
	superfluous := &Refusal{Text: "a superfluous notification", mute: true}
	if req.Method == "notifications/initialized" {
		if c.initialized {
			return superfluous
		}
		c.initialized = true
		return nil
	}
	id, _ := parseID(jsontext.Value(req.Params[len(`{"requestId":`) : len(req.Params)-1])) // as notification wrote it
	state := c.inFlight[id]
	if state == nil || state.cancelled {
		return superfluous
	}
	state.cancelled = true
	return nil
}

// release frees an id before its answer is written, since the client may use it
// again as soon as it reads the answer. settle counts the work as done when the
// answer is out, and no earlier, or the stream could be closed under it.
func (c *conn) release(id jsonrpc.ID) *request {
	c.mu.Lock()
	defer c.mu.Unlock()
	state := c.inFlight[id]
	delete(c.inFlight, id)
	return state
}

func (c *conn) settle(state *request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if state == nil {
		return
	}
	if state.listens {
		c.listening--
	} else if c.working--; c.working == 0 && c.idle != nil {
		close(c.idle)
		c.idle = nil
	}
}
