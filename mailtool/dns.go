package mailtool

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/mcpsec/mcpsec-go/internal/text"
)

// DomainCheck looks at what a sending domain has in the DNS for its mail to arrive and
// for nobody else's to pass for it. Domain is required.
type DomainCheck struct {
	// Domain is the one of the sender's address. Required.
	Domain string
	// DKIM are the selectors that sign, each with the public half of its key, or nil
	// where that is not known. Defaults to none: then DKIM is not looked at.
	DKIM map[string]crypto.PublicKey
	// Senders are what the SPF record should name, as in "include:_spf.example.net".
	// They are for the record to publish. Defaults to "mx".
	Senders string
	// Reports is the address that reports should go to, for the records to publish.
	// Defaults to postmaster at Domain.
	Reports string
	// Resolver asks the name server. Defaults to Go's own, with the system's servers.
	Resolver *net.Resolver
	// Client fetches the policy of MTA-STS. Defaults to one of package outbound that
	// goes nowhere but to mta-sts.<Domain>.
	Client *http.Client
	// Timeout is how long all of it may take. What was not answered by then is
	// unknown. Defaults to 20 seconds.
	Timeout time.Duration
}

// A Finding is what one check has found.
type Finding struct {
	Check string `json:"check"` // mx, spf, dkim <selector>, dmarc, mta-sts, tls-rpt or bimi
	// Verdict is pass, weak (works, protects less than it could), missing, wrong (has
	// no effect, or a bad one) or unknown (the name server gave no answer).
	Verdict string `json:"verdict"`
	Text    string `json:"text"` // why, for a person
	// Found are the records as they were read, freed of hidden characters and cut.
	// Whoever runs the domain has written them: they are data.
	Found []string `json:"found,omitempty"`
	// Publish is the record that would be right, as a line of a zone.
	Publish string `json:"publish,omitempty"`
}

// The verdicts, from good to bad.
const (
	verdictPass    = "pass"
	verdictWeak    = "weak"
	verdictMissing = "missing"
	verdictUnknown = "unknown"
	verdictWrong   = "wrong"
)

var severity = []string{verdictPass, verdictWeak, verdictMissing, verdictUnknown, verdictWrong}

const maxWhy = 1000 // bytes after which no more is told

// note makes the verdict no better than v, and adds why.
func (f *Finding) note(v, format string, args ...any) {
	if slices.Index(severity, v) > slices.Index(severity, f.Verdict) {
		f.Verdict = v
	}
	if len(f.Text) > maxWhy {
		return // has been told often enough
	}
	if f.Text != "" {
		f.Text += "; "
	}
	f.Text += fmt.Sprintf(format, args...)
}

func (f *Finding) found(records ...string) {
	for _, r := range records[:min(len(records), 5)] {
		f.Found = append(f.Found, shown(r))
	}
}

// shown is one line of a text that strangers wrote, cut at 500 bytes.
func shown(s string) string {
	s, _ = text.Strip(strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
	if len(s) > 500 {
		s = strings.ToValidUTF8(s[:500], "") + "..."
	}
	return s
}

// ascii is a name that strangers wrote, in quotes and without letters that look alike.
func ascii(s string) string { return fmt.Sprintf("%+q", cut(s, 100)) }

func record(name, kind, value string) string {
	return fmt.Sprintf("%s. %s %q", name, kind, value)
}

// Run looks at all of it. An error says that the DomainCheck is wrong; what is wrong with
// the domain are findings.
func (d DomainCheck) Run(ctx context.Context) ([]Finding, error) {
	if err := d.complete(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	l := &lookups{resolver: d.Resolver, left: maxQueries}
	mx, hosts := d.mx(ctx, l)
	dmarc, enforced := d.dmarc(ctx, l)
	out := []Finding{mx, d.spf(ctx, l)}
	selectors := make([]string, 0, len(d.DKIM))
	for s := range d.DKIM {
		selectors = append(selectors, s)
	}
	slices.Sort(selectors)
	for _, s := range selectors {
		out = append(out, d.dkim(ctx, l, s, d.DKIM[s]))
	}
	return append(out, dmarc, d.sts(ctx, l, hosts), d.tlsReports(ctx, l), d.bimi(ctx, l, enforced)), nil
}

const maxSelectors = 10

func (d *DomainCheck) complete() error {
	var err error
	if d.Domain, err = parseDomain(d.Domain); err != nil {
		return fmt.Errorf("DomainCheck.Domain: %w", err)
	}
	if len(d.DKIM) > maxSelectors {
		return fmt.Errorf("DomainCheck.DKIM must have at most %d selectors", maxSelectors)
	}
	for s := range d.DKIM {
		if !hostName(s + ".example.com") {
			return errors.New("DomainCheck.DKIM: a selector must be of letters, digits, hyphens and dots")
		}
	}
	if d.Senders == "" {
		d.Senders = "mx"
	}
	if _, err := parseSPF("v=spf1 " + d.Senders + " -all"); err != nil {
		return fmt.Errorf("DomainCheck.Senders: %w", err)
	}
	if d.Reports == "" {
		d.Reports = "postmaster@" + d.Domain
	}
	if _, err := parseAddress(d.Reports); err != nil {
		return fmt.Errorf("DomainCheck.Reports: %w", err)
	}
	if d.Timeout = or(d.Timeout, 20*time.Second); d.Timeout < time.Millisecond || d.Timeout > 5*time.Minute {
		return errors.New("DomainCheck.Timeout must be 1ms to 5m")
	}
	if d.Client == nil {
		d.Client, err = stsClient(d.Domain)
	}
	return err
}

// maxQueries is how often a name server is asked in all: ten for SPF with what they lead
// to, and some for the rest.
const maxQueries = 100

// lookups asks a name server, and not without end.
type lookups struct {
	resolver *net.Resolver
	left     int
}

var (
	errQueries = errors.New("too many lookups")
	goResolver = &net.Resolver{PreferGo: true, StrictErrors: true}
)

// answer makes nothing of what is not there, and an error of what is not known.
func answer[T any](l *lookups, ask func(*net.Resolver) ([]T, error)) ([]T, error) {
	if l.left--; l.left < 0 {
		return nil, errQueries
	}
	r := l.resolver
	if r == nil {
		r = goResolver
	}
	out, err := ask(r)
	var e *net.DNSError
	switch {
	case errors.As(err, &e) && e.IsNotFound:
		return nil, nil
	case err != nil && len(out) == 0:
		return nil, err
	}
	return out[:min(len(out), maxRecords)], nil
}

const (
	maxRecords = 100
	maxRecord  = 4096 // bytes of a record that is read
)

// txt returns the records of a name. The name is absolute, so that the system's search
// list adds nothing to it.
func (l *lookups) txt(ctx context.Context, name string) ([]string, error) {
	return answer(l, func(r *net.Resolver) ([]string, error) { return r.LookupTXT(ctx, name+".") })
}

func (l *lookups) mx(ctx context.Context, name string) ([]*net.MX, error) {
	return answer(l, func(r *net.Resolver) ([]*net.MX, error) { return r.LookupMX(ctx, name+".") })
}

// addresses reports whether a name has any.
func (l *lookups) addresses(ctx context.Context, name string) (bool, error) {
	out, err := answer(l, func(r *net.Resolver) ([]string, error) {
		ips, err := r.LookupNetIP(ctx, "ip", name+".")
		return make([]string, len(ips)), err
	})
	return len(out) > 0, err
}

// versioned returns the records of a name that begin with a version, as all of the
// formats here do.
func (l *lookups) versioned(ctx context.Context, name, version string) ([]string, error) {
	all, err := l.txt(ctx, name)
	return slices.DeleteFunc(all, func(s string) bool {
		rest, ok := cutFold(s, version)
		return !ok || rest != "" && !strings.ContainsAny(rest[:1], "; \t")
	}), err
}

func cutFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return "", false
	}
	return s[len(prefix):], true
}

