package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// A book is what a run writes down: the text, and the figures that must hold.
type book struct {
	bytes.Buffer
	figures map[string]interval
	failed  []string
}

// note keeps a figure for the first table.
func (b *book) note(id string, i interval) {
	if b.figures == nil {
		b.figures = map[string]interval{}
	}
	b.figures[id] = i
}

// A bound is what must hold of a figure: at most the limit, or at least.
type bound struct {
	id, name string
	limit    float64
	least    bool
}

var bounds = []bound{
	{"stdio cpu", "stdio, server CPU a call, each with its defaults for the collector", 0.50, false},
	{"same cpu", "stdio, server CPU a call, both with GOGC=100", 0.70, false},
	{"memory time", "in memory, time a call", 0.70, false},
	{"memory allocs", "in memory, allocations a call", 0.55, false},
	{"http ES256 1", "HTTP with a token (ES256), calls/s, one caller", 1.0, true},
	{"http ES256 16", "HTTP with a token (ES256), calls/s, 16 callers", 1.0, true},
	{"key p50", "`pg_query` by key, p50", 1.0, false},
	{"key cpu", "`pg_query` by key, CPU", 0.9, false},
	{"100 cpu", "100 rows, CPU", 0.75, false},
	{"5000 cpu", "5,000 rows, CPU", 0.5, false},
	{"5000 p50", "5,000 rows, p50", 0.6, false},
	{"start", "start-up to tools/list", 1.2, false},
	{"rss", "peak memory (RSS) after 3,000 calls", 1.3, false},
	{"webhook", "webhook of 2 KB (GitHub), against a bare HMAC-SHA-256", 1.5, false},
	{"log", "a log line through the redactor, against plain slog", 1.5, false},
}

func (b bound) verdict(i interval) string {
	worst, sign := i.high, 1.0
	if b.least {
		worst, sign = i.low, -1
	}
	switch {
	case i == (interval{}):
		return "**not measured**"
	case sign*worst <= sign*b.limit:
		return "holds"
	case sign*i.mid <= sign*b.limit:
		return "holds in the median"
	}
	return "**does not hold**"
}

const preface = `# Benchmarks

Servers on the bare SDK (` + "`mcp.AddTool`" + `) and hardened ones that do the same, side by side in one
run and interleaved. A ratio is hardened to bare, round by round: the median,
with its 95 %% confidence interval. Every protection is on; the audit log goes to a
file. Repeat it with

    make bench

%s
## What must hold

| what | bound | measured | |
| --- | ---: | ---: | --- |
`

const more = `
## As it grows

![A call, by the number of tools](scale-tools.svg)
![A count in pgstate, by the number of principals](scale-principals.svg)
![One more record, by the length of the audit log](scale-audit.svg)
![What one principal gets, by the number of replicas](scale-replicas.svg)

[scale.md](scale.md) has the figures (` + "`make scale`" + `), and [soak.md](soak.md) ten minutes of mixed
load and faults (` + "`make soak`" + `).
`

// report is the whole text.
func (b *book) report(machine string) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, preface, machine)
	for _, x := range bounds {
		sign := "≤"
		if x.least {
			sign = "≥"
		}
		fmt.Fprintf(&out, "| %s | %s %.2f | %s | %s |\n", x.name, sign, x.limit, b.figures[x.id], x.verdict(b.figures[x.id]))
	}
	for _, f := range b.failed {
		fmt.Fprintf(&out, "\nNot measured: %s.\n", f)
	}
	out.Write(b.Bytes())
	out.WriteString(more)
	return out.Bytes()
}

// machine says what the figures were measured on.
func machine(rounds, calls int) string {
	text := fmt.Sprintf("Measured with %s on %s/%s, %d processors%s, %d rounds of %d calls.\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), cpuName(), rounds, calls)
	if out, err := exec.Command("uname", "-sr").Output(); err == nil {
		text += "Kernel: " + strings.TrimSpace(string(out)) + ".\n"
	}
	return text
}

// cpuName is how Linux names the processor, or nothing.
func cpuName() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	_, rest, ok := strings.Cut(string(b), "model name\t: ")
	if name, _, _ := strings.Cut(rest, "\n"); ok {
		return " (" + name + ")"
	}
	return ""
}

// machineLoad is the machine's load, or nothing.
func machineLoad() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	return fmt.Sprintf("\nLoad of the machine at the end: %.4s.\n", b)
}
