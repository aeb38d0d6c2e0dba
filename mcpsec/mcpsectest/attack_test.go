package mcpsectest_test

import (
	"bytes"
	"context"
	"io"

	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest"
)

type lookupIn struct {
	ID   int64  `json:"id" validate:"required,min=1" jsonschema:"the order's number"`
	Path string `json:"path,omitempty" jsonschema:"a path that nobody opens"`
}

type deleteIn struct {
	ID int64 `json:"id" validate:"required,min=1" jsonschema:"the order's number"`
}

type orderOut struct {
	ID int64 `json:"id"`
}

// orders is a server as this library makes them, with a tool that asks a person.
func orders(t testing.TB, audit io.Writer) *mcpsec.Server {
	t.Helper()
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "orders", Version: "1"}, mcpsec.Options{Mode: mcpsec.Destroy, Audit: slog.NewJSONHandler(audit, nil)})
	if err != nil {
		t.Fatal(err)
	}
	srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{Name: "order_lookup", Description: "Fetch one order by its number.", Effect: mcpsec.Read},
		func(_ context.Context, in lookupIn) (orderOut, error) {
			if in.ID == 1<<53+1 {
				panic("a number nobody expects")
			}
			return orderOut{in.ID}, nil
		}))
	srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{Name: "order_delete", Description: "Delete one order.", Effect: mcpsec.Destroy},
		func(_ context.Context, in deleteIn) (orderOut, error) { return orderOut(in), nil }))
	return srv
}

func TestRunInProcess(t *testing.T) {
	t.Parallel()
	var audit bytes.Buffer // slog's handler writes one record at a time
	mcpsectest.Run(t, mcpsectest.Server(orders(t, &audit)), mcpsectest.Options{Call: map[string]any{"order_lookup": map[string]any{"id": 7}, "*": nil}, Fail: "low"})
	// That nothing was found says little unless the attacks got there.
	for _, want := range []string{`"decision":"asked"`, "is not one of this server's", "is of other arguments", "was used already", `"outcome":"panicked"`} {
		if !strings.Contains(audit.String(), want) {
			t.Errorf("the audit log has no %q", want)
		}
	}
}

func TestRunHTTP(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- orders(t, io.Discard).Serve(ctx, ln, mcpsec.HTTPOptions{Timeout: 2 * time.Second}) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	mcpsectest.Run(t, mcpsectest.URL("http://"+ln.Addr().String()+"/mcp", nil), mcpsectest.Options{Call: map[string]any{"*": nil}, Fail: "low"})
}

// A test of a flawed server, which fails: it runs in a process of its own.
func TestFlawed(t *testing.T) {
	fail := os.Getenv("MCPSECTEST_FAIL")
	if fail == "" {
		t.Skip("only TestRunFails runs it")
	}
	mcpsectest.Run(t, mcpsectest.Command(os.Args[0], "mailer=clean"), mcpsectest.Options{Fail: fail, Manifest: os.Getenv("MCPSECTEST_MANIFEST")})
}

// Definitions are those that were reviewed, or the test fails.
func TestRunComparesWithManifest(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "manifest.json")
	for _, update := range []bool{true, false} {
		mcpsectest.Run(t, mcpsectest.Server(orders(t, io.Discard)), mcpsectest.Options{Manifest: path, Update: update})
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFlawed$", "-test.v") // of another server
	cmd.Env = append(os.Environ(), "MCPSECTEST_FAIL=low", "MCPSECTEST_MANIFEST="+path)
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "--- FAIL: TestFlawed/drift/manifest") || !strings.Contains(string(out), "gone is the tool order_lookup") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestRunFails(t *testing.T) {
	t.Parallel()
	for fail, want := range map[string]string{
		"medium": "--- FAIL: TestFlawed/wire/garbage", "high": "--- PASS: TestFlawed/wire/garbage", "grave": `mcpsectest: Options.Fail: no severity "grave"`,
	} {
		t.Run(fail, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFlawed$", "-test.v")
			cmd.Env = append(os.Environ(), "MCPSECTEST_FAIL="+fail)
			out, err := cmd.CombinedOutput()
			if !strings.Contains(string(out), want) || (err == nil) != (fail == "high") {
				t.Errorf("%v: %s", err, out)
			}
			if fail != "grave" && !strings.Contains(string(out), "medium: one bad line ends the server") {
				t.Errorf("the finding is not told: %s", out)
			}
		})
	}
}