// single reads the one record that a name may have of a version. Otherwise it makes the
// finding, and returns "".
func (l *lookups) single(ctx context.Context, f *Finding, name, version string) string {
	records, err := l.versioned(ctx, name, version)
	f.found(records...)
	switch {
	case err != nil:
		f.note(verdictUnknown, "the name server gave no answer for %s", name)
	case len(records) == 0:
		f.note(verdictMissing, "there is no record at %s", name)
	case len(records) > 1:
		f.note(verdictWrong, "there are %d records at %s, so none of them counts: keep one", len(records), name)
	case len(records[0]) > maxRecord:
		f.note(verdictWrong, "the record at %s has more than %d bytes", name, maxRecord)
	default:
		return records[0]
	}
	return ""
}

// tags reads a list of tag=value; (RFC 6376, 3.2). The first tag's name is first.
func tags(s string) (values map[string]string, names []string, ok bool) {
	values = map[string]string{}
	for part := range strings.SplitSeq(strings.TrimRight(strings.TrimSpace(s), "; \t"), ";") {
		name, value, found := strings.Cut(part, "=")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if _, twice := values[name]; !found || twice || name == "" || strings.ContainsFunc(name, func(r rune) bool { return r > unicode.MaxASCII || !alnum(byte(r)) && r != '_' }) {
			return nil, nil, false
		}
		values[name] = value
		names = append(names, name)
	}
	return values, names, true
}

// mx finds where answers and bounces go, and returns the hosts.
func (d DomainCheck) mx(ctx context.Context, l *lookups) (Finding, []string) {
	f := Finding{Check: "mx", Verdict: verdictPass}
	records, err := l.mx(ctx, d.Domain)
	var hosts []string
	for _, r := range records {
		f.found(fmt.Sprintf("%d %s", r.Pref, r.Host))
		hosts = append(hosts, strings.ToLower(strings.TrimSuffix(r.Host, ".")))
	}
	switch {
	case err != nil:
		f.note(verdictUnknown, "the name server gave no answer")
		return f, nil
	case len(hosts) == 0:
		f.note(verdictMissing, "no MX: answers and bounces may not arrive, and receivers distrust a sender who cannot be answered")
		return f, nil
	case len(hosts) == 1 && hosts[0] == "":
		f.note(verdictWeak, "a null MX (RFC 7505) says that the domain takes no mail: bounces and complaints are lost, and some receivers refuse it as a sender")
		return f, nil
	}
	for _, h := range hosts[:min(len(hosts), 5)] {
		if h == "" {
			f.note(verdictWrong, "a null MX stands beside others (RFC 7505, 3)")
			continue
		}
		switch ok, err := l.addresses(ctx, h); {
		case err != nil:
			f.note(verdictUnknown, "the name server gave no answer for %s", ascii(h))
		case !ok:
			f.note(verdictWrong, "%s has no address", ascii(h))
		}
	}
	if f.Verdict == verdictPass {
		f.note(verdictPass, "%d hosts take mail", len(hosts))
	}
	return f, hosts
}
