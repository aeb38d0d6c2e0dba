// Bench compares servers on the bare SDK with hardened ones that do the same,
// in one run and interleaved, so that a machine whose speed drifts slows both:
//
//	go run ./integration/bench -o docs/benchmarks.md
//
// It prints, or writes as Markdown, for each path, the hardened server's time, processor time and
// allocations a call as a ratio to the bare one's: the median of the rounds,
// with the lowest and the highest. Start-up is from the start of the process to
// the answer to the first tools/list.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
)

func main() {
	rounds := flag.Int("rounds", 7, "interleaved rounds of each path")
	calls := flag.Int("calls", 3000, "calls a round")
	out := flag.String("o", "", "Markdown `file` to write instead of printing")
	webOnly := flag.Bool("http", false, "measure the servers over HTTP only, and print that")
	pgOnly := flag.Bool("pg", false, "measure pg_query only, and print that")
	before := flag.String("before", "", "with -pg, an earlier build of this `program` to compare with")
	serveAs := flag.String("serve", "", "be one of the servers, on standard input and output")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if *serveAs != "" {
		err = serve(*serveAs)
	} else if *pgOnly {
		err = comparePostgres(ctx, os.Stdout, *rounds, *calls, *before)
	} else if *webOnly {
		err = compareWeb(ctx, os.Stdout, *rounds, *calls)
	} else {
		err = report(ctx, *out, *rounds, *calls)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// A sample is what one round measured, for one call.
type sample struct {
	micros, cpu, allocs float64
	p50, p99            float64 // nanoseconds, over HTTP
}

// A path is a way to measure; hardened tells which of the two servers.
type path struct {
	name  string
	calls int
	run   func(ctx context.Context, hardened bool, calls int) (sample, error)
}

// report writes to a file only what has been measured to its end.
func report(ctx context.Context, path string, rounds, calls int) error {
	var b bytes.Buffer
	if err := compare(ctx, &b, rounds, calls); err != nil {
		return err
	}
	if path == "" {
		_, err := os.Stdout.Write(b.Bytes())
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

const preface = `# Benchmarks

Servers on the bare SDK and hardened ones that do the same, side by side in one
run and interleaved. A ratio is hardened to bare, round by round: the median,
with the lowest and the highest. Every protection is on; the audit log goes to a
file. Repeat it with

    go run ./integration/bench -o docs/benchmarks.md

Measured with %s on %s/%s, %d processors, %d rounds of %d calls.

| path | bare | hardened | time | server CPU | allocations |
| --- | ---: | ---: | ---: | ---: | ---: |
`

func compare(ctx context.Context, w io.Writer, rounds, calls int) error {
	fmt.Fprintf(w, preface, runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), rounds, calls)
	for _, p := range []path{
		{"in memory, 6 validated fields", calls, inMemory},
		{"HTTP, 6 validated fields, with and without a token", calls, overHTTP},
		{"stdio, 6 validated fields", calls, overStdio(orderCall)},
		{"stdio, start-up to tools/list", 1, overStdio("")},
	} {
		if err := p.measure(ctx, w, rounds); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	if err := compareWeb(ctx, w, rounds, calls); err != nil {
		return err
	}
	return comparePostgres(ctx, w, rounds, calls, "")
}

func (p path) measure(ctx context.Context, w io.Writer, rounds int) error {
	var bare, hard []sample
	for i := range rounds + 1 {
		// Who goes first changes, and the first round is a warm-up.
		for _, hardened := range []bool{i%2 == 0, i%2 != 0} {
			s, err := p.run(ctx, hardened, p.calls)
			if err != nil {
				return err
			}
			if i > 0 && hardened {
				hard = append(hard, s)
			} else if i > 0 {
				bare = append(bare, s)
			}
			fmt.Fprintf(os.Stderr, "\r%s: round %d of %d ", p.name, i, rounds)
		}
	}
	fmt.Fprint(os.Stderr, "\r\x1b[K")
	micros := func(s sample) float64 { return s.micros }
	fmt.Fprintf(w, "| %s | %.0f µs | %.0f µs | %s | %s | %s |\n", p.name, median(pick(bare, micros)), median(pick(hard, micros)),
		ratio(bare, hard, micros),
		ratio(bare, hard, func(s sample) float64 { return s.cpu }),
		ratio(bare, hard, func(s sample) float64 { return s.allocs }))
	return nil
}

func pick(ss []sample, f func(sample) float64) []float64 {
	out := make([]float64, len(ss))
	for i, s := range ss {
		out[i] = f(s)
	}
	return out
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

// ratio compares round by round.
func ratio(bare, hard []sample, f func(sample) float64) string {
	var r []float64
	for i := range bare {
		if f(bare[i]) == 0 {
			return "–"
		}
		r = append(r, f(hard[i])/f(bare[i]))
	}
	return fmt.Sprintf("%.2f (%.2f to %.2f)", median(r), slices.Min(r), slices.Max(r))
}
