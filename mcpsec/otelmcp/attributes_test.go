package otelmcp

import (
	"fmt"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// How a request has failed, in the conventions' words. A question is no failure.
func TestEnding(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		r    mcpsec.Request
		want string
	}{
		{mcpsec.Request{Outcome: "ok"}, ""},
		{mcpsec.Request{Outcome: "asked"}, ""},
		{mcpsec.Request{Outcome: "refused", ToolError: true}, "error.type=tool_error "},
		{mcpsec.Request{Outcome: "timeout", ToolError: true}, "error.type=timeout "},
		{mcpsec.Request{Outcome: "timeout", ErrorCode: -32603}, "error.type=timeout rpc.response.status_code=-32603 "},
		{mcpsec.Request{ErrorCode: 4290}, "error.type=4290 rpc.response.status_code=4290 "},
	} {
		got := ""
		for _, a := range ending(&tc.r) {
			got += fmt.Sprintf("%s=%s ", a.Key, a.Value.String())
		}
		if got != tc.want {
			t.Errorf("%+v: got %q, want %q", tc.r, got, tc.want)
		}
	}
}

// A resource is no part of a span's name, and what does not exist has one name.
func TestSpanName(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ method, name, want string }{
		{"tools/call", "refund", "tools/call refund"},
		{"tools/call", "", "tools/call _OTHER"},
		{"prompts/get", "greet", "prompts/get greet"},
		{"resources/read", "order", "resources/read"},
		{"tools/list", "", "tools/list"},
	} {
		if got := spanName(&mcpsec.Request{Method: tc.method, Name: tc.name}); got != tc.want {
			t.Errorf("%s of %q: got %q, want %q", tc.method, tc.name, got, tc.want)
		}
	}
}
