package mcpsec

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	v2 "github.com/go-json-experiment/json"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Bounds of sessions, which a client makes with one request each.
const (
	maxSessions    = 10_000
	maxSessionsOf  = 32               // of one principal; one more ends the oldest
	sessionTime    = 30 * time.Minute // without a request
	maxQuestionsOf = 64               // of one principal, that are open
)

const sessionHeader = "Mcp-Session-Id"

// A kept session is what an older client has told, and what lasts from one of its
// requests to the next. It gives nobody a right: each request shows its token.
type keptSession struct {
	id, principal string
	capabilities  *mcp.ClientCapabilities

	mu      sync.Mutex // guards the fields below
	used    time.Time
	level   loggingLevel
	watched []string
	more    chan *jsonrpc.Request // to the stream that is open; nil if none is
	end     context.CancelFunc    // of that stream
}

func (k *keptSession) set(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f()
}

// watch notes a URI, and has an open stream subscribe to it.
func (k *keptSession) watch(uri string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if slices.Contains(k.watched, uri) {
		return true
	}
	if len(k.watched) >= maxWatched {
		return false
	}
	k.watched = append(k.watched, uri)
	k.tell(methodWatch, uri)
	return true
}

func (k *keptSession) unwatch(uri string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.watched = slices.DeleteFunc(k.watched, func(w string) bool { return w == uri })
	k.tell(methodUnwatch, uri)
}

// tell makes a request of the open stream, if there is room. The lock is held.
func (k *keptSession) tell(method, uri string) {
	select {
	case k.more <- streamRequest(method, uri):
	default: // no stream, or one that lags behind and subscribes when it is opened anew
	}
}

func streamRequest(method, uri string) *jsonrpc.Request {
	params, _ := json.Marshal(map[string]string{"uri": uri}) // of texts
	id, _ := jsonrpc.MakeID(rand.Text())
	return &jsonrpc.Request{ID: id, Method: method, Params: params}
}

// keptSessions are those of an endpoint, in this process only.
type keptSessions struct {
	mu sync.Mutex
	m  map[string]*keptSession
}

type (
	sessionKey struct{} // of requests in a session
	streamKey  struct{} // of those that are made for a session's stream
)

func sessionFrom(ctx context.Context) *keptSession {
	k, _ := ctx.Value(sessionKey{}).(*keptSession)
	return k
}

// make keeps a session for the principal, or returns nil where there is no room.
func (ks *keptSessions) make(principal string, now time.Time) *keptSession {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	if ks.m == nil {
		ks.m = map[string]*keptSession{}
	}
	ks.makeRoom(principal, now)
	if len(ks.m) >= maxSessions {
		return nil
	}
	k := &keptSession{id: rand.Text(), principal: principal, used: now}
	ks.m[k.id] = k
	return k
}

// makeRoom ends the sessions that nobody has used for long, and the principal's
// oldest if it has too many.
func (ks *keptSessions) makeRoom(principal string, now time.Time) {
	var oldest *keptSession
	n := 0
	for id, k := range ks.m {
		switch idle := k.lastUsed(); {
		case now.Sub(idle) > sessionTime && !k.streaming():
			delete(ks.m, id)
		case k.principal == principal:
			n++
			if oldest == nil || idle.Before(oldest.lastUsed()) {
				oldest = k
			}
		}
	}
	if n >= maxSessionsOf {
		delete(ks.m, oldest.id)
		oldest.stop()
	}
}

func (k *keptSession) lastUsed() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.used
}

func (k *keptSession) streaming() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.end != nil
}

// stop ends the session's stream.
func (k *keptSession) stop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.end != nil {
		k.end()
	}
}

