package stripetool

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/waive"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// Options configures a [Client]. Key is required; the zero value of every other
// field is the safest useful setting.
type Options struct {
	// Key is the secret API key: better a restricted one (rk_test_…), with the
	// permissions that the tools need. A live key needs insecure.LiveMode.
	// Required.
	Key mcpsec.Secret
	// Account is the connected account (acct_…) that all requests are for.
	// Defaults to the key's own.
	Account string
	// Resources are what stripe_list, stripe_get and stripe_search may read, of
	// [ResourceNames], and of the others that its comment names. Defaults to none: then
	// there are no such tools.
	Resources []string
	// Permissions are the actions that there are tools for, by resource, as in
	// {"refunds": {"create"}, "customers": {"create", "update"}}: see [WriteTools].
	// Defaults to none: nothing can be changed.
	Permissions map[string][]string
	// Unasked are those of Permissions that no person is asked about. Only what
	// can be undone, moves no money and reaches nobody outside can be among them:
	// with customers update, a person is still asked about an e-mail address and a
	// default payment method, and with checkout_sessions create about a page for a
	// customer that is named. Defaults to none.
	Unasked map[string][]string
	// Caps bound what a call, and all calls of a day, may move: refunds, charges
	// and what is billed. Of a currency without a Cap nothing can be moved.
	// Required if Permissions has what moves money. Defaults to none.
	Caps []Cap
	// Redirects are the addresses, and those below them, that Stripe's pages may send
	// a browser to, as in https://shop.example.com/paid: an origin and a path, plain
	// https. Defaults to none: then there are no pages that lead anywhere.
	Redirects []string
	// State is what replicas share: what was done already, or was sent and has had no
	// answer, and what of the caps was used. Until its answer is there, it holds what a
	// request sets and what a person was asked. Defaults to this process's memory, which
	// is forgotten with it.
	State interface {
		state.Store
		state.Documents
	}
	// MaxItems is how many objects one call returns, 1 to 100. Defaults to 50.
	MaxItems int
	// MaxBytes is how many bytes of objects one call returns. Defaults to 128 KiB.
	MaxBytes int
	// Timeout is how long one request to Stripe may take, retries included. A call
	// makes several. Defaults to 20 seconds.
	Timeout time.Duration
	// URL is where Stripe is: for tests, with a server in its place. Live keys go
	// nowhere else than to the default. Defaults to https://api.stripe.com.
	URL string
	// Networks are those that are not public and that URL may be in. Defaults to
	// none; to this machine for an http URL.
	Networks []netip.Prefix
	// RootCAs are the authorities that the certificate of URL may come from.
	// Defaults to the system's.
	RootCAs *x509.CertPool
	// Log is told at the start what is waived or dangerous. Defaults to
	// slog.Default().
	Log *slog.Logger
	// Waive switches protections off: insecure.LiveMode applies here, others go on
	// to the tools. Defaults to none.
	Waive []mcpsec.Waiver
}

// A Cap bounds the money that moves, in one currency.
type Cap struct {
	PerCall Money // the most of one call. Required.
	PerDay  Money // the most of a day that begins at midnight UTC, of all callers and replicas that share Options.State. Required.
}

const stripeURL = "https://api.stripe.com"

