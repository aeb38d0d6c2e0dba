package mcpsec_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// childEnv makes the test binary a server on standard input and output.
const childEnv = "MCPSEC_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		if err := child(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child() error {
	held := os.Stdout // from before Run, as a logger would hold it
	noisy := false
	srv, err := mcpsec.NewServer(impl, mcpsec.Options{
		Audit:  mcpsec.NewAuditLog(io.Discard),
		Limits: mcpsec.Limits{Grace: 2 * time.Second},
	})
	if err != nil {
		return err
	}
	srv.Add(echo(), tool("noisy", func(context.Context, none) (echoOut, error) {
		noisy = true
		fmt.Println("stray-print")
		fmt.Fprintln(held, "stray-held")
		cmd := exec.Command("echo", "stray-child")
		cmd.Stdout = held
		return echoOut{"done"}, cmd.Run()
	}), tool("slow", func(ctx context.Context, _ none) (echoOut, error) {
		fmt.Fprintln(os.Stderr, "slow-started")
		select {
		case <-time.After(100 * time.Millisecond):
			return echoOut{"finished"}, nil
		case <-ctx.Done():
			return echoOut{}, ctx.Err()
		}
	}), tool("big", func(context.Context, none) (echoOut, error) {
		fmt.Fprintln(os.Stderr, "big-started")
		return echoOut{strings.Repeat("x", 200_000)}, nil
	}), tool("collector", func(context.Context, none) (echoOut, error) {
		return echoOut{fmt.Sprint(collector())}, nil
	}), tool("deaf", func(context.Context, none) (echoOut, error) {
		fmt.Fprintln(os.Stderr, "deaf-started")
		select {}
	}))
	err = srv.Run(context.Background())
	if noisy {
		fmt.Println("back-on-stdout")
	}
	fmt.Fprintln(os.Stderr, "collector-afterwards", collector())
	return err
}

// collector is the garbage collector's target.
func collector() int {
	percent := debug.SetGCPercent(-1)
	debug.SetGCPercent(percent)
	return percent
}

// A process is the child with its ends.
type process struct {
	*raw
	cmd    *exec.Cmd
	in     io.WriteCloser
	stderr *mcptest.Buffer
	lines  chan string // of standard error
}

