// Comparison writes docs/comparison.md: the same small server on several frameworks, each
// as its own README shows it, attacked by mcpsec-check, and a few figures. It states
// nothing that it has not just seen.
//
//	go run ./integration/comparison -o docs/comparison.md
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "comparison:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	out := flag.String("o", "", "write the page to this `file`; standard output by default")
	starts := flag.Int("starts", 15, "how often each server is started for the figures")
	flag.Parse()
	dir, err := os.MkdirTemp("", "comparison-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	lab, err := prepare(ctx, dir)
	if err != nil {
		return err
	}
	if err := lab.fetch(ctx); err != nil {
		return err
	}
	var reports []report
	for _, s := range frameworks {
		fmt.Fprintf(os.Stderr, "attacking %s\n", s.name)
		r, err := lab.attack(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if r.figures, err = lab.measure(ctx, s, *starts); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		reports = append(reports, r)
	}
	var finished []facts
	for _, s := range servers {
		fmt.Fprintf(os.Stderr, "asking %s\n", s.name)
		f, err := lab.ask(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		finished = append(finished, f)
	}
	checks, err := lab.checks(ctx)
	if err != nil {
		return err
	}
	text := page(checks, reports, finished)
	if *out == "" {
		_, err = os.Stdout.WriteString(text)
		return err
	}
	return os.WriteFile(filepath.Clean(*out), []byte(text), 0o644)
}
