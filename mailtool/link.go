package mailtool

import (
	"net/netip"
	"net/url"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
)

// A link is a place that a reader can be led to.
type link struct {
	host string // or the address of a mailto
	text string // what is shown of it
	odd  bool   // text names another host
	long int    // bytes of what it leads to, which are not shown
}

const (
	maxLinks    = 50
	maxLinkText = 500 // bytes that are looked at; more is misleading
)

var (
	hostLike = lazy.Regexp(`(?i)\b((?:[a-z0-9\x{80}-\x{10ffff}-]{1,63}[.\x{2024}\x{3002}\x{ff0e}\x{ff61}])+[a-z\x{80}-\x{10ffff}][a-z0-9\x{80}-\x{10ffff}-]{1,62})\b`)
	webLink  = lazy.Regexp(`(?i)\b(?:https?://|www\.)[^\s<>"]+`)
)

// target says where a link leads to.
func target(href string) (string, bool) {
	for _, c := range []byte(href) {
		if c <= ' ' || c > '~' || c == '\\' {
			return "", false
		}
	}
	u, err := url.Parse(href)
	switch {
	case err != nil || len(href) > 2000:
		return "", false
	case u.Scheme == "mailto":
		a, err := parseAddress(u.Opaque)
		return a.String(), err == nil && u.RawQuery == ""
	}
	host, err := parseDomain(u.Hostname())
	return host, err == nil && u.Scheme == "https" && u.User == nil
}

// misleads reports whether a link's text names a host, and it leads to another.
func misleads(l link) bool {
	if len(l.text) >= maxLinkText {
		return true
	}
	for _, m := range hostLike().FindAllString(l.text, -1) {
		host, err := parseDomain(m)
		if err != nil || host != l.host && !strings.HasSuffix(l.host, "@"+host) && "www."+host != l.host && host != "www."+l.host {
			return true
		}
	}
	return false
}

// textLinks are the links that readers find in plain text, also without a scheme.
func textLinks(s string) []link {
	var out []link
	for _, m := range webLink().FindAllString(s, maxLinks+1) {
		l := link{host: "an unreadable place", text: m}
		if m = strings.TrimRight(m, ".,;:!?)]}'"); !strings.Contains(m, "://") {
			m = "https://" + m
		}
		if u, err := url.Parse(m); err == nil {
			if d, err := parseDomain(u.Hostname()); err == nil {
				l.host = d
			} else if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
				l.host = ip.String()
			}
		}
		out = append(out, l)
	}
	return out
}
