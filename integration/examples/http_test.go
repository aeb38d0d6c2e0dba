package examples_test

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// bearer sends a token with each request.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	bin := filepath.Join(t.TempDir(), "http")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "github.com/mcpsec/mcpsec-go/examples/http").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	token := strings.Join([]string{"9f1c4be07ad25386", "e14b7790cc3d58aa", "61f8d02b94e7357c"}, "")
	cmd := exec.CommandContext(t.Context(), bin, "-addr", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), "HTTP_TOKENS=ada="+token)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, url := bufio.NewScanner(stderr), ""
	var records strings.Builder
	for url == "" && lines.Scan() {
		if m := regexp.MustCompile(`listening address=(\S+)`).FindStringSubmatch(lines.Text()); m != nil {
			url = "http://" + m[1] + "/mcp"
		}
		records.WriteString(lines.Text())
	}
	connect := func(token string) (*mcp.ClientSession, error) {
		return mcp.NewClient(&mcp.Implementation{Name: "c", Version: "1"}, nil).Connect(t.Context(),
			&mcp.StreamableClientTransport{Endpoint: url, HTTPClient: &http.Client{Transport: bearer(token)}}, nil)
	}
	if _, err := connect("guess"); err == nil {
		t.Error("a wrong token is taken")
	}
	cs, err := connect(token)
	if err != nil {
		t.Fatal(err)
	}
	if text, isErr := call(t, cs, "order_lookup", `{"id":2}`); isErr || text != `{"status":"open","total":"49.50"}` {
		t.Errorf("got %s", text)
	}
	if err := cs.Close(); err != nil {
		t.Error(err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
		records.WriteString(lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the end: %v", err)
	}
	if all := records.String(); !strings.Contains(all, `"principal":"ada"`) || strings.Contains(all, token) {
		t.Errorf("written: %s", all)
	}
}
