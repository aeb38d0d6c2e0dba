package otelmcp

import (
	"strconv"

	"go.opentelemetry.io/otel/attribute"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// The names of the conventions for MCP. OpenTelemetry's own Go package for them has
// gone with the conventions' move to another repository.
const (
	methodName      = attribute.Key("mcp.method.name")
	protocolVersion = attribute.Key("mcp.protocol.version")
	toolName        = attribute.Key("gen_ai.tool.name")
	promptName      = attribute.Key("gen_ai.prompt.name")
	operationName   = attribute.Key("gen_ai.operation.name")
	requestID       = attribute.Key("jsonrpc.request.id")
	statusCode      = attribute.Key("rpc.response.status_code")
	errorType       = attribute.Key("error.type")
	transport       = attribute.Key("network.transport")
	protocolName    = attribute.Key("network.protocol.name")
)

// Names of our own.
const (
	callID       = attribute.Key("mcpsec.call.id")
	outcome      = attribute.Key("mcpsec.outcome")
	rule         = attribute.Key("mcpsec.rule")
	resourceName = attribute.Key("mcpsec.resource.name")
)

// other stands for what a client has made up.
const other = "_OTHER"

// subject is the attribute for the name of what a method is about, if it has one.
func subject(method string) attribute.Key {
	switch method {
	case "tools/call":
		return toolName
	case "prompts/get":
		return promptName
	case "resources/read", "resources/subscribe":
		return resourceName
	}
	return ""
}

func nameOf(r *mcpsec.Request) string {
	if r.Name == "" {
		return other
	}
	return r.Name
}

// spanName is the method, and the tool or prompt. A resource is no part of it.
func spanName(r *mcpsec.Request) string {
	switch subject(r.Method) {
	case toolName, promptName:
		return r.Method + " " + nameOf(r)
	}
	return r.Method
}

// about is what spans and metrics tell of any request.
func about(r *mcpsec.Request) []attribute.KeyValue {
	attrs := append(make([]attribute.KeyValue, 0, 10), methodName.String(r.Method), transport.String(r.Transport))
	if key := subject(r.Method); key != "" {
		attrs = append(attrs, key.String(nameOf(r)))
	}
	if r.Method == "tools/call" {
		attrs = append(attrs, operationName.String("execute_tool"))
	}
	if r.Version != "" {
		attrs = append(attrs, protocolVersion.String(r.Version))
	}
	if r.HTTP {
		attrs = append(attrs, protocolName.String("http"))
	}
	return attrs
}

// ending says how a request has failed, if it has.
func ending(r *mcpsec.Request) []attribute.KeyValue {
	code := strconv.FormatInt(r.ErrorCode, 10)
	var kind string
	switch {
	case r.Outcome == "timeout":
		kind = "timeout"
	case r.ErrorCode != 0:
		kind = code
	case r.ToolError:
		kind = "tool_error"
	default:
		return nil
	}
	attrs := []attribute.KeyValue{errorType.String(kind)}
	if r.ErrorCode != 0 {
		attrs = append(attrs, statusCode.String(code))
	}
	return attrs
}
