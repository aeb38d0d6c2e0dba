package mcpsec

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Run serves one client over standard input and output until its input ends,
// ctx ends, or the process gets SIGINT or SIGTERM; a second signal ends the
// process at once. Running calls then get [Limits].Grace to finish before they
// are cancelled. It returns nil unless the stream broke: a client that leaves or
// a signal is how a server ends.
//
// While Run runs, the process's standard output belongs to the protocol: what
// else is written there, by any package or child process, goes to standard
// error. On Windows that holds for what is written through os.Stdout after Run
// was called.
//
// Run is for a process of its own. When ctx or a signal ends it, one goroutine may
// stay blocked in reading standard input until the process ends.
func (s *Server) Run(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)() // from then on a signal has its usual effect
	out, restore, err := claimStdout()
	if err != nil {
		return err
	}
	defer restore()
	err = s.ServeStream(ctx, os.Stdin, out)
	if err != nil && ctx.Err() != nil {
		return nil
	}
	return err
}
