//lint:file-ignore SA1019 the protocol has deprecated it, and clients of both eras have it

package mcpsec

import (
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// An answer of one kind is none of another, whatever it looks like.
func TestAnswersHaveTheirKind(t *testing.T) {
	t.Parallel()
	texts := []mcp.Content{&mcp.TextContent{Text: "x"}}
	for kind, own := range map[capability]any{
		canElicit: &mcp.ElicitResult{Action: "accept"}, canSample: &mcp.CreateMessageWithToolsResult{Content: texts}, canRoots: &mcp.ListRootsResult{},
	} {
		for _, other := range []capability{canElicit, canSample, canRoots} {
			if _, ok := other.value(own); ok != (kind == other) {
				t.Errorf("%s for %s: %v", kind, other, ok)
			}
		}
	}
	for _, none := range []any{nil, (*mcp.ElicitResult)(nil), (*mcp.CreateMessageWithToolsResult)(nil), (*mcp.ListRootsResult)(nil)} {
		if _, ok := canElicit.value(none); ok {
			t.Errorf("%T is an answer", none)
		}
	}
}
