// Package wire carries MCP over a byte stream, one JSON-RPC message a line, and
// stands between a hostile client and the SDK. What is not exactly one
// well-formed message of bounded size is answered with an error that echoes
// nothing, and the server lives on. It bounds the calls in flight, gives them
// time to finish when the stream ends, and lets no error text pass that is not
// one of its own constants or [Vetted].
//
// It decodes the envelope itself: the SDK's reader ends the process's session on
// the first bad line and spends three quarters of a call's memory on decoding.
package wire

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// CodeBusy is the error code for a request that was refused because too many
// are in flight, and CodeRefused for one that was refused by a rule of the
// server's. They lie outside the range that JSON-RPC and MCP reserve.
const (
	CodeBusy    = 4290
	CodeRefused = 4030
)

// Config bounds a connection. Every field is required.
type Config struct {
	MaxLine     int           // bytes of one message
	MaxDepth    int           // nesting of arrays and objects
	MaxInFlight int           // requests not yet answered
	Grace       time.Duration // for requests in flight when the stream ends
	Identify    bool          // makes [RequestID] tell ids
	// Refused is told of every line that was not passed on, and of every request
	// that should have been recorded and that the SDK refused before. It may be
	// called concurrently with itself.
	Refused func(*Refusal)
}

// A Transport is an [mcp.Transport] over a reader and a writer. Use it for one
// connection.
type Transport struct {
	conn *conn
}

// New returns a transport that reads lines from r and writes lines to w. Both
// are closed with the connection.
func New(r io.ReadCloser, w io.WriteCloser, c Config) *Transport {
	return &Transport{&conn{
		r: r, w: w, cfg: c,
		incoming: make(chan jsonrpc.Message),
		stop:     make(chan struct{}),
		closed:   make(chan struct{}),
		gaveUp:   make(chan struct{}),
		inFlight: map[jsonrpc.ID]*request{},
	}}
}

// Connect implements [mcp.Transport].
func (t *Transport) Connect(context.Context) (mcp.Connection, error) {
	go t.conn.readLoop()
	return t.conn, nil
}

// Stop ends the connection as the end of the stream would: no message is taken
// any more, those in flight get the grace period.
func (t *Transport) Stop() { t.conn.stopOnce.Do(func() { close(t.conn.stop) }) }

// GaveUp is closed when the grace period has passed with requests unanswered,
// or with answers that nobody reads. The connection is closed then, but who
// uses it may still be stuck.
func (t *Transport) GaveUp() <-chan struct{} { return t.conn.gaveUp }

type conn struct {
	r   io.ReadCloser
	w   io.WriteCloser
	cfg Config

	incoming  chan jsonrpc.Message // closed at the end of the stream
	readErr   error                // why it ended; set before the close
	stop      chan struct{}
	stopOnce  sync.Once
	closed    chan struct{}
	closeOnce sync.Once
	closeErr  error
	gaveUp    chan struct{}
	giveUp    sync.Once

	mu          sync.Mutex
	inFlight    map[jsonrpc.ID]*request
	initialized bool
	standing    *standing // of the last call that the SDK took, nil for none
	listening   int
	working     int           // requests, subscriptions aside, whose answer is not out
	idle        chan struct{} // closed when working gets 0, if someone waits

	writeMu sync.Mutex
	out     []byte
}

