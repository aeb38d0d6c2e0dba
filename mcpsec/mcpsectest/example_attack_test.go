package mcpsectest_test

import (
	"net/http"
	"os"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest"
)

// A server in any language, one over HTTP, and one of this process.
func ExampleRun() {
	_ = func(t *testing.T) {
		mcpsectest.Run(t, mcpsectest.Command("node", "server.js"), mcpsectest.Options{
			Canaries: []string{os.Getenv("DB_PASSWORD")},                         // which no answer and no log may hold
			Call:     map[string]any{"query": map[string]any{"sql": "SELECT 1"}}, // a tool that does not say that it only reads
		})
	}
	_ = func(t *testing.T) {
		header := http.Header{"Authorization": {"Bearer " + os.Getenv("MCP_TOKEN")}}
		mcpsectest.Run(t, mcpsectest.URL("https://mcp.example.com/mcp", header), mcpsectest.Options{Fail: "high"})
	}
	_ = func(t *testing.T) {
		mcpsectest.Run(t, mcpsectest.Server(orders(t, os.Stderr)), mcpsectest.Options{Call: map[string]any{"*": nil}})
	}
}
