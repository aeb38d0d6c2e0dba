// Scale measures what a call costs as what surrounds it grows, and how replicas share:
//
//	go run ./integration/scale -o docs
//
// It writes scale.md and its plots there, or prints the text: a call with 10 to 1,000
// tools, a count in the limiter with 1 to 100,000 principals, a record in an audit log of
// up to a million, and one to three replicas over one PostgreSQL. All of it should be
// flat; what is not, shows.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/mcpsec/mcpsec-go/integration/internal/chart"
)

func main() {
	out := flag.String("o", "", "`folder` for scale.md and its plots; printed without them by default")
	quick := flag.Bool("quick", false, "small sizes and short turns, to see that it works")
	replica := flag.Bool("replica", false, "be one of the replicas")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := error(nil)
	if *replica {
		err = serveReplica(ctx)
	} else {
		err = measure(ctx, *out, *quick)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

const preface = `# Scale

What a call costs as what surrounds it grows, and how replicas share. Written by a
program; repeat it with

    make scale

With %s on %s/%s, %d processors. Medians of turns that are interleaved, so that a machine
whose speed drifts slows all sizes.
`

// A page is what a run writes.
type page struct {
	bytes.Buffer
	plots map[string]chart.Chart
	quick bool
}

// plot shows a chart where the text is now.
func (p *page) plot(name string, c chart.Chart) {
	if p.plots == nil {
		p.plots = map[string]chart.Chart{}
	}
	p.plots[name] = c
	fmt.Fprintf(p, "\n![%s](%s.svg)\n", c.Title, name)
}

func measure(ctx context.Context, out string, quick bool) error {
	p := &page{quick: quick}
	fmt.Fprintf(p, preface, runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	for _, part := range []struct {
		name string
		run  func(context.Context, *page) error
	}{{"tools", growTools}, {"principals", growPrincipals}, {"the audit log", growAudit}, {"replicas", growReplicas}} {
		fmt.Fprintln(os.Stderr, "measuring", part.name)
		if err := part.run(ctx, p); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	if out == "" {
		_, err := os.Stdout.Write(p.Bytes())
		return err
	}
	for name, c := range p.plots {
		if err := os.WriteFile(filepath.Join(out, name+".svg"), c.SVG(), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(out, "scale.md"), p.Bytes(), 0o644)
}

// turns measures what each of fs costs, in microseconds, in turns.
func turns(quick bool, fs ...func() error) ([]float64, error) {
	rounds, turn := 15, 100*time.Millisecond
	if quick {
		rounds, turn = 3, 10*time.Millisecond
	}
	times := make([][]float64, len(fs))
	for round := range rounds + 1 {
		for i, f := range fs {
			n, start := 0, time.Now()
			for time.Since(start) < turn {
				for range 8 {
					if err := f(); err != nil {
						return nil, err
					}
				}
				n += 8
			}
			if round > 0 { // the first is a warm-up
				times[i] = append(times[i], float64(time.Since(start).Nanoseconds())/1000/float64(n))
			}
		}
	}
	out := make([]float64, len(fs))
	for i, t := range times {
		slices.Sort(t)
		out[i] = t[len(t)/2]
	}
	return out, nil
}

func floats(ints []int) []float64 {
	out := make([]float64, len(ints))
	for i, n := range ints {
		out[i] = float64(n)
	}
	return out
}
