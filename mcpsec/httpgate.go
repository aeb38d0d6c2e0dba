package mcpsec

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// passes decides whether a request may come in at all: over a way that is safe
// for what it carries, to a name that is ours, and not out of a stranger's web
// page. It answers those that may not, and preflights.
func (e *endpoint) passes(x *httpExchange) bool {
	switch {
	case !e.safeWay(x):
		x.refuse(unsafeWay)
	case !e.ownHost(x) && !e.isProbe(x.r):
		x.refuse(wrongHost)
	case !e.knownOrigin(x):
		x.refuse(wrongOrigin)
	case x.r.Method == http.MethodOptions && x.origin != "":
		x.preflight()
	default:
		return true
	}
	return false
}

// isProbe excepts health checks from the list of hosts: they name an address.
func (e *endpoint) isProbe(r *http.Request) bool {
	path := r.URL.EscapedPath()
	return (path == e.o.HealthPath || path == e.o.ReadyPath) && r.Method == http.MethodGet
}

// safeWay refuses plain text over a network, peers that nobody authenticates
// from elsewhere, and a proxy that brings such peers here.
func (e *endpoint) safeWay(x *httpExchange) bool {
	if e.isProbe(x.r) {
		return true
	}
	if !x.local && x.r.TLS == nil && !e.o.BehindProxy {
		e.warnOnce(x.r.Context(), "refusing requests in plain text over a network: set HTTPOptions.TLS, or BehindProxy if that is so")
		return false
	}
	if e.o.Verifier != nil {
		return true
	}
	for _, forwarded := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if x.r.Header.Values(forwarded) != nil {
			e.warnOnce(x.r.Context(), "refusing requests through a proxy: without HTTPOptions.Verifier the server is for this machine only")
			return false
		}
	}
	if !x.local {
		e.warnOnce(x.r.Context(), "refusing requests from a network: set HTTPOptions.Verifier")
	}
	return x.local
}

// ownHost compares the Host header with the names that are ours. A web page
// whose name was made to point here (DNS rebinding) sends its own.
func (e *endpoint) ownHost(x *httpExchange) bool {
	name, ok := hostname(x.r.Host)
	return ok && (slices.Contains(e.hosts, name) || x.local && isLoopbackName(name))
}

// knownOrigin compares the Origin header, which browsers send with everything
// but plain reading; what they send without it says cross-site or same-site.
func (e *endpoint) knownOrigin(x *httpExchange) bool {
	switch origins := x.r.Header.Values("Origin"); {
	case len(origins) == 0:
		site := x.r.Header.Get("Sec-Fetch-Site")
		return site == "" || site == "none" || site == "same-origin"
	case len(origins) > 1:
		return false
	case origins[0] == e.scheme(x.r)+"://"+strings.ToLower(x.r.Host): // a page of this very server
		return true
	case !slices.Contains(e.o.Origins, origins[0]):
		return false
	default:
		x.origin = origins[0]
		h := x.w.Header()
		h.Set("Access-Control-Allow-Origin", x.origin)
		h.Set("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After, Mcp-Session-Id")
		return true
	}
}

// scheme is what clients reach the server by.
func (e *endpoint) scheme(r *http.Request) string {
	if r.TLS != nil || e.o.BehindProxy {
		return "https"
	}
	return "http"
}

// paramHeaders are the headers that repeat arguments of tools. Their names are no
// secret to a page that may call: tools/list tells them.
func (s *Server) paramHeaders() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []string
	for _, t := range s.tools {
		for _, name := range t.headers {
			out = append(out, "Mcp-Param-"+name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// preflight answers a browser that asks whether a page may call.
func (x *httpExchange) preflight() {
	h := x.w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
	h.Set("Access-Control-Allow-Headers", strings.Join(append([]string{
		"Authorization", "Content-Type", "Mcp-Protocol-Version", "Mcp-Method", "Mcp-Name", "Mcp-Session-Id",
	}, x.e.paramHeaders()...), ", "))
	h.Set("Access-Control-Max-Age", "600")
	x.send(http.StatusNoContent, nil)
}

// hostname returns the lower-case host of a Host header, without port and
// brackets. It takes what a host can consist of and nothing else.
func hostname(host string) (string, bool) {
	if h, port, err := net.SplitHostPort(host); err == nil {
		if port == "" || strings.ContainsFunc(port, func(r rune) bool { return r < '0' || r > '9' }) {
			return "", false
		}
		host = h
	} else if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	host = strings.ToLower(host)
	if a, err := netip.ParseAddr(host); err == nil {
		return a.String(), a.Zone() == ""
	}
	bad := strings.ContainsFunc(host, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
	})
	return host, host != "" && len(host) <= 253 && !bad
}

func isLoopbackName(name string) bool {
	if name == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(name)
	return err == nil && a.IsLoopback()
}

// isLocal reports whether a connection cannot have come from another machine.
// What is not known is taken for a network.
func isLocal(a net.Addr) bool {
	switch a := a.(type) {
	case *net.UnixAddr:
		return true
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	}
	return false
}

// remote is the client's address, for limits and records: of IPv6 the network,
// since a client has all of its addresses. Behind a proxy it is the last one in
// X-Forwarded-For, which the proxy has added; the others anyone can write.
func (e *endpoint) remote(r *http.Request) string {
	addr := r.RemoteAddr
	if e.o.BehindProxy {
		if via := r.Header.Values("X-Forwarded-For"); len(via) > 0 {
			last := via[len(via)-1]
			addr = strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
		}
	}
	return network(addr)
}

func network(addr string) string {
	a, err := netip.ParseAddr(addr)
	if ap, err2 := netip.ParseAddrPort(addr); err2 == nil {
		a, err = ap.Addr(), nil
	}
	if err != nil {
		return "unknown" // a Unix socket, or a proxy that has added nothing
	}
	a = a.Unmap().WithZone("")
	if a.Is6() && !a.IsLoopback() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

// refusalsPerSecond is how many requests of one address may be refused before
// they were authenticated, on average: a person who tries tokens needs fewer.
const refusalsPerSecond = 10

// exhausted reports whether an address has been refused too often lately.
func (e *endpoint) exhausted(remote string) bool {
	return e.addresses.exhausted(remote, time.Now(), refusalsPerSecond)
}
