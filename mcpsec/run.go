package mcpsec

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
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
// Run is for a process of its own. While it runs, the garbage collector's target is 50
// percent instead of 100 ([debug.SetGCPercent]), unless GOGC or the program has chosen
// another: memory is worth more here than a little of the processor time. When ctx or a
// signal ends it, one goroutine may stay blocked in reading standard input until the
// process ends.
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

// collectorTarget is the garbage collector's target for a process of our own, in percent.
const collectorTarget = 50

// frugal sets the collector's target, unless another than Go's default was chosen, and
// returns what sets it back.
func frugal() (undo func()) {
	const standard = 100
	before := debug.SetGCPercent(collectorTarget)
	undo = func() { debug.SetGCPercent(before) }
	if os.Getenv("GOGC") != "" || before != standard {
		undo()
	}
	return undo
}

// afterStart keeps the client that waits for its first answers from waiting for a
// collection and for the thread that signals take, which are a quarter of the time in
// which a server starts. Both are seen to before it has passed if there is a call.
const afterStart = 10 * time.Millisecond

// untilSignal returns a context that ends at the first signal; a second one has its usual
// effect. Until the returned function is called, the collector has our target.
func (s *Server) untilSignal(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	var once sync.Once
	undo := func() {}
	settle := func() {
		once.Do(func() {
			undo = frugal()
			heed(ctx, cancel)
		})
	}
	s.beforeCall.Store(&settle)
	time.AfterFunc(afterStart, settle)
	return ctx, func() {
		cancel()
		once.Do(func() {}) // what has not begun does not begin any more
		undo()
	}
}

// heed cancels at the first signal before ctx ends.
func heed(ctx context.Context, cancel func()) {
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
}
