package mcpsec

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

// HTTPOptions says how a [Server] is reached over HTTP. The zero value serves
// whoever is on this machine: no other peer, no browser, no name but localhost.
type HTTPOptions struct {
	// Verifier says whose a bearer token is. Defaults to none: every peer is
	// Options.Principal, and must come from this machine or through a Unix
	// socket, and not by way of a proxy.
	Verifier TokenVerifier
	// TLS makes [Server.ListenAndServe] and [Server.Serve] speak TLS 1.2 or
	// later; it must hold a certificate or the means to get one. Defaults to
	// none, which confines the server to this machine unless BehindProxy says
	// otherwise.
	TLS *tls.Config
	// BehindProxy states that all peers are proxies of yours which terminate TLS
	// and append the client's address to X-Forwarded-For. It needs a Verifier.
	// Defaults to false.
	BehindProxy bool
	// Hosts are the names under which clients reach the server, without port.
	// A request for another name is refused: it was lured here. Defaults to the
	// host of Resource. On this machine's own addresses localhost, 127.0.0.1 and
	// [::1] are always served.
	Hosts []string
	// Origins are those of the web pages that may call the server, as in
	// "https://chat.example.com". Defaults to none: a request from a page is
	// refused.
	Origins []string
	// Path is where MCP is served. Defaults to the path of Resource, or "/mcp".
	Path string
	// HealthPath and ReadyPath answer "ok" to anyone; ReadyPath does no more when
	// the server is stopping. Default to "/healthz" and "/readyz".
	HealthPath string
	ReadyPath  string
	// Resource is the https URL that identifies this server (RFC 8707), and
	// AuthorizationServers are the issuers whose tokens the Verifier takes. With
	// both, the metadata of RFC 9728 is served and named in challenges. Default
	// to none.
	Resource             string
	AuthorizationServers []string
	// Scopes are those that a client should ask for to begin with, as challenges
	// and metadata tell. What a tool needs says [ToolSpec].Scopes. Defaults to
	// none.
	Scopes []string
	// Sessions gives clients of protocol versions before 2026-07-28 a session
	// (Mcp-Session-Id): what they declare when they initialize is remembered, so
	// that they can be asked ([Elicit], confirmation), may set a level
	// ([LogToClient]) and can subscribe, and GET opens a stream of what they have
	// subscribed to. A session is its principal's, is no proof of who that is, ends
	// after 30 minutes without a request, and is one of at most 32 of a principal
	// and 10,000 in all. It is kept in this process: several replicas need a
	// balancer that sends a session's requests to the same one. Defaults to false:
	// such clients are served, but each request stands by itself.
	Sessions bool
	// MaxConnections is how many connections are open at once, of which one
	// address may have a quarter unless BehindProxy; one more is closed. Defaults
	// to 512.
	MaxConnections int
	// Timeout is how long a client may take to send a request's header, then its
	// body, and to take each piece of an answer. Defaults to 10 seconds.
	Timeout time.Duration
}

// An endpoint serves one Server over HTTP.
type endpoint struct {
	*Server
	o            HTTPOptions
	hosts        []string // of Hosts and Resource, in canonical form
	metadata     []byte   // nil: none is served
	metadataURL  string
	metadataPath string

	addresses meters // what was refused before anyone was known
	inFlight  inFlight
	requests  callers  // under way, by principal
	verifying callers  // by address
	failures  refusals // of the Verifier: one that is down must not fill the log

	sessions  keptSessions
	questions questions

	listening inFlight
	listeners callers
	serving   context.Context // ends when no more requests are taken
	end       context.CancelFunc
	warned    sync.Once
}

// HTTP returns a handler that serves MCP's Streamable HTTP transport, stateless
// and without any session, at Path, with the metadata and health paths beside
// it; all others are not found. It refuses options that cannot be right.
//
// A server of your own must set its timeouts and limits itself: prefer
// [Server.ListenAndServe]. The handler refuses what has come over a network in
// plain text, unless BehindProxy states why that is so, or without a Verifier.
// Subscriptions last up to ten minutes and hold up its Shutdown as long.
func (s *Server) HTTP(o HTTPOptions) (http.Handler, error) {
	return s.endpoint(o)
}

