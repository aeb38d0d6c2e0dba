package wire

import (
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// idMember is what a request's id is kept under. No client can put anything there.
const idMember = "id"

// identify has the SDK hand on a request's id, which it keeps to itself otherwise.
// What of the request's Extra is there stays.
func identify(req *jsonrpc.Request) *jsonrpc.Request {
	if !req.IsCall() {
		return req
	}
	extra, ok := req.Extra.(*mcp.RequestExtra)
	if !ok {
		extra = &mcp.RequestExtra{TokenInfo: &auth.TokenInfo{Extra: map[string]any{}}}
		req.Extra = extra
	}
	extra.TokenInfo.Extra[idMember] = req.ID
	return req
}

// RequestID returns the id of a request that came over a transport with Identify, as
// it came, before [Restore]. Of any other request it is not valid.
func RequestID(req mcp.Request) jsonrpc.ID {
	extra := req.GetExtra()
	if extra == nil || extra.TokenInfo == nil {
		return jsonrpc.ID{}
	}
	id, _ := extra.TokenInfo.Extra[idMember].(jsonrpc.ID)
	return id
}
