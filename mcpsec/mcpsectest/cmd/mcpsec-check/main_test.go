package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/auth"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// The test's own program is the server under test, too.
func TestMain(m *testing.M) {
	switch os.Args[len(os.Args)-1] {
	case "sound":
		exit(sound().Run(context.Background()))
	case "bare":
		exit(bare().Run(context.Background(), &mcp.StdioTransport{}))
	case "ends":
		exit(fmt.Errorf("no database at postgres://app:%s@db/app", secret()))
	default:
		os.Exit(m.Run())
	}
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func secret() string { return "canary" + strings.Repeat("0f", 8) }

type in struct {
	Text string `json:"text" validate:"required" jsonschema:"text"`
}

type out struct {
	Text string `json:"text"`
}

func sound() *mcpsec.Server {
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "sound", Version: "1"}, mcpsec.Options{Audit: slog.NewJSONHandler(io.Discard, nil)})
	if err != nil {
		exit(err)
	}
	srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{Name: "echo", Description: "Say it again.", Effect: mcpsec.Read}, func(_ context.Context, i in) (out, error) { return out(i), nil }))
	return srv
}

func bare() *mcp.Server {
	srv := mcp.NewServer(&mcp.Implementation{Name: "bare", Version: "1"}, nil)
	mcp.AddTool(srv, &mcp.Tool{Name: "config", Description: "Show the configuration."}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, out, error) {
		return nil, out{secret()}, nil
	})
	return srv
}

// check runs the command.
func check(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var o, e bytes.Buffer
	status = run(t.Context(), args, &o, &e)
	if strings.Contains(o.String()+e.String(), secret()) {
		t.Error("a secret was printed")
	}
	return status, o.String(), e.String()
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		args   []string
		status int
		want   string // on standard error
	}{
		"help":               {[]string{"-help"}, clean, "usage: mcpsec-check"},
		"nothing":            {nil, broken, "give either a command, after --, or -url"},
		"both":               {[]string{"-url", "http://x", "--", "y"}, broken, "give either"},
		"unknown flag":       {[]string{"-nope"}, broken, "not defined"},
		"unknown severity":   {[]string{"-fail", "grave", "--", "x"}, broken, `no severity "grave"`},
		"a header for pipes": {[]string{"-header", "A: b", "--", "x"}, broken, "-header is for -url"},
		"a header's form":    {[]string{"-header", "A", "-url", "http://x"}, broken, "want Name: value"},
		"an empty variable":  {[]string{"-canary", "env:MCPSEC_CHECK_NONE", "--", "x"}, broken, "the variable MCPSEC_CHECK_NONE is empty"},
		"a short canary":     {[]string{"-canary", "abc", "--", os.Args[0], "sound"}, broken, "a canary is too short"},
		"arguments":          {[]string{"-call", "a=[1]", "--", "x"}, broken, "the arguments of a are no JSON object"},
		"update alone":       {[]string{"-update", "--", "x"}, broken, "-update needs -manifest"},
		"two to stdout":      {[]string{"-json", "-", "-sarif", "-", "--", "x"}, broken, "only one of"},
		"no such program":    {[]string{"--", filepath.Join("no", "such", "program")}, broken, "starting the server"},
		"a server that ends": {[]string{"--", os.Args[0], "ends"}, broken, "on standard error: no database at postgres://app:[redacted]@db/app"},
		"nobody listens":     {[]string{"-url", "http://127.0.0.1:1/"}, broken, "the server is gone"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, stdout, stderr := check(t, tt.args...)
			if status != tt.status || stdout != "" || !strings.Contains(stderr, tt.want) {
				t.Errorf("status %d, standard output %q, standard error %q", status, stdout, stderr)
			}
		})
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	status, stdout, _ := check(t, "-list")
	if status != clean || !strings.Contains(stdout, "args/unknown (low): unknown arguments are ignored\n") {
		t.Errorf("status %d: %s", status, stdout)
	}
}

func TestSound(t *testing.T) {
	t.Parallel()
	status, stdout, stderr := check(t, "-fail", "low", "--", os.Args[0], "sound")
	if status != clean || !strings.HasSuffix(stdout, "\n0 critical, 0 high, 0 medium, 0 low, 0 info\n") {
		t.Errorf("status %d: %s", status, stdout)
	}
	if !strings.Contains(stderr, "args/unknown\n") {
		t.Errorf("no progress: %s", stderr)
	}
}

// The same server gives the same report, in each form, and none holds the canary.
func TestFlawed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sarif, junit := filepath.Join(dir, "r.sarif"), filepath.Join(dir, "r.xml")
	args := []string{"-call", "*", "-canary", secret(), "-json", "-", "-sarif", sarif, "-junit", junit, "--", os.Args[0], "bare"}
	var last [3]string
	for i := range 2 {
		status, stdout, _ := check(t, args...)
		if status != found || !json.Valid([]byte(stdout)) {
			t.Fatalf("status %d: %s", status, stdout)
		}
		for _, want := range []string{`"check": "leak/secret"`, `"check": "wire/garbage"`, `"severity": "high"`, `"subject": "config"`} {
			if !strings.Contains(stdout, want) {
				t.Errorf("no %s in %s", want, stdout)
			}
		}
		now := [3]string{stdout, read(t, sarif), read(t, junit)}
		if i > 0 && now != last {
			t.Errorf("two runs differ: %q and %q", last, now)
		}
		last = now
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), secret()) || !strings.Contains(string(b), "leak/secret") {
		t.Errorf("%s: %s", file, b)
	}
	return string(b)
}

func TestAccepted(t *testing.T) {
	t.Parallel()
	args := []string{"-fail", "high", "-call", "*", "-canary", secret(), "--", os.Args[0], "bare"}
	if status, _, _ := check(t, args...); status != found {
		t.Errorf("status %d", status)
	}
	status, stdout, _ := check(t, append([]string{"-accept", "leak/secret config"}, args...)...)
	if status != clean || !strings.Contains(stdout, "accepted: an answer holds a secret") {
		t.Errorf("status %d: %s", status, stdout)
	}
}

// Not parallel: it sets the environment.
func TestURL(t *testing.T) {
	token := rand.Text() + rand.Text()
	verify, err := auth.Keys(auth.Key{Name: "ada", Secret: redact.NewSecret(token)})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- sound().Serve(ctx, ln, mcpsec.HTTPOptions{Verifier: verify}) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Setenv("MCPSEC_CHECK_TOKEN", "Bearer "+token)
	status, stdout, _ := check(t, "-fail", "low", "-header", "Authorization: env:MCPSEC_CHECK_TOKEN", "-url", "http://"+ln.Addr().String()+"/mcp")
	if status != clean || !strings.HasPrefix(stdout, "sound 1, protocol ") || strings.Contains(stdout, token) {
		t.Errorf("status %d: %s", status, stdout)
	}
}

func TestLocation(t *testing.T) {
	t.Parallel()
	for want, argv := range map[string][]string{
		"main.go":    {"go", "run", "./none.go", "main.go"},
		"mcp-server": {"node", filepath.Join("..", "mcpsec-check", "main.go")}, // outside of this directory
	} {
		c := config{}
		c.target.Argv = argv
		if got := c.location(); got != want {
			t.Errorf("%v: got %s, want %s", argv, got, want)
		}
	}
}
