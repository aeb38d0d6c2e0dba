package mcpsec

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/wire"
)

// backstop surrounds every request: no panic ends the process, and no error
// that is not one of the protocol's own gets further.
func (s *Server) backstop(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (res mcp.Result, err error) {
		defer func() {
			if p := recover(); p != nil {
				s.log.ErrorContext(ctx, "panic", "method", method, "error", fmt.Sprint(p), "stack", string(debug.Stack()))
				res, err = nil, internalError()
			}
		}()
		principal := s.principalOf(ctx)
		call, isCall := req.(*mcp.CallToolRequest)
		if isCall && s.toolFor(call.Params.Name, principal) == nil {
			if err := s.meter(ctx, principal.ID); err != nil {
				return nil, err
			}
			s.recordRefusal(ctx, refusal{principal: principal.ID, rule: "unknown tool", reason: wire.UnknownTool})
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: wire.UnknownTool}
		}
		if err := s.admitRequest(ctx, principal.ID, method, req); err != nil {
			return nil, err
		}
		if res, err = next(ctx, method, req); err != nil {
			return nil, s.protocolError(ctx, method, err)
		}
		if isCall {
			return s.wrap(call, res), nil
		}
		s.listVisible(res, principal)
		return res, nil
	}
}

// admitRequest meters what is no call of a tool. It refuses what is not served,
// which the SDK would answer without having announced it, and cursors: there is
// one page.
func (s *Server) admitRequest(ctx context.Context, principal, method string, req mcp.Request) error {
	if strings.HasPrefix(method, "notifications/") || method == "tools/call" {
		return nil
	}
	if err := s.meter(ctx, principal); err != nil {
		return err
	}
	switch method {
	case "initialize", "ping", "server/discover", "subscriptions/listen":
		return nil
	case "tools/list":
		if list, ok := req.(*mcp.ListToolsRequest); ok && list.Params != nil && list.Params.Cursor != "" {
			return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "there is no such page"}
		}
		return nil
	}
	return &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "method not found"}
}

// meter counts a request that is no call of a tool that exists.
func (s *Server) meter(ctx context.Context, principal string) error {
	switch wait, err := s.rate(ctx, principal); {
	case err != nil:
		s.recordRefusal(ctx, refusal{principal: principal, rule: "rate", reason: "the request could not be counted"})
		return internalError()
	case wait != 0:
		s.recordRefusal(ctx, refusal{principal: principal, rule: "rate", reason: "too many requests"})
		return &jsonrpc.Error{Code: wire.CodeBusy, Message: "too many requests"}
	}
	return nil
}

func internalError() error {
	return &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "internal error"}
}

// protocolError keeps an error that has a code and logs any other. The wire
// replaces the texts.
func (s *Server) protocolError(ctx context.Context, method string, err error) error {
	var werr *jsonrpc.Error
	if errors.As(err, &werr) && werr.Code != 0 {
		return werr
	}
	s.log.ErrorContext(ctx, "request failed", "method", method, "error", err)
	return internalError()
}

// wrap gives a tool's result the encoder of [reply].
func (s *Server) wrap(req *mcp.CallToolRequest, res mcp.Result) mcp.Result {
	r, ok := res.(*mcp.CallToolResult)
	if !ok || r == nil || r.InputRequests != nil {
		return res
	}
	if len(r.Content) != 1 {
		return res
	}
	out, ok := r.Content[0].(*result)
	if !ok {
		return res
	}
	return &reply{CallToolResult: r, res: out, info: s.info, modern: req.ProtocolVersion() >= "2026-07-28"}
}
