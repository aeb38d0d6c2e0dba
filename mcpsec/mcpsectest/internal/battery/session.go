package battery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The two eras of the protocol: one with a handshake, one without a session.
const (
	legacy = "2025-06-18"
	modern = "2026-07-28"
)

// A Session is a connection on which anything can be said.
type Session struct {
	Version string // of the protocol
	Hello   Hello

	conn    conn
	timeout time.Duration
	lastID  atomic.Int64
	done    chan struct{} // closed when nothing more can come

	mu      sync.Mutex
	waiting map[string]chan Reply
	noise   []string // lines that are no messages
	strays  []Reply  // answers that nobody waits for
}

// Hello is what a server says of itself.
type Hello struct {
	Name, Version, Instructions string
	Capabilities                map[string]json.RawMessage
}

const maxNoise = 20

// dial opens a session without a handshake. What the server writes to standard error
// goes to stderr.
func (t Target) dial(stderr io.Writer, timeout time.Duration) (*Session, error) {
	var c conn
	switch {
	case t.URL != "":
		c = newPoster(t.URL, t.Header)
	case t.Serve != nil:
		c = startServe(t.Serve, t.patience())
	case len(t.Argv) > 0:
		var err error
		if c, err = startProcess(t.Argv, stderr, t.patience()); err != nil {
			return nil, err
		}
	default:
		return nil, errors.New("there is no target")
	}
	s := &Session{conn: c, timeout: timeout, done: make(chan struct{}), waiting: map[string]chan Reply{}}
	go s.read()
	return s, nil
}

// Close ends the session, and the server if the session started it. It reports whether
// the server ended by itself when its input did.
func (s *Session) Close() bool { return s.conn.close() }

// Gone reports whether the server has ended the connection.
func (s *Session) Gone() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

func (s *Session) read() {
	defer close(s.done)
	for raw := range s.conn.messages() {
		var m message
		switch err := json.Unmarshal(raw, &m); {
		case err != nil && raw[0] == '[': // a batch
			var all []json.RawMessage
			if json.Unmarshal(raw, &all) == nil {
				s.stray(Reply{Raw: raw})
				continue
			}
			fallthrough
		case err != nil || m.JSONRPC != "2.0":
			s.mu.Lock()
			if len(s.noise) < maxNoise {
				s.noise = append(s.noise, string(raw[:min(len(raw), 500)]))
			}
			s.mu.Unlock()
		case m.Method != nil && m.ID != nil:
			go s.decline(m.ID)
		case m.Method == nil:
			s.settle(m.reply(raw))
		}
	}
}

