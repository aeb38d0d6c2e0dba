package mcpsec

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	v2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/wire"
)

const (
	firstModern  = "2026-07-28" // the first version without sessions
	firstVersion = "2025-03-26" // what a client without the header speaks
)

// readMessage reads the body as one request, or answers it: a notification has
// nothing to tell a server without sessions.
func (e *endpoint) readMessage(x *httpExchange) *jsonrpc.Request {
	status := acceptable(x.r)
	var body []byte
	if status == nil {
		body, status = e.readBody(x)
	}
	if status != nil {
		x.refuseMetered(status)
		return nil
	}
	m, refusal := wire.Parse(body, e.limits.MaxDepth)
	req, isRequest := m.(*jsonrpc.Request)
	if !(isRequest && req.Method == methodInitialize) && !e.findSession(x) {
		return nil
	}
	switch {
	case refusal != nil && refusal.IsMute(), isRequest && !req.IsCall():
		x.acknowledge()
	case refusal != nil:
		x.refuseMessage(refusal)
	case !isRequest:
		e.deliver(x, m.(*jsonrpc.Response))
	default:
		if refusal = checkHeaders(x, req); refusal != nil {
			x.refuseMessage(refusal)
			return nil
		}
		if !e.authorize(x, req.Method) {
			return nil
		}
		if e.o.Sessions && !x.modern && req.Method == methodInitialize {
			e.begin(x, req)
		}
		return req
	}
	return nil
}

// acceptable checks what the headers say of the body and of the answer. The
// media type keeps web forms out, which need no preflight.
func acceptable(r *http.Request) *httpStatus {
	types := r.Header.Values("Content-Type")
	if len(types) != 1 || r.Header.Get("Content-Encoding") != "" {
		return wrongType
	}
	if types[0] != "application/json" {
		media, params, err := mime.ParseMediaType(types[0])
		if charset := params["charset"]; err != nil || media != "application/json" || charset != "" && !strings.EqualFold(charset, "utf-8") {
			return wrongType
		}
	}
	if r.Header.Get("Last-Event-Id") != "" {
		return noResumption
	}
	var asJSON, asStream bool
	for _, v := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(v, ",") {
			media, _, _ := strings.Cut(part, ";")
			switch strings.ToLower(strings.TrimSpace(media)) {
			case "application/json", "application/*":
				asJSON = true
			case "text/event-stream", "text/*":
				asStream = true
			case "*/*":
				asJSON, asStream = true, true
			}
		}
	}
	if !asJSON || !asStream {
		return notAcceptable
	}
	return nil
}

// readBody reads a body of bounded size, by the deadline that open has set.
func (e *endpoint) readBody(x *httpExchange) ([]byte, *httpStatus) {
	limit := int64(e.limits.MaxMessage)
	if x.r.ContentLength > limit {
		return nil, tooLarge
	}
	// One more than announced, so that the end is found without growing; but an
	// announcement costs nothing and gets little.
	body := make([]byte, 0, min(max(x.r.ContentLength+1, 512), 64<<10))
	for {
		n, err := x.r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case int64(len(body)) > limit:
			return nil, tooLarge
		case errors.Is(err, io.EOF):
			return body, nil
		case err != nil:
			return nil, incomplete
		case len(body) == cap(body):
			body = slices.Grow(body, len(body))
		}
	}
}

// meta is what the transport looks at of a request's parameters.
type meta struct {
	Name string `json:"name"`
	URI  string `json:"uri"`
	Meta struct {
		Version jsontext.Value `json:"io.modelcontextprotocol/protocolVersion"`
	} `json:"_meta"`
}

// checkHeaders compares the headers, which proxies decide by, with the message,
// which the server obeys: Streamable HTTP, "Server Validation". It notes the
// version that the request speaks.
func checkHeaders(x *httpExchange, req *jsonrpc.Request) *wire.Refusal {
	refuse := func(code int64) *wire.Refusal { return wire.Refuse(req.ID, code) }
	if len(req.Params) > 0 && v2.Unmarshal(req.Params, &x.meta) != nil {
		return refuse(jsonrpc.CodeInvalidParams)
	}
	header, ok := single(x.r.Header, "Mcp-Protocol-Version")
	if !ok {
		return refuse(codeHeaderMismatch)
	}
	var inBody string
	if v := x.meta.Meta.Version; v != nil && v2.Unmarshal(v, &inBody) != nil {
		return refuse(jsonrpc.CodeInvalidParams)
	}
	if header == "" {
		x.version = firstVersion
	} else {
		x.version = header
	}
	x.modern = x.version >= firstModern
	switch {
	case x.version < firstModern && !slices.Contains(mcp.SupportedProtocolVersions(), x.version):
		return unsupported(req.ID, header)
	case inBody == "" && x.modern:
		return refuse(jsonrpc.CodeInvalidParams)
	case inBody != "" && inBody != header:
		return refuse(codeHeaderMismatch)
	case x.modern && !slices.Contains(mcp.SupportedProtocolVersions(), x.version):
		return unsupported(req.ID, header)
	case x.modern && (!headersMatch(x.r.Header, req.Method, &x.meta) || !x.paramsMatch(req)):
		return refuse(codeHeaderMismatch)
	}
	return nil
}

