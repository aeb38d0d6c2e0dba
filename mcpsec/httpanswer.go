package mcpsec

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/mcpsec/mcpsec-go/internal/wire"
)

// An httpStatus is a way to refuse a request, with a text that is the same for
// everyone.
type httpStatus struct {
	status int
	rule   string // in the record
	text   string
	oauth  string // the error of RFC 6750, where it is one
}

var (
	unsafeWay         = &httpStatus{http.StatusForbidden, "network", "this server does not take requests that come this way", ""}
	wrongHost         = &httpStatus{http.StatusForbidden, "host", "this server has another name", ""}
	wrongOrigin       = &httpStatus{http.StatusForbidden, "origin", "this page may not call the server", ""}
	notFound          = &httpStatus{http.StatusNotFound, "path", "there is nothing here", ""}
	methodNotAllowed  = &httpStatus{http.StatusMethodNotAllowed, "method", "only POST is served: there are no sessions and no streams of the server's own", ""}
	queryRefused      = &httpStatus{http.StatusBadRequest, "query", "a query is not taken: send the token in the Authorization header", "invalid_request"}
	noToken           = &httpStatus{http.StatusUnauthorized, "token", "a bearer token is required", ""}
	malformedToken    = &httpStatus{http.StatusBadRequest, "token", "the Authorization header must hold one bearer token", "invalid_request"}
	invalidToken      = &httpStatus{http.StatusUnauthorized, "token", "the token is not valid", "invalid_token"}
	insufficientScope = &httpStatus{http.StatusForbidden, "scope", "the token lacks scopes for this", "insufficient_scope"}
	tooManyRefused    = &httpStatus{http.StatusTooManyRequests, "rate", "too many refused requests: wait, then retry", ""}
	tooMany           = &httpStatus{http.StatusTooManyRequests, "busy", "too many requests: wait for answers, then retry", ""}
	wrongType         = &httpStatus{http.StatusUnsupportedMediaType, "content type", "the body must be application/json in UTF-8, not compressed", ""}
	notAcceptable     = &httpStatus{http.StatusNotAcceptable, "accept", "accept application/json and text/event-stream", ""}
	noResumption      = &httpStatus{http.StatusBadRequest, "message", "streams cannot be resumed", ""}
	tooLarge          = &httpStatus{http.StatusRequestEntityTooLarge, "size", "the message is too long", ""}
	incomplete        = &httpStatus{http.StatusBadRequest, "message", "the body did not arrive whole and in time", ""}
	unknownSession    = &httpStatus{http.StatusNotFound, "session", "there is no such session: initialize a new one", ""}
	unasked           = &httpStatus{http.StatusBadRequest, "message", "this server has asked nothing that could be answered", ""}
	stopping          = &httpStatus{http.StatusServiceUnavailable, "stopping", "the server is stopping", ""}
	unavailable       = &httpStatus{http.StatusServiceUnavailable, "unavailable", "the server cannot answer now", ""}
)

func (s *httpStatus) body() []byte {
	code := int64(jsonrpc.CodeInvalidRequest)
	switch s.status {
	case http.StatusTooManyRequests:
		code = wire.CodeBusy
	case http.StatusServiceUnavailable:
		code = jsonrpc.CodeInternalError
	}
	return (&wire.Refusal{Code: code, Text: s.text}).JSON()
}

// An httpExchange is one request and the way its answer takes. One goroutine
// uses it at a time.
type httpExchange struct {
	e     *endpoint
	w     http.ResponseWriter
	rc    *http.ResponseController
	r     *http.Request
	local bool // the peer is on this machine

	origin    string     // a known page's
	remote    string     // where nobody is authenticated yet
	principal *Principal // once somebody is
	op        *operation // that was refused
	version   string     // of the protocol
	modern    bool       // the version has no sessions
	meta      meta
	kept      *keptSession // of an older client

	begins bool // a session
	wrote  bool
	stream bool // events have been sent
}

// open takes a request over. From here on its client must hurry.
func (e *endpoint) open(w http.ResponseWriter, r *http.Request) *httpExchange {
	x := &httpExchange{e: e, w: w, rc: http.NewResponseController(w), r: r}
	x.deadline(x.rc.SetReadDeadline)
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		x.local = isLocal(a)
	}
	h := w.Header()
	if r.ProtoMajor == 1 && len(r.TransferEncoding) > 0 {
		// A Content-Length beside it is gone by now: whether a proxy took the
		// body to end elsewhere cannot be told (RFC 9112, section 6.3).
		h.Set("Connection", "close")
	}
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Vary", "Origin")
	return x
}

// deadline sets one of the connection's deadlines. A server that has none keeps
// its own.
func (x *httpExchange) deadline(set func(time.Time) error) { _ = set(time.Now().Add(x.e.o.Timeout)) }