// decline answers what a server asks of its client: this one has no capability.
func (s *Session) decline(id json.RawMessage) {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	_ = s.conn.send(ctx, packet{raw: fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"not supported"}}`, id), version: s.Version})
}

// settle hands an answer to whom it is for. An error without an id is for the only
// one who waits: the server could not, or would not, read the request so far.
func (s *Session) settle(r Reply) {
	s.mu.Lock()
	id := string(r.ID)
	if r.failed && (id == "" || id == "null") && len(s.waiting) == 1 {
		id = slices.Collect(maps.Keys(s.waiting))[0]
	}
	ch, ok := s.waiting[id]
	delete(s.waiting, id)
	s.mu.Unlock()
	if ok {
		ch <- r
		return
	}
	s.stray(r)
}

func (s *Session) stray(r Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.strays) < maxNoise {
		s.strays = append(s.strays, r)
	}
}

// Noise returns lines of the server that are no messages of JSON-RPC.
func (s *Session) Noise() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.noise...)
}

// Strays returns the answers that nobody waited for, since it was last asked.
func (s *Session) Strays() []Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	strays := s.strays
	s.strays = nil
	return strays
}

// Exchange sends a message as it is, and waits for the answer whose id is written so.
func (s *Session) Exchange(ctx context.Context, id string, m packet) Reply {
	timeout := s.timeout
	if m.brief {
		timeout = min(timeout, brief)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ch := make(chan Reply, 1)
	s.mu.Lock()
	s.waiting[id] = ch
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.waiting, id)
		s.mu.Unlock()
	}()
	m.version = s.Version
	if err := s.conn.send(ctx, m); err != nil {
		return failure(err)
	}
	select {
	case r := <-ch:
		return r
	case <-s.done:
		select {
		case r := <-ch: // it was the last word
			return r
		default:
			return Reply{Outcome: Gone}
		}
	case <-ctx.Done():
		return Reply{Outcome: Silent}
	}
}

func failure(err error) Reply {
	var r *refusal
	switch {
	case errors.As(err, &r):
		return Reply{Outcome: Refused, Status: r.status, Raw: r.body}
	case errors.Is(err, errGone):
		return Reply{Outcome: Gone}
	}
	return Reply{Outcome: Silent}
}

// Request sends a request with params, the text of an object, and waits for the
// answer.
func (s *Session) Request(ctx context.Context, method, params string) Reply {
	id, m := s.message(method, params)
	return s.Exchange(ctx, id, m)
}

// message writes a request, with a new id.
func (s *Session) message(method, params string) (id string, m packet) {
	id = strconv.FormatInt(s.lastID.Add(1), 10)
	var p struct{ Name, URI string }
	_ = json.Unmarshal([]byte(params), &p)
	raw := fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":%s,"params":%s}`, id, quote(method), s.params(params))
	return id, packet{raw: []byte(raw), method: method, name: p.Name + p.URI}
}

const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"` + modern + `","io.modelcontextprotocol/clientInfo":{"name":"mcpsec-check","version":"1"},"io.modelcontextprotocol/clientCapabilities":{"elicitation":{"form":{}}}}`

// params adds to params what each request carries where there is no session.
func (s *Session) params(params string) string {
	rest := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(params), "{"))
	switch {
	case s.Version != modern || !strings.HasPrefix(params, "{"):
		return params
	case rest == "}":
		return "{" + meta + "}"
	}
	return "{" + meta + "," + rest
}

// Notify sends a notification.
func (s *Session) Notify(ctx context.Context, method, params string) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	raw := fmt.Sprintf(`{"jsonrpc":"2.0","method":%s,"params":%s}`, quote(method), s.params(params))
	_ = s.conn.send(ctx, packet{raw: []byte(raw), method: method, version: s.Version})
}

// Alive reports whether the server answers what it must answer.
func (s *Session) Alive(ctx context.Context) bool {
	method := "ping"
	if s.Version == modern {
		method = "server/discover"
	}
	return s.Request(ctx, method, "{}").Outcome == Answered
}

// handshake opens the session in an era.
func (s *Session) handshake(ctx context.Context, version string) error {
	s.Version = version
	method, params := "server/discover", "{}"
	if version != modern {
		s.Version = "" // which is agreed on now
		method, params = "initialize", `{"protocolVersion":"`+version+`","capabilities":{},"clientInfo":{"name":"mcpsec-check","version":"1"}}`
	}
	r := s.Request(ctx, method, params)
	if !r.Accepted() {
		return fmt.Errorf("%s: %s", method, bounded(r.Text()))
	}
	var hello struct {
		ProtocolVersion string
		ServerInfo      struct{ Name, Version string }
		Instructions    string
		Capabilities    map[string]json.RawMessage
	}
	if err := json.Unmarshal(r.Result, &hello); err != nil {
		return fmt.Errorf("%s: the result cannot be read", method)
	}
	s.Hello = Hello{hello.ServerInfo.Name, hello.ServerInfo.Version, hello.Instructions, hello.Capabilities}
	if version != modern {
		s.Version = hello.ProtocolVersion
		s.Notify(ctx, "notifications/initialized", "{}")
	}
	return nil
}
