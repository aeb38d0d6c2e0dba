// Package memnet is a listener in memory, for tests: nothing of it leaves the process,
// and synctest knows the time of both ends.
package memnet

import (
	"context"
	"net"
	"sync"
)

// addr is local, as a Unix socket is.
var addr = &net.UnixAddr{Net: "unix", Name: "@"}

// A Listener accepts what its Dial opens. Nothing is buffered between the ends: a client
// that does not read stops the server at once.
type Listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// New returns a listener that is open.
func New() *Listener { return &Listener{conns: make(chan net.Conn), closed: make(chan struct{})} }

// Accept implements [net.Listener].
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener]. Connections stay open.
func (l *Listener) Close() error { l.once.Do(func() { close(l.closed) }); return nil }

// Addr implements [net.Listener].
func (*Listener) Addr() net.Addr { return addr }

// serverEnd says that it is of this machine.
type serverEnd struct{ net.Conn }

func (serverEnd) LocalAddr() net.Addr { return addr }

// Dial opens a connection, whatever network and address it is told: it fits
// [http.Transport].DialContext.
func (l *Listener) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- serverEnd{server}:
		return client, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
