package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/mcpsec/mcpsec-go/examples/internal/tour"
)

// pocketbase shows the last chapter, which is a program of its own: PocketBase would
// double the time that this one takes to compile. goTool builds it.
func pocketbase(ctx context.Context, p *tour.Printer, goTool string, out io.Writer) error {
	heading(p, 9)
	p.Say("Compiling PocketBase, which takes a minute the first time.")
	dir, err := os.MkdirTemp("", "mcpsec-tour-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "pocketbase.exe") // which is a name on all systems
	if err := run(ctx, out, goTool, "build", "-o", bin, "github.com/mcpsec/mcpsec-go/examples/pocketbase"); err != nil {
		return fmt.Errorf("compiling examples/pocketbase, which needs to be done in the repository: %w", err)
	}
	if err := run(ctx, out, bin, "-tour"); err != nil {
		return fmt.Errorf("the chapter on PocketBase: %w", err)
	}
	return nil
}

// run runs a program, and asks it to end when ctx does.
func run(ctx context.Context, out io.Writer, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	return cmd.Run()
}
