package stripetool

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

var update = flag.Bool("update", false, "write the golden files")

// connect serves tools, and returns how to send a request and read the answer.
func connect(t *testing.T, audit io.Writer, tools []*mcpsec.Tool) func(method, params string) []byte {
	t.Helper()
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, mcpsec.Options{Audit: mcpsec.NewAuditLog(audit), Log: slog.DiscardHandler, Mode: mcpsec.Destroy})
	if err != nil {
		t.Fatal(err)
	}
	srv.Add(tools...)
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = ours.Close() })
	go srv.ServeStream(context.WithoutCancel(t.Context()), theirs, theirs)
	in := bufio.NewReader(ours)
	send := func(line string) {
		if _, err := io.WriteString(ours, line+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	request := func(method, params string) []byte {
		t.Helper()
		send(`{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":` + params + `}`)
		line, err := in.ReadBytes('\n')
		if err != nil {
			t.Fatal(err)
		}
		return line
	}
	request("initialize", `{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}`)
	send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return request
}

// listed returns the tools that a client is shown, and how many bytes the
// server's answer to tools/list has.
func listed(t *testing.T, tools []*mcpsec.Tool) ([]*mcp.Tool, int) {
	t.Helper()
	line := connect(t, io.Discard, tools)("tools/list", `{}`)
	var answer struct{ Result mcp.ListToolsResult }
	if err := json.Unmarshal(line, &answer); err != nil || len(answer.Result.Tools) == 0 {
		t.Fatalf("%v: %s", err, line)
	}
	return answer.Result.Tools, len(line)
}

// TestToolsGolden pins what a model is shown of each set, and what that takes of
// its context.
func TestToolsGolden(t *testing.T) {
	t.Parallel()
	goldenTools(t, "read.json", ReadTools(offline(t)), 5<<10)
	goldenTools(t, "write.json", WriteTools(offline(t)), 18<<10)
}

func goldenTools(t *testing.T, name string, tools []*mcpsec.Tool, most int) {
	t.Helper()
	list, n := listed(t, tools)
	t.Logf("%s: tools/list of %d tools has %d bytes", name, len(list), n)
	if n >= most {
		t.Errorf("%s: tools/list takes %d bytes of the model's context, want less than %d", name, n, most)
	}
	got, err := json.MarshalIndent(list, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; run go test ./stripetool -update and look at the change. Got:\n%s", path, got)
	}
}

// everything is every permission that there is.
func everything() map[string][]string {
	all := map[string][]string{}
	for _, ch := range changes() {
		all[ch.resource] = append(all[ch.resource], ch.action)
	}
	return all
}

// Together the tools take no more of a model's context than this.
func TestAllToolsFit(t *testing.T) {
	t.Parallel()
	c := offline(t)
	if list, n := listed(t, append(ReadTools(c), WriteTools(c)...)); n >= 24<<10 {
		t.Errorf("tools/list of all %d tools has %d bytes", len(list), n)
	}
}

// What is not listed has no tool, and a word that is none is an error.
func TestPermissions(t *testing.T) {
	t.Parallel()
	c, err := New(Options{Key: restricted()})
	if err != nil {
		t.Fatal(err)
	}
	if got := WriteTools(c); len(got) != 0 {
		t.Errorf("got %d tools without permissions", len(got))
	}
	type pairs = map[string][]string
	deny := []Options{
		{Permissions: pairs{"refunds": {"creat"}}},
		{Permissions: pairs{"refund": {"create"}}},
		{Permissions: pairs{"refunds": {"*"}}},
		{Unasked: pairs{"refunds": {"create"}}},
		{Permissions: pairs{"refunds": {"create"}}, Unasked: pairs{"refunds": {"create"}}},
	}
	for _, o := range deny {
		o.Key, o.Caps = restricted(), eur(1, 2)
		if _, err := New(o); err == nil {
			t.Errorf("%v, unasked %v: no error", o.Permissions, o.Unasked)
		}
	}
}

// A set is not to be had without what it needs, and tools that would have nothing to
// read are not served.
func TestSets(t *testing.T) {
	t.Parallel()
	c, err := New(Options{Key: restricted()})
	if err != nil {
		t.Fatal(err)
	}
	if got := ReadTools(c); len(got) != 2 {
		t.Errorf("got %d tools without resources, want 2", len(got))
	}
	c.o.Resources = []string{"refunds"}
	if got := ReadTools(c); len(got) != 4 {
		t.Errorf("got %d tools without what can be searched, want 4", len(got))
	}
}
