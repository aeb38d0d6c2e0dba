package pgtool

import (
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

const (
	lifetime    = time.Hour        // of a connection
	idleLimit   = 5 * time.Minute  // until an unused connection is closed
	pingAfter   = time.Second      // unused for so long, a connection may be dead
	goodbye     = 5 * time.Second  // for ending a connection
	holdLimit   = 10 * time.Minute // for one whose statement does not end when it is cancelled
	busyAfter   = time.Second      // of waiting, an answer if all are such
	cancelEvery = 10 * time.Second
	pingLimit   = 3 * time.Second // for an answer to a ping
	maxTrips    = 1_000           // that a connection makes: what a session gathers unseen goes with it
)

var (
	errClosed = errors.New("the DB is closed")
	errBusy   = &mcpsec.Error{Message: "the database is busy with earlier statements that do not end although they were cancelled; try again in some minutes"}
)

// A pool holds connections whose session is as new. It is ours because a
// connection must come back only after it was seen to be reset, and because the
// drivers above pgconn can fall back to the simple protocol, which takes more
// than one statement.
type pool struct {
	config *connConfig
	check  func(context.Context, *conn) error // of a new connection
	slots  chan struct{}                      // one for each connection in use
	over   chan struct{}                      // closed by close
	stuck  atomic.Int32                       // slots held for statements that go on although cancelled
	lean   atomic.Bool                        // a pooler has refused the settings of the session

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
	trips      int
	spoilt     bool // DISCARD ALL does not make the session as new
	shared     bool // a pooler may give the session to others between transactions
	unlocks    bool // the role may call pg_advisory_unlock_all
	limiting   bool // the transaction has a prologue
	inForce    []byte
	unanswered int // points of synchronisation

	prologue    string // sets what is not set from the start, for a transaction
	ownPrologue string // the same for statements of ours

	notice func(*pgproto3.NoticeResponse) // gets what the server says beside its answers
}

func newPool(config *connConfig, size int, check func(context.Context, *conn) error) *pool {
	p := &pool{config: config, check: check, slots: make(chan struct{}, size), over: make(chan struct{}), used: map[*conn]struct{}{}}
	p.sweep = time.AfterFunc(idleLimit, p.expire)
	return p
}

// get returns a live connection, which the caller must put, retire or kill. It
// waits while all are in use.
func (p *pool) get(ctx context.Context) (*conn, error) {
	if err := p.slot(ctx); err != nil {
		return nil, err
	}
	for {
		c, err := p.take()
		if c == nil && err == nil {
			c, err = p.open(ctx)
		}
		if err != nil {
			go p.release(c)
			return nil, err
		}
		if time.Since(c.used) < pingAfter || c.ping(ctx) {
			return c, nil
		}
		p.forget(c)
		if ctx.Err() != nil {
			go p.release(c)
			return nil, context.Cause(ctx)
		}
		go c.end()
		p.drop() // they are likely dead too, and must not cost a ping each
	}
}

// slot waits until one more connection may be in use.
func (p *pool) slot(ctx context.Context) error {
	look := time.NewTicker(busyAfter)
	defer look.Stop()
	for {
		select {
		case p.slots <- struct{}{}:
			return nil
		case <-p.over:
			return errClosed
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-look.C:
			if int(p.stuck.Load()) == cap(p.slots) {
				return errBusy
			}
		}
	}
}

// release ends a connection that could not be used, if there is one, and then
// lets another take its place.
func (p *pool) release(c *conn) {
	if c != nil {
		c.end()
	}
	<-p.slots
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

// open makes a connection. Also with an error it may return one, to be ended.
func (p *pool) open(ctx context.Context) (*conn, error) {
	pg, lean, err := p.connect(ctx)
	if err != nil {
		return nil, err
	}
	c := &conn{pg: pg, born: time.Now(), used: time.Now(), shared: lean}
	if err := p.check(ctx, c); err != nil {
		return c, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return c, errClosed
	}
	c.used = time.Now()
	p.used[c] = struct{}{}
	return c, nil
}

// put takes a connection back whose session was reset.
func (p *pool) put(c *conn) {
	p.mu.Lock()
	if c.used = time.Now(); p.closed || c.used.Sub(c.born) > lifetime {
		p.mu.Unlock()
		p.retire(c)
		return
	}
	delete(p.used, c)
	p.idle = append(p.idle, c)
	p.mu.Unlock()
	<-p.slots
}

// retire ends a connection that does nothing on the server. Until then it counts
// as one.
func (p *pool) retire(c *conn) {
	c.end()
	p.forget(c)
	<-p.slots
}

// kill stops what a connection is doing on the server and ends it. Until then
// it counts as one: some functions do not look whether they are cancelled, and
// the server would run more of them than there may be connections.
func (p *pool) kill(c *conn) {
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	if !c.stop(ctx) {
		p.stuck.Add(1)
		p.hold(c)
		p.stuck.Add(-1)
	}
	_ = c.pg.Conn().Close() // the server has hung up, or will not answer
	c.end()
	p.forget(c)
	<-p.slots
}

// hold waits for a server that goes on with what was cancelled, until the pool
// is closed.
func (p *pool) hold(c *conn) {
	ctx, cancel := context.WithTimeout(context.Background(), holdLimit)
	defer cancel()
	defer context.AfterFunc(ctx, c.interrupt)()
	go func() {
		defer cancel()
		select {
		case <-p.over:
		case <-ctx.Done():
		}
	}()
	c.stop(ctx)
}

// stop cancels what the server does for the connection, until the server hangs
// up or ctx ends, and reports which. One request is not enough: a server ignores
// it between two messages of a trip, and would then run the statement with
// nobody listening.
func (c *conn) stop(ctx context.Context) (gone bool) {
	if c.shared {
		return c.stopShared(ctx)
	}
	fe, wire := c.pg.Frontend(), c.pg.Conn()
	fe.Send(&pgproto3.Terminate{})
	if c.limit(goodbye) == nil {
		_ = fe.Flush() // if it fails the loop below ends by ctx, or at once
	}
	for wait := 50 * time.Millisecond; ctx.Err() == nil; wait = min(2*wait, cancelEvery) {
		_ = c.pg.CancelRequest(ctx) // if none gets through, statement_timeout ends the statement
		until := time.Now().Add(wait)
		if end, ok := ctx.Deadline(); ok && end.Before(until) {
			until = end
		}
		_ = wire.SetReadDeadline(until)
		if ctx.Err() != nil {
			break // it has interrupted before the deadline was set
		}
		if _, err := io.Copy(io.Discard, wire); !errors.Is(err, os.ErrDeadlineExceeded) {
			return true
		}
	}
	return false
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

// abandon makes all who wait for an answer stop.
func (p *pool) abandon() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.used {
		c.interrupt()
	}
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
// cancelled, but not for statements that go on all the same.
func (p *pool) close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	close(p.over)
	p.sweep.Stop()
	var ends sync.WaitGroup
	for _, c := range p.idle {
		ends.Go(c.end)
	}
	for c := range p.used {
		c.interrupt()
	}
	p.idle = nil
	p.mu.Unlock()
	ends.Wait()
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

// ping finds out whether the server is still there, unless ctx ends before. It
// sends nothing but a Sync message.
func (c *conn) ping(ctx context.Context) bool {
	if c.limit(pingLimit) != nil {
		return false
	}
	stop := context.AfterFunc(ctx, c.interrupt)
	fe := c.pg.Frontend()
	c.sync()
	if fe.Flush() != nil {
		stop()
		return false
	}
	status, err := c.ready()
	return stop() && err == nil && status == idleStatus
}

// version is the server's major version, 0 if it does not say.
func (c *conn) version() int {
	text := c.pg.ParameterStatus("server_version") // such as 15.8 (Debian 15.8-0) and 18beta1
	digits := len(text) - len(strings.TrimLeft(text, "0123456789"))
	n, _ := strconv.Atoi(text[:digits])
	return n
}
