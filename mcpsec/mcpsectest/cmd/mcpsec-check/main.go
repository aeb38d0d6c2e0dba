// Mcpsec-check attacks an MCP server and reports what it finds. It writes no code and
// needs none:
//
//	go run github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest/cmd/mcpsec-check -- node server.js
//	go run github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest/cmd/mcpsec-check -url https://mcp.example.com/mcp
//
// It protects those who run a server, and those whose data it reaches, from flaws that
// its authors did not see. It calls only tools that say that they only read, unless
// told otherwise (-call). It does not prove that a server is safe: docs/check.md says
// what each check proves.
//
// The exit status is 0 if there is no finding from -fail on, 1 if there is one, and 2
// if the server could not be tested.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest/internal/battery"
	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest/internal/report"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

const (
	clean  = 0
	found  = 1
	broken = 2
)

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parse(args, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "mcpsec-check:", err)
		return broken
	}
	if c.help {
		return clean
	}
	if c.list {
		if err := report.List(stdout, battery.Checks); err != nil {
			return broken
		}
		return clean
	}
	c.options.Progress = func(line string) { fmt.Fprintln(stderr, line) }
	r, err := battery.Run(ctx, c.target, c.options)
	if err != nil {
		fmt.Fprintln(stderr, "mcpsec-check:", err)
		return broken
	}
	if err := c.write(r, stdout); err != nil {
		fmt.Fprintln(stderr, "mcpsec-check: writing the report:", err)
		return broken
	}
	if len(r.Findings) > 0 && r.Worst() >= c.fail {
		return found
	}
	return clean
}

// write writes the report in all forms that are asked for, and for people if nothing
// else goes to standard output.
func (c *config) write(r *battery.Report, stdout io.Writer) error {
	text := true
	for _, out := range []struct {
		file  string
		write func(w io.Writer) error
	}{
		{c.json, func(w io.Writer) error { return report.JSON(w, r) }},
		{c.sarif, func(w io.Writer) error { return report.SARIF(w, r, battery.Checks, c.location()) }},
		{c.junit, func(w io.Writer) error { return report.JUnit(w, r, c.fail) }},
	} {
		switch out.file {
		case "":
		case "-":
			text = false
			if err := out.write(stdout); err != nil {
				return err
			}
		default:
			if err := toFile(out.file, out.write); err != nil {
				return err
			}
		}
	}
	if !text {
		return nil
	}
	return report.Text(stdout, r)
}

func toFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
