package pgtool

import (
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

const (
	lifetime  = time.Hour       // of a connection
	idleLimit = 5 * time.Minute // until an unused connection is closed
	pingAfter = time.Second     // unused for so long, a connection may be dead
	goodbye   = 5 * time.Second // for ending a connection
	pingLimit = 3 * time.Second // for an answer to a ping
)

var errClosed = errors.New("the DB is closed")

// A pool holds connections whose session is as new. It is ours because a
// connection must come back only after it was seen to be reset, and because the
// drivers above pgconn can fall back to the simple protocol, which takes more
// than one statement.
type pool struct {
	config *pgconn.Config
	check  func(*conn) error // of a new connection
	slots  chan struct{}     // one for each connection in use
	over   chan struct{}     // closed by close

	mu     sync.Mutex
	idle   []*conn // the one used last is last
	used   map[*conn]struct{}
	closed bool
	sweep  *time.Timer
}

// A conn is one session. Only one goroutine uses it at a time, except for
// interrupt.
type conn struct {
	pg         *pgconn.PgConn
	born, used time.Time

	prologue    string // sets the limits of a transaction
	ownPrologue string // the same for statements of ours
}

func newPool(config *pgconn.Config, size int, check func(*conn) error) *pool {
	p := &pool{config: config, check: check, slots: make(chan struct{}, size), over: make(chan struct{}), used: map[*conn]struct{}{}}
	p.sweep = time.AfterFunc(idleLimit, p.expire)
	return p
}

// get returns a live connection, which the caller must put or kill. It waits
// while all are in use.
func (p *pool) get(ctx context.Context) (*conn, error) {
	select {
	case p.slots <- struct{}{}:
	case <-p.over:
		return nil, errClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	for {
		c, err := p.take()
		if c == nil && err == nil {
			c, err = p.open(ctx)
		}
		if err != nil {
			<-p.slots
			return nil, err
		}
		if time.Since(c.used) < pingAfter || c.ping() {
			return c, nil
		}
		p.forget(c)
		c.end()
	}
}

// take returns an idle connection, or nil.
func (p *pool) take() (*conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	n := len(p.idle)
	if n == 0 {
		return nil, nil
	}
	c := p.idle[n-1]
	p.idle = p.idle[:n-1]
	p.used[c] = struct{}{}
	return c, nil
}

func (p *pool) open(ctx context.Context) (*conn, error) {
	pg, err := pgconn.ConnectConfig(ctx, p.config)
	if err != nil {
		return nil, err
	}
	c := &conn{pg: pg, born: time.Now(), used: time.Now()}
	if err := p.check(c); err != nil {
		c.end()
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		c.end()
		return nil, errClosed
	}
	p.used[c] = struct{}{}
	return c, nil
}

// put takes a connection back whose session was reset.
func (p *pool) put(c *conn) {
	defer func() { <-p.slots }()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.used, c)
	if c.used = time.Now(); p.closed || c.used.Sub(c.born) > lifetime {
		go c.end()
		return
	}
	p.idle = append(p.idle, c)
}

// kill stops what a connection is doing on the server and ends it. Until then
// it counts as one.
func (p *pool) kill(c *conn) {
	defer func() { <-p.slots }()
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	c.stop(ctx)
	c.end()
	p.forget(c)
}

// stop cancels what the server does for the connection, until the server hangs
// up or ctx ends. One request is not enough: a server ignores it between two
// messages of a trip, and would then run the statement with nobody listening.
func (c *conn) stop(ctx context.Context) {
	fe, wire := c.pg.Frontend(), c.pg.Conn()
	fe.Send(&pgproto3.Terminate{})
	if c.limit(goodbye) == nil {
		_ = fe.Flush() // if it fails the loop below ends by ctx, or at once
	}
	for wait := 50 * time.Millisecond; ctx.Err() == nil; wait *= 2 {
		_ = c.pg.CancelRequest(ctx) // if none gets through, statement_timeout ends the statement
		_ = wire.SetReadDeadline(time.Now().Add(wait))
		if _, err := io.Copy(io.Discard, wire); !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
}

func (p *pool) forget(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.used, c)
}

// expire closes connections that nobody has used for long.
func (p *pool) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	for len(p.idle) > 0 && time.Since(p.idle[0].used) > idleLimit {
		go p.idle[0].end()
		p.idle = p.idle[1:]
	}
	p.sweep.Reset(idleLimit)
}

// drop ends the connections that nobody uses.
func (p *pool) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.idle {
		go c.end()
	}
	p.idle = nil
}

// close ends all connections and waits for those in use, whose statements are
// cancelled.
func (p *pool) close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	close(p.over)
	p.sweep.Stop()
	for _, c := range p.idle {
		c.end()
	}
	for c := range p.used {
		c.interrupt()
	}
	p.idle = nil
	p.mu.Unlock()
	for range cap(p.slots) {
		p.slots <- struct{}{}
	}
}

// interrupt makes whoever reads from the connection stop.
func (c *conn) interrupt() {
	_ = c.pg.Conn().SetDeadline(time.Unix(1, 0)) // a closed connection is as good
}

// limit bounds how long the server may be silent, zero for ever.
func (c *conn) limit(d time.Duration) error {
	var t time.Time
	if d > 0 {
		t = time.Now().Add(d)
	}
	return c.pg.Conn().SetDeadline(t)
}

func (c *conn) end() {
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	_ = c.pg.Close(ctx) // it is closed in any case
}

// ping finds out whether the server is still there. It sends nothing but a
// Sync message.
func (c *conn) ping() bool {
	fe := c.pg.Frontend()
	fe.SendSync(&pgproto3.Sync{})
	if c.limit(pingLimit) != nil || fe.Flush() != nil {
		return false
	}
	status, err := c.ready()
	return err == nil && status == idleStatus
}

// version is the server's major version, 0 if it does not say.
func (c *conn) version() int {
	text := c.pg.ParameterStatus("server_version") // such as 15.8 (Debian 15.8-0) and 18beta1
	digits := len(text) - len(strings.TrimLeft(text, "0123456789"))
	n, _ := strconv.Atoi(text[:digits])
	return n
}
