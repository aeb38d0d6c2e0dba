package mcpsec

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 16 << 10
)

// ListenAndServe serves HTTP at a TCP address, as in "127.0.0.1:8080", or at a
// Unix socket that only the user of the process may open, as in
// "unix:/run/orders/mcp.sock". See [Server.Serve].
//
// An address that other machines can reach needs a Verifier, and TLS or
// BehindProxy.
func (s *Server) ListenAndServe(ctx context.Context, addr string, o HTTPOptions) error {
	ln, err := listen(ctx, addr)
	if err != nil {
		return fmt.Errorf("mcpsec: %w", err)
	}
	return s.Serve(ctx, ln, o)
}

func listen(ctx context.Context, addr string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return listenUnix(ctx, path)
	}
	var lc net.ListenConfig
	return lc.Listen(ctx, "tcp", addr)
}

// Serve serves HTTP on a listener, which it closes, until ctx ends: no more
// requests are taken then, and running ones get [Limits].Grace to finish before
// they are cancelled. It returns nil when ctx has ended it.
//
// Headers, connections and time are bounded, see [HTTPOptions]; TLS connections
// speak HTTP/2 too. Like [Server.ListenAndServe] it refuses a listener that
// other machines can reach without what makes that safe.
func (s *Server) Serve(ctx context.Context, ln net.Listener, o HTTPOptions) error {
	defer ln.Close()
	e, err := s.endpoint(o)
	if err != nil {
		return err
	}
	if err := e.mayListen(ln.Addr()); err != nil {
		return fmt.Errorf("mcpsec: %w", err)
	}
	s.log.Info("listening", "address", ln.Addr().String(), "tls", o.TLS != nil)
	return e.serve(ctx, newBoundedListener(ln, e))
}

// mayListen refuses an address that the network reaches, unless requests from
// there are encrypted and authenticated.
func (e *endpoint) mayListen(a net.Addr) error {
	if e.o.TLS != nil && len(e.o.TLS.Certificates) == 0 && e.o.TLS.GetCertificate == nil && e.o.TLS.GetConfigForClient == nil {
		return errors.New("HTTPOptions.TLS has no certificate")
	}
	if isLocal(a) {
		return nil
	}
	if e.o.Verifier == nil {
		return errors.New("other machines can reach this address: set HTTPOptions.Verifier, or listen on 127.0.0.1 or a Unix socket")
	}
	if e.o.TLS == nil && !e.o.BehindProxy {
		return errors.New("other machines can reach this address: set HTTPOptions.TLS, or BehindProxy if a proxy of yours terminates TLS")
	}
	if len(e.hosts) == 0 {
		return errors.New("other machines can reach this address: set HTTPOptions.Hosts to the names that clients use")
	}
	return nil
}

func (e *endpoint) serve(ctx context.Context, ln net.Listener) error {
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	requests := running{idle: make(chan struct{})}
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests.enter()
			defer requests.leave()
			e.ServeHTTP(w, r)
		}),
		BaseContext:                  func(net.Listener) context.Context { return base },
		ReadHeaderTimeout:            e.o.Timeout,
		ConnState:                    watchIdle,
		MaxHeaderBytes:               maxHeaderBytes,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     log.New(io.Discard, "", 0), // strangers decide how much is in it
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 2 * e.limits.MaxConcurrentPerPrincipal,
			WriteByteTimeout:     e.o.Timeout, // or a client that reads nothing keeps its connection for ever
		},
	}
	defer e.recordRest(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- e.accept(srv, ln) }()
	select {
	case err := <-ended:
		e.end()
		cancel()
		return fmt.Errorf("mcpsec: serving HTTP: %w", errors.Join(err, srv.Close()))
	case <-ctx.Done():
	}
	e.end()
	grace, release := context.WithTimeout(base, e.limits.Grace)
	defer release()
	_ = srv.Shutdown(grace)
	cancel()
	select {
	case <-requests.ended():
	case <-time.After(time.Second): // stuck in a write or a sink
	}
	_ = srv.Close()
	<-ended
	return nil
}

// running counts requests until the last one has ended. A WaitGroup would not
// let one begin while another waits for the end.
type running struct {
	mu   sync.Mutex
	n    int
	last bool // the end is waited for
	idle chan struct{}
}

func (r *running) enter() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n++
}

func (r *running) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n--; r.n == 0 && r.last {
		r.last = false
		close(r.idle)
	}
}

// ended returns what is closed when nothing runs. It is called once.
func (r *running) ended() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last = r.n > 0; !r.last {
		close(r.idle)
	}
	return r.idle
}

func (e *endpoint) accept(srv *http.Server, ln net.Listener) error {
	if e.o.TLS == nil {
		return srv.Serve(ln)
	}
	srv.TLSConfig = e.o.TLS.Clone()
	srv.TLSConfig.MinVersion = max(srv.TLSConfig.MinVersion, tls.VersionTLS12)
	return srv.ServeTLS(ln, "", "")
}

// boundedListener closes connections beyond the limits: one who opens thousands
// must not keep the others out.
type boundedListener struct {
	net.Listener
	e     *endpoint
	total inFlight
	peers callers
}

func newBoundedListener(ln net.Listener, e *endpoint) *boundedListener {
	return &boundedListener{Listener: ln, e: e}
}

// Accept returns the next connection within the limits.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if release := l.admit(c.RemoteAddr()); release != nil {
			idle := time.AfterFunc(idleTimeout, func() { c.Close() })
			return &boundedConn{Conn: c, release: sync.OnceFunc(release), idle: idle}, nil
		}
		c.Close()
		l.e.recordRefusal(context.Background(), refusal{remote: network(c.RemoteAddr().String()), rule: "busy", reason: "too many connections"})
	}
}

func (l *boundedListener) admit(peer net.Addr) (release func()) {
	limit := l.e.o.MaxConnections
	if !l.total.enter(limit) {
		return nil
	}
	if _, isTCP := peer.(*net.TCPAddr); !isTCP || l.e.o.BehindProxy {
		return l.total.leave
	}
	name := network(peer.String())
	if !l.peers.enter(name, max(1, limit/4)) {
		l.total.leave()
		return nil
	}
	return func() { l.peers.leave(name); l.total.leave() }
}

// A boundedConn holds a place among the connections until it is closed, which
// it is when it has been idle for too long.
type boundedConn struct {
	net.Conn
	release func()
	idle    *time.Timer
}

// Close gives the connection's place back.
func (c *boundedConn) Close() error {
	defer c.release()
	c.idle.Stop()
	return c.Conn.Close()
}

// watchIdle is told what a connection does. The IdleTimeout of [http.Server]
// would do, but that its HTTP/2 starts the timer anew after the connection has
// ended, and keeps all that belonged to it until the timer fires.
func watchIdle(c net.Conn, state http.ConnState) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	b, ok := c.(*boundedConn)
	switch {
	case !ok:
	case state == http.StateActive:
		b.idle.Stop()
	case state == http.StateIdle:
		b.idle.Reset(idleTimeout)
	}
}