func (s *Server) endpoint(o HTTPOptions) (*endpoint, error) {
	e := &endpoint{Server: s, o: o}
	e.serving, e.end = context.WithCancel(context.Background())
	if err := e.configure(); err != nil {
		return nil, fmt.Errorf("mcpsec: HTTPOptions: %w", err)
	}
	s.inventory()
	s.log.Info("serving over HTTP", "path", e.o.Path, "authenticated", o.Verifier != nil, "behind_proxy", o.BehindProxy)
	return e, nil
}

// configure checks the options, which are a copy, and fills in defaults.
func (e *endpoint) configure() error {
	o := &e.o
	o.Hosts, o.Origins, o.Scopes = slices.Clone(o.Hosts), slices.Clone(o.Origins), slices.Clone(o.Scopes)
	switch {
	case o.MaxConnections < 0 || o.Timeout < 0:
		return errors.New("limits must not be negative")
	case o.BehindProxy && o.Verifier == nil:
		return errors.New("BehindProxy needs a Verifier: whoever reaches the proxy would be Options.Principal")
	case (o.Resource == "") != (len(o.AuthorizationServers) == 0):
		return errors.New("the Resource and AuthorizationServers go together: clients need both")
	case o.Resource != "" && o.Verifier == nil:
		return errors.New("the Resource needs a Verifier")
	}
	setDefault(&o.MaxConnections, 512)
	setDefault(&o.Timeout, 10*time.Second)
	if err := checkScopes(o.Scopes); err != nil {
		return err
	}
	if err := e.configureResource(); err != nil {
		return err
	}
	if err := e.configureNames(); err != nil {
		return err
	}
	return e.configurePaths()
}

// configureResource prepares the metadata of RFC 9728.
func (e *endpoint) configureResource() error {
	o := &e.o
	if o.Resource == "" {
		return nil
	}
	u, err := checkURL(o.Resource)
	if err != nil {
		return fmt.Errorf("the Resource %w", err)
	}
	for _, as := range o.AuthorizationServers {
		if _, err := checkURL(as); err != nil {
			return fmt.Errorf("AuthorizationServers: each %w", err)
		}
	}
	if len(o.Hosts) == 0 {
		o.Hosts = []string{u.Hostname()}
	}
	if o.Path == "" {
		o.Path = u.Path
		if o.Path == "" {
			o.Path = "/"
		}
	}
	e.metadataPath = wellKnown + strings.TrimSuffix(u.Path, "/")
	e.metadataURL = u.Scheme + "://" + u.Host + e.metadataPath
	e.metadata, err = json.Marshal(oauthex.ProtectedResourceMetadata{
		Resource: o.Resource, AuthorizationServers: o.AuthorizationServers, ScopesSupported: o.Scopes,
		BearerMethodsSupported: []string{"header"}, ResourceName: e.impl.Title,
	})
	return err
}

// checkURL takes an absolute https URL without anything that does not belong
// into an identifier. This machine may use http.
func checkURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#") || u.RawPath != "" || u.String() != s ||
		u.Scheme != "https" && !(u.Scheme == "http" && isLoopbackName(u.Hostname())) {
		return nil, errors.New("must be an https URL without user, query, fragment and characters that need escapes")
	}
	return u, nil
}

func (e *endpoint) configureNames() error {
	for _, h := range e.o.Hosts {
		name, ok := hostname(h)
		if !ok || strings.HasSuffix(h, "]") != strings.HasPrefix(h, "[") || strings.Count(h, ":") == 1 {
			return fmt.Errorf("%q in Hosts is not a host name or address without port", h)
		}
		e.hosts = append(e.hosts, name)
	}
	for _, o := range e.o.Origins {
		u, err := url.Parse(o)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || o != u.Scheme+"://"+strings.ToLower(u.Host) {
			return fmt.Errorf("%q in Origins must be scheme and host in lower case, as browsers send it", o)
		}
	}
	return nil
}

func (e *endpoint) configurePaths() error {
	o := &e.o
	for _, p := range []struct {
		path     *string
		standard string
	}{{&o.Path, "/mcp"}, {&o.HealthPath, "/healthz"}, {&o.ReadyPath, "/readyz"}} {
		if *p.path == "" {
			*p.path = p.standard
		}
		if !strings.HasPrefix(*p.path, "/") || (&url.URL{Path: *p.path}).EscapedPath() != *p.path {
			return fmt.Errorf("the path %q must begin with a slash and hold nothing that needs an escape", *p.path)
		}
	}
	if o.Path == o.HealthPath || o.Path == o.ReadyPath || o.HealthPath == o.ReadyPath || strings.HasPrefix(o.Path, wellKnown) {
		return errors.New("two paths are equal")
	}
	return nil
}

