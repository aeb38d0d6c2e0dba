package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Programs that hold nothing but a server. The small one is built as operations.md
// recommends.
const startBare, startHard, startSmall = "startbare", "starthard", "starthard -tags validator_novalidatefn"

// compareStart measures how long programs take to answer tools/list, how long that answer
// is, and how much memory they have come to when they have answered many calls.
func compareStart(ctx context.Context, b *book, o settings) error {
	dir, err := os.MkdirTemp("", "bench-start-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{startBare, startHard, startSmall} {
		fmt.Fprintf(os.Stderr, "\r\x1b[Kbuilding %s ", name)
		program, tags, _ := strings.Cut(name, " ")
		args := append([]string{"build", "-o", filepath.Join(dir, name)}, strings.Fields(tags)...)
		cmd := exec.CommandContext(ctx, "go", append(args, "github.com/mcpsec/mcpsec-go/integration/bench/"+program)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", name, err, out)
		}
	}
	fmt.Fprint(b, "\n## Start\n\nProcesses that hold nothing but a server with the same tool, started anew for each round; the last\nis built with the tag that [operations.md](operations.md) recommends where many are started.\n\n"+
		"| program | start-up to the answer to tools/list | ratio | peak memory (RSS) after 3,000 calls | ratio | bytes of tools/list |\n| --- | ---: | ---: | ---: | ---: | ---: |\n")
	for _, name := range []string{startHard, startSmall} {
		if err := startRow(ctx, b, o, dir, name); err != nil {
			return err
		}
	}
	return nil
}

// startRow compares one program with the bare one.
func startRow(ctx context.Context, b *book, o settings, dir, name string) error {
	run := func(ctx context.Context, hardened bool, calls int) (sample, error) {
		return start(ctx, filepath.Join(dir, map[bool]string{true: name, false: startBare}[hardened]), filepath.Join(dir, "audit.jsonl"), calls)
	}
	bare, hard, err := path{"", name + ", start", 0, run}.measure(ctx, 5*o.rounds)
	if err != nil {
		return err
	}
	full, fullHard, err := path{"", name + ", memory", 3000, run}.measure(ctx, max(3, o.rounds/3))
	if err != nil {
		return err
	}
	micros, rss, bytes := func(s sample) float64 { return s.micros }, func(s sample) float64 { return s.rss }, func(s sample) float64 { return s.allocs }
	up, peak := ratio(bare, hard, micros), ratio(full, fullHard, rss)
	if name == startHard {
		b.note("start", up)
		b.note("rss", peak)
		fmt.Fprintf(b, "| %s | %.2f ms | | %.1f MB | | %.0f |\n", startBare, median(pick(bare, micros))/1000, median(pick(full, rss))/1e6, median(pick(bare, bytes)))
	}
	fmt.Fprintf(b, "| %s | %.2f ms | %s | %.1f MB | %s | %.0f |\n", name, median(pick(hard, micros))/1000, up, median(pick(fullHard, rss))/1e6, peak, median(pick(hard, bytes)))
	return nil
}

func start(ctx context.Context, program, log string, calls int) (sample, error) {
	if err := os.Remove(log); err != nil && !errors.Is(err, os.ErrNotExist) {
		return sample{}, err
	}
	cmd := exec.CommandContext(ctx, program, log)
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return sample{}, err
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return sample{}, err
	}
	answers := &counter{r: out}
	r := bufio.NewReaderSize(answers, 1<<16)
	s, err := drive(in, r, begin, "", 0)
	s.allocs = float64(answers.last)
	if err == nil && calls > 0 {
		_, err = drive(in, r, begin, orderCall, calls)
	}
	s.rss = peakRSS(cmd.Process.Pid)
	return s, errors.Join(err, in.Close(), cmd.Wait())
}

// peakRSS is the most memory that a process has had so far, in bytes, on Linux, and 0
// elsewhere. What wait(2) tells counts this process in, which the other began as.
func peakRSS(pid int) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), "VmHWM:")
	kilobytes, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, _ := strconv.Atoi(kilobytes) // 0 when there is none
	return float64(n) * 1024
}

// A counter remembers how much came last.
type counter struct {
	r    io.Reader
	last int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if n > 0 {
		c.last = n
	}
	return n, err
}
