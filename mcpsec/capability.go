//lint:file-ignore SA1019 the protocol has deprecated it, and clients of both eras have it

package mcpsec

import (
	"encoding/json"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A capability is a client's, by its name in the protocol.
type capability string

const (
	canElicit capability = "elicitation"
	canSample capability = "sampling"
	canRoots  capability = "roots"
)

// in reports whether a client has declared it.
func (c capability) in(caps *mcp.ClientCapabilities) bool {
	switch c {
	case canElicit:
		return canAsk(caps)
	case canSample:
		return caps != nil && caps.Sampling != nil
	}
	return caps != nil && (caps.RootsV2 != nil || caps.Roots.ListChanged)
}

// ofClient are the capabilities of a client that can do these.
func ofClient(elicit, sample, roots bool) *mcp.ClientCapabilities {
	c := &mcp.ClientCapabilities{}
	if elicit {
		c.Elicitation = &mcp.ElicitationCapabilities{Form: &mcp.FormElicitationCapabilities{}}
	}
	if sample {
		c.Sampling = &mcp.SamplingCapabilities{}
	}
	if roots {
		c.RootsV2 = &mcp.RootCapabilities{}
	}
	return c
}

// value is what counts of an answer: of an elicitation the action and the form,
// of a sampling the text, of roots their URIs.
func (c capability) value(res any) (json.RawMessage, bool) {
	var v any
	switch res := res.(type) {
	case *mcp.ElicitResult:
		if res == nil || c != canElicit {
			return nil, false
		}
		v = &elicited{res.Action, res.Content}
	case *mcp.CreateMessageWithToolsResult:
		if res == nil || c != canSample {
			return nil, false
		}
		t, ok := textOf(res.Content)
		if !ok {
			return nil, false
		}
		v = t
	case *mcp.ListRootsResult:
		if res == nil || c != canRoots {
			return nil, false
		}
		uris := make([]string, len(res.Roots))
		for i, root := range res.Roots {
			uris[i] = root.URI
		}
		v = uris
	default:
		return nil, false
	}
	b, err := json.Marshal(v)
	return b, err == nil
}

func textOf(contents []mcp.Content) (string, bool) {
	var b strings.Builder
	for _, c := range contents {
		t, ok := c.(*mcp.TextContent)
		if !ok {
			return "", false
		}
		b.WriteString(t.Text)
	}
	return b.String(), len(contents) > 0
}
