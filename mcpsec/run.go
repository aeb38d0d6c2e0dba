package mcpsec

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
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
	ctx, stop := s.untilSignal(ctx)
	defer stop()
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

// signalDelay keeps the client that waits for its first answers from waiting for the
// thread that signals take, which is a tenth of the time in which a server starts. They
// are heeded before it has passed if there is a call to finish.
const signalDelay = 10 * time.Millisecond

// untilSignal returns a context that ends at the first signal; a second one has its usual
// effect.
func (s *Server) untilSignal(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	heed := sync.OnceFunc(func() {
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
		go func() {
			defer signal.Stop(signals)
			select {
			case <-signals:
				cancel()
			case <-ctx.Done():
			}
		}()
	})
	s.beforeCall.Store(&heed)
	time.AfterFunc(signalDelay, heed)
	return ctx, cancel
}
