//lint:file-ignore SA1019 the protocol has deprecated it, and clients of both eras have it

package mcpsec

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	maxLogText  = 500 // bytes
	logBurst    = 10
	logInterval = 100 * time.Millisecond
)

// LogToClient tells the client something about the call that ctx belongs to, if
// [Options].ClientLog is set and the client has asked for messages of this level:
// in the request (MCP 2026-07-28), or before by logging/setLevel. It does nothing
// otherwise, after the call ended, and when messages follow each other faster than
// ten at once and ten a second.
//
// The message is for the client's person. It leaves like a result, without hidden
// characters and secrets, and is cut at 500 bytes; what the server's operators
// should know goes to [Logger]. It is safe for concurrent use.
//
// MCP 2026-07-28 has deprecated logging.
func LogToClient(ctx context.Context, level slog.Level, message string) {
	r := runFrom(ctx)
	if r == nil || !r.server.clientLog || !r.logs(time.Now()) {
		return
	}
	// The client may be gone; the call's own answer will find out.
	_ = r.req.Session.Log(ctx, &mcp.LoggingMessageParams{
		Logger: r.call.Tool, Level: clientLevel(level), Data: r.server.clean(message, maxLogText),
	})
}

func clientLevel(l slog.Level) mcp.LoggingLevel {
	switch {
	case l < slog.LevelInfo:
		return "debug"
	case l < slog.LevelWarn:
		return "info"
	case l < slog.LevelError:
		return "warning"
	}
	return "error"
}

// logs decides whether a message goes out now.
func (r *run) logs(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over || r.logged >= logBurst+int(now.Sub(r.call.start)/logInterval) {
		return false
	}
	r.logged++
	return true
}

// capabilities are those that the SDK does not find out by itself. Its default
// has logging.
func capabilities(clientLog bool) *mcp.ServerCapabilities {
	c := &mcp.ServerCapabilities{}
	if clientLog {
		c.Logging = &mcp.LoggingCapabilities{}
	}
	return c
}

// withoutLog takes the promise back, where a level would not last.
func withoutLog(c *mcp.ServerCapabilities) { c.Logging = nil }

// What logging/setLevel is about.
type (
	setLevelRequest = mcp.ServerRequest[*mcp.SetLoggingLevelParams]
	loggingLevel    = mcp.LoggingLevel
)

var clientLevels = []loggingLevel{"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}

// setLevel answers logging/setLevel, and keeps the level where a session goes on
// over several requests.
func (s *Server) setLevel(ctx context.Context, req *setLevelRequest, next mcp.MethodHandler) (mcp.Result, error) {
	if !slices.Contains(clientLevels, req.Params.Level) {
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "unknown level"}
	}
	if kept := sessionFrom(ctx); kept != nil {
		kept.set(func() { kept.level = req.Params.Level })
	}
	return next(ctx, methodSetLevel, req)
}