const codeHeaderMismatch, codeUnsupportedVersion = -32020, -32022

// unsupported names the versions that there are, as the specification asks.
func unsupported(id jsonrpc.ID, asked string) *wire.Refusal {
	r := wire.Refuse(id, codeUnsupportedVersion)
	r.Data = wire.Versions(mcp.SupportedProtocolVersions(), asked)
	return r
}

// headersMatch compares Mcp-Method and Mcp-Name with what the body says.
func headersMatch(h http.Header, method string, m *meta) bool {
	if got, ok := single(h, "Mcp-Method"); !ok || got != method {
		return false
	}
	want := m.Name
	switch method {
	case "resources/read":
		want = m.URI
	case "tools/call", "prompts/get":
	default:
		return true
	}
	got, ok := decoded(h, "Mcp-Name")
	return ok && got == want
}

// decoded returns a header in the plain, which may be there once, and empty or
// not at all.
func decoded(h http.Header, name string) (string, bool) {
	got, ok := single(h, name)
	if encoded, isEncoded := strings.CutPrefix(got, "=?base64?"); isEncoded && strings.HasSuffix(encoded, "?=") {
		b, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSuffix(encoded, "?="))
		return string(b), ok && err == nil
	}
	return got, ok
}

// paramsMatch compares the headers that repeat arguments of a tool with these.
// What the caller may not use has no headers.
func (x *httpExchange) paramsMatch(req *jsonrpc.Request) bool {
	if req.Method != methodCall {
		return true
	}
	t := x.e.toolFor(x.meta.Name, *x.principal)
	if t == nil || len(t.headers) == 0 {
		return true
	}
	var p struct {
		Arguments map[string]jsontext.Value `json:"arguments"`
	}
	if len(req.Params) > 0 && v2.Unmarshal(req.Params, &p) != nil {
		return true // of the wrong shape: the pipeline says so
	}
	for member, name := range t.headers {
		name = "Mcp-Param-" + name
		got, ok := decoded(x.r.Header, name)
		want, present := p.Arguments[member]
		if !ok || (present && want.Kind() != 'n') != (x.r.Header.Values(name) != nil) || got != plainText(want) {
			return false
		}
	}
	return true
}

// plainText is a string without its quotes, nothing for null, and any other value
// as it is written.
func plainText(v jsontext.Value) string {
	switch {
	case len(v) == 0 || v.Kind() == 'n':
		return ""
	case v.Kind() == '"':
		b, err := jsontext.AppendUnquote(nil, v)
		if err == nil {
			return string(b)
		}
	}
	return string(v)
}

// single returns a header that may not be there twice.
func single(h http.Header, name string) (string, bool) {
	v := h.Values(name)
	if len(v) == 0 {
		return "", true
	}
	return v[0], len(v) == 1
}

// exchange runs one request on a session of its own, which ends with it.
func (e *endpoint) exchange(ctx context.Context, x *httpExchange, req *jsonrpc.Request, stop <-chan struct{}) {
	if x.kept != nil {
		ctx = context.WithValue(ctx, sessionKey{}, x.kept)
	}
	e.exchangeOn(ctx, x, req, stop, nil)
}

// exchangeOn runs a request, and more, or only these.
func (e *endpoint) exchangeOn(ctx context.Context, x *httpExchange, req *jsonrpc.Request, stop <-chan struct{}, more <-chan *jsonrpc.Request) {
	ex := &wire.Exchange{
		Request: req, Context: ctx, Stop: stop, More: more, Identify: e.observer != nil,
		Notify: x.notify, Answer: x.answer,
		Refused: func(r *wire.Refusal) { x.record("message", r.Text) },
	}
	if x.kept != nil {
		ex.Ask = func(deliver func(*jsonrpc.Response)) (jsonrpc.ID, func(), error) {
			return e.questions.ask(x.principal.ID, deliver)
		}
	}
	session, err := e.sdk.Connect(ctx, ex, x.session(req))
	if err == nil {
		err = session.Wait()
		e.watches.drop(session, x.principal.ID, func(string) bool { return true })
	}
	if !x.wrote && ctx.Err() == nil {
		e.log.ErrorContext(ctx, "request not answered", "method", "http", "error", err)
		x.refuse(unavailable)
	}
}

// session is the state that a client of the older versions believes in. It is
// made up for every request, of what is kept.
func (x *httpExchange) session(req *jsonrpc.Request) *mcp.ServerSessionOptions {
	if x.modern {
		return nil
	}
	state := &mcp.ServerSessionState{InitializedParams: &mcp.InitializedParams{}}
	if req == nil || req.Method != methodInitialize {
		state.InitializeParams = &mcp.InitializeParams{ProtocolVersion: x.version}
		if k := x.kept; k != nil {
			state.InitializeParams.Capabilities = k.capabilities
			k.set(func() { state.LogLevel = k.level })
		}
	}
	return &mcp.ServerSessionOptions{State: state}
}
