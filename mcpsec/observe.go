package mcpsec

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/wire"
)

// An Observer is told what a [Server] does, for traces and metrics: package otelmcp
// has one. It decides nothing, and what it is told holds no arguments, no results, no
// error texts and nobody's name. Its methods are called on the way of requests, so
// they must be quick, must not block, and must be safe for concurrent use. A panic in
// one is logged.
type Observer interface {
	// Begin is told of a request that was taken, before anything is decided about
	// it. What runs for it gets the context that Begin returns, which must be made
	// from ctx.
	Begin(ctx context.Context, r *Request) context.Context
	// End is told of the same request, once, with that context, when its answer is
	// made, unless Begin has panicked. r must not be kept.
	End(ctx context.Context, r *Request)
	// Event is told of what [Server.Metrics] counts. The context is that of a
	// request, if the event belongs to one that was taken.
	Event(ctx context.Context, e Event)
}

// A Request is what an [Observer] is told of one request. Messages that were refused
// before they could become requests, and those of callers without a good token, are
// none: they are events.
type Request struct {
	Method string // of the protocol: another is none that is taken
	// Name is the name of the tool, prompt or resource, as it was added. It is
	// empty where nothing is meant that exists for the caller.
	Name string
	// ID is the JSON-RPC id as the client has chosen it, as text of up to 64
	// printable characters of ASCII. It is empty for any other.
	ID        string
	Version   string // of the protocol, one that the server knows, or empty
	Transport string // pipe, tcp or unix
	HTTP      bool   // whether it came over HTTP
	// TraceParent, TraceState and Baggage are what the client has sent in _meta by
	// SEP-414, at most 128, 512 and 8,192 bytes, and empty if longer. They are
	// unchecked otherwise, and the client can have made them up.
	TraceParent, TraceState, Baggage string

	// What follows is set for [Observer].End.

	Took      time.Duration
	Call      string // its id in the audit log, if it became a call
	Outcome   string // of a call: ok, asked, refused, failed, panicked, timeout or cancelled
	Rule      string // what has refused or ended a call
	ErrorCode int64  // of the protocol, or 0
	ToolError bool   // whether the result says that the tool has failed
}

// An Event is something that a [Server] counts.
type Event struct {
	// Kind says what has happened:
	//
	//	ended       a call that ran has ended, as Reason says: the outcomes of [Request]
	//	refused     by the rule that Reason names, before it ran
	//	asked       a person, in the way that Reason names: mrtr, elicitation or approver
	//	confirmed   a person has said yes, in the same ways
	//	cleaned     a result has lost what Reason names: secret or hidden characters
	//	unrecorded  a record could not be written
	Kind string
	// Method and Name are as in [Request], and empty where nothing is meant that
	// exists.
	Method, Name string
	Reason       string
}

const (
	eventEnded      = "ended"
	eventRefused    = "refused"
	eventAsked      = "asked"
	eventConfirmed  = "confirmed"
	eventCleaned    = "cleaned"
	eventUnrecorded = "unrecorded"
)

// note counts an event, and tells the Observer.
func (s *Server) note(ctx context.Context, e Event) {
	s.metrics.add(e)
	if s.observer != nil {
		s.observing(ctx, func() { s.observer.Event(ctx, e) })
	}
}

// observing keeps a panic of the Observer from ending anything.
func (s *Server) observing(ctx context.Context, tell func()) {
	defer func() {
		if p := recover(); p != nil {
			s.log.ErrorContext(ctx, "the Observer panicked", "error", fmt.Sprint(p))
		}
	}()
	tell()
}

type requestKey struct{}

// observe is the outer middleware of a server that has an Observer.
func (s *Server) observe(next mcp.MethodHandler) mcp.MethodHandler {
	if s.observer == nil {
		return next
	}
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		id := wire.RequestID(req)
		method, req = wire.Restore(method, req)
		if strings.HasPrefix(method, "notifications/") {
			return next(ctx, method, req)
		}
		start, r := time.Now(), &Request{Method: method, ID: printable(id)}
		begun := false
		s.observing(ctx, func() { // outside of the backstop, a panic would end the process
			s.describe(ctx, r, req)
			if with := s.observer.Begin(ctx, r); with != nil {
				ctx = with
			}
			begun = true
		})
		res, err := next(context.WithValue(ctx, requestKey{}, r), method, req)
		r.answered(res, err)
		r.Took = time.Since(start)
		if begun { // or the context has another's span
			s.observing(ctx, func() { s.observer.End(ctx, r) })
		}
		return res, err
	}
}

