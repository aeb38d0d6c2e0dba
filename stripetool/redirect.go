package stripetool

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
)

// A redirect is where a hosted page may send a browser: an origin with a path. It is
// compared in one form: host in small letters, no port that is https's own.
type redirect struct{ origin, path, query string }

const sessionPlace = "{CHECKOUT_SESSION_ID}" // Stripe writes the session's id there

var (
	redirectHost  = lazy.Regexp(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+(:[1-9][0-9]{0,4})?$`)
	redirectPath  = lazy.Regexp(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?$`) // no segment begins with a dot, and nothing is written with %
	redirectQuery = lazy.Regexp(`^[A-Za-z0-9._~=&-]*$`)                   // in which no other address can stand
)

var errRedirect = errors.New("must be https://, a host name, and a path of letters, digits, dots, dashes and underscores, with no user, fragment, %, \\ or segment that begins with a dot")

// parseRedirect reads an address that has one meaning to every reader. What browsers,
// proxies and servers could take for another is refused and not repaired.
func parseRedirect(s string) (redirect, error) {
	const scheme = "https://"
	if len(s) > 1000 || len(s) < len(scheme) || !strings.EqualFold(s[:len(scheme)], scheme) {
		return redirect{}, errRedirect
	}
	rest, query, asked := strings.Cut(s[len(scheme):], "?")
	host, path := rest, ""
	if at := strings.IndexByte(rest, '/'); at >= 0 {
		host, path = rest[:at], rest[at:]
	}
	host = strings.TrimSuffix(lower(host), ":443")
	u, err := url.Parse(scheme + host + path) // the library's reading must be ours
	if !redirectHost().MatchString(host) || !redirectPath().MatchString(path) || err != nil || u.Host != host || u.Path != path {
		return redirect{}, errRedirect
	}
	if asked {
		query = "?" + query
	}
	if path == "" {
		path = "/"
	}
	return redirect{scheme + host, path, query}, nil
}

// lower makes ASCII small: strings.ToLower makes a k of the Kelvin sign, too.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// redirectTo returns an address as it is sent to Stripe, if it is below one of
// Options.Redirects. The place of a session's id may be in its query where session is.
func (c *Client) redirectTo(s string, session bool) (string, error) {
	r, err := parseRedirect(s)
	q := strings.TrimPrefix(r.query, "?")
	if session {
		q = strings.Replace(q, sessionPlace, "x", 1)
	}
	if err != nil || !redirectQuery().MatchString(q) || !slices.ContainsFunc(c.redirects, r.below) {
		return "", refuse("an address to return to must be below one that the operator has listed, written plainly: https, no user, %, fragment or dots as segments, and a query of names and plain values only", "redirect")
	}
	return r.origin + r.path + r.query, nil
}

// below reports whether r is at allowed, or below it: /pay allows /pay/done and
// not /payments.
func (r redirect) below(allowed redirect) bool {
	if r.origin != allowed.origin {
		return false
	}
	at := strings.TrimSuffix(allowed.path, "/")
	rest, ok := strings.CutPrefix(r.path, at)
	return ok && (strings.HasPrefix(rest, "/") || rest == "" && at == allowed.path)
}

// parseRedirects reads Options.Redirects.
func (o *Options) parseRedirects() ([]redirect, error) {
	var out []redirect
	for _, s := range o.Redirects {
		r, err := parseRedirect(s)
		if err == nil && r.query != "" {
			err = errors.New("must have no query")
		}
		if err != nil {
			return nil, errors.New("Options.Redirects: each " + err.Error())
		}
		out = append(out, r)
	}
	return out, nil
}
