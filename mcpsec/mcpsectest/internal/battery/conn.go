package battery

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// maxMessage is what is kept of one message of a server.
const maxMessage = 64 << 20

// A packet is a message on its way to the server.
type packet struct {
	raw                   []byte
	method, name, version string // for the headers of HTTP
	brief                 bool   // no answer is an answer, too: do not wait long
}

// brief is how long an answer is waited for that may well not come.
const brief = 2 * time.Second

func (m packet) quick() packet {
	m.brief = true
	return m
}

// A conn carries messages to a server and back.
type conn interface {
	// send returns when the message is with the server, or ctx has ended.
	send(ctx context.Context, m packet) error
	// messages come one at a time; the channel is closed when no more can come.
	messages() <-chan []byte
	// close ends the connection, and reports whether the server ended by itself.
	close() bool
}

// A refusal is an answer of HTTP that holds no message.
type refusal struct {
	status int
	body   []byte
}

func (r *refusal) Error() string { return "the request was refused" }

var errGone = errors.New("the server is gone")

// A pipe is a conn over a pair of streams.
type pipe struct {
	out, in chan []byte
	gone    chan struct{} // closed when nothing more can be written or read
	quit    chan struct{}
	end     func() bool // ends the server, waits for it, and reports whether it ended by itself
	once    sync.Once
	prompt  bool
}

func newPipe(r io.Reader, w io.WriteCloser, end func() bool) *pipe {
	c := &pipe{out: make(chan []byte), in: make(chan []byte, 64), gone: make(chan struct{}), quit: make(chan struct{}), end: end}
	go c.write(w)
	go c.read(r)
	return c
}

func (c *pipe) write(w io.WriteCloser) {
	defer w.Close()
	for {
		select {
		case b := <-c.out:
			if _, err := w.Write(b); err != nil {
				return
			}
		case <-c.gone:
			return
		case <-c.quit:
			return
		}
	}
}

func (c *pipe) read(r io.Reader) {
	defer close(c.in)
	defer close(c.gone)
	br := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := readLine(br)
		if line = bytes.TrimSpace(line); len(line) > 0 {
			select {
			case c.in <- line:
			case <-c.quit:
				_, _ = io.Copy(io.Discard, br) // a server that cannot write does not end
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// readLine reads a line, of which it keeps no more than maxMessage.
func readLine(br *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := br.ReadSlice('\n')
		if len(line)+len(part) <= maxMessage {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// send hands over one line. It is written when the next one is taken, or the server
// has read it: a server that does not read blocks nobody for longer than ctx.
func (c *pipe) send(ctx context.Context, m packet) error {
	line := append(bytes.Clone(m.raw), '\n')
	select {
	case c.out <- line:
		return nil
	case <-c.gone:
		return errGone
	case <-c.quit:
		return errGone
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *pipe) messages() <-chan []byte { return c.in }

func (c *pipe) close() bool {
	c.once.Do(func() {
		close(c.quit)
		c.prompt = c.end()
	})
	return c.prompt
}
