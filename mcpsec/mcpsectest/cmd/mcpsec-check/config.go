package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest/internal/battery"
)

type config struct {
	target             battery.Target
	options            battery.Options
	fail               battery.Severity
	json, sarif, junit string
	list, help         bool
}

const usage = `usage: mcpsec-check [flags] -- COMMAND [ARGUMENT ...]
       mcpsec-check [flags] -url URL

Attacks an MCP server and reports what it finds. Tools that do not say that they only
read are not called, unless -call lists them.

`

func parse(args []string, stderr io.Writer) (*config, error) {
	c := &config{options: battery.Options{Call: map[string]json.RawMessage{}}}
	f := flag.NewFlagSet("mcpsec-check", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprint(stderr, usage)
		f.PrintDefaults()
	}
	fail := "medium"
	f.StringVar(&c.target.URL, "url", "", "test the server at this `URL`, over Streamable HTTP")
	f.Func("header", "send this `header` (\"Name: value\") with each request to -url; a value env:NAME is read from the environment", c.header)
	f.Func("canary", "a `value` that the server has and must not show; env:NAME is read from the environment (may be repeated)", c.canary)
	f.Func("call", "this `tool` may be called, also if it writes; tool={...} gives valid arguments, * is all tools (may be repeated)", c.call)
	f.Func("accept", "a known `finding`, by check (args/unknown) or check and tool (\"args/unknown search\"): reported as info (may be repeated)", func(s string) error {
		c.options.Accept = append(c.options.Accept, s)
		return nil
	})
	f.StringVar(&fail, "fail", fail, "exit with 1 for findings from this `severity` on: info, low, medium, high or critical")
	f.StringVar(&c.options.Manifest, "manifest", "", "compare the tools' definitions with this `file`")
	f.BoolVar(&c.options.Update, "update", false, "write -manifest")
	f.DurationVar(&c.options.Timeout, "timeout", 10*time.Second, "how long one exchange may take")
	f.StringVar(&c.json, "json", "", "write the report as JSON to this `file`; - is standard output")
	f.StringVar(&c.sarif, "sarif", "", "write the report as SARIF 2.1.0 to this `file`; - is standard output")
	f.StringVar(&c.junit, "junit", "", "write the report as JUnit XML to this `file`; - is standard output")
	f.BoolVar(&c.list, "list", false, "print what each check proves, and end")
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		c.help = true
		return c, nil
	case err != nil:
		return nil, err
	}
	var err error
	if c.fail, err = battery.ParseSeverity(fail); err != nil {
		return nil, fmt.Errorf("-fail: %w", err)
	}
	c.target.Argv = f.Args()
	return c, c.check()
}

func (c *config) check() error {
	out := 0
	for _, file := range []string{c.json, c.sarif, c.junit} {
		if file == "-" {
			out++
		}
	}
	switch {
	case c.list:
		return nil
	case (c.target.URL == "") == (len(c.target.Argv) == 0):
		return errors.New("give either a command, after --, or -url")
	case c.target.URL == "" && c.target.Header != nil:
		return errors.New("-header is for -url")
	case c.options.Update && c.options.Manifest == "":
		return errors.New("-update needs -manifest")
	case out > 1:
		return errors.New("only one of -json, -sarif and -junit can go to standard output")
	}
	return nil
}

// value reads env:NAME from the environment, so that a secret is in no list of
// processes.
func value(s string) (string, error) {
	name, ok := strings.CutPrefix(s, "env:")
	if !ok {
		return s, nil
	}
	v := os.Getenv(name)
	if v == "" {
		return "", fmt.Errorf("the variable %s is empty", name)
	}
	return v, nil
}

func (c *config) header(s string) error {
	name, v, ok := strings.Cut(s, ":")
	if !ok {
		return errors.New("want Name: value")
	}
	v, err := value(strings.TrimSpace(v))
	if err != nil {
		return err
	}
	if c.target.Header == nil {
		c.target.Header = http.Header{}
	}
	c.target.Header.Add(strings.TrimSpace(name), v)
	return nil
}

func (c *config) canary(s string) error {
	v, err := value(s)
	c.options.Canaries = append(c.options.Canaries, v)
	return err
}

func (c *config) call(s string) error {
	tool, arguments, given := strings.Cut(s, "=")
	if given && (!json.Valid([]byte(arguments)) || !strings.HasPrefix(arguments, "{")) {
		return fmt.Errorf("the arguments of %s are no JSON object", tool)
	}
	c.options.Call[tool] = json.RawMessage(arguments)
	return nil
}

// location is the file at which SARIF shows findings: the first of the command that is
// in this directory, or the manifest.
func (c *config) location() string {
	for _, arg := range append(c.target.Argv, c.options.Manifest) {
		if info, err := os.Stat(arg); err == nil && info.Mode().IsRegular() && filepath.IsLocal(arg) {
			return filepath.ToSlash(arg)
		}
	}
	return "mcp-server"
}
