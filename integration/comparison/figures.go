package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// figures are of a server that was started and asked for its tools.
type figures struct {
	start time.Duration // to the answer; the median
	rss   float64       // MB after that
	bytes int           // of the answer
}

func (l *lab) measure(ctx context.Context, s framework, n int) (figures, error) {
	var took []time.Duration
	var f figures
	for range n {
		begin := time.Now()
		c, err := l.start(ctx, s.argv)
		if err != nil {
			return f, err
		}
		answer, err := c.tools()
		took = append(took, time.Since(begin))
		f.bytes, f.rss = len(answer), max(f.rss, c.rss())
		if err := errors.Join(err, c.stop()); err != nil {
			return f, err
		}
	}
	slices.Sort(took)
	f.start = took[len(took)/2]
	return f, nil
}

// A child is a server that runs.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func (l *lab) start(ctx context.Context, argv []string) (*child, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = l.dir, l.env
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		return nil, err
	}
	return &child{cmd, in, bufio.NewReaderSize(out, 1<<20)}, nil
}

// ask sends a request, and returns the line that answers it.
func (c *child) ask(id int, method, params string) ([]byte, error) {
	if _, err := fmt.Fprintf(c.in, `{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`+"\n", id, method, params); err != nil {
		return nil, err
	}
	for {
		line, err := c.out.ReadBytes('\n')
		var answer struct {
			ID    *int
			Error json.RawMessage
		}
		switch {
		case err != nil:
			return nil, err
		case json.Unmarshal(line, &answer) != nil || answer.ID == nil || *answer.ID != id: // a notification
		case answer.Error != nil:
			return nil, fmt.Errorf("%s: %s", method, answer.Error)
		default:
			return line, nil
		}
	}
}

// tools opens a session, and returns the answer to tools/list.
func (c *child) tools() ([]byte, error) {
	if _, err := c.ask(1, "initialize", `{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"comparison","version":"1.0.0"}}`); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(c.in, `{"jsonrpc":"2.0","method":"notifications/initialized"}`+"\n"); err != nil {
		return nil, err
	}
	return c.ask(2, "tools/list", "{}")
}

// rss is the most memory that the process has had, in MB, on Linux, and 0 elsewhere.
func (c *child) rss() float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kilobytes, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, _ := strconv.Atoi(kilobytes) // 0 when there is none
	return float64(n) / 1000 * 1.024
}

// stop ends the process, whatever it says of that.
func (c *child) stop() error {
	err := c.in.Close()
	c.cmd.Process.Kill()
	c.cmd.Wait()
	return err
}

// A server is a finished one, from npm.
type server struct {
	name, version string
	args          []string
}

var servers = []server{
	{"@modelcontextprotocol/server-everything", "2026.8.31", nil},
	{"@modelcontextprotocol/server-filesystem", "2026.8.31", []string{"."}},
	{"@modelcontextprotocol/server-memory", "2026.8.31", nil},
	{"@modelcontextprotocol/server-sequential-thinking", "2026.8.31", nil},
	{"@modelcontextprotocol/server-postgres", "0.6.2", []string{"postgres://localhost/shop"}},
	{"@playwright/mcp", "0.0.83", nil},
}

func (s server) argv() []string {
	return append([]string{"npx", "-y", s.name + "@" + s.version}, s.args...)
}

// facts are what a finished server says of itself.
type facts struct {
	server
	tools, readOnly, bytes int
}

func (l *lab) ask(ctx context.Context, s server) (facts, error) {
	f := facts{server: s}
	c, err := l.start(ctx, s.argv())
	if err != nil {
		return f, err
	}
	defer c.stop()
	answer, err := c.tools()
	if err != nil {
		return f, err
	}
	var list struct {
		Result struct {
			Tools []struct {
				Annotations struct{ ReadOnlyHint bool }
			}
		}
	}
	err = json.Unmarshal(answer, &list)
	f.tools, f.bytes = len(list.Result.Tools), len(answer)
	for _, t := range list.Result.Tools {
		if t.Annotations.ReadOnlyHint {
			f.readOnly++
		}
	}
	return f, err
}