// ServeHTTP implements [http.Handler]. Whatever goes wrong in it ends the
// request only.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := e.open(w, r)
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		e.log.ErrorContext(r.Context(), "panic", "method", "http", "error", fmt.Sprint(p), "stack", string(debug.Stack()))
		if x.wrote {
			panic(http.ErrAbortHandler)
		}
		x.refuse(unavailable)
	}()
	if e.passes(x) {
		e.route(x)
	}
}

func (e *endpoint) route(x *httpExchange) {
	switch path := x.r.URL.EscapedPath(); { // so that no other spelling passes a proxy's rules
	case path == e.o.HealthPath:
		x.ok()
	case path == e.o.ReadyPath && e.serving.Err() != nil:
		x.refuse(stopping)
	case path == e.o.ReadyPath:
		x.ok()
	case e.metadata != nil && (path == e.metadataPath || path == wellKnown):
		x.document(e.metadata)
	case path == e.o.Path:
		e.serveMCP(x)
	default:
		x.refuse(notFound)
	}
}

// serveMCP takes one message to the server, in a fixed order: who is it, is
// there room, what is it, may it be done.
func (e *endpoint) serveMCP(x *httpExchange) {
	if e.serving.Err() != nil {
		x.refuse(stopping)
		return
	}
	ofSession := e.o.Sessions && (x.r.Method == http.MethodGet || x.r.Method == http.MethodDelete)
	if x.r.Method != http.MethodPost && !ofSession {
		x.w.Header().Set("Allow", http.MethodPost)
		x.refuse(methodNotAllowed)
		return
	}
	p, ok := e.authenticate(x)
	if !ok {
		return
	}
	x.principal = &p
	leave, ok := e.enter(p.ID)
	if !ok {
		x.refuse(tooMany)
		return
	}
	defer leave()
	if ofSession {
		leave() // a stream has a place of another kind
		e.serveSession(x)
		return
	}
	req := e.readMessage(x)
	if req == nil {
		return
	}
	ctx := context.WithValue(x.r.Context(), principalKey{}, p)
	if req.Method != methodListen {
		e.exchange(ctx, x, req, nil)
		return
	}
	leave()
	e.limitListening(x, func(until <-chan struct{}) { e.exchange(ctx, x, req, until) })
}

const (
	maxListens = 8                // subscriptions of one principal
	listenTime = 10 * time.Minute // after which a subscriber must show its token again
)

// limitListening serves a subscription, which lasts until the client or the
// server ends it.
func (e *endpoint) limitListening(x *httpExchange, serve func(until <-chan struct{})) {
	if !e.listening.enter(max(1, e.o.MaxConnections/4)) {
		x.refuse(tooMany)
		return
	}
	defer e.listening.leave()
	if !e.listeners.enter(x.principal.ID, maxListens) {
		x.refuse(tooMany)
		return
	}
	defer e.listeners.leave(x.principal.ID)
	until, cancel := context.WithTimeout(e.serving, listenTime)
	defer cancel()
	serve(until.Done())
}

// enter counts a request of the principal in. A client of whatever speed holds
// a place while it sends its body, so one principal gets a quarter of them.
func (e *endpoint) enter(id string) (leave func(), ok bool) {
	if !e.inFlight.enter(2 * e.limits.MaxConcurrent) {
		return nil, false
	}
	if !e.requests.enter(id, 2*e.limits.MaxConcurrentPerPrincipal) {
		e.inFlight.leave()
		return nil, false
	}
	return sync.OnceFunc(func() { e.requests.leave(id); e.inFlight.leave() }), true
}

// callers counts, by name, what is under way. A name takes no memory when
// nothing is.
type callers struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *callers) enter(name string, limit int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n[name] >= limit {
		return false
	}
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[name]++
	return true
}

func (c *callers) leave(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n[name]--; c.n[name] <= 0 {
		delete(c.n, name)
	}
}

// warnOnce tells the operator of a set-up that refuses everything.
func (e *endpoint) warnOnce(ctx context.Context, msg string) {
	e.warned.Do(func() { e.log.Log(ctx, slog.LevelError, msg) })
}