func (o Options) withDefaults() (Options, error) {
	o.MaxItems, o.MaxBytes, o.Timeout = or(o.MaxItems, 50), or(o.MaxBytes, 128<<10), or(o.Timeout, 20*time.Second)
	o.Networks, o.Waive, o.Caps, o.Resources = slices.Clone(o.Networks), slices.Clone(o.Waive), slices.Clone(o.Caps), slices.Clone(o.Resources)
	o.Permissions, o.Unasked = cloned(o.Permissions), cloned(o.Unasked)
	if o.URL == "" {
		o.URL = stripeURL
	}
	if o.State == nil {
		o.State = new(state.Memory)
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	switch {
	case o.MaxItems < 1 || o.MaxItems > 100:
		return o, errors.New("Options.MaxItems must be 1 to 100")
	case o.MaxBytes < 1<<10 || o.MaxBytes > 4<<20:
		return o, errors.New("Options.MaxBytes must be 1 KiB to 4 MiB")
	case o.Timeout < time.Millisecond || o.Timeout > 5*time.Minute:
		return o, errors.New("Options.Timeout must be 1ms to 5m")
	case o.Account != "" && !accountID().MatchString(o.Account):
		return o, errors.New("Options.Account must be the id of a connected account, as in acct_1N…")
	}
	slices.Sort(o.Resources)
	o.Resources = slices.Compact(o.Resources)
	for _, r := range o.Resources {
		if resources[r] == nil {
			return o, fmt.Errorf("Options.Resources has %q, which is none of ResourceNames and of what its comment names", r)
		}
	}
	return o, errors.Join(o.checkKey(), o.checkURL(), o.checkCaps(), o.checkPermissions())
}

// cloned copies m and its lists, so that nobody widens them afterwards.
func cloned(m map[string][]string) map[string][]string {
	out := make(map[string][]string, len(m))
	for k, v := range m {
		out[k] = slices.Clone(v)
	}
	return out
}

func or[T int | time.Duration](v, d T) T {
	if v == 0 {
		return d
	}
	return v
}

// checkKey never quotes the key.
func (o *Options) checkKey() error {
	switch key := o.Key.Reveal(); {
	case key == "":
		return errors.New("Options.Key is required: a restricted key, as in rk_test_…")
	case !apiKey().MatchString(key):
		return errors.New("Options.Key must be a secret or restricted API key, as in rk_test_…: not a publishable key and no signing secret")
	case o.live() && !waive.Has(o.Waive, waive.LiveMode):
		return errors.New("Options.Key is a live key: it moves real money; use a test key, or waive insecure.LiveMode")
	case o.live() && o.URL != stripeURL:
		return errors.New("Options.URL must be left out with a live key: it goes to Stripe only")
	}
	return nil
}

func (o *Options) live() bool {
	key := o.Key.Reveal()
	return strings.HasPrefix(key, "sk_live_") || strings.HasPrefix(key, "rk_live_")
}

// checkURL never quotes the URL: a password could stand in it.
func (o *Options) checkURL() error {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "" || u.Path != "" && u.Path != "/":
		return errors.New("Options.URL must be an address without a path, as in https://stripe.example.com")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("Options.URL must have no user, query or fragment")
	case u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())):
		return errors.New("Options.URL must be https, or http on this machine: the key would cross the network in the clear")
	}
	if u.Scheme == "http" {
		o.Networks = append(o.Networks, netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	}
	o.URL = u.Scheme + "://" + u.Host
	return nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

func (o *Options) checkCaps() error {
	seen := map[string]bool{}
	for _, c := range o.Caps {
		switch {
		case c.PerCall.check() != nil || c.PerDay.check() != nil:
			return errors.New("Options.Caps: PerCall and PerDay must be amounts, as in Money{1900, \"EUR\"}")
		case c.PerCall.Currency != c.PerDay.Currency:
			return errors.New("Options.Caps: PerCall and PerDay of a Cap must be of one currency")
		case c.PerCall.Amount < 1 || c.PerDay.Amount < c.PerCall.Amount:
			return errors.New("Options.Caps: PerCall must be more than nothing, and PerDay no less than PerCall")
		case seen[c.PerCall.Currency]:
			return fmt.Errorf("Options.Caps has %s twice", c.PerCall.Currency)
		}
		seen[c.PerCall.Currency] = true
	}
	return nil
}

// warn tells what people who run the server should know.
func (o *Options) warn() {
	for _, w := range o.Waive {
		if w.Kind == waive.LiveMode && o.live() {
			o.Log.Warn("stripetool: a protection is waived", "waived", string(w.Kind), "reason", w.Reason)
		}
	}
	if strings.HasPrefix(o.Key.Reveal(), "sk_") {
		read, write := o.needs()
		o.Log.Warn("stripetool: Options.Key is a secret key, which may do everything: make a restricted key instead, with these permissions",
			"read", strings.Join(read, ", "), "write", strings.Join(write, ", "))
	}
}

// needs are the resources that a restricted key needs to read, and to write.
func (o *Options) needs() (read, write []string) {
	read = slices.Clone(o.Resources)
	for _, ch := range changes() {
		if slices.Contains(o.Permissions[ch.resource], ch.action) {
			read = append(read, ch.reads...)
			if ch.effect == mcpsec.Read {
				read = append(read, ch.resource)
				continue
			}
			write = append(write, cmp.Or(map[string]string{"refunds": "charges and refunds"}[ch.resource], ch.resource))
		}
	}
	slices.Sort(read)
	slices.Sort(write)
	write = slices.Compact(write)
	return slices.DeleteFunc(slices.Compact(read), func(r string) bool { return slices.Contains(write, r) }), write
}
