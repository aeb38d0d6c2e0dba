// Bench compares servers on the bare SDK with hardened ones that do the same,
// in one run and interleaved, so that a machine whose speed drifts slows both:
//
//	go run ./integration/bench -o docs/benchmarks.md
//
// It prints, or writes as Markdown, for each path, the hardened server's time, processor
// time and allocations a call as a ratio to the bare one's: the median of the rounds, with
// its confidence interval, and first what must hold of them. Start-up is from the start of
// the process to the answer to the first tools/list. What fails is named in the text, and
// the rest goes on.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
)

func main() {
	rounds := flag.Int("rounds", 9, "interleaved rounds of each path")
	calls := flag.Int("calls", 3000, "calls a round")
	quick := flag.Bool("quick", false, "three short rounds, to see that it works")
	out := flag.String("o", "", "Markdown `file` to write instead of printing")
	only := flag.String("only", "", "measure one `part` only: "+strings.Join(partNames(), ", "))
	before := flag.String("before", "", "with -only postgres, an earlier build of this `program` to compare with")
	serveAs := flag.String("serve", "", "be one of the servers, on standard input and output")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *quick {
		*rounds, *calls = 3, 100
	}
	err := run(ctx, settings{*rounds, *calls, *before}, *serveAs, *only, *out)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o settings, serveAs, only, out string) error {
	if serveAs != "" {
		return serve(serveAs)
	}
	var b book
	for _, p := range parts {
		if only != "" && only != p.name {
			continue
		}
		if err := p.run(ctx, &b, o); err != nil {
			fmt.Fprintf(os.Stderr, "\nbench: %s: %v\n", p.name, err)
			b.failed = append(b.failed, p.name+": "+err.Error())
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	b.WriteString(machineLoad())
	text := b.report(machine(o.rounds, o.calls))
	var err error
	if out == "" {
		_, err = os.Stdout.Write(text)
	} else {
		err = os.WriteFile(out, text, 0o644)
	}
	if len(b.failed) > 0 {
		err = errors.Join(err, fmt.Errorf("not measured: %s", strings.Join(b.failed, "; ")))
	}
	return err
}

// settings are how long to measure.
type settings struct {
	rounds, calls int
	before        string
}

// parts are what is measured, one after the other.
var parts = []struct {
	name string
	run  func(context.Context, *book, settings) error
}{
	{"calls", compareCalls},
	{"start", compareStart},
	{"pieces", comparePieces},
	{"http", compareWeb},
	{"postgres", comparePostgres},
	{"state", compareState},
}

func partNames() (names []string) {
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

// A sample is what one round measured, for one call.
type sample struct {
	micros, cpu, allocs float64
	p50, p99            float64 // nanoseconds, over HTTP
	rss                 float64 // bytes
}

// A path is a way to measure; hardened tells which of the two servers.
type path struct {
	id, name string
	calls    int
	run      func(ctx context.Context, hardened bool, calls int) (sample, error)
}

func compareCalls(ctx context.Context, b *book, o settings) error {
	fmt.Fprint(b, "\n## Calls of a tool with 6 validated fields\n\n| path | bare | hardened | time | server CPU | allocations |\n| --- | ---: | ---: | ---: | ---: | ---: |\n")
	for _, p := range []path{
		{"memory", "in memory", o.calls, inMemory},
		{"web", "HTTP in one process, with and without a token", o.calls, overHTTP},
		{"stdio", "stdio", o.calls, overStdio},
		{"same", "stdio, both with GOGC=100", o.calls, sameCollector},
	} {
		bare, hard, err := p.measure(ctx, o.rounds)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		micros := func(s sample) float64 { return s.micros }
		time, cpu := ratio(bare, hard, micros), ratio(bare, hard, func(s sample) float64 { return s.cpu })
		allocs := ratio(bare, hard, func(s sample) float64 { return s.allocs })
		b.note(p.id+" time", time)
		b.note(p.id+" cpu", cpu)
		b.note(p.id+" allocs", allocs)
		fmt.Fprintf(b, "| %s | %.0f µs | %.0f µs | %s | %s | %s |\n", p.name, median(pick(bare, micros)), median(pick(hard, micros)), time, cpu, allocs)
	}
	return nil
}

// measure interleaves the two. Who goes first changes, and the first round is a warm-up.
func (p path) measure(ctx context.Context, rounds int) (bare, hard []sample, err error) {
	for i := range rounds + 1 {
		for _, hardened := range []bool{i%2 == 0, i%2 != 0} {
			s, err := p.run(ctx, hardened, p.calls)
			if err != nil {
				return nil, nil, err
			}
			if i > 0 && hardened {
				hard = append(hard, s)
			} else if i > 0 {
				bare = append(bare, s)
			}
		}
		fmt.Fprintf(os.Stderr, "\r\x1b[K%s: round %d of %d ", p.name, i, rounds)
	}
	fmt.Fprint(os.Stderr, "\r\x1b[K")
	return bare, hard, nil
}
