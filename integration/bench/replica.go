package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/auth"
)

const (
	envIssuer  = "BENCH_ISSUER"
	webPrefix  = "http-"
	places     = 8                     // of a replica that waits
	backendFor = 20 * time.Millisecond // what its tool waits for
)

// serveWeb serves HTTP, tells its address, and ends with its standard input.
func serveWeb(kind string) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
		ln.Close()
	}()
	fmt.Println(ln.Addr())
	if kind == "bare" {
		h, err := handler(false)
		if err != nil {
			return err
		}
		if err := http.Serve(ln, h); ctx.Err() == nil {
			return err
		}
		return nil
	}
	srv, err := hardenedServer(kind == "waits")
	if err != nil {
		return err
	}
	verify, err := auth.JWT(auth.JWTOptions{Issuer: os.Getenv(envIssuer), Audience: audience})
	if err != nil {
		return err
	}
	return srv.Serve(ctx, ln, mcpsec.HTTPOptions{Verifier: verify})
}

// waitTool stands for one whose time goes by elsewhere.
func waitTool() *mcpsec.Tool {
	return mcpsec.NewTool(mcpsec.ToolSpec{Name: "wait", Description: "Ask a backend.", Effect: mcpsec.Read, MaxConcurrent: places},
		func(ctx context.Context, in orderIn) (orderOut, error) {
			select {
			case <-ctx.Done():
				return orderOut{}, ctx.Err()
			case <-time.After(backendFor):
				return order(in), nil
			}
		})
}

// A replica is a server in a process of its own.
type replica struct {
	addr  string
	cmd   *exec.Cmd
	stdin io.Closer
}

func startReplica(ctx context.Context, kind string, iss *issuer) (*replica, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	r := &replica{cmd: exec.CommandContext(ctx, self, "-serve", webPrefix+kind)}
	r.cmd.Env = append(os.Environ(), envIssuer+"="+iss.URL, envURL+"=")
	r.cmd.Stderr = io.Discard
	in, err1 := r.cmd.StdinPipe()
	out, err2 := r.cmd.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	r.stdin = in
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	r.addr, err = bufio.NewReader(out).ReadString('\n')
	r.addr = strings.TrimSpace(r.addr)
	return r, err
}

// stop ends the replica and returns the processor time that it has taken.
func (r *replica) stop() (time.Duration, error) {
	err := errors.Join(r.stdin.Close(), r.cmd.Wait())
	return r.cmd.ProcessState.UserTime() + r.cmd.ProcessState.SystemTime(), err
}

// bareHandler is the SDK's, stateless, with JSON responses and without tokens.
func bareHandler() (http.Handler, error) {
	srv, err := bareServer()
	if err != nil {
		return nil, err
	}
	return mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return srv }, &mcp.StreamableHTTPOptions{
		Stateless: true, JSONResponse: true, PropagateRequestCancellation: true,
	}), nil
}
