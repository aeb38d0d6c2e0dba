package mailtool

import (
	"context"
	"sync"
	"time"
)

// A pool keeps sessions for later messages, and bounds how many there are.
type pool struct {
	idleFor time.Duration
	slots   chan struct{} // one for each session in use

	mu     sync.Mutex
	idle   []*session // the last one is the freshest
	closed bool
}

// maxUses is how many messages go over one connection: servers end it some time.
const maxUses = 100

func newPool(o Options) *pool {
	return &pool{idleFor: o.Idle, slots: make(chan struct{}, o.MaxConns)}
}

// enter waits for a slot, to be given back by leave.
func (p *pool) enter(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &fault{"waiting for a connection", context.Cause(ctx)}
	}
}

func (p *pool) leave() { <-p.slots }

// take returns an idle session, or nil.
func (p *pool) take() (*session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	for len(p.idle) > 0 {
		s := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		if s.expiry.Stop() {
			return s, nil
		}
		s.raw.Close() // its time is over just now
	}
	return nil, nil
}

// put keeps a session.
func (p *pool) put(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || s.used >= maxUses || s.c.Text.R.Buffered() > 0 { // what a server says unasked would answer the next command
		go s.quit()
		return
	}
	s.expiry = time.AfterFunc(p.idleFor, func() { p.expire(s) })
	p.idle = append(p.idle, s)
}

func (p *pool) expire(s *session) {
	p.mu.Lock()
	for i, other := range p.idle {
		if other == s {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			break
		}
	}
	p.mu.Unlock()
	s.quit()
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, s := range p.idle {
		if s.expiry.Stop() {
			s.quit()
		}
	}
	p.idle = nil
}

// session returns one that works: an idle one whose server still answers, or a new
// one.
func (c *Client) session(ctx context.Context) (*session, error) {
	for {
		s, err := c.pool.take()
		if err != nil {
			return nil, err
		}
		if s == nil {
			return c.dial(ctx)
		}
		unbind := s.bind(ctx)
		if err = s.c.Reset(); unbind() && err == nil {
			return s, nil
		}
		s.raw.Close()
		if ctx.Err() != nil {
			return nil, &fault{"RSET", context.Cause(ctx)}
		}
	}
}
