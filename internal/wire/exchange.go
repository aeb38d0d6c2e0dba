package wire

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Parse reads one message as [Transport] reads a line: a request, a
// notification made anew, or a response. What it refuses is a *[Refusal]; of a
// notification that the server has no use for, IsMute is true.
func Parse(text []byte, maxDepth int) (jsonrpc.Message, *Refusal) {
	if text = bytes.TrimSpace(text); len(text) == 0 {
		return nil, refuse(jsonrpc.CodeParseError, "the message is empty")
	}
	m, _, r := parse(text, maxDepth)
	return m, r
}

// Refuse refuses a request by a code of the protocol, in the words for it.
func Refuse(id jsonrpc.ID, code int64) *Refusal {
	return &Refusal{ID: id, Code: code, Text: codeTexts[code]}
}

// IsMute reports whether the refused message was a notification, which nobody
// waits to see answered.
func (r *Refusal) IsMute() bool { return r.mute }

// JSON is the refusal as a JSON-RPC error response.
func (r *Refusal) JSON() []byte {
	return appendResponse(nil, r.ID, `,"error":`, errorJSON(&jsonrpc.Error{Code: r.Code, Message: r.Text, Data: r.Data}))
}

// An Exchange is an [mcp.Transport] for one request whose answer has a way of
// its own, as over HTTP. Set its fields, connect it once, and wait for the
// session to end: it does when the answer is out, when the context ends, or when
// nothing can be written any more. The request is cancelled then.
type Exchange struct {
	Request *jsonrpc.Request
	// Context ends when the peer is gone.
	Context context.Context
	// Stop, when it is closed, ends a subscription in good order. It does nothing
	// to other requests, which end by themselves.
	Stop <-chan struct{}
	// More, if it is not nil, are requests that are made in the client's name while
	// the exchange lasts. Without a Request there are only those, and their answers
	// go nowhere.
	More <-chan *jsonrpc.Request
	// Ask, if it is not nil, lets the server ask the client: it returns an id that
	// nobody can guess, under which the client's answer goes to deliver, and what
	// ends that. It refuses with an error.
	Ask func(deliver func(*jsonrpc.Response)) (id jsonrpc.ID, end func(), err error)
	// Identify makes [RequestID] tell the request's id.
	Identify bool
	// Notify and Answer write a message, which they must not keep. The code is
	// that of the error in the answer, or zero. They are not called at once.
	Notify func(message []byte) error
	Answer func(message []byte, code int64) error
	// Refused is told of a request that should have been recorded and that the
	// SDK refused before.
	Refused func(*Refusal)

	mu       sync.Mutex
	answered bool
	done     chan struct{}
	ends     []func()
	incoming chan *jsonrpc.Response
	step     int // what Read does next: it is called by one goroutine
}

// Connect implements [mcp.Transport].
func (e *Exchange) Connect(context.Context) (mcp.Connection, error) {
	e.done, e.incoming = make(chan struct{}), make(chan *jsonrpc.Response, maxAsked)
	return (*exchange)(e), nil
}

// exchange hides the methods of the connection from those who make one.
type exchange Exchange

// Read returns the request, and then what comes in addition, until there is
// nothing more to do.
func (e *exchange) Read(context.Context) (jsonrpc.Message, error) {
	e.step++
	if e.step == 1 && e.Request != nil {
		if e.Identify {
			return identify(e.Request), nil
		}
		return e.Request, nil
	}
	stop := e.Stop
	if e.Request != nil && (e.Request.Method != "subscriptions/listen" || e.step > 2) {
		stop = nil
	}
	select {
	case <-e.done:
	case <-e.Context.Done():
	case r := <-e.incoming:
		return r, nil
	case r := <-e.More:
		return r, nil
	case <-stop:
		if e.Request == nil {
			return nil, io.EOF
		}
		params := append([]byte(`{"requestId":`), appendID(nil, e.Request.ID)...)
		return &jsonrpc.Request{Method: "notifications/cancelled", Params: append(params, '}')}, nil
	}
	return nil, io.EOF
}

var errAnswered = errors.New("the request is answered")

// maxAsked is how often a client can be asked in one exchange.
const maxAsked = 64

// Write passes an answer, a notification or a question on.
func (e *exchange) Write(_ context.Context, m jsonrpc.Message) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.answered {
		return errAnswered
	}
	switch m := m.(type) {
	case *jsonrpc.Response:
		if e.Request == nil {
			return nil
		}
		e.end()
		return e.answer(m)
	case *jsonrpc.Request:
		if m.IsCall() {
			var err error
			if m, err = e.ask(m); err != nil {
				return err
			}
		}
		line, err := jsonrpc.EncodeMessage(m)
		if err != nil {
			return err
		}
		return e.Notify(line)
	}
	return errors.New("neither an answer nor a notification")
}

// ask gives a question its id. The lock is held.
func (e *exchange) ask(m *jsonrpc.Request) (*jsonrpc.Request, error) {
	if e.Ask == nil || e.Request == nil || len(e.ends) == maxAsked {
		return nil, errors.New("the client cannot be asked over this transport")
	}
	id, end, err := e.Ask(func(r *jsonrpc.Response) {
		e.incoming <- &jsonrpc.Response{ID: m.ID, Result: r.Result, Error: r.Error} // there is room for each
	})
	if err != nil {
		return nil, err
	}
	e.ends = append(e.ends, end)
	return &jsonrpc.Request{ID: id, Method: m.Method, Params: m.Params}, nil
}

// end ends the exchange. The lock is held.
func (e *exchange) end() {
	e.answered = true
	close(e.done)
	for _, end := range e.ends {
		end()
	}
}

func (e *exchange) answer(m *jsonrpc.Response) error {
	if m.Error == nil && len(m.Result) > 0 {
		b := make([]byte, 0, len(m.Result)+len(m.Result)/64+maxID)
		return e.Answer(appendResponse(b, m.ID, `,"result":`, m.Result), 0)
	}
	werr := sanitize(m.Error)
	if unrecorded(e.Request.Method, m.Error) {
		e.Refused(&Refusal{ID: m.ID, Code: werr.Code, Text: werr.Message})
	}
	return e.Answer(appendResponse(nil, m.ID, `,"error":`, errorJSON(werr)), werr.Code)
}

// Close implements [mcp.Connection].
func (e *exchange) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.answered {
		e.end()
	}
	return nil
}

// SessionID implements [mcp.Connection]. There are no sessions.
func (e *exchange) SessionID() string { return "" }
