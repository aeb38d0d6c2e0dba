package battery

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// A record keeps the beginning of what a server writes to standard error.
type record struct {
	mu sync.Mutex
	b  bytes.Buffer
}

const maxRecord = 4 << 20

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.b.Write(p[:min(len(p), maxRecord-r.b.Len())])
	return len(p), nil
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.String()
}

// startProcess starts a server of its own process.
func startProcess(argv []string, stderr io.Writer, grace time.Duration) (conn, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	own(cmd)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	outRead, out, err := os.Pipe() // not StdoutPipe, which Wait would close before all is read
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = out, stderr, time.Second
	if err := cmd.Start(); err != nil {
		_ = outRead.Close()
		_ = out.Close()
		return nil, fmt.Errorf("starting the server: %w", err)
	}
	_ = out.Close()
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	return newPipe(outRead, in, func() bool {
		prompt := within(ended, grace)
		kill(cmd) // what it has started, too
		<-ended
		_ = outRead.Close()
		return prompt
	}), nil
}

// startServe starts a server in this process.
func startServe(serve func(context.Context, io.ReadCloser, io.WriteCloser) error, grace time.Duration) conn {
	ctx, cancel := context.WithCancel(context.Background())
	inRead, in := io.Pipe()
	outRead, out := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer out.Close()
		defer inRead.Close()
		_ = serve(ctx, inRead, out)
	}()
	return newPipe(outRead, in, func() bool {
		prompt := within(ended, grace)
		cancel()
		_ = outRead.Close()
		_ = inRead.Close()
		<-ended
		return prompt
	})
}

func within(ended <-chan struct{}, d time.Duration) bool {
	select {
	case <-ended:
		return true
	case <-time.After(d):
		return false
	}
}