// Read implements [mcp.Connection].
func (c *conn) Read(ctx context.Context) (jsonrpc.Message, error) {
	select {
	case <-c.stop: // wins over messages that wait
		c.drain()
		return nil, io.EOF
	default:
	}
	select {
	case m, ok := <-c.incoming:
		if ok {
			return m, nil
		}
		c.drain()
		return nil, c.readErr
	case <-c.stop:
		c.drain()
		return nil, io.EOF
	case <-c.closed:
		return nil, io.EOF
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// readLoop filters lines until the stream ends. It runs on its own goroutine,
// since a read of standard input cannot be interrupted.
func (c *conn) readLoop() {
	defer close(c.incoming)
	br := bufio.NewReaderSize(c.r, 64<<10)
	for {
		line, tooLong, err := readLine(br, c.cfg.MaxLine)
		if err != nil && len(line) == 0 && !tooLong {
			c.readErr = err
			return
		}
		m, r := c.filter(line, tooLong)
		if r != nil {
			c.cfg.Refused(r)
			if !r.mute {
				c.writeError(r)
			}
		}
		if m == nil {
			continue
		}
		select {
		case c.incoming <- m:
		case <-c.closed:
			return
		case <-c.stop:
			c.turnAway(m)
		}
	}
}

// turnAway answers a request that came when no more are taken.
func (c *conn) turnAway(m jsonrpc.Message) {
	if req, ok := m.(*jsonrpc.Request); ok && req.IsCall() {
		defer c.settle(c.release(req.ID))
		r := &Refusal{ID: req.ID, Code: jsonrpc.CodeInternalError, Text: stopping}
		c.cfg.Refused(r)
		c.writeError(r)
	}
}

// filter decides on one line. A blank one is nothing.
func (c *conn) filter(line []byte, tooLong bool) (jsonrpc.Message, *Refusal) {
	if tooLong {
		return nil, refuse(jsonrpc.CodeInvalidRequest, "the message is too long: at most "+strconv.Itoa(c.cfg.MaxLine)+" bytes are accepted")
	}
	if line = bytes.TrimSpace(line); len(line) == 0 {
		return nil, nil
	}
	m, call, r := parse(line, c.cfg.MaxDepth)
	if r != nil {
		return nil, r
	}
	if req, ok := m.(*jsonrpc.Request); ok {
		if r := c.admit(req, call.meta); r != nil {
			return nil, r
		}
		if req = c.shorten(req, call); c.cfg.Identify {
			req = identify(req)
		}
		return req, nil
	}
	return m, nil
}

// readLine returns the next line without its end. A line over the limit is
// read to its end and dropped.
func readLine(br *bufio.Reader, limit int) (line []byte, tooLong bool, err error) {
	for {
		part, err := br.ReadSlice('\n')
		if !tooLong {
			if tooLong = len(line)+len(part) > limit+1; tooLong { // the line feed does not count
				line = nil
			} else {
				line = append(line, part...)
			}
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return bytes.TrimSuffix(line, []byte{'\n'}), tooLong, err
		}
	}
}

// Write implements [mcp.Connection]. It is safe for concurrent use.
func (c *conn) Write(ctx context.Context, m jsonrpc.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	res, ok := m.(*jsonrpc.Response)
	if !ok {
		line, err := jsonrpc.EncodeMessage(m)
		if err != nil {
			return err
		}
		return c.writeLine(line)
	}
	state := c.release(res.ID)
	defer c.settle(state)
	if res.Error != nil || len(res.Result) == 0 {
		e := sanitize(res.Error)
		if state != nil && unrecorded(state.method, res.Error) {
			c.cfg.Refused(&Refusal{ID: res.ID, Code: e.Code, Text: e.Message})
		}
		return c.writeResponse(res.ID, `,"error":`, errorJSON(e))
	}
	c.learn(state)
	return c.writeResponse(res.ID, `,"result":`, res.Result)
}

// writeError answers a refused request. A failing writer shows on the next
// answer; the reader goes on until then.
func (c *conn) writeError(r *Refusal) {
	_ = c.writeResponse(r.ID, `,"error":`, errorJSON(&jsonrpc.Error{Code: r.Code, Message: r.Text}))
}

func (c *conn) writeResponse(id jsonrpc.ID, member string, payload []byte) error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	c.out = append(appendResponse(c.out[:0], id, member, payload), '\n')
	return c.flush()
}

// appendResponse appends an answer whose member, result or error, is JSON.
func appendResponse(b []byte, id jsonrpc.ID, member string, payload []byte) []byte {
	b = appendID(append(b, `{"jsonrpc":"2.0","id":`...), id)
	return append(append(append(b, member...), payload...), '}')
}

func (c *conn) writeLine(line []byte) error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	c.out = append(append(c.out[:0], line...), '\n')
	return c.flush()
}

func appendID(b []byte, id jsonrpc.ID) []byte {
	switch v := id.Raw().(type) {
	case int64:
		return strconv.AppendInt(b, v, 10)
	case string:
		if q, err := jsontext.AppendQuote(b, v); err == nil {
			return q
		}
	}
	return append(b, "null"...)
}

// maxKeptBuffer is the size from which a write buffer is given back.
const maxKeptBuffer = 1 << 20

// flush writes c.out in one call: lines of two answers never mix.
func (c *conn) flush() error {
	_, err := c.w.Write(c.out)
	if cap(c.out) > maxKeptBuffer {
		c.out = nil
	}
	return err
}

// Close implements [mcp.Connection].
func (c *conn) Close() error {
	c.closeOnce.Do(func() {
		close(c.closed)
		c.closeErr = errors.Join(c.r.Close(), c.w.Close())
	})
	return c.closeErr
}

// SessionID implements [mcp.Connection]. A stream is its own session.
func (c *conn) SessionID() string { return "" }
