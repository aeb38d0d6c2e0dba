package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// inMemory measures calls of the SDK's client over a pipe: client and server
// are one process, so the time and the allocations of both count.
func inMemory(ctx context.Context, hardened bool, calls int) (sample, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	client, server := net.Pipe()
	if hardened {
		srv, err := hardenedServer(false)
		if err != nil {
			return sample{}, err
		}
		go srv.ServeStream(ctx, server, server)
	} else {
		srv, err := bareServer()
		if err != nil {
			return sample{}, err
		}
		if _, err := srv.Connect(ctx, &mcp.IOTransport{Reader: server, Writer: server}, nil); err != nil {
			return sample{}, err
		}
	}
	cs, err := mcp.NewClient(impl, nil).Connect(ctx, &mcp.IOTransport{Reader: client, Writer: client}, nil)
	if err != nil {
		return sample{}, err
	}
	defer cs.Close()
	name, args, err := raw(orderCall)
	if err != nil {
		return sample{}, err
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	for range calls {
		res, err := cs.CallTool(ctx, &mcp.CallToolParams{Name: name, Arguments: args})
		if err != nil || res.IsError {
			return sample{}, fmt.Errorf("call failed: %w", err)
		}
	}
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	n := float64(calls)
	return sample{micros: float64(took.Microseconds()) / n, allocs: float64(after.Mallocs-before.Mallocs) / n}, nil
}

// overStdio measures a server process, driven in lines; of its processor time what the
// calls have taken. Each has the collector as it sets it.
func overStdio(ctx context.Context, hardened bool, calls int) (sample, error) {
	return process(ctx, hardened, calls, "GOGC=")
}

// sameCollector is overStdio with the same setting of the collector for both.
func sameCollector(ctx context.Context, hardened bool, calls int) (sample, error) {
	return process(ctx, hardened, calls, "GOGC=100")
}

func process(ctx context.Context, hardened bool, calls int, env string) (sample, error) {
	self, err := os.Executable()
	if err != nil {
		return sample{}, err
	}
	cmd := exec.CommandContext(ctx, self, "-serve", map[bool]string{true: "hardened", false: "bare"}[hardened])
	cmd.Env = append(os.Environ(), envURL+"=", env)
	cmd.Stderr = io.Discard
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		return sample{}, err
	}
	r := bufio.NewReaderSize(out, 1<<16)
	_, err = drive(in, r, time.Now(), "", 0)
	before := cpuOf(cmd.Process.Pid)
	var s sample
	if err == nil {
		s, err = drive(in, r, time.Now(), orderCall, calls)
	}
	s.cpu = float64((cpuOf(cmd.Process.Pid) - before).Nanoseconds()) / 1000 / float64(calls)
	return s, errors.Join(err, in.Close(), cmd.Wait())
}

// drive opens the session and asks for the tools, or, with a call, makes it again and
// again.
func drive(w io.Writer, r *bufio.Reader, start time.Time, call string, calls int) (sample, error) {
	ask := func(line string) error {
		if _, err := io.WriteString(w, line+"\n"); err != nil {
			return err
		}
		answer, err := r.ReadSlice('\n')
		if err == nil && (bytes.Contains(answer, []byte(`"error":`)) || bytes.Contains(answer, []byte(`"isError":true`))) {
			err = fmt.Errorf("the server answered %.200s", answer)
		}
		return err
	}
	if call == "" {
		return greet(w, ask, start)
	}
	start = time.Now()
	for i := range calls {
		if err := ask(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":%s}`, i, call)); err != nil {
			return sample{}, err
		}
	}
	return sample{micros: float64(time.Since(start).Microseconds()) / float64(calls)}, nil
}

func greet(w io.Writer, ask func(string) error, start time.Time) (sample, error) {
	if err := ask(`{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}`); err != nil {
		return sample{}, err
	}
	if _, err := io.WriteString(w, `{"jsonrpc":"2.0","method":"notifications/initialized"}`+"\n"); err != nil {
		return sample{}, err
	}
	err := ask(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
	return sample{micros: float64(time.Since(start).Microseconds())}, err
}
