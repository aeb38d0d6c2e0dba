package mcpsectest_test

import (
	"bytes"
	"context"
	"io"

	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

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
	handler, err := orders(t, io.Discard).HTTP(mcpsec.HTTPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	mcpsectest.Run(t, mcpsectest.URL(srv.URL+"/mcp", nil), mcpsectest.Options{Call: map[string]any{"*": nil}, Fail: "low"})
}

// A test of a flawed server, which fails: it runs in a process of its own.
func TestFlawed(t *testing.T) {
	fail := os.Getenv("MCPSECTEST_FAIL")
	if fail == "" {
		t.Skip("only TestRunFails runs it")
	}
	mcpsectest.Run(t, mcpsectest.Command(os.Args[0], "mailer=clean"), mcpsectest.Options{Fail: fail})
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
