package outbound

import (
	"net/http"
	"slices"
)

// maxRedirects is how many redirects one request follows.
const maxRedirects = 3

// harmless are the headers that go along on a redirect. Any other may be a
// credential, whatever its name.
var harmless = []string{"Accept", "Accept-Encoding", "Accept-Language", "If-Range", "Range", "User-Agent"}

// redirects reports whether an answer sends the caller elsewhere. Without a
// Location it says nothing to follow, and is the caller's.
func redirects(resp *http.Response) bool {
	moved := []int{http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect}
	return slices.Contains(moved, resp.StatusCode) && resp.Header.Get("Location") != ""
}

// redirect makes the request that a redirect asks for, if it stays with scheme
// and host and asks for nothing but to look. Where a refused one leads is not
// told: the server chose the words.
func (t *transport) redirect(h *host, resp *http.Response, hops int) (*http.Request, *Error) {
	refuse := func(text string) (*http.Request, *Error) {
		return nil, &Error{Reason: RedirectRefused, Host: h.name, text: text}
	}
	req := resp.Request
	to, err := resp.Location()
	switch {
	case err != nil:
		return refuse("the redirect cannot be read")
	case to.Scheme != req.URL.Scheme || hostPort(to) != h.name:
		return refuse("the redirect leads to another scheme, host or port")
	case to.User != nil || to.Opaque != "":
		return refuse("the redirect holds credentials")
	case req.Method != "" && req.Method != http.MethodGet && req.Method != http.MethodHead || req.Body != nil && req.Body != http.NoBody:
		return refuse("the redirect would send again what was sent: only GET and HEAD without a body follow one")
	case hops >= maxRedirects:
		return refuse("too many redirects")
	}
	next := (&http.Request{Method: req.Method, URL: to, Header: http.Header{}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(req.Context())
	for _, name := range harmless {
		if v := req.Header.Values(name); v != nil {
			next.Header[name] = slices.Clone(v)
		}
	}
	return next, nil
}