// The bounds of what a client can have an Observer look at, in bytes: of the W3C's
// Trace Context, section 3.3.1.5, and Baggage, section 3.3.2.
const (
	maxTraceParent = 128
	maxTraceState  = 512
	maxBaggage     = 8192
	maxRequestID   = 64
)

// describe says what is known of a request before it is decided about.
func (s *Server) describe(ctx context.Context, r *Request, req mcp.Request) {
	r.Name = s.nameOf(ctx, req)
	r.Transport, r.HTTP = transportOf(ctx)
	if v, ok := req.(interface{ ProtocolVersion() string }); ok && slices.Contains(mcp.SupportedProtocolVersions(), v.ProtocolVersion()) {
		r.Version = v.ProtocolVersion()
	}
	if p := req.GetParams(); p != nil && !reflect.ValueOf(p).IsNil() {
		meta := p.GetMeta()
		r.TraceParent = shortText(meta["traceparent"], maxTraceParent)
		r.TraceState = shortText(meta["tracestate"], maxTraceState)
		r.Baggage = shortText(meta["baggage"], maxBaggage)
	}
}

// nameOf names the thing that a request is about, if it exists for the caller.
func (s *Server) nameOf(ctx context.Context, req mcp.Request) string {
	var o *operation
	p := s.principalOf(ctx)
	switch req := req.(type) {
	case *mcp.CallToolRequest:
		o = s.operationFor(methodCall, req.Params.Name, "", p)
	case *mcp.GetPromptRequest:
		o = s.operationFor(methodPrompt, req.Params.Name, "", p)
	case *mcp.ReadResourceRequest:
		o = s.operationFor(methodRead, "", req.Params.URI, p)
	case *mcp.SubscribeRequest:
		o = s.operationFor(methodRead, "", req.Params.URI, p)
	}
	if o == nil {
		return ""
	}
	return o.spec.Name
}

// transportOf names the network that a request came over, as OpenTelemetry does.
func transportOf(ctx context.Context) (name string, overHTTP bool) {
	if _, overHTTP = ctx.Value(principalKey{}).(Principal); !overHTTP {
		return "pipe", false
	}
	if _, ok := ctx.Value(http.LocalAddrContextKey).(*net.UnixAddr); ok {
		return "unix", true
	}
	return "tcp", true
}

func shortText(v any, limit int) string {
	if t, ok := v.(string); ok && len(t) <= limit {
		return t
	}
	return ""
}

func printable(id jsonrpc.ID) string {
	if !id.IsValid() {
		return ""
	}
	text := fmt.Sprint(id.Raw())
	if len(text) > maxRequestID || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		return ""
	}
	return text
}

// became notes what a request's call has led to, on the goroutine that answers it.
func (s *Server) became(ctx context.Context, res *result) {
	if s.observer == nil {
		return
	}
	if r, ok := ctx.Value(requestKey{}).(*Request); ok {
		r.Call, r.Outcome, r.Rule = res.call, res.outcome, res.rule
		if res.outcome == "" {
			r.Outcome = outcomeOK
		}
	}
}

// answered notes how the protocol says that a request has ended.
func (r *Request) answered(res mcp.Result, err error) {
	var vetted *wire.Vetted
	var werr *jsonrpc.Error
	switch {
	case errors.As(err, &vetted):
		r.ErrorCode = vetted.Code
	case errors.As(err, &werr):
		r.ErrorCode = werr.Code
	case err != nil:
		r.ErrorCode = jsonrpc.CodeInternalError
	}
	if out, ok := res.(*reply); ok && err == nil {
		r.ToolError = out.res.ask == nil && out.res.json == nil
	}
}
