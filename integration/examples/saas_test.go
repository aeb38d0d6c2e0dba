package examples_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/integration/internal/npm"
	"github.com/mcpsec/mcpsec-go/internal/pgserver"
	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
)

var postgres pgtest.Shared

func TestMain(m *testing.M) { os.Exit(postgres.Main(m)) }

// saas runs the example as its reader would, and returns what it prints: where it is, and
// the tokens of the roles.
func saas(t *testing.T) (url string, tokens map[string]string) {
	t.Helper()
	pg := postgres.Server(t)
	dir := t.TempDir()
	bin := filepath.Join(dir, "saas-backend")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "github.com/mcpsec/mcpsec-go/examples/saas-backend").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	temp := filepath.Join(dir, "tmp")
	if err := os.Mkdir(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "-addr", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), "TMPDIR="+temp, pgserver.EnvDSN+"="+pg.URL("postgres", ""))
	var log strings.Builder
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if _, err := io.Copy(io.Discard, out); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the end: %v\n%s", err, log.String())
		}
		if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
			t.Errorf("%v: left is %s", err, left)
		}
	})
	tokens = map[string]string{}
	for lines := bufio.NewScanner(out); len(tokens) < 3 && lines.Scan(); {
		if m := regexp.MustCompile(`serves MCP at (\S+),`).FindStringSubmatch(lines.Text()); m != nil {
			url = m[1]
		}
		if m := regexp.MustCompile(`export (\w+)=(\S+)`).FindStringSubmatch(lines.Text()); m != nil {
			tokens[m[1]] = m[2]
		}
	}
	if url == "" || len(tokens) != 3 {
		t.Fatalf("it does not start: %s", log.String())
	}
	return url, tokens
}

// The built example serves the SDK's client over HTTP, one flow from beginning to end.
func TestSaaSBackend(t *testing.T) {
	t.Parallel()
	url, tokens := saas(t)
	connect := func(token string) (*mcp.ClientSession, error) {
		return mcp.NewClient(&mcp.Implementation{Name: "c", Version: "1"}, nil).Connect(t.Context(),
			&mcp.StreamableClientTransport{Endpoint: url, HTTPClient: &http.Client{Transport: bearer(token)}}, nil)
	}
	if _, err := connect("guess"); err == nil {
		t.Error("a wrong token is taken")
	}
	cs, err := connect(tokens["admin"])
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if text, failed := call(t, cs, "user_register", `{"email":"ann@example.com","name":"Ann"}`); failed || !strings.Contains(text, `"state":"done"`) {
			t.Errorf("got %s", text)
		}
	}
	if text, failed := call(t, cs, "analytics_report", `{"days":1}`); failed || !strings.HasPrefix(text, `{"rows":[{"kind":"register","events":1,"cents":0}]`) {
		t.Errorf("got %s", text)
	}
	if err := cs.Close(); err != nil {
		t.Error(err)
	}
}

// Inspector, which people try servers with, sees of each role what README says.
func TestSaaSInspector(t *testing.T) {
	t.Parallel()
	node, modules := npm.Modules(t)
	url, tokens := saas(t)
	home := t.TempDir()
	inspect := func(role string, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), node, append([]string{filepath.Join(modules, "@modelcontextprotocol", "inspector", "clients", "launcher", "build", "index.js"),
			"--cli", url, "--transport", "http", "--header", "Authorization: Bearer " + tokens[role]}, args...)...)
		cmd.Env = append(os.Environ(), "HOME="+home)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := inspect("support", "--method", "tools/list")
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var list struct{ Tools []struct{ Name string } }
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var names []string
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
	}
	slices.Sort(names)
	if want := []string{"flow_status", "subscription_cancel", "subscription_start", "user_find", "user_register"}; !slices.Equal(names, want) {
		t.Errorf("support has %q, want %q", names, want)
	}
	for _, tc := range []struct {
		role, tool, want string
		failed           bool
		args             []string
	}{
		{"support", "user_register", `\"state\":\"done\"`, false, []string{"email=ann@example.com", "name=Ann"}},
		{"support", "user_register", `\"state\":\"done\"`, false, []string{"email=ann@example.com", "name=Ann"}},
		{"billing", "user_find", `\"status\":\"registered\"`, false, []string{"email=ann@example.com"}},
		{"support", "payment_refund", "tool_not_found", true, []string{"payment=x"}},
		{"admin", "payment_refund", "one call refunds EUR 30.00 at most", true, []string{"payment=abcdefghijklmno", "amount=EUR 31.00", "case=C1"}},
		{"admin", "analytics_report", `\"kind\":\"register\",\"events\":1`, false, []string{"days=1"}},
	} {
		args := []string{"--method", "tools/call", "--tool-name", tc.tool}
		for _, a := range tc.args {
			args = append(args, "--tool-arg", a)
		}
		if out, err := inspect(tc.role, args...); (err != nil) != tc.failed || !strings.Contains(out, tc.want) {
			t.Errorf("%s calls %s: %v: %s", tc.role, tc.tool, err, out)
		}
	}
}
