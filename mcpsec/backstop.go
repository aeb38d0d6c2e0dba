package mcpsec

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/wire"
)

// backstop surrounds every request: no panic ends the process, and no error
// that is not one of the protocol's own gets further.
func (s *Server) backstop(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (res mcp.Result, err error) {
		method, req = wire.Restore(method, req)
		if method == methodCall {
			growStack()
		}
		defer func() {
			if p := recover(); p != nil {
				s.log.ErrorContext(ctx, "panic", "method", method, "error", fmt.Sprint(p), "stack", string(debug.Stack()))
				res, err = nil, internalError()
			}
		}()
		principal := s.principalOf(ctx)
		if err := s.admitRequest(ctx, principal.ID, method, req); err != nil {
			return nil, err
		}
		if res, err = s.dispatch(ctx, principal, method, req, next); err != nil {
			return nil, s.protocolError(ctx, method, err)
		}
		s.announce(ctx, res)
		s.listVisible(res, principal)
		return res, nil
	}
}

// growStack makes room for all that a call will do, while there is little to move: a
// stack that grows by doubling has been seen to take a tenth of a call's processor time.
//
//go:noinline
func growStack() {
	var room [stackRoom]byte
	roomSink.Store(uint32(room[0]))
}

const stackRoom = 7 << 10

var roomSink atomic.Uint32

// dispatch answers for prompts, resources and completions. The SDK answers the
// rest, and hands calls of tools to the pipeline.
func (s *Server) dispatch(ctx context.Context, p Principal, method string, req mcp.Request, next mcp.MethodHandler) (mcp.Result, error) {
	switch req := req.(type) {
	case *mcp.CallToolRequest:
		if s.toolFor(req.Params.Name, p) == nil {
			return nil, s.unknown(ctx, p, "unknown tool", unknownTool)
		}
		res, err := next(ctx, method, req)
		if err != nil {
			return nil, err
		}
		return s.wrap(ctx, req, res)
	case *mcp.GetPromptRequest:
		return s.getPrompt(ctx, p, req)
	case *mcp.ReadResourceRequest:
		return s.readResource(ctx, p, req)
	case *mcp.CompleteRequest:
		return s.complete(ctx, p, req)
	case *mcp.SubscribeRequest:
		return s.subscribe(ctx, p, req, next)
	case *mcp.UnsubscribeRequest:
		return s.unsubscribe(ctx, p, req, next)
	case *mcp.SubscriptionsListenRequest:
		return s.listenFor(ctx, p, req, next)
	case *setLevelRequest:
		return s.setLevel(ctx, req, next)
	}
	return next(ctx, method, req)
}

// admitRequest meters what does not go through the pipeline. It refuses what is
// not served, which the SDK would answer without having announced it, and
// cursors: there is one page.
func (s *Server) admitRequest(ctx context.Context, principal, method string, req mcp.Request) error {
	served := s.serves(ctx, method)
	switch {
	case strings.HasPrefix(method, "notifications/"):
		return nil
	case served && slices.Contains(pipelined, method):
		return nil
	}
	if err := s.meter(ctx, principal); err != nil {
		return err
	}
	if !served {
		return &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "method not found"}
	}
	if cursor(req) != "" {
		return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "there is no such page"}
	}
	return nil
}

// pipelined are the methods that the pipeline meters.
var pipelined = []string{methodCall, methodPrompt, methodRead, methodWatch, methodComplete}

// cursor returns the page that a request for a list asks for.
func cursor(req mcp.Request) string {
	switch req := req.(type) {
	case *mcp.ListToolsRequest:
		if req.Params != nil {
			return req.Params.Cursor
		}
	case *mcp.ListPromptsRequest:
		if req.Params != nil {
			return req.Params.Cursor
		}
	case *mcp.ListResourcesRequest:
		if req.Params != nil {
			return req.Params.Cursor
		}
	case *mcp.ListResourceTemplatesRequest:
		if req.Params != nil {
			return req.Params.Cursor
		}
	}
	return ""
}

// meter counts a request that does not get as far as the pipeline.
func (s *Server) meter(ctx context.Context, principal string) error {
	switch wait, err := s.rate(ctx, principal); {
	case err != nil:
		s.recordRefusal(ctx, refusal{principal: principal, rule: "rate", reason: "the request could not be counted"})
		return internalError()
	case wait != 0:
		s.recordRefusal(ctx, refusal{principal: principal, rule: "rate", reason: "too many requests"})
		return &wire.Vetted{Code: wire.CodeBusy, Text: "too many requests: wait, then retry"}
	}
	return nil
}

func internalError() error {
	return &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "internal error"}
}

// protocolError keeps an error that has a code and logs any other. The wire
// replaces the texts.
func (s *Server) protocolError(ctx context.Context, method string, err error) error {
	var vetted *wire.Vetted
	if errors.As(err, &vetted) {
		return vetted
	}
	var werr *jsonrpc.Error
	if errors.As(err, &werr) && werr.Code != 0 {
		return werr
	}
	s.log.ErrorContext(ctx, "request failed", "method", method, "error", err)
	return internalError()
}

// wrap gives a tool's result the encoder of [reply], or makes it the error that
// the protocol wants.
func (s *Server) wrap(ctx context.Context, req *mcp.CallToolRequest, res mcp.Result) (mcp.Result, error) {
	r, ok := res.(*mcp.CallToolResult)
	if !ok || r == nil || len(r.Content) != 1 {
		return res, nil
	}
	out, ok := r.Content[0].(*result)
	if !ok {
		return res, nil
	}
	s.became(ctx, out)
	if out.wire {
		return nil, &wire.Vetted{Code: out.code, Text: out.text, Data: out.data}
	}
	return &reply{CallToolResult: r, res: out, info: s.info, modern: req.ProtocolVersion() >= firstModern}, nil
}
