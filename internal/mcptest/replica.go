package mcptest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// A Replica is the test's own binary, run again as a program by itself: TestMain tells
// by Env that it is one. It can be killed, and started again.
type Replica struct {
	Env     []string // besides the test's
	Address string   // where it serves, once it was started
	Log     Buffer   // its standard error

	mu    sync.Mutex
	cmd   *exec.Cmd // nil while none runs
	stdin io.Closer
	begun bool
}

// Start starts it, and waits until it is Ready. It is killed at the end of the test,
// which shows its log if it failed.
func (r *Replica) Start(t testing.TB) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.begun {
		r.begun = true
		t.Cleanup(func() {
			r.Kill()
			if t.Failed() {
				t.Logf("a replica has said\n%s", r.Log.String())
			}
		})
	}
	cmd := exec.Command(self)
	cmd.Env, cmd.Stderr = append(os.Environ(), r.Env...), &r.Log
	if r.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.cmd = cmd
	line, err := bufio.NewReader(stdout).ReadString('\n')
	address, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), ready)
	if err != nil || !ok {
		t.Fatalf("a replica does not start: %v: %q", err, line)
	}
	r.Address = address
}

// Kill ends it at once, in the middle of whatever it does, from whatever goroutine. It
// may have ended already.
func (r *Replica) Kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmd == nil {
		return
	}
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait() // it was killed
	_ = r.stdin.Close()
	r.cmd = nil
}

const ready = "ready "

// Ready is for the replica to say that it is, and where it serves. From then on it ends
// with its standard input: who has started it is gone then.
func Ready(address string) {
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); os.Exit(0) }()
	fmt.Printf("%s%s\n", ready, address)
}

// Listen is Ready for a replica that serves on a port of its own.
func Listen() (net.Listener, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		Ready(ln.Addr().String())
	}
	return ln, err
}
