package mailtool

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// TestMailToolsGolden pins what a model is shown of the tools, and what that takes of
// its context.
func TestMailToolsGolden(t *testing.T) {
	t.Parallel()
	c := testClient(t)
	goldenTools(t, "tools.json", 7<<10, append(ReadTools(c), SendTools(c)...))
	c = queueClient(t, nil, new(state.Memory))
	goldenTools(t, "queuetools.json", 6<<10, append(QueueTools(c, welcome(t, "x")), LogTools(c)...))
}

func goldenTools(t *testing.T, name string, most int, tools []*mcpsec.Tool) {
	t.Helper()
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, mcpsec.Options{Audit: mcpsec.NewAuditLog(io.Discard), Log: slog.DiscardHandler, Mode: mcpsec.Destroy})
	if err != nil {
		t.Fatal(err)
	}
	srv.Add(tools...)
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = ours.Close() })
	go func() { _ = srv.ServeStream(context.WithoutCancel(t.Context()), theirs, theirs) }()
	in := bufio.NewReader(ours)
	var line []byte
	for _, request := range []string{`"id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}`, `"method":"notifications/initialized"`, `"id":2,"method":"tools/list","params":{}`} {
		if _, err := io.WriteString(ours, `{"jsonrpc":"2.0",`+request+"}\n"); err != nil {
			t.Fatal(err)
		}
		if request[1] == 'i' {
			if line, err = in.ReadBytes('\n'); err != nil {
				t.Fatal(err)
			}
		}
	}
	var answer struct{ Result mcp.ListToolsResult }
	if err := json.Unmarshal(line, &answer); err != nil || len(answer.Result.Tools) != len(tools) {
		t.Fatalf("%v: %s", err, line)
	}
	got, err := json.MarshalIndent(answer.Result.Tools, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got)+"\n" != string(want) {
		t.Errorf("the tools are not those of %s: look at the difference, and write it with -update", file)
	}
	if len(line) > most {
		t.Errorf("the tools take %d bytes of a model's context, more than %d", len(line), most)
	}
	t.Logf("%s: %d bytes", name, len(line))
}
