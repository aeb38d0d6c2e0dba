package stripetool

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stripe/stripe-mock/embedded"
	"github.com/stripe/stripe-mock/server"
)

const mockVariable = "MCPSEC_TEST_STRIPE_MOCK"

// The test's binary is stripe-mock, too: it prints what it is asked to standard
// output, and so gets a process of its own. And it is a replica.
func TestMain(m *testing.M) {
	if os.Getenv(mockVariable) != "" {
		serveMock()
		return
	}
	if settings := os.Getenv(replicaVariable); settings != "" {
		if err := replicaMain(settings); err != nil {
			log.Fatal(err)
		}
		return
	}
	code := postgres.Main(m)
	stopMock()
	os.Exit(code)
}

// serveMock says on standard error where it is, and ends with standard input.
func serveMock() {
	stub, err := newMock()
	if err != nil {
		panic(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Fprintln(os.Stderr, "http://"+ln.Addr().String())
	mux := http.NewServeMux()
	mux.HandleFunc("/", stub.HandleRequest)
	go func() { _ = http.Serve(ln, &server.DoubleSlashFixHandler{Mux: mux}) }()
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func newMock() (*server.StubServer, error) {
	spec, err := server.LoadSpec(embedded.OpenAPISpec, "")
	if err != nil {
		return nil, err
	}
	fixtures, err := server.LoadFixtures(embedded.OpenAPIFixtures, "")
	if err != nil {
		return nil, err
	}
	return server.NewStubServer(fixtures, spec, true, false)
}

var stopMock = func() {}

// mock is where stripe-mock is, which checks the version, too.
var mock = sync.OnceValues(func() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), mockVariable+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	out, err := cmd.StderrPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	stopMock = func() {
		_ = in.Close()
		_ = cmd.Wait()
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	return strings.TrimSpace(line), err
})
