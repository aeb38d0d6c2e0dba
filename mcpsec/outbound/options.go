package outbound

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/waive"
)

// A Waiver switches one protection off. Only package insecure makes them.
type Waiver = waive.Waiver

// Options configures a client. Allow is required; the zero value of every other
// field is the safest useful setting.
type Options struct {
	// Allow lists the hosts that requests may go to, as "host" for port 443 or
	// "host:port": exact names in ASCII, or addresses. Required.
	Allow []string
	// Networks are the networks that are not public and that allowed hosts may
	// still resolve into, such as 10.20.0.0/16. Link-local addresses, metadata
	// services, multicast and addresses that hold another for a gateway to
	// unpack stay refused. Defaults to none.
	Networks []netip.Prefix
	// RootCAs are the authorities that a server's certificate may come from.
	// Defaults to the system's.
	RootCAs *x509.CertPool
	// Proxy is an http or https proxy for all requests. The rules for addresses
	// then hold for the proxy's own, and where a host's name leads is up to the
	// proxy. Defaults to none, whatever the environment says.
	Proxy *url.URL

	// ConnectTimeout is how long resolving a name and connecting may take.
	// Defaults to 5 seconds.
	ConnectTimeout time.Duration
	// TLSTimeout is how long the TLS handshake may take. Defaults to 5 seconds.
	TLSTimeout time.Duration
	// HeaderTimeout is how long a server may take from the end of the request to
	// the end of its answer's header. Defaults to 15 seconds.
	HeaderTimeout time.Duration
	// BodyTimeout is how long a read of the answer's body may wait for a byte.
	// Defaults to 15 seconds.
	BodyTimeout time.Duration
	// Timeout is how long all of a request may take: retries, the pauses between
	// them, redirects, and reading the body. Defaults to 30 seconds.
	Timeout time.Duration

	// MaxBody is how many bytes the body of an answer has at most, after
	// decompression. A longer one is an error of type TooLarge and never cut in
	// silence. Defaults to 4 MiB.
	MaxBody int64
	// Retries is how often a request is repeated at most. Negative is never.
	// Defaults to 2.
	Retries int

	// Logger is told at the start what is waived, and why. Defaults to
	// slog.Default().
	Logger *slog.Logger
	// Waive switches protections off: insecure.PlaintextHTTP applies here.
	// Defaults to none.
	Waive []Waiver
}

const (
	maxTimeout = time.Hour
	maxBody    = 1 << 30
	maxRetries = 10
)

func (o Options) withDefaults() (Options, error) {
	o.Networks, o.Waive = slices.Clone(o.Networks), slices.Clone(o.Waive)
	o.MaxBody, o.Retries = or(o.MaxBody, 4<<20), or(o.Retries, 2)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.MaxBody < 1 || o.MaxBody > maxBody {
		return o, fmt.Errorf("Options.MaxBody must be 1 to %d", maxBody)
	}
	if o.Retries > maxRetries {
		return o, fmt.Errorf("Options.Retries must not be more than %d", maxRetries)
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		or    time.Duration
	}{
		{"ConnectTimeout", &o.ConnectTimeout, 5 * time.Second},
		{"TLSTimeout", &o.TLSTimeout, 5 * time.Second},
		{"HeaderTimeout", &o.HeaderTimeout, 15 * time.Second},
		{"BodyTimeout", &o.BodyTimeout, 15 * time.Second},
		{"Timeout", &o.Timeout, 30 * time.Second},
	} {
		if *d.value = or(*d.value, d.or); *d.value < time.Millisecond || *d.value > maxTimeout {
			return o, fmt.Errorf("%s must be 1ms to %s", "Options."+d.name, maxTimeout)
		}
	}
	return o, o.checkProxy()
}

func (o Options) checkProxy() error {
	switch p := o.Proxy; {
	case p == nil:
		return nil
	case p.Scheme != "http" && p.Scheme != "https" || hostPort(p) == "" || p.Opaque != "" || p.Path != "" && p.Path != "/" || p.RawQuery != "":
		return errors.New("Options.Proxy must be an http or https URL of a host and port, and nothing else")
	case p.User != nil && p.Scheme == "http" && !waive.Has(o.Waive, waive.PlaintextHTTP):
		return errors.New("Options.Proxy would send its credentials in plain text: use an https proxy, or waive insecure.PlaintextHTTP")
	}
	return nil
}

func or[T int | int64 | time.Duration](v, d T) T {
	if v == 0 {
		return d
	}
	return v
}

// New makes a client from o, or says what is wrong with o. The client may be
// used by several goroutines, and each client has its own connections, breakers
// and budgets: make one for each kind of backend, and keep it.
//
// Use the client as it is. Its CheckRedirect and Timeout stay unset: redirects
// and deadlines are dealt with below. Its Transport may be wrapped, say by
// instrumentation, inside of another http.Client; alone it is of little use,
// since it reports a failure as a response with status 303 and a body that
// returns the error.
func New(o Options) (*http.Client, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	t, err := newTransport(o, nil)
	if err != nil {
		return nil, err
	}
	for _, w := range o.Waive {
		o.Logger.Warn("protection waived", "hosts", o.Allow, "waiver", string(w.Kind), "reason", w.Reason)
	}
	return &http.Client{Transport: t}, nil
}
