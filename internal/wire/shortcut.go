package wire

import (
	"encoding/json"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// The SDK decodes the parameters of each request twice, through a buffer of 32 KB
// each time: nearly all that a call leaves to the garbage collector. So a call of a
// tool takes a shortcut once the SDK has taken one like it on the same stream: the
// SDK is handed a ping, which has no parameters to decode and may come at any time,
// and [Restore] turns it into the call again, before anything else sees it.
//
// What the SDK decides by the parameters before that, it has decided then, and would
// decide again: whether the session has begun, and, of the members of _meta that are
// the protocol's own, which must be the same, byte by byte, the version and what the
// client can do.

const (
	methodCall = "tools/call"
	methodPing = "ping"
	// reserved begins the names in _meta that are the protocol's own.
	reserved = "io.modelcontextprotocol/"
)

// callParams are the parameters of a call of a tool, undecoded.
type callParams struct {
	meta, name, args jsontext.Value
	more             bool // there are others
}

// read reads an object, notes where its parts lie, and returns the whole.
func (p *callParams) read(d *jsontext.Decoder, line []byte) (jsontext.Value, error) {
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	start := d.InputOffset() - 1
	for d.PeekKind() == '"' {
		name, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		dst := p.member(name)
		v, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		if dst != nil {
			*dst = behind(d, line, len(v))
		} else {
			p.more = true
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	return behind(d, line, int(d.InputOffset()-start)), nil
}

func (p *callParams) member(name jsontext.Value) *jsontext.Value {
	switch string(name) {
	case `"_meta"`:
		return &p.meta
	case `"name"`:
		return &p.name
	case `"arguments"`:
		return &p.args
	}
	return nil
}

// plain reports whether the parameters mean to every decoder what they mean to this
// package.
func (p *callParams) plain() bool {
	return !p.more && p.name != nil && p.name[0] == '"' &&
		(p.args == nil || p.args[0] == '{') && (p.meta == nil || p.meta[0] == '{')
}

// A standing is what the SDK knows of the client of a call that it took.
type standing struct {
	raw  string            // _meta as it was sent
	meta mcp.Meta          // the same, decoded
	own  map[string]string // the protocol's own members of it, undecoded
}

// learn notes with what standing a call was answered.
func (c *conn) learn(state *request) {
	if state == nil || state.method != methodCall {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.standing == nil || c.standing.raw != string(state.meta) {
		if s := newStanding(state.meta); s != nil {
			c.standing = s
		}
	}
}

// newStanding returns nil when the SDK would have to look at more than once: the
// level of messages that the client wants is one for each call.
func newStanding(raw jsontext.Value) *standing {
	s := &standing{raw: string(raw), own: map[string]string{}}
	meta, ok := decodeMeta(raw, func(name string, v json.RawMessage) bool {
		s.own[name] = string(v)
		return name == mcp.MetaKeyProtocolVersion || name == mcp.MetaKeyClientInfo || name == mcp.MetaKeyClientCapabilities
	})
	if s.meta = meta; !ok {
		return nil
	}
	return s
}

// decode returns the _meta of a call, and false when the SDK has to look at it.
func (s *standing) decode(raw jsontext.Value) (mcp.Meta, bool) {
	if string(raw) == s.raw {
		return s.meta, true
	}
	own := 0
	meta, ok := decodeMeta(raw, func(name string, v json.RawMessage) bool {
		own++
		known, ok := s.own[name]
		return ok && known == string(v)
	})
	return meta, ok && own == len(s.own)
}

// decodeMeta decodes _meta as the SDK does, if check agrees with each of the
// protocol's own members.
func decodeMeta(raw jsontext.Value, check func(name string, v json.RawMessage) bool) (mcp.Meta, bool) {
	if raw == nil {
		return nil, true
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return nil, false
	}
	meta := make(mcp.Meta, len(members))
	for name, v := range members {
		if strings.HasPrefix(name, reserved) && !check(name, v) {
			return nil, false
		}
		var value any
		if json.Unmarshal(v, &value) != nil {
			return nil, false
		}
		meta[name] = value
	}
	return meta, true
}

// shorten returns req in the form in which the SDK is to get it.
func (c *conn) shorten(req *jsonrpc.Request, call callParams) *jsonrpc.Request {
	if req.Method != methodCall || !call.plain() {
		return req
	}
	c.mu.Lock()
	s := c.standing
	c.mu.Unlock()
	if s == nil {
		return req
	}
	meta, ok := s.decode(call.meta)
	if !ok {
		return req
	}
	name, err := jsontext.AppendUnquote(nil, call.name)
	if err != nil {
		return req
	}
	params := &mcp.CallToolParamsRaw{Meta: meta, Name: string(name), Arguments: json.RawMessage(call.args)}
	extra := &mcp.RequestExtra{TokenInfo: &auth.TokenInfo{Extra: map[string]any{methodCall: shortened{params}}}}
	return &jsonrpc.Request{ID: req.ID, Method: methodPing, Extra: extra}
}

// shortened is a type that nobody else can make a value of.
type shortened struct{ params *mcp.CallToolParamsRaw }

// Restore returns a request as the client has made it.
func Restore(method string, req mcp.Request) (string, mcp.Request) {
	ping, ok := req.(*mcp.ServerRequest[*mcp.PingParams])
	if !ok || ping.Extra == nil || ping.Extra.TokenInfo == nil {
		return method, req
	}
	call, ok := ping.Extra.TokenInfo.Extra[methodCall].(shortened)
	if !ok {
		return method, req
	}
	return methodCall, &mcp.CallToolRequest{Session: ping.Session, Params: call.params}
}