func startChild(t *testing.T, env ...string) *process {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(append(os.Environ(), childEnv+"=1"), env...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	errPipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{&raw{t, in, bufio.NewReader(out)}, cmd, in, &mcptest.Buffer{}, make(chan string, 100)}
	go func() {
		defer close(p.lines)
		sc := bufio.NewScanner(errPipe)
		for sc.Scan() {
			fmt.Fprintln(p.stderr, sc.Text())
			p.lines <- sc.Text()
		}
	}()
	p.ask(`{"jsonrpc":"2.0","id":"init","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`)
	return p
}

func (p *process) awaitStderr(text string) {
	p.t.Helper()
	for l := range p.lines {
		if strings.Contains(l, text) {
			return
		}
	}
	p.t.Fatalf("standard error ended without %q: %s", text, p.stderr)
}

func (p *process) toolCall(id int, name string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%q}}`, id, name)
}

// end waits for the process and returns what was left on standard output.
func (p *process) end() (rest string) {
	p.t.Helper()
	b, err := io.ReadAll(p.br)
	if err != nil {
		p.t.Fatal(err)
	}
	for range p.lines { // standard error, to its end
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("exit: %v: %s", err, p.stderr)
	}
	return string(b)
}

// Standard output belongs to the protocol, whoever writes to it.
func TestRunGuardsStdout(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no dup2: only os.Stdout is redirected there")
	}
	p := startChild(t)
	if got := p.ask(p.toolCall(1, "noisy")); !strings.Contains(got, `"structuredContent":{"text":"done"}`) {
		t.Errorf("got %s", got)
	}
	p.in.Close()
	if rest := p.end(); rest != "back-on-stdout\n" {
		t.Errorf("on standard output: %q", rest)
	}
	for _, want := range []string{"stray-print", "stray-held", "stray-child"} {
		if !strings.Contains(p.stderr.String(), want) {
			t.Errorf("standard error lacks %q", want)
		}
	}
}

// A process of our own is frugal, if nobody has chosen otherwise.
func TestRunIsFrugal(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		env          []string
		want, behind string
	}{
		{nil, "50", "100"},
		{[]string{"GOGC="}, "50", "100"},
		{[]string{"GOGC=100"}, "100", "100"},
		{[]string{"GOGC=200"}, "200", "200"},
		{[]string{"GOGC=off"}, "-1", "-1"},
	} {
		p := startChild(t, tc.env...)
		if got := p.ask(p.toolCall(1, "collector")); !strings.Contains(got, `"text":"`+tc.want+`"`) {
			t.Errorf("%s: got %s", tc.env, got)
		}
		p.in.Close()
		p.end()
		if got := p.stderr.String(); !strings.Contains(got, "collector-afterwards "+tc.behind+"\n") {
			t.Errorf("%s: afterwards: %s", tc.env, got)
		}
	}
}

// A stdio server survives garbage, batches, depth bombs and endless lines. (P15, P16, P17, P24)
func TestRunSurvivesBadLines(t *testing.T) {
	t.Parallel()
	p := startChild(t)
	for _, line := range []string{
		"garbage", "[]", `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, `{"jsonrpc":"1.0","id":1,"method":"ping"}`,
		strings.Repeat(`{"a":`, 2000), `{"jsonrpc":"2.0","id":2.7,"method":"ping"}`,
		`{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}`, strings.Repeat("x", 15<<20),
	} {
		if got := p.ask(line); !strings.Contains(got, `"error":{"code":-32`) {
			t.Errorf("%.40s: got %s", line, got)
		}
	}
	if got := p.ask(`{"jsonrpc":"2.0","id":9,"method":"ping"}`); got != `{"jsonrpc":"2.0","id":9,"result":{}}` {
		t.Errorf("afterwards: got %s", got)
	}
	p.in.Close()
	p.end()
}

// At the end of the input, and on SIGTERM, running calls may finish.
func TestRunFinishesRunningCalls(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(*process){
		"EOF":     func(p *process) { p.in.Close() },
		"SIGTERM": func(p *process) { p.cmd.Process.Signal(syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "SIGTERM" && runtime.GOOS == "windows" {
				t.Skip("Windows has no SIGTERM")
			}
			p := startChild(t)
			p.send(p.toolCall(1, "slow"))
			p.awaitStderr("slow-started")
			stop(p)
			if rest := p.end(); !strings.Contains(rest, `"text":"finished"`) {
				t.Errorf("got %q", rest)
			}
		})
	}
}

// A handler that heeds nothing does not keep the process alive.
func TestRunEndsDespiteDeafHandler(t *testing.T) {
	t.Parallel()
	p := startChild(t)
	p.send(p.toolCall(1, "deaf"))
	p.awaitStderr("deaf-started")
	p.in.Close()
	p.end()
}

// ServeStream ends with its context, and reports a broken stream.
func TestServeStreamEnds(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil, echo())
	ctx, cancel := context.WithCancel(t.Context())
	f.serve(t, ctx)
	cancel()
	if err := <-f.served; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	in, out := io.Pipe()
	go out.CloseWithError(errors.New("cable cut"))
	if err := f.ServeStream(t.Context(), in, out); err == nil || !strings.Contains(err.Error(), "the stream broke") {
		t.Errorf("got %v", err)
	}
}

// Whatever a client does, no goroutine stays behind: the bubble would not end.
func TestNoGoroutineLeaks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for range 20 {
			release := make(chan struct{})
			f := newFixture(t, func(o *mcpsec.Options) { o.Limits.Timeout = time.Second }, echo(),
				failing(func(context.Context) error { <-release; return nil }))
			conn := f.serve(t, t.Context())
			r := newRaw(t, conn)
			r.ask(`{"jsonrpc":"2.0","id":"init","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`)
			r.ask("garbage")
			r.ask(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"}}}`)
			r.ask(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"x"}}`) // given up
			r.send(`{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"x"}}`)
			conn.Close()
			<-f.served
			close(release)
		}
	})
}
