//lint:file-ignore SA1019 the protocol has deprecated it, and clients of both eras have it

package mcpsec

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/text"
)

const (
	maxSampleText = 16 << 10 // bytes, in either direction
	maxRoots      = 100
	maxRootURI    = 2 << 10 // bytes
)

// Sample asks the client's model to go on after the prompt, with at most
// maxTokens tokens, and returns its text. It works as [Elicit] does: where there
// is no answer yet, the handler must return the error. The prompt leaves as a
// result does, without hidden characters and secrets, and may have 16 KiB.
//
// The text is untrusted, whoever has written the prompt: a model wrote it, or the
// client or its person did. It has at most 16 KiB, is valid UTF-8 and free of
// hidden characters. Take it for data, and never for a decision.
//
// MCP 2026-07-28 has deprecated sampling.
func Sample(ctx context.Context, name, prompt string, maxTokens int) (string, error) {
	r, err := asker(ctx, name)
	if err != nil {
		return "", err
	}
	plain, _ := text.Strip(strings.ToValidUTF8(prompt, "\uFFFD"))
	if plain = r.server.redact.String(plain); plain == "" || len(plain) > maxSampleText || maxTokens <= 0 {
		return "", fmt.Errorf("mcpsec: Sample: the prompt must have 1 to %d bytes, and maxTokens be positive", maxSampleText)
	}
	n, err := newNeed(name, canSample, &mcp.CreateMessageParams{
		MaxTokens: int64(maxTokens),
		Messages:  []*mcp.SamplingMessage{{Role: "user", Content: &mcp.TextContent{Text: plain}}},
	})
	if err != nil {
		return "", fmt.Errorf("mcpsec: Sample: %w", err)
	}
	var out string
	return out, r.want(n, func(raw json.RawMessage) error {
		var t string
		if json.Unmarshal(raw, &t) != nil || len(t) > maxSampleText {
			return errUnfit
		}
		out, _ = text.Strip(t)
		return nil
	})
}

// Roots asks the client for the directories that it works in, as file URIs: at
// most 100, of at most 2 KiB each. It works as [Elicit] does: where there is no
// answer yet, the handler must return the error. The URIs are the client's claim
// and permit nothing: what the server may read says [NewFiles], for one.
//
// MCP 2026-07-28 has deprecated roots.
func Roots(ctx context.Context) ([]string, error) {
	const name = "roots"
	r, err := asker(ctx, name)
	if err != nil {
		return nil, err
	}
	n, err := newNeed(name, canRoots, &mcp.ListRootsParams{})
	if err != nil {
		return nil, fmt.Errorf("mcpsec: Roots: %w", err)
	}
	var out []string
	return out, r.want(n, func(raw json.RawMessage) error {
		var uris []string
		if json.Unmarshal(raw, &uris) != nil || len(uris) > maxRoots {
			return errUnfit
		}
		for _, u := range uris {
			if !strings.HasPrefix(u, "file://") || len(u) > maxRootURI || text.FirstHidden(u) >= 0 {
				return errUnfit
			}
		}
		out = uris
		return nil
	})
}
