package tour

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// UntilStopped ends when the program is to end, or nobody reads what p writes: then what
// was started is stopped, and what was stored removed. A SIGPIPE alone says little: a
// server gets one of a connection that its client has ended.
func UntilStopped(ctx context.Context, p *Printer) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // a failed write is an error, and not the end
	p.w = watched{p.w, stop}
	return ctx, stop
}

// watched is a writer whose failures somebody is told of.
type watched struct {
	io.Writer
	failed func()
}

func (w watched) Write(b []byte) (int, error) {
	n, err := w.Writer.Write(b)
	if err != nil {
		w.failed()
	}
	return n, err
}
