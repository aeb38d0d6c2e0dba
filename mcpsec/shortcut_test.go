package mcpsec_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// The first call on a stream is decoded by the SDK, the next ones are not. Nobody can
// tell by the answers.
func TestCallsAreAnsweredAlike(t *testing.T) {
	t.Parallel()
	const modern = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}},`
	ids := regexp.MustCompile(`[A-Z2-7]{26}`)
	for name, tc := range map[string]struct{ meta, tool, args string }{
		"a result":                   {"", "echo", `{"text":"a\u00e9\u202e"}`},
		"a refusal":                  {"", "echo", `{"text":"a","other":1}`},
		"no such tool":               {"", "other", `{}`},
		"a question":                 {"", "remove", `{"name":"ada"}`},
		"a modern result":            {modern, "echo", `{"text":"a\u00e9\u202e"}`},
		"a modern refusal":           {modern, "echo", `{"text":7}`},
		"a tool that a client lacks": {modern, "other", `{}`},
		"a modern question":          {modern, "remove", `{"name":"ada"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, destroyMode, echo(), newRemover(nil).Tool)
			conn := f.dial(t)
			call := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{%s"name":%q,"arguments":%s}}`, tc.meta, tc.tool, tc.args)
			first := ids.ReplaceAllString(conn.ask(call), "ID")
			conn.ask(fmt.Sprintf(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{%s"name":"echo","arguments":{"text":"a"}}}`, tc.meta)) // from here on
			if again := ids.ReplaceAllString(conn.ask(call), "ID"); again != first {
				t.Errorf("answered\n%s\nand then\n%s", first, again)
			}
			if names := strings.Contains(first, mcp.MetaKeyServerInfo); names != (tc.meta != "" && strings.Contains(first, `"result"`)) {
				t.Errorf("says who answers: %v: %s", names, first)
			}
		})
	}
}