// find returns the principal's session of that id, or nil: one of another
// principal does not exist for this one.
func (ks *keptSessions) find(id, principal string, now time.Time) *keptSession {
	ks.mu.Lock()
	k := ks.m[id]
	ks.mu.Unlock()
	if k == nil || k.principal != principal {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if now.Sub(k.used) > sessionTime && k.end == nil {
		return nil
	}
	k.used = now
	return k
}

func (ks *keptSessions) remove(k *keptSession) {
	ks.mu.Lock()
	delete(ks.m, k.id)
	ks.mu.Unlock()
	k.stop()
}

// findSession finds the session that a request of an older version names. One
// without a name goes without; a name that is unknown is answered as the
// specification asks, whereupon the client begins a new session.
func (e *endpoint) findSession(x *httpExchange) bool {
	id, single := single(x.r.Header, sessionHeader)
	if !e.o.Sessions || id == "" || x.r.Header.Get("Mcp-Protocol-Version") >= firstModern {
		return true
	}
	if single {
		x.kept = e.sessions.find(id, x.principal.ID, time.Now())
	}
	if x.kept == nil {
		x.refuseMetered(unknownSession)
	}
	return x.kept != nil
}

// begin keeps a session for a client that initializes one. Of its capabilities
// only those are kept that matter.
func (e *endpoint) begin(x *httpExchange, req *jsonrpc.Request) {
	var p struct {
		Capabilities struct {
			Elicitation *struct {
				Form *struct{} `json:"form"`
				URL  *struct{} `json:"url"`
			} `json:"elicitation"`
			Sampling *struct{} `json:"sampling"`
			Roots    *struct{} `json:"roots"`
		} `json:"capabilities"`
	}
	if v2.Unmarshal(req.Params, &p) != nil {
		return // the SDK refuses it
	}
	if x.kept = e.sessions.make(x.principal.ID, time.Now()); x.kept == nil {
		return
	}
	el := p.Capabilities.Elicitation
	x.kept.capabilities = ofClient(el != nil && (el.Form != nil || el.URL == nil), p.Capabilities.Sampling != nil, p.Capabilities.Roots != nil)
	x.begins = true
}

// serveSession answers GET, which opens the session's stream, and DELETE, which
// ends the session.
func (e *endpoint) serveSession(x *httpExchange) {
	if !e.findSession(x) {
		return
	}
	switch {
	case x.kept == nil:
		x.refuseMetered(unknownSession)
	case x.r.Method == http.MethodDelete:
		e.sessions.remove(x.kept)
		if x.metered() {
			_ = x.send(http.StatusNoContent, nil)
		}
	case x.r.Header.Get("Last-Event-Id") != "":
		x.refuseMetered(noResumption)
	case !strings.Contains(strings.ToLower(strings.Join(x.r.Header.Values("Accept"), ",")), "text/event-stream"):
		x.refuseMetered(notAcceptable)
	case x.metered():
		e.limitListening(x, func(until <-chan struct{}) { e.stream(x, until) })
	}
}

// stream sends a session what it has subscribed to, and changes of lists. What
// comes while no stream is open, nobody is told. A second stream ends the first.
func (e *endpoint) stream(x *httpExchange, until <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.WithValue(context.WithValue(x.r.Context(), principalKey{}, *x.principal), streamKey{}, true))
	defer cancel()
	k := x.kept
	more := make(chan *jsonrpc.Request, 2*maxWatched)
	x.version = x.r.Header.Get("Mcp-Protocol-Version")
	k.mu.Lock()
	if k.end != nil {
		k.end()
	}
	k.more, k.end = more, cancel
	for _, uri := range k.watched {
		k.tell(methodWatch, uri)
	}
	k.mu.Unlock()
	defer k.set(func() {
		if k.more == more {
			k.more, k.end = nil, nil
		}
		k.used = time.Now()
	})
	x.open()
	e.exchangeOn(ctx, x, nil, until, more)
}

// questions are those that are put to clients of older versions on the streams of
// their calls, by the id that the answer must have.
type questions struct {
	mu   sync.Mutex
	open map[string]openQuestion
	of   callers
}

type openQuestion struct {
	principal string
	deliver   func(*jsonrpc.Response)
}

var errManyQuestions = errors.New("too many questions are open")

// ask takes the answer to one question of a principal.
func (q *questions) ask(principal string, deliver func(*jsonrpc.Response)) (jsonrpc.ID, func(), error) {
	if !q.of.enter(principal, maxQuestionsOf) {
		return jsonrpc.ID{}, nil, errManyQuestions
	}
	name := rand.Text()
	id, err := jsonrpc.MakeID(name)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.open == nil {
		q.open = map[string]openQuestion{}
	}
	q.open[name] = openQuestion{principal, deliver}
	return id, sync.OnceFunc(func() {
		q.take(name, principal)
		q.of.leave(principal)
	}), err
}

// take returns the open question of the principal, whose answer comes once.
func (q *questions) take(name, principal string) func(*jsonrpc.Response) {
	q.mu.Lock()
	defer q.mu.Unlock()
	o, ok := q.open[name]
	if !ok || o.principal != principal {
		return nil
	}
	delete(q.open, name)
	return o.deliver
}

// deliver takes a client's answer to the call that waits for it, in this process
// only. One to a question that nobody has put to this principal is refused.
func (e *endpoint) deliver(x *httpExchange, r *jsonrpc.Response) {
	if !x.metered() {
		return // it can be sent again
	}
	name, _ := r.ID.Raw().(string)
	deliver := e.questions.take(name, x.principal.ID)
	if deliver == nil {
		x.refuse(unasked)
		return
	}
	deliver(r)
	_ = x.send(http.StatusAccepted, nil)
}
