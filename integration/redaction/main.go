// Redaction measures the redactor: what it finds, what it leaves alone and what
// it costs.
//
//	go run ./integration/redaction -o docs/redaction.md
//
// It prints, or writes as Markdown, the rates on the corpora of
// internal/leakcorpus, the lines of ordinary text that are changed (Go's own
// source, its tests' output as JSON, this repository's history, access logs
// that a server of its own writes), and the speed.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"runtime"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

func main() {
	out := flag.String("o", "", "Markdown `file` to write instead of printing")
	changed := flag.Bool("changed", false, "print the changed lines of ordinary text to standard error")
	flag.Parse()
	if err := run(*out, *changed); err != nil {
		fmt.Fprintln(os.Stderr, "redaction:", err)
		os.Exit(1)
	}
}

// run writes to a file only what has been measured to its end.
func run(path string, changed bool) error {
	r := redact.New(redact.Options{})
	rates := measureRates(r)
	fmt.Fprintln(os.Stderr, "reading ordinary text: Go's source, the output of its tests, history, access logs")
	ordinary, err := measureOrdinary(r, changed)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "measuring speed")
	speeds := measureSpeed(r)
	var report bytes.Buffer
	write(&report, rates, ordinary, speeds)
	if path == "" {
		_, err = report.WriteTo(os.Stdout)
		return err
	}
	return os.WriteFile(path, report.Bytes(), 0o644)
}

func write(w *bytes.Buffer, rates []rate, ordinary []text, speeds []speed) {
	line := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	line("# Redaction, measured\n")
	line("Written by a program; repeat it with\n\n    go run ./integration/redaction -o docs/redaction.md\n")
	line("With %s on %s/%s, %d processors.\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
	line("## What is found, and what stays\n")
	line("A line of the first tier leaks when six bytes of a secret remain. The corpora,\nand how they were made, are in [internal/leakcorpus](../internal/leakcorpus).\n")
	line("| what | of | |\n| --- | ---: | ---: |")
	for _, x := range rates {
		line("| %s | %d | %.2f %% |", x.name, x.of, 100*float64(x.n)/float64(max(x.of, 1)))
	}
	line("\n## Ordinary text\n\nMost of what is changed in Go's source are passwords and keys in its tests.\n")
	line("| text | lines | changed | in 100,000 |\n| --- | ---: | ---: | ---: |")
	for _, x := range ordinary {
		line("| %s | %d | %d | %.1f |", x.name, x.lines, x.changed, 100_000*float64(x.changed)/float64(max(x.lines, 1)))
	}
	line("\n## Cost\n")
	line("| what | time | rate | allocations |\n| --- | ---: | ---: | ---: |")
	for _, x := range speeds {
		line("| %s | %s | %s | %d |", x.name, x.time, x.rate, x.allocs)
	}
}
