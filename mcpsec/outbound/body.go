package outbound

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// A drained body lets its connection be used again. A server that makes that
// long or slow loses the connection.
const (
	drainBytes = 64 << 10
	drainTime  = time.Second
)

// body is the body of an answer, bounded in size and in the time between its
// bytes. What is counted is what the caller gets, after decompression.
type body struct {
	t      *transport
	h      *host
	rc     io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	gap    *time.Timer
	left   int64
	err    error // the last one
}

// wrapBody bounds the body of an answer. The attempt's context ends with it.
func (t *transport) wrapBody(ctx context.Context, cancel context.CancelCauseFunc, resp *http.Response, h *host) {
	if resp.Body == http.NoBody {
		cancel(nil)
		return
	}
	b := &body{t: t, h: h, rc: resp.Body, ctx: ctx, cancel: cancel, left: t.o.MaxBody}
	b.gap = time.AfterFunc(t.o.Timeout, func() { cancel(errGap) })
	b.gap.Stop()
	resp.Body = b
}

func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1] // one more tells a body that ends here from one that goes on
	}
	b.gap.Reset(b.t.o.BodyTimeout)
	n, err := b.rc.Read(p)
	b.gap.Stop()
	if err == io.EOF && b.ctx.Err() != nil {
		// Cancelling closes the connection with an alert of TLS, whereupon a
		// server can end its body in good form, and short, before the socket is
		// shut. That end is ours.
		err = b.t.ended(b.ctx)
	}
	if int64(n) > b.left {
		n, err = int(b.left), b.t.tooLarge(b.h)
	}
	b.left -= int64(n)
	if err != nil {
		b.err = b.explain(err)
		b.cancel(nil)
	}
	return n, b.err
}

// Close may be called while another goroutine reads.
func (b *body) Close() error {
	b.gap.Stop()
	err := b.rc.Close()
	b.cancel(nil)
	if err != nil {
		return b.explain(err)
	}
	return nil
}

// endWith has the end of the body call f too. It comes before the first Read.
func (b *body) endWith(f func()) {
	cancel := b.cancel
	b.cancel = func(cause error) { cancel(cause); f() }
}

func (b *body) explain(err error) error {
	if err == io.EOF || err == http.ErrBodyReadAfterClose {
		return err
	}
	e := b.t.explain(b.ctx, err)
	e.Host, e.text = b.h.name, "reading the answer of "+b.h.name+": "+e.text
	return e
}

func (t *transport) tooLarge(h *host) *Error {
	return &Error{Reason: TooLarge, Host: h.name, text: fmt.Sprintf("the answer is larger than %d bytes", t.o.MaxBody)}
}

// drain reads what is left of a small body, and closes it.
func drain(resp *http.Response) {
	if b, ok := resp.Body.(*body); ok {
		late := time.AfterFunc(drainTime, func() { b.cancel(errGap) })
		_, _ = io.CopyN(io.Discard, b, drainBytes)
		late.Stop()
		_ = b.Close()
	}
}
