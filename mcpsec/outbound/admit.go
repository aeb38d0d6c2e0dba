package outbound

import (
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// parseAllowed reads one entry of Options.Allow, "host" or "host:port", as
// hostPort does.
func parseAllowed(entry string) string {
	if strings.Count(entry, ":") > 1 && !strings.HasPrefix(entry, "[") {
		entry = "[" + entry + "]"
	}
	return hostPort(&url.URL{Scheme: "https", Host: entry})
}

// hostPort is the host and port of a URL as one key: in lower case, without the
// final dot, with the scheme's port if there is none. It is empty for what is
// not a plain host: other spellings of an address (0x7f.1), zones, wildcards,
// escapes.
func hostPort(u *url.URL) string {
	host, port := splitHost(u.Host)
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port[0] == '0' || port[0] == '+' {
		return ""
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		a, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		if err != nil || !a.Is6() || a.Zone() != "" {
			return ""
		}
		return "[" + a.String() + "]:" + port
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if !isName(host) {
		return ""
	}
	return host + ":" + port
}

// splitHost splits at the colon before the port. An empty port counts as none.
func splitHost(s string) (host, port string) {
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, ']') {
		return s[:i], s[i+1:]
	}
	return s, ""
}

// isName reports whether s is a host name in ASCII or an IPv4 address in its
// canonical form.
func isName(s string) bool {
	if len(s) > 253 {
		return false
	}
	labels := strings.Split(s, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	if last := labels[len(labels)-1]; last[0] >= '0' && last[0] <= '9' {
		a, err := netip.ParseAddr(s)
		return err == nil && a.Is4()
	}
	return true
}

// admit decides whether a request may leave at all, by what it says. Where its
// name leads is decided when it is dialled.
func (t *transport) admit(req *http.Request) (*host, *Error) {
	if req.URL == nil {
		return nil, &Error{Reason: Refused, text: "the request has no URL"}
	}
	key := hostPort(req.URL)
	refuse := func(text string) (*host, *Error) {
		return nil, &Error{Reason: Refused, Host: key, text: text}
	}
	h := t.hosts[key]
	switch u := req.URL; {
	case u.Scheme != "https" && (u.Scheme != "http" || !t.plaintext):
		return refuse("only https is allowed")
	case u.User != nil:
		return refuse("the URL holds credentials: put them into a header")
	case u.Opaque != "":
		return refuse("the URL is opaque")
	case h == nil:
		return refuse("the host is not in Options.Allow")
	case req.Host != "" && hostPort(&url.URL{Scheme: u.Scheme, Host: req.Host}) != key:
		return refuse("the Host header names another host than the URL")
	case req.Method == http.MethodConnect || req.Method == http.MethodTrace:
		return refuse("the method is not allowed")
	case req.Header.Get("Upgrade") != "":
		return refuse("the Upgrade header is not allowed")
	}
	return h, nil
}
