package mcpsectest

import (
	"bufio"
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stripe/stripe-mock/embedded"
	"github.com/stripe/stripe-mock/server"

	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest"
)

// build builds an example.
func build(t *testing.T, name string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), name+".exe")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "github.com/mcpsec/mcpsec-go/examples/"+name).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return bin
}

// with runs a program with settings.
func with(t *testing.T, bin string, settings ...string) mcpsectest.Target {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("there is no env to set variables with")
	}
	return mcpsectest.Command(append(append([]string{"env"}, settings...), bin)...)
}

var all = map[string]any{"*": nil}

// Our own examples pass what we would have others pass, with all tools called.
func TestExamplesPassTheAttacks(t *testing.T) {
	t.Parallel()
	canary := rand.Text()
	for name, tt := range map[string]func(t *testing.T) (mcpsectest.Target, mcpsectest.Options){
		"quickstart": func(t *testing.T) (mcpsectest.Target, mcpsectest.Options) {
			return mcpsectest.Command(build(t, "quickstart")), mcpsectest.Options{}
		},
		"http": func(t *testing.T) (mcpsectest.Target, mcpsectest.Options) {
			token := strings.ToLower(rand.Text() + rand.Text())
			url := serveHTTP(t, token)
			return mcpsectest.URL(url, http.Header{"Authorization": {"Bearer " + token}}), mcpsectest.Options{Canaries: []string{token}}
		},
		"postgres": func(t *testing.T) (mcpsectest.Target, mcpsectest.Options) {
			return mcpsectest.Command(build(t, "postgres"), "-demo"), mcpsectest.Options{Call: map[string]any{"*": nil, "pg_describe": map[string]any{"schema": "music", "name": "albums"}}}
		},
		"pocketbase": func(t *testing.T) (mcpsectest.Target, mcpsectest.Options) {
			return mcpsectest.Command(build(t, "pocketbase")), mcpsectest.Options{Call: all}
		},
		"mail": func(t *testing.T) (mcpsectest.Target, mcpsectest.Options) {
			mail := map[string]any{"to": []string{"ann@example.com"}, "subject": "s", "text": "t"}
			srv := mcpsectest.SMTP(t, mcpsectest.SMTPOptions{Allow: []string{"ann@example.com"}})
			return with(t, build(t, "mail"), "MAILTOOL_HOST="+srv.Host, "MAILTOOL_PORT="+srv.Port, "MAILTOOL_USERNAME="+srv.User, "MAILTOOL_PASSWORD="+srv.Password,
					"MAILTOOL_CA_FILE="+srv.CAFile, "MAILTOOL_FROM=shop@example.com", "MAILTOOL_ALLOW=ann@example.com"), mcpsectest.Options{
					Call: map[string]any{"*": nil, "mail_preview": mail, "mail_send": mail}, Canaries: []string{srv.Password},
				}
		},
		"stripe": func(t *testing.T) (mcpsectest.Target, mcpsectest.Options) {
			key := "rk_" + "test_" + canary
			return with(t, build(t, "stripe"), "STRIPETOOL_KEY="+key, "STRIPETOOL_URL="+stripeMock(t)), mcpsectest.Options{
				Call: map[string]any{"*": nil, "stripe_get": map[string]any{"resource": "charges", "id": "ch_123"}}, Canaries: []string{canary},
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target, o := tt(t)
			o.Fail = "low"
			mcpsectest.Run(t, target, o)
		})
	}
}

// serveHTTP serves the example, and returns where.
func serveHTTP(t *testing.T, token string) string {
	t.Helper()
	cmd := exec.Command(build(t, "http"), "-addr", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), "HTTP_TOKENS=ada="+token)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	listening := regexp.MustCompile(`listening address=(\S+)`)
	for lines.Scan() {
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			drained := make(chan struct{})
			go func() {
				defer close(drained)
				for lines.Scan() {
				}
			}()
			t.Cleanup(func() {
				_ = cmd.Process.Kill()
				<-drained
				_ = cmd.Wait()
			})
			return "http://" + m[1] + "/mcp"
		}
	}
	t.Fatal("the example does not listen")
	return ""
}

func stripeMock(t *testing.T) string {
	t.Helper()
	spec, err := server.LoadSpec(embedded.OpenAPISpec, "")
	if err != nil {
		t.Fatal(err)
	}
	fixtures, err := server.LoadFixtures(embedded.OpenAPIFixtures, "")
	if err != nil {
		t.Fatal(err)
	}
	stub, err := server.NewStubServer(fixtures, spec, true, false)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", stub.HandleRequest)
	srv := httptest.NewServer(&server.DoubleSlashFixHandler{Mux: mux})
	t.Cleanup(srv.Close)
	return srv.URL
}
