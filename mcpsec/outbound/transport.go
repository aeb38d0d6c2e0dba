package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/mcpsec/mcpsec-go/internal/waive"
)

// transport is the http.RoundTripper of the client. Redirects are followed here
// and not by the http.Client, so that one deadline holds for all of a request,
// and the rules for whoever wraps the transport.
type transport struct {
	o         Options
	base      *http.Transport
	hosts     map[string]*host // by host:port; never changed
	plaintext bool

	jitter func(time.Duration) time.Duration
	timer  func() backoff.Timer
}

// newTransport makes a transport of valid options. A nil resolver is the
// system's.
func newTransport(o Options, dns *net.Resolver) (*transport, error) {
	nets, err := newNetworks(o.Networks)
	if err != nil {
		return nil, err
	}
	if len(o.Allow) == 0 {
		return nil, errors.New("Options.Allow is required: the hosts that requests may go to")
	}
	hosts := map[string]*host{}
	for i, entry := range o.Allow {
		name := parseAllowed(entry)
		if name == "" {
			return nil, fmt.Errorf("Options.Allow[%d] is not an exact host or host:port, such as api.example.com: ASCII, no wildcard, no scheme, no path", i)
		}
		hosts[name] = &host{name: name, tokens: maxTokens}
	}
	return &transport{
		o: o, hosts: hosts, base: newBase(o, nets, dns),
		plaintext: waive.Has(o.Waive, waive.PlaintextHTTP),
		jitter:    fullJitter,
		timer:     func() backoff.Timer { return nil }, // the real one
	}, nil
}

// newBase makes the transport below: one that shares nothing with
// http.DefaultTransport, and reads no environment.
func newBase(o Options, nets networks, dns *net.Resolver) *http.Transport {
	dialer := &net.Dialer{Timeout: o.ConnectTimeout, ControlContext: nets.control, Resolver: dns}
	base := &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs},
		TLSHandshakeTimeout:    o.TLSTimeout,
		ResponseHeaderTimeout:  o.HeaderTimeout,
		MaxResponseHeaderBytes: 64 << 10,
		MaxConnsPerHost:        64,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        60 * time.Second,
		ForceAttemptHTTP2:      true,
		// A connection whose other end has vanished is found and left.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
	}
	if o.Proxy != nil {
		proxy := *o.Proxy
		base.Proxy = http.ProxyURL(&proxy)
	}
	return base
}

// RoundTrip implements http.RoundTripper, but for one thing: a failure comes as
// a response, see failure.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := failed(req); err != nil {
		closeBody(req)
		return nil, err
	}
	h, err := t.admit(req)
	if err != nil {
		closeBody(req)
		return failure(req, err), nil
	}
	ctx, cancel := context.WithTimeoutCause(req.Context(), t.o.Timeout, errTimeout)
	first := req.WithContext(ctx)
	resp, err := t.follow(h, first)
	if err != nil {
		cancel()
		return failure(req, err), nil
	}
	if resp.Request == first {
		resp.Request = req
	}
	b, ok := resp.Body.(*body)
	if !ok { // there is none
		cancel()
		return resp, nil
	}
	b.endWith(cancel)
	if resp.ContentLength > t.o.MaxBody {
		_ = b.Close()
		return failure(req, t.tooLarge(h)), nil
	}
	return resp, nil
}

// follow sends a request and follows redirects.
func (t *transport) follow(h *host, req *http.Request) (*http.Response, *Error) {
	for hops := 0; ; hops++ {
		resp, err := t.retry(h, req)
		if err != nil || !redirects(resp) {
			return resp, err
		}
		next, err := t.redirect(h, resp, hops)
		drain(resp)
		if err != nil {
			return nil, err
		}
		req = next
	}
}

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (t *transport) CloseIdleConnections() { t.base.CloseIdleConnections() }