// send answers with one document. What cannot be written, nobody reads.
func (x *httpExchange) send(status int, body []byte) error {
	x.wrote = true
	x.e.metrics.http.add(strconv.Itoa(status), "", "")
	h := x.w.Header()
	if body != nil {
		h.Set("Content-Type", "application/json")
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	x.deadline(x.rc.SetWriteDeadline)
	x.w.WriteHeader(status)
	if body == nil || x.r.Method == http.MethodHead {
		return nil
	}
	_, err := x.w.Write(body)
	return err
}

// refuse answers with a constant and records it.
func (x *httpExchange) refuse(s *httpStatus) {
	if x.record(s.rule, s.text); s.status == http.StatusTooManyRequests || s.status == http.StatusServiceUnavailable {
		x.w.Header().Set("Retry-After", "1")
	}
	_ = x.send(s.status, s.body())
}

// refuseMetered answers what a known principal should not have sent, which counts
// against its rate, as what is taken does later.
func (x *httpExchange) refuseMetered(s *httpStatus) {
	if x.metered() {
		x.refuse(s)
	}
}

// refuseMessage answers what is no message that this server takes.
func (x *httpExchange) refuseMessage(r *wire.Refusal) {
	if x.metered() {
		x.record("message", r.Text)
		_ = x.send(http.StatusBadRequest, r.JSON())
	}
}

// acknowledge answers a notification, which has told the server nothing.
func (x *httpExchange) acknowledge() {
	if x.metered() {
		_ = x.send(http.StatusAccepted, nil)
	}
}

func (x *httpExchange) metered() bool {
	switch wait, err := x.e.rate(x.r.Context(), x.principal.ID); {
	case err != nil:
		x.refuse(unavailable)
	case wait != 0:
		x.refuse(tooMany)
	default:
		return true
	}
	return false
}

func (x *httpExchange) record(rule, reason string) {
	f := refusal{rule: rule, reason: reason}
	if x.op != nil {
		f.noun, f.tool = x.op.noun, x.op.spec.Name
	}
	if x.principal != nil {
		f.principal = x.principal.ID
	} else if f.remote = x.remote; f.remote == "" {
		f.remote = x.e.remote(x.r)
	}
	x.e.recordRefusal(context.WithoutCancel(x.r.Context()), f)
}

// ok answers a probe.
func (x *httpExchange) ok() {
	x.document([]byte(`"ok"`))
}

// document answers who reads.
func (x *httpExchange) document(body json.RawMessage) {
	if x.r.Method != http.MethodGet && x.r.Method != http.MethodHead {
		x.w.Header().Set("Allow", "GET, HEAD")
		x.refuse(methodNotAllowed)
		return
	}
	_ = x.send(http.StatusOK, body)
}

// event sends a message ahead of the answer, which makes the response a stream.
func (x *httpExchange) event(message []byte) error {
	x.deadline(x.rc.SetWriteDeadline)
	if !x.stream {
		x.start()
	}
	b := append(append(append(make([]byte, 0, len(message)+32), "event: message\ndata: "...), message...), "\n\n"...)
	if _, err := x.w.Write(b); err != nil {
		return err
	}
	return x.rc.Flush()
}

// start makes the response a stream.
func (x *httpExchange) start() {
	x.wrote, x.stream = true, true
	x.e.metrics.http.add("200", "", "")
	h := x.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	x.w.WriteHeader(http.StatusOK)
}

// open begins a stream that has nothing to say yet. The client has said all that
// it has to say, so its time is over, too.
func (x *httpExchange) open() {
	_ = x.rc.SetReadDeadline(time.Time{})
	x.deadline(x.rc.SetWriteDeadline)
	x.start()
	_ = x.rc.Flush()                       // a client that is gone shows on the next event
	_ = x.rc.SetWriteDeadline(time.Time{}) // silence follows, see notify
}

// notify sends an event after which there may be silence. Its deadline would end
// an HTTP/2 stream then, whether anybody writes or not.
func (x *httpExchange) notify(message []byte) error {
	if err := x.event(message); err != nil {
		return err
	}
	_ = x.rc.SetWriteDeadline(time.Time{}) // as in deadline
	return nil
}

// prefersStream reports whether the client names streams first among what it
// accepts. Most name JSON first, which costs less.
func (x *httpExchange) prefersStream() bool {
	return strings.HasPrefix(strings.ToLower(x.r.Header.Get("Accept")), "text/event-stream")
}

// answer sends the answer, as a document if nothing was sent before.
func (x *httpExchange) answer(message []byte, code int64) error {
	if x.begins && code == 0 {
		x.w.Header().Set(sessionHeader, x.kept.id)
	}
	if x.stream || code == 0 && x.prefersStream() {
		return x.event(message)
	}
	return x.send(x.statusOf(code), message)
}

// statusOf maps an error's code to the status that the specification of the
// request's version wants.
func (x *httpExchange) statusOf(code int64) int {
	switch {
	case code == wire.CodeBusy:
		x.w.Header().Set("Retry-After", "1")
		return http.StatusTooManyRequests
	case !x.modern:
		return http.StatusOK
	}
	switch code {
	case jsonrpc.CodeMethodNotFound:
		return http.StatusNotFound
	case jsonrpc.CodeInvalidParams, jsonrpc.CodeInvalidRequest, codeHeaderMismatch, -32021, codeUnsupportedVersion:
		return http.StatusBadRequest
	}
	return http.StatusOK
}
