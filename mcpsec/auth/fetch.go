package auth

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/outbound"
)

const (
	maxToken    = 8 << 10   // bytes
	maxDocument = 256 << 10 // bytes of an answer
	askTimeout  = 5 * time.Second
)

// Why a server could not be asked. The texts hold nothing of what it said, and
// neither its address nor a query.
var (
	errUnasked     = errors.New("it was not asked yet")
	errTimeout     = errors.New("no answer in time")
	errCertificate = errors.New("its certificate is not trusted")
	errName        = errors.New("its host name does not resolve")
	errConnection  = errors.New("the connection failed")
	errTooLarge    = errors.New("its answer is too large")
	errNotJSON     = errors.New("its answer is not the JSON that is due")
	errPanic       = errors.New("the Client panicked, or Scopes")
	errBusy        = errors.New("too many tokens are being checked")
)

// newClient returns a copy of c, or a client of its own, that follows no
// redirect and keeps no cookies: a token or a secret goes where it was meant to
// go, and keys come from there.
func newClient(c *http.Client) *http.Client {
	var own http.Client
	if c != nil {
		own = *c
	} else {
		own.Transport = &http.Transport{ // no Proxy, and TLS 1.2 at least
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    8,
			MaxConnsPerHost:        2 * maxAsking,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		}
	}
	own.Jar = nil
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// send returns status and body of the answer. Its errors hold nothing of either,
// nor of the request but the host.
func send(c *http.Client, req *http.Request) (status int, body []byte, err error) {
	req.Header.Set("Accept", "application/json")
	res, err := c.Do(req)
	if err != nil {
		return 0, nil, explain(err)
	}
	defer res.Body.Close()
	body, err = io.ReadAll(io.LimitReader(res.Body, maxDocument+1))
	if err != nil {
		return 0, nil, explain(err)
	}
	if len(body) > maxDocument {
		return 0, nil, errTooLarge
	}
	return res.StatusCode, body, nil
}

// explain tells what an operator needs to know; an [url.Error] would print the
// query. What package outbound says is fixed words, and the host.
func explain(err error) error {
	var guarded *outbound.Error
	var timeout interface{ Timeout() bool }
	var name *net.DNSError
	var cert *tls.CertificateVerificationError
	switch {
	case errors.As(err, &guarded):
		return guarded
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled),
		errors.As(err, &timeout) && timeout.Timeout():
		return errTimeout
	case errors.As(err, &name):
		return errName
	case errors.As(err, &cert):
		return errCertificate
	}
	return errConnection
}

// checkURL demands TLS, except on the way to this machine: who can change what
// is on the wire could give us keys of their own.
func checkURL(what, raw string) error {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return fmt.Errorf("auth: %s is required", what)
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return fmt.Errorf("auth: %s must be an absolute URL without user and fragment", what)
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return fmt.Errorf("auth: %s must begin with https:// (or name this machine)", what)
	}
	return nil
}

func plaintext(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && u.Scheme == "http"
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// checkIssuer demands what RFC 8414, section 2, says of an issuer. It begins
// the ID of principals, so it must be short, and may not hold what ends it.
func checkIssuer(what, raw string) error {
	if err := checkURL(what, raw); err != nil {
		return err
	}
	if u, _ := url.Parse(raw); u.RawQuery != "" || u.ForceQuery || len(raw) > maxIssuer || !plain(raw) {
		return fmt.Errorf("auth: %s must have no query, no | and at most %d characters", what, maxIssuer)
	}
	return nil
}

// checkAudience demands an absolute URI (RFC 8707, section 2). A bare name may
// be a client's id as well, and would let ID tokens in.
func checkAudience(what, raw string) error {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return fmt.Errorf("auth: %s is required: the URL that clients ask tokens for", what)
	case err != nil || u.Scheme == "" || u.Host == "" || u.Fragment != "":
		return fmt.Errorf("auth: %s must be an absolute URI without fragment, such as https://orders.example.com/mcp", what)
	}
	return nil
}
