// Package examples_test runs the examples as a client would: built, and over
// standard input and output.
package examples_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// start builds an example and connects a client to it.
func start(t *testing.T, name string, args []string, env ...string) *mcp.ClientSession {
	t.Helper()
	bin := filepath.Join(t.TempDir(), name)
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "github.com/mcpsec/mcpsec-go/examples/"+name)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.Command(bin, args...)
	cmd.Env = append(os.Environ(), env...)
	cs, err := mcp.NewClient(&mcp.Implementation{Name: "c", Version: "1"}, nil).Connect(t.Context(), &mcp.CommandTransport{Command: cmd}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cs.Close(); err != nil {
			t.Error(err)
		}
	})
	return cs
}

func call(t *testing.T, cs *mcp.ClientSession, tool, args string) (string, bool) {
	t.Helper()
	res, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: json.RawMessage(args)})
	if err != nil {
		t.Fatal(err)
	}
	return res.Content[0].(*mcp.TextContent).Text, res.IsError
}

func TestQuickstart(t *testing.T) {
	t.Parallel()
	cs := start(t, "quickstart", nil)
	if text, isErr := call(t, cs, "order_lookup", `{"id":2}`); isErr || text != `{"status":"open","total":"49.50"}` {
		t.Errorf("got %s", text)
	}
	if text, isErr := call(t, cs, "order_lookup", `{"id":3}`); !isErr || !strings.HasPrefix(text, "there is no such order") {
		t.Errorf("got %s", text)
	}
}
