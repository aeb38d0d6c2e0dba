package wire

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// The texts that a protocol error may carry beside those of its code. They are
// constants, so nothing that was sent or thrown can be in them.
const (
	OutOfOrder = "invalid request: initialize the session first, and once"
	busy       = "too many requests in flight: wait for answers"
	stopping   = "the server is stopping"
)

// A Vetted error goes out as it is. Whoever makes one vouches for its text and
// data, that nothing which was sent or thrown is in it, and has recorded it. Its code
// must be one of those below.
type Vetted struct {
	Code int64
	Text string
	Data json.RawMessage // as the specification defines it for the code; nil for none
}

func (e *Vetted) Error() string { return e.Text }

// codeTexts says an error code in words. The SDK's own texts quote the request,
// Go types and the handler's error.
var codeTexts = map[int64]string{
	jsonrpc.CodeParseError:     "parse error",
	jsonrpc.CodeInvalidRequest: "invalid request",
	jsonrpc.CodeMethodNotFound: "method not found",
	jsonrpc.CodeInvalidParams:  "invalid params: they do not have the shape that the method takes",
	jsonrpc.CodeInternalError:  "internal error",
	-32020:                     "headers and message disagree",
	-32021:                     "the client lacks a capability that this request needs",
	-32022:                     "unsupported protocol version",
	CodeBusy:                   busy,
	CodeRefused:                "the request was refused",
}

// maxErrorData bounds the data of an error of the MCP range, which the
// specification asks for (the versions a server supports, for example).
const maxErrorData = 1 << 10

// sanitize reduces an error to its code and a constant text. The SDK gives no
// code to what it refuses before a handler runs, because of the session's state;
// a code that nobody defined becomes an internal error. Only a [Vetted] one keeps
// its text.
func sanitize(err error) *jsonrpc.Error {
	var own *Vetted
	if errors.As(err, &own) && codeTexts[own.Code] != "" {
		return &jsonrpc.Error{Code: own.Code, Message: own.Text, Data: own.Data}
	}
	var werr *jsonrpc.Error
	if !errors.As(err, &werr) || werr.Code == 0 {
		return &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest, Message: OutOfOrder}
	}
	if codeTexts[werr.Code] == "" {
		return &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: codeTexts[jsonrpc.CodeInternalError]}
	}
	out := &jsonrpc.Error{Code: werr.Code, Message: codeTexts[werr.Code]}
	switch {
	case werr.Code == mcp.CodeUnsupportedProtocolVersion:
		out.Data = versions(werr.Data)
	case werr.Code <= -32020 && werr.Code >= -32099 && len(werr.Data) <= maxErrorData && json.Valid(werr.Data):
		out.Data = werr.Data
	}
	return out
}

// versions keeps of the SDK's data the versions that there are; the one that was
// asked for can be anything.
func versions(data json.RawMessage) json.RawMessage {
	var d mcp.UnsupportedProtocolVersionData
	if json.Unmarshal(data, &d) != nil {
		return nil
	}
	return Versions(d.Supported, d.Requested)
}

// Versions is the data of an error that refuses a protocol version. It repeats
// the one that was asked for only if it looks like one.
func Versions(supported []string, asked string) json.RawMessage {
	if len(asked) > 32 || strings.Trim(strings.TrimPrefix(asked, "v"), "0123456789.-") != "" {
		asked = "unknown"
	}
	b, _ := json.Marshal(mcp.UnsupportedProtocolVersionData{Supported: supported, Requested: asked}) // of strings
	return b
}

func errorJSON(e *jsonrpc.Error) []byte {
	b, _ := json.Marshal(e) // a struct of an integer, a valid text and valid JSON
	return b
}

// unrecorded reports whether an error answers a request of a method whose
// requests are all recorded, and came about before it could be.
func unrecorded(method string, err error) bool {
	var own *Vetted
	return recorded[method] && !errors.As(err, &own)
}

var recorded = map[string]bool{
	"tools/call": true, "prompts/get": true, "resources/read": true, "resources/subscribe": true, "completion/complete": true,
}
